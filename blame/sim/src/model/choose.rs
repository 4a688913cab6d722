//! What happens next: chance picks a CPU and, among what it may do next, one thing.

use super::interrupt::CALL_FUNCTION_SINGLE;
use super::machine::{Errand, Machine};
use super::switch::Leaving;
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

/// How often each thing is chosen, drawn once for a machine: machines differ in their habits.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    weights: [u64; THINGS.len()],
    /// The scale of the time between two events.
    pub(crate) pace_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Nothing,
    BeginHard,
    EndHard,
    BeginSoft,
    EndSoft,
    Wake,
    Switch,
    Pull,
    SetAffinity,
    Fork,
    Exit,
    Rename,
    SetPriority,
    SetGroup,
    Exhaust,
    Refill,
    Steal,
    EmptyInbox,
}

/// With the weight that most machines give it.
const THINGS: [(Thing, u64); 18] = [
    (Thing::Nothing, 2),
    (Thing::BeginHard, 8),
    (Thing::EndHard, 20),
    (Thing::BeginSoft, 4),
    (Thing::EndSoft, 16),
    (Thing::Wake, 14),
    (Thing::Switch, 16),
    (Thing::Pull, 3),
    (Thing::SetAffinity, 2),
    (Thing::Fork, 2),
    (Thing::Exit, 1),
    (Thing::Rename, 1),
    (Thing::SetPriority, 1),
    (Thing::SetGroup, 1),
    (Thing::Exhaust, 2),
    (Thing::Refill, 8),
    (Thing::Steal, 0),
    (Thing::EmptyInbox, 20),
];

impl Habits {
    pub(crate) fn draw(random: &mut crate::random::Random) -> Self {
        let mut weights = THINGS.map(|(_, weight)| weight * 4);
        for weight in &mut weights {
            *weight = *weight * [1, 2, 4, 4, 4, 8][random.below(6) as usize] / 4;
        }
        // Few machines are guests whose host is busy.
        weights[Thing::Steal as usize] = if random.one_in(4) { 3 } else { 0 };
        Self { weights, pace_ns: [4, 100, 2_000, 50_000][random.below(4) as usize] }
    }
}

impl Machine {
    /// One event.
    pub(crate) fn step(&mut self, habits: &Habits) {
        let cpu = self.random.below(self.cpus.len() as u64) as usize;
        self.pass_time(cpu, habits.pace_ns);
        if self.cpus[cpu].stolen_until_ns > self.now_ns {
            return;
        }
        self.cpus[cpu].last_ns = self.now_ns;
        match self.cpus[cpu].errand {
            Some(errand) => self.run_errand(cpu, errand),
            None => self.act(cpu, habits),
        }
    }

    /// Two CPUs may act at one instant, one CPU may not.
    fn pass_time(&mut self, cpu: usize, pace_ns: u64) {
        let passed_ns = if self.random.one_in(6) { 0 } else { 1 + self.random.below(pace_ns * 2) };
        let at_ns = (self.now_ns + passed_ns).max(self.cpus[cpu].last_ns + 1);
        if at_ns == self.now_ns {
            self.meet(P::EqualTimestamps);
        }
        self.pass_until(at_ns);
        if self.cpus[cpu].last_ns == at_ns {
            // Its sampling clock was there first.
            self.pass_until(at_ns + 1);
        }
    }

    /// Meanwhile clocks tick, and the hypervisor gives CPUs back.
    pub(crate) fn pass_until(&mut self, at_ns: u64) {
        self.sample_until(at_ns);
        self.now_ns = at_ns;
        for cpu in 0..self.cpus.len() {
            self.give_back(cpu);
        }
    }

    /// Ticks of the sampling clocks until then, each at its own instant.
    fn sample_until(&mut self, at_ns: u64) {
        while let Some((due_ns, cpu)) = self.next_sample() {
            if due_ns > at_ns {
                return;
            }
            self.now_ns = due_ns;
            self.call_sample(cpu);
        }
    }

    /// A CPU that the hypervisor has ticks when it is given back.
    fn next_sample(&self) -> Option<(u64, usize)> {
        let due = |cpu: usize| {
            let state = &self.cpus[cpu];
            let earliest_ns = self.now_ns.max(state.last_ns + 1);
            state.next_sample_ns.max(state.stolen_until_ns).max(earliest_ns)
        };
        (0..self.cpus.len()).map(|cpu| (due(cpu), cpu)).min()
    }

    fn call_sample(&mut self, cpu: usize) {
        let period_ns = self.sample_period_ns;
        if self.attached && !self.running(cpu).hides {
            self.call_unhidden(cpu, What::Sample);
            if !self.idles(cpu) {
                self.journal.tracks[cpu].samples_ns.push(self.now_ns);
            }
            self.meet(P::Sample);
        }
        self.cpus[cpu].last_ns = self.now_ns;
        let next_ns = &mut self.cpus[cpu].next_sample_ns;
        *next_ns += (self.now_ns - *next_ns) / period_ns * period_ns + period_ns;
    }

    /// The hypervisor's time is over.
    fn give_back(&mut self, cpu: usize) {
        let until_ns = self.cpus[cpu].stolen_until_ns;
        if until_ns != 0 && until_ns <= self.now_ns {
            self.cpus[cpu].stolen_until_ns = 0;
            let now_ns = std::mem::replace(&mut self.now_ns, until_ns);
            self.note(cpu);
            self.now_ns = now_ns;
        }
    }

