//! One recording of a machine: it lives a while, the probes are attached, the window opens and
//! closes, the walk at the stop, and at last the probes are taken off.

use super::Task;
use super::choose::Habits;
use super::draw::{LOAD, PROFILER, draw};
use super::journal::Journal;
use super::machine::{Group, Machine, Stops};
use super::switch::Leaving;
use crate::hook::{Hook, What};
use crate::phenomenon::{Counts, Phenomenon as P};
use crate::random::Random;

/// The kernel's counts of stolen time are read once in so many periods of the sampling clock.
pub(crate) const PERIODS_PER_READING: u64 = 16;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) hooks: Vec<Hook>,
    pub(crate) journal: Journal,
    pub(crate) tasks: Vec<Task>,
    pub(crate) groups: Vec<Group>,
    pub(crate) stops: Stops,
    pub(crate) cpus: u16,
    pub(crate) started_ns: u64,
    pub(crate) stopped_ns: u64,
    pub(crate) sample_period_ns: u64,
    pub(crate) profiler_tgid: u32,
    pub(crate) counts: Counts,
}

/// Lives `steps` events of the machine that `seed` draws.
pub(crate) fn run(seed: u64, steps: u64) -> Run {
    let mut random = Random::new(seed);
    let habits = Habits::draw(&mut random);
    let mut machine = draw(random, habits.pace_ns);
    let early = steps.min(60) / 2;
    live(&mut machine, &habits, early);
    attach(&mut machine);
    let settling = machine.random.below(6);
    live(&mut machine, &habits, settling);
    let started_ns = machine.now_ns;
    live(&mut machine, &habits, steps);
    let stopped_ns = machine.now_ns;
    stop(&mut machine, &habits);
    doubt_the_rest(&mut machine);
    doubt_the_stolen(&mut machine);
    Run {
        hooks: machine.hooks,
        journal: machine.journal,
        tasks: machine.tasks,
        groups: machine.groups,
        stops: machine.stops,
        cpus: machine.cpus.len() as u16,
        started_ns,
        stopped_ns,
        sample_period_ns: machine.sample_period_ns,
        profiler_tgid: PROFILER,
        counts: machine.counts,
    }
}

fn live(machine: &mut Machine, habits: &Habits, steps: u64) {
    for _ in 0..steps {
        machine.step(habits);
    }
}

/// The load's first process is the target, or both that are there already.
fn attach(machine: &mut Machine) {
    machine.attached = true;
    let targets = if machine.random.one_in(2) { vec![LOAD] } else { vec![LOAD, LOAD + 20] };
    hide_from_the_start(machine);
    let living: Vec<_> = machine.living().collect();
    let tasks = living.iter().map(|&id| machine.view(id)).collect();
    for &id in &living {
        machine.tasks[id].watched = targets.contains(&machine.tasks[id].key.tgid);
        // Nothing of what came before was seen, but who runs is.
        machine.tasks[id].wait = None;
        machine.tasks[id].noticed = true;
    }
    machine.call_unhidden(0, What::WatchTasks { tasks, targets });
}

/// Of a thread that is out of quota nobody asks who runs, so that it is not known that he may hide an
/// interrupt before the first switch that is seen: that is beyond them.
fn hide_from_the_start(machine: &mut Machine) {
    let quota = machine.groups.iter().any(|group| group.has_quota);
    for cpu in 0..machine.cpus.len() {
        let running = machine.cpus[cpu].running;
        if machine.tasks[running].hides && !quota {
            machine.counts.count(P::HiddenAtStart);
        }
        machine.tasks[running].hides &= !quota;
    }
}

/// The window has closed, and the machine lives on while the walk runs and the programs go.
fn stop(machine: &mut Machine, habits: &Habits) {
    let (before, after) = (machine.random.below(8), machine.random.below(8));
    live(machine, habits, before);
    machine.pass_until(machine.now_ns + 1);
    walk(machine);
    live(machine, habits, after);
    settle_all(machine);
}

