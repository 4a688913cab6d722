//! Draws a machine: how many CPUs, who is there, which cgroups, and how wild it is.

use cronx_abi::TaskKey;

use super::journal::{Doing, Journal, Track};
use super::life::comm;
use super::machine::{Cpu, Group, Machine, State, Stops, Task};
use crate::phenomenon::Counts;
use crate::random::Random;

/// The recorded load's first process, and the profiler's.
pub(crate) const LOAD: u32 = 100;
pub(crate) const PROFILER: u32 = 900;

/// Periods of the sampling clock whose frequency is a whole number.
const PERIODS_NS: [u64; 8] = [20, 100, 500, 2_000, 10_000, 50_000, 250_000, 1_000_000];

/// A machine at rest: every CPU idles, every task sleeps.
pub(crate) fn draw(mut random: Random, pace_ns: u64) -> Machine {
    let cpus = 1 + random.below(4) as usize;
    let now_ns = 1_000_000_000 + random.below(1_000_000_000);
    let groups = groups(&mut random, cpus);
    let stops = if random.one_in(2) { Stops::Queue } else { Stops::Thread };
    let wanted_ns = pace_ns * [5, 20, 100][random.below(3) as usize];
    let longer = PERIODS_NS.iter().find(|&&period_ns| period_ns >= wanted_ns);
    let sample_period_ns = longer.copied().unwrap_or(5_000_000);
    let mut machine = Machine {
        now_ns,
        cpus: (0..cpus).map(|cpu| idle_cpu(cpu, now_ns)).collect(),
        tasks: (0..cpus).map(idle_task).collect(),
        groups,
        stops,
        journal: Journal { tracks: vec![Track::default(); cpus], ..Journal::default() },
        hooks: Vec::new(),
        attached: false,
        counts: Counts::default(),
        sample_period_ns,
        next_tid: 2_000,
        rarely: [20, 60, 1 << 40][random.below(3) as usize],
        profiler_tgid: PROFILER,
        random,
    };
    people(&mut machine);
    for cpu in 0..cpus {
        machine.cpus[cpu].next_sample_ns = now_ns + machine.random.below(sample_period_ns);
        machine.journal.begin(cpu, cpu, 0);
        machine.journal.note(cpu, 0, Doing::Task, false);
    }
    machine
}

/// The root, a pair with a quota on the parent, a pair with one each, and one without.
fn groups(random: &mut Random, cpus: usize) -> Vec<Group> {
    let quota = !random.one_in(3);
    let group = |id, path: &str, parent, has_quota| Group {
        id,
        path: path.to_owned(),
        parent,
        has_quota: has_quota && quota,
        exhausted: vec![false; cpus],
        stopped: vec![false; cpus],
    };
    vec![
        group(1, "/", None, false),
        group(20, "/parent", Some(0), true),
        group(21, "/parent/child", Some(1), false),
        group(30, "/both", Some(0), true),
        group(31, "/both/each", Some(3), true),
        group(40, "/free", Some(0), false),
    ]
}

fn idle_cpu(cpu: usize, now_ns: u64) -> Cpu {
    Cpu {
        running: cpu,
        queue: Vec::new(),
        hard: None,
        soft: None,
        errand: None,
        inbox: Vec::new(),
        stolen_until_ns: 0,
        last_ns: now_ns,
        next_sample_ns: 0,
        seen_switch_ns: 0,
        unseen: false,
        unended_hard: None,
        unended_soft: None,
        doubt_since_ns: None,
    }
}

fn idle_task(cpu: usize) -> Task {
    Task {
        key: TaskKey::default(),
        comm: comm(&format!("swapper/{cpu}")),
        leader: cpu,
        kernel: true,
        priority: 120,
        policy: 0,
        group: 0,
        state: State::Running,
        cpu: cpu as u16,
        throttled: false,
        delayed: false,
        claimed: false,
        watched: false,
        hides: false,
        noticed: false,
        waking: None,
        off_ns: 0,
        wait: None,
    }
}

/// The load's processes and threads, its neighbours, the profiler, the kernel's own.
fn people(machine: &mut Machine) {
    let load = 2 + machine.random.below(3) as u32;
    process(machine, LOAD, load, "load");
    let more = machine.random.below(3) as u32;
    process(machine, LOAD + 20, more, "worker");
    for neighbour in 0..=machine.random.below(3) as u32 {
        let threads = 1 + machine.random.below(2) as u32;
        process(machine, 300 + 20 * neighbour, threads, "neighbour");
    }
    process(machine, PROFILER, 1, "cronx");
    for thread in 0..=machine.random.below(2) as u32 {
        let id = machine.tasks.len();
        process(machine, 700 + thread, 1, "kworker");
        machine.tasks[id].kernel = true;
        machine.tasks[id].group = 0;
    }
    if machine.random.one_in(2) {
        let id = machine.tasks.len();
        // Of a thread of the load that hides its own leaving nobody could say since when it waits:
        // beyond the probes.
        process(machine, 500, 2, "hidden");
        machine.tasks[id..].iter_mut().for_each(|task| task.hides = true);
    }
}

fn process(machine: &mut Machine, tgid: u32, threads: u32, name: &str) {
    let leader = machine.tasks.len();
    let group = machine.random.below(machine.groups.len() as u64) as usize;
    let real_time = machine.random.one_in(6);
    for thread in 0..threads {
        let tid = tgid + thread;
        machine.tasks.push(Task {
            key: TaskKey { start_ns: 1_000 + u64::from(tid), tid, tgid },
            comm: comm(&format!("{name}-{thread}")),
            leader,
            kernel: false,
            priority: if real_time { 50 } else { 120 },
            policy: u32::from(real_time),
            group,
            state: State::Blocked,
            ..idle_task(0)
        });
    }
}
