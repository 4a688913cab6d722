//! Tasks come, change and go.

use cronx_abi::{COMM_LEN, TaskKey};

use super::machine::{Errand, Machine, State, Task, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

/// Priorities that tasks have and get: nice 0 and its neighbours, real time, deadline.
const PRIORITIES: [(i32, u32); 6] = [(120, 0), (120, 0), (130, 0), (139, 5), (89, 1), (-1, 6)];

/// A name as the kernel keeps it.
pub(crate) fn comm(text: &str) -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];
    let len = text.len().min(COMM_LEN - 1);
    comm[..len].copy_from_slice(&text.as_bytes()[..len]);
    comm
}

impl Machine {
    pub(crate) fn is_profiler(&self, id: TaskId) -> bool {
        self.tasks[id].key.tgid == self.profiler_tgid
    }

    /// The task of `cpu` makes a thread or a process, and will wake it next.
    pub(crate) fn fork(&mut self, cpu: usize) {
        let parent = self.cpus[cpu].running;
        let thread = self.random.one_in(2);
        let child = self.child(parent, thread);
        let told = thread && self.random.one_in(4);
        let parent_watched = self.tasks[parent].watched;
        if told {
            // The kernel makes this worker itself, and its fork is told to nobody.
            self.meet(P::ForkToldByNoFork);
        } else {
            let (parent, child) = (self.view(parent), self.view(child));
            self.call(cpu, What::Fork { parent, child });
        }
        self.tasks[child].watched = parent_watched && self.sees(cpu);
        self.meet(P::Fork);
        self.cpus[cpu].errand = Some(Errand::FirstWake(child));
    }

    pub(crate) fn child(&mut self, parent: TaskId, thread: bool) -> TaskId {
        let id = self.tasks.len();
        let tid = self.free_tid();
        let tgid = if thread { self.tasks[parent].key.tgid } else { tid };
        let child = Task {
            key: TaskKey { start_ns: self.now_ns, tid, tgid },
            leader: if thread { self.tasks[parent].leader } else { id },
            state: State::Blocked,
            cpu: self.random.below(self.cpus.len() as u64) as u16,
            throttled: false,
            delayed: false,
            claimed: true,
            watched: false,
            hides: false,
            noticed: false,
            waking: None,
            off_ns: 0,
            wait: None,
            ..self.tasks[parent].clone()
        };
        self.tasks.push(child);
        id
    }

    /// Numbers are used again as soon as they are free.
    fn free_tid(&mut self) -> u32 {
        let dead = self.tasks.iter().filter(|task| task.state == State::Dead);
        let free: Vec<_> = dead.map(|task| task.key.tid).filter(|&tid| self.is_free(tid)).collect();
        if let Some(tid) = self.random.pick(&free) {
            self.meet(P::TidReused);
            return tid;
        }
        self.next_tid += 1;
        self.next_tid
    }

    fn is_free(&self, tid: u32) -> bool {
        self.living().all(|id| self.tasks[id].key.tid != tid && self.tasks[id].key.tgid != tid)
    }

    /// The task of `cpu` takes another name.
    pub(crate) fn rename(&mut self, cpu: usize) {
        let id = self.cpus[cpu].running;
        let name = format!("renamed-{}", self.random.below(100));
        self.tasks[id].comm = comm(&name);
        self.call(cpu, What::Rename(self.view(id)));
        self.meet(P::Rename);
    }

    /// The task of `cpu` sets some task's priority. Where there are quotas only a sleeper's: another
    /// would be let go by it, or would have used what it no longer counts for.
    pub(crate) fn set_priority(&mut self) {
        let Some(id) = self.any_to_change() else { return };
        let Some((priority, policy)) = self.random.pick(&PRIORITIES) else { return };
        let task = &mut self.tasks[id];
        (task.priority, task.policy) = (priority, policy);
        self.meet(P::PriorityChange);
    }

    /// Some task is moved to another cgroup. For one that waits or runs no record says since when the
    /// other quota is its own: beyond the probes.
    pub(crate) fn set_group(&mut self) {
        let Some(id) = self.any_to_change() else { return };
        self.tasks[id].group = self.random.below(self.groups.len() as u64) as usize;
        self.meet(P::CgroupChange);
    }

    fn any_to_change(&mut self) -> Option<TaskId> {
        let quota = self.groups.iter().any(|group| group.has_quota);
        let fit = |task: &Task| is_free(task) && (!quota || task.state == State::Blocked);
        self.any_task(|task| fit(task) && !task.kernel)
    }
}

fn is_free(task: &Task) -> bool {
    !task.claimed && task.state != State::Waking
}