    fn steal(&mut self, cpu: usize, pace_ns: u64) {
        let length_ns = self.random.below(pace_ns * 20) + 1;
        self.cpus[cpu].stolen_until_ns = self.now_ns + length_ns;
        self.journal.tracks[cpu].stolen.push((self.now_ns, self.now_ns + length_ns));
        self.note(cpu);
        self.meet(P::Steal);
    }

    pub(crate) fn run_errand(&mut self, cpu: usize, errand: Errand) {
        match errand {
            Errand::Wake(wakee) => return self.go_on_waking(cpu, wakee),
            Errand::Enqueue(wakee) => self.enqueue(cpu, wakee),
            Errand::FirstWake(child) => {
                self.tasks[child].claimed = false;
                self.first_wake(cpu, child);
            }
            Errand::Block => {
                self.cpus[cpu].errand = None;
                return self.switch(cpu, Leaving::Blocks);
            }
        }
        self.cpus[cpu].errand = None;
    }

    fn act(&mut self, cpu: usize, habits: &Habits) {
        let weight = |thing| if self.may(cpu, thing) { habits.weights[thing as usize] } else { 0 };
        let weights = THINGS.map(|(thing, _)| weight(thing));
        let mut at = self.random.below(weights.iter().sum());
        for ((thing, _), weight) in THINGS.iter().zip(weights) {
            if at < weight {
                return self.do_thing(cpu, *thing, habits);
            }
            at -= weight;
        }
    }

    /// What the context of a CPU allows.
    fn may(&self, cpu: usize, thing: Thing) -> bool {
        let state = &self.cpus[cpu];
        let (hard, soft) = (state.hard.is_some(), state.soft.is_some());
        let in_task = !hard && !soft;
        let user = in_task && !self.idles(cpu);
        match thing {
            Thing::Nothing | Thing::Exhaust | Thing::Steal | Thing::Wake => true,
            Thing::EndHard | Thing::Refill => hard,
            Thing::BeginSoft => in_task,
            Thing::EndSoft => soft && !hard,
            Thing::Switch => in_task && (user || self.has_next(cpu)),
            Thing::BeginHard | Thing::Pull => !hard,
            Thing::SetAffinity
            | Thing::Fork
            | Thing::Exit
            | Thing::Rename
            | Thing::SetPriority
            | Thing::SetGroup => user,
            Thing::EmptyInbox => !hard && !state.inbox.is_empty(),
        }
    }

    fn do_thing(&mut self, cpu: usize, thing: Thing, habits: &Habits) {
        match thing {
            Thing::Nothing => {}
            Thing::BeginHard => self.begin_hard(cpu),
            Thing::BeginSoft => self.begin_soft(cpu),
            Thing::EndHard | Thing::EndSoft => self.end_interrupt(cpu),
            Thing::Wake => self.begin_wake(cpu),
            Thing::Switch => self.choose_leaving(cpu),
            Thing::Pull => self.pull(cpu),
            Thing::SetAffinity => self.set_affinity(cpu),
            Thing::Fork => self.fork(cpu),
            Thing::Exit => self.exit(cpu),
            Thing::Rename => self.rename(cpu),
            Thing::SetPriority => self.set_priority(),
            Thing::SetGroup => self.set_group(),
            Thing::Exhaust => self.exhaust(cpu),
            Thing::Refill => self.refill(cpu),
            Thing::Steal => self.steal(cpu, habits.pace_ns),
            Thing::EmptyInbox => self.look_at_inbox(cpu),
        }
    }

    fn choose_leaving(&mut self, cpu: usize) {
        let id = self.cpus[cpu].running;
        if self.idles(cpu) {
            return self.switch(cpu, Leaving::Yields);
        }
        if self.is_out_of_quota(id) && !self.random.one_in(4) {
            return self.switch(cpu, Leaving::Throttled);
        }
        match self.random.below(3) {
            0 if self.has_next(cpu) => self.switch(cpu, Leaving::Preempted),
            1 if self.has_next(cpu) => self.switch(cpu, Leaving::Yields),
            _ => self.cpus[cpu].errand = Some(Errand::Block),
        }
    }

    /// Too many would leave nobody.
    fn exit(&mut self, cpu: usize) {
        let id = self.cpus[cpu].running;
        let dear = self.is_profiler(id) || self.tasks[id].claimed;
        if !dear && self.living().count() > 6 {
            self.switch(cpu, Leaving::Exits);
        }
    }

    /// From idle it is looked at at once, or an interrupt has it looked at.
    fn look_at_inbox(&mut self, cpu: usize) {
        let bare = self.cpus[cpu].soft.is_none() && self.idles(cpu);
        if bare && self.random.one_in(2) {
            self.meet(P::IdleExitByPolling);
            return self.empty_inbox(cpu);
        }
        if bare {
            self.meet(P::IdleExitByInterrupt);
        }
        self.enter(cpu, cronx_abi::layer::VECTOR, CALL_FUNCTION_SINGLE);
        self.pass_until(self.now_ns + 1);
        self.cpus[cpu].last_ns = self.now_ns;
        self.empty_inbox(cpu);
    }
}