/// Tells the waits still open.
fn walk(machine: &mut Machine) {
    let living: Vec<_> = machine.living().collect();
    for &id in &living {
        let Some(wait) = machine.tasks[id].wait else { continue };
        let wait = &mut machine.journal.waits[wait];
        if wait.close_ns.is_none() {
            (wait.group, wait.walked) = (machine.tasks[id].group, true);
            machine.counts.count(P::OpenAtStop);
            wait.walked_throttled = wait.is_stopped();
            if wait.walked_throttled {
                machine.counts.count(P::ThrottledAtStop);
            }
        }
    }
    let tasks = living.iter().map(|&id| machine.view(id)).collect();
    machine.call_unhidden(0, What::TellOpenWaits(tasks));
    machine.pass_until(machine.now_ns + 1);
}

fn settle_all(machine: &mut Machine) {
    let stolen = machine.cpus.iter().map(|cpu| cpu.stolen_until_ns).max();
    machine.pass_until(machine.now_ns.max(stolen.unwrap_or(0)));
    for round in 0..1_000 {
        machine.pass_until(machine.now_ns + 1);
        let cpu = round % machine.cpus.len();
        settle(machine, cpu);
    }
}

/// Where the sampling clock stood still and time was stolen since the reading before, nobody can know
/// which of the two times it was.
fn doubt_the_stolen(machine: &mut Machine) {
    let period_ns = machine.sample_period_ns;
    let step_ns = period_ns * PERIODS_PER_READING;
    for track in &mut machine.journal.tracks {
        let readings = track.stolen.iter().map(|&(from_ns, to_ns)| {
            (from_ns / step_ns * step_ns, to_ns.div_ceil(step_ns) * step_ns)
        });
        let readings: Vec<_> = readings.collect();
        let counted = |gap: &(u64, u64)| readings.iter().any(|r| r.0 < gap.1 && gap.0 < r.1);
        let ticks: Vec<_> = [&[0], track.samples_ns.as_slice(), &[u64::MAX]].concat();
        let gaps = ticks.windows(2).map(|pair| (pair[0], pair[1]));
        let stood_still = gaps.filter(|gap| gap.1 - gap.0 > period_ns);
        track.doubts.extend(stood_still.filter(counted));
    }
}

/// A CPU whose occupant never could be known is in doubt to the end, and so is one whose interrupt was
/// not seen to end.
fn doubt_the_rest(machine: &mut Machine) {
    for (cpu, state) in machine.cpus.iter().enumerate() {
        if state.unseen || state.seen_switch_ns == 0 {
            machine.journal.doubt(cpu, state.seen_switch_ns, u64::MAX);
        }
        let going_on = [state.hard, state.soft].into_iter().flatten().map(|now| now.since_ns);
        if let Some(since_ns) = going_on.chain(state.doubt_since_ns).min() {
            machine.journal.doubt(cpu, since_ns, u64::MAX);
            machine.counts.count(P::InterruptedAtStop);
        }
    }
}

/// Of a switch that was not seen, and of an interrupt whose beginning was not, nothing is told at the
/// end: that is beyond the probes. So the last thing that happens on a CPU is neither.
fn settle(machine: &mut Machine, cpu: usize) {
    let state = &machine.cpus[cpu];
    let unclear = state.unseen || machine.running(cpu).hides;
    let begun_unseen = [state.hard, state.soft].iter().flatten().any(|now| !now.seen);
    let in_interrupt = state.hard.is_some() || state.soft.is_some();
    let in_interrupt = in_interrupt && (unclear || begun_unseen);
    let errand = state.errand;
    machine.cpus[cpu].last_ns = machine.now_ns;
    if let Some(errand) = errand {
        machine.run_errand(cpu, errand);
    } else if in_interrupt {
        machine.end_interrupt(cpu);
    } else if unclear && machine.idles(cpu) && !machine.has_next(cpu) {
        rouse(machine, cpu);
    } else if unclear {
        machine.switch(cpu, Leaving::Blocks);
    }
}

/// Somebody new comes to the queue of an idle CPU, so that it will switch.
fn rouse(machine: &mut Machine, cpu: usize) {
    let parent = machine.cpus.len();
    let newcomer = machine.child(parent, false);
    machine.tasks[newcomer].cpu = cpu as u16;
    machine.tasks[newcomer].claimed = false;
    // Below no quota.
    machine.tasks[newcomer].group = 0;
    machine.first_wake(cpu, newcomer);
}
