//! The true tiles of each wait, from the journal alone: what the CPU whose queue the thread was on
//! really did.
//!
//! Where the hooks could not see enough for anybody to know, a tile says so: there blame may say
//! `unknown`, or the truth, and nothing else. Everywhere else it must say the truth.

use cronx_abi::{TaskKey, layer};
use cronx_recording::Class;

use crate::model::{Doing, Run, Slice, Stops, Track, Wait};

/// All that is true of a scenario.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Every wait of a watched thread, by victim and time; also those that the records cannot tell.
    pub waits: Vec<TrueWait>,
    /// Threads switched in of whose opening no hook could tell, within the window.
    pub open_unknown: u64,
    /// Threads that left a CPU of whose switch-in no hook could tell, within the window.
    pub close_unknown: u64,
}

/// One wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueWait {
    /// Who waited.
    pub victim: TaskKey,
    /// When it became runnable.
    pub open_ns: u64,
    /// When it was switched in, or the window closed.
    pub close_ns: u64,
    /// Whether it was still open then.
    pub censored: bool,
    /// When it was switched in, also after the window; `None` if not at all.
    pub ran_ns: Option<u64>,
    /// When it opened as far as the hooks could see: later if its waking was hidden.
    pub told_open_ns: u64,
    /// Whether the whole evidence tells it: then it must come out, and no other.
    pub told: bool,
    /// From `open_ns` to `close_ns` without a gap.
    pub tiles: Vec<TrueTile>,
}

/// A piece of a wait, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrueTile {
    /// Its start.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// Its class.
    pub class: Class,
    /// Who or what.
    pub who: Who,
    /// Where; `None` while the thread was on no queue.
    pub cpu: Option<u16>,
    /// What else may be said of it.
    pub leeway: Leeway,
}

/// What blame may say of a piece instead of the truth, since the hooks could not see enough. Nothing,
/// where they could.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is leave of its own")]
pub struct Leeway {
    /// That it is unknown.
    pub unknown: bool,
    /// `placement`: that the chosen CPU was idle before the thread was queued there only shows if
    /// that idle slice is told.
    pub placement: bool,
    /// The same task in another class: of whoever runs at the stop no record tells, so he is as he
    /// was told before, if he was.
    pub class: bool,
    /// `steal`: the hypervisor had the CPU, and the tile says who seemed to run.
    pub steal: bool,
}

/// Whose doing a piece was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody's: the class says it all.
    Nobody,
    /// A task's.
    Task(TaskKey),
    /// An interrupt's.
    Interrupt {
        /// One of [`cronx_abi::layer`].
        layer: u8,
        /// The number within it.
        vector: u32,
    },
}

/// What is true of `run`.
pub(crate) fn of(run: &Run) -> Truth {
    let window = run.started_ns..=run.stopped_ns;
    let within = |instants: &[u64]| instants.iter().filter(|at| window.contains(at)).count() as u64;
    let mut waits: Vec<_> = run.journal.waits.iter().map(|wait| Tiling::of(run, wait)).collect();
    waits.sort_by_key(|wait| (wait.victim, wait.open_ns, wait.close_ns));
    Truth {
        waits,
        open_unknown: within(&run.journal.unopened_ns),
        close_unknown: within(&run.journal.unclosed_ns),
    }
}

/// The tiles of one wait in the making.
struct Tiling<'a> {
    run: &'a Run,
    wait: &'a Wait,
    close_ns: u64,
    /// When nobody may know whether it was throttled, or on which queue it was.
    doubts: Vec<(u64, u64)>,
    tiles: Vec<TrueTile>,
}

impl<'a> Tiling<'a> {
    fn of(run: &'a Run, wait: &'a Wait) -> TrueWait {
        let stopped_ns = run.stopped_ns;
        let closed = wait.close_ns.filter(|&close_ns| close_ns <= stopped_ns);
        let close_ns = closed.unwrap_or(stopped_ns.max(wait.open_ns));
        let mut tiling = Self { run, wait, close_ns, doubts: Vec::new(), tiles: Vec::new() };
        tiling.doubts = tiling.doubts();
        tiling.placement();
        tiling.queues();
        let told_open_ns = if wait.waking_seen { wait.open_ns } else { wait.queued_ns };
        // One that was still on its way to a queue when the walk came by is told by nobody.
        let ended = wait.close_seen || wait.walked;
        TrueWait {
            victim: run.tasks[wait.task].key,
            open_ns: wait.open_ns,
            close_ns,
            censored: closed.is_none(),
            ran_ns: wait.close_ns,
            told_open_ns,
            told: wait.queued_seen
                && ended
                && close_ns >= run.started_ns
                && told_open_ns <= stopped_ns,
            tiles: tiling.tiles,
        }
    }

    fn doubts(&self) -> Vec<(u64, u64)> {
        let wait = self.wait;
        let mut doubts = Vec::new();
        if wait.stops.iter().any(|stop| !stop.seen) {
            let from_ns = if wait.throttled.is_empty() { wait.queued_ns } else { wait.open_ns };
            doubts.push((from_ns, u64::MAX));
        }
        for (at, stop) in wait.stops.iter().enumerate() {
            let next = wait.stops.get(at + 1);
            let from_ns = if at == 0 { wait.open_ns } else { stop.from_ns };
            let to_ns = next.map_or(u64::MAX, |next| next.from_ns);
            let ended = next.map_or(wait.walked_throttled, |next| next.throttled);
            match self.run.stops {
                Stops::Thread => doubts.extend(self.which_refill(at, (from_ns, to_ns))),
                Stops::Queue => doubts.extend(self.since_when((from_ns, to_ns), stop.cpu, ended)),
            }
        }
        doubts
    }

    /// Of a thread that was stopped by itself: which of the refills let it go, if some of its group ran
    /// between them. Of one that came from another queue also whether it was let go there.
    fn which_refill(&self, stay: usize, span_ns: (u64, u64)) -> Option<(u64, u64)> {
        if self.wait.throttled.is_empty() {
            return None;
        }
        let refills = self.refills(span_ns, self.wait.stops[stay].cpu);
        let first_ns = if stay == 0 { refills.iter().min().copied()? } else { span_ns.0 };
        Some((first_ns, refills.iter().max().copied()?))
    }

    /// Of a queue that was stopped: since when, if who left the CPU before was not known; and where
    /// no refill tells whose quota it was, whichever of them left.
    fn since_when(&self, span_ns: (u64, u64), cpu: usize, ended: bool) -> Vec<(u64, u64)> {
        let (from_ns, to_ns) = span_ns;
        if ended {
            return vec![span_ns];
        }
        let Some(&last_ns) = self.refills(span_ns, cpu).iter().max() else { return Vec::new() };
        let unseen = self.run.journal.tracks[cpu].doubts.iter();
        let unseen = unseen.filter(|doubt| doubt.0 < last_ns.min(to_ns) && doubt.1 > from_ns);
        unseen.map(|doubt| (from_ns, doubt.1.min(last_ns))).collect()
    }

    /// Refills of its group, or of one above it, where the queue of `cpu` was out of quota.
    fn refills(&self, (from_ns, to_ns): (u64, u64), cpu: usize) -> Vec<u64> {
        let above = |group: usize| self.run.groups[group].parent;
        let own: Vec<_> = std::iter::successors(Some(self.wait.group), |&g| above(g)).collect();
        let refills = self.run.journal.refills.iter();
        let its = refills.filter(|(at_ns, group, queue)| {
            (from_ns..=to_ns).contains(at_ns) && own.contains(group) && *queue == cpu
        });
        its.map(|&(at_ns, ..)| at_ns).collect()
    }

    /// From the opening to the queue, by who has the CPU of that queue, whatever interrupts.
    fn placement(&mut self) {
        let cpu = self.wait.stops[0].cpu;
        let (from_ns, to_ns) = (self.wait.open_ns, self.wait.queued_ns.min(self.close_ns));
        if self.wait.throttled.first().is_some_and(|&(since_ns, _)| since_ns == from_ns) {
            return self.lay(from_ns, to_ns, Class::Throttled, None, (cpu, Leeway::default()));
        }
        let track = &self.run.journal.tracks[cpu];
        for slice in slices(track, from_ns, to_ns) {
            let (from_ns, to_ns) = (slice.from_ns.max(from_ns), slice.to_ns.min(to_ns));
            if slice.task >= usize::from(self.run.cpus) {
                self.lay(from_ns, to_ns, Class::Placement, None, (cpu, Leeway::default()));
                continue;
            }
            let lasts = slice.to_ns > self.wait.queued_ns;
            let leeway = Leeway { placement: !lasts, unknown: !lasts, ..Leeway::default() };
            self.lay(from_ns, to_ns, Class::IdleExit, Some(cpu), (cpu, leeway));
        }
    }

    /// From queue to queue.
    fn queues(&mut self) {
        let stops = &self.wait.stops;
        for (at, stop) in stops.iter().enumerate() {
            let next_ns = stops.get(at + 1).map_or(u64::MAX, |next| next.from_ns);
            self.queue(stop.cpu, stop.from_ns, next_ns.min(self.close_ns));
        }
    }

    /// A throttled thread finds what runs when it may run at last.
    fn queue(&mut self, cpu: usize, from_ns: u64, to_ns: u64) {
        if from_ns >= to_ns {
            return;
        }
        let mut at_ns = from_ns;
        for &(since_ns, until_ns) in self.wait.throttled.iter().filter(|span| span.0 < span.1) {
            let (since_ns, until_ns) = (since_ns.clamp(at_ns, to_ns), until_ns.clamp(at_ns, to_ns));
            self.along(cpu, (at_ns, since_ns.max(at_ns)), false);
            self.along(cpu, (since_ns, until_ns), true);
            at_ns = until_ns.max(at_ns);
        }
        self.along(cpu, (at_ns, to_ns.max(at_ns)), false);
    }

    fn along(&mut self, cpu: usize, (from_ns, to_ns): (u64, u64), throttled: bool) {
        if from_ns >= to_ns {
            return;
        }
        let track = &self.run.journal.tracks[cpu];
        let found = slices(track, from_ns, from_ns + 1).next().map_or(0, |slice| slice.from_ns);
        let first = track.moments.partition_point(|m| m.from_ns <= from_ns).saturating_sub(1);
        for (at, moment) in track.moments.iter().enumerate().skip(first) {
            let end_ns = track.moments.get(at + 1).map_or(u64::MAX, |next| next.from_ns);
            let span_ns = (moment.from_ns.max(from_ns), end_ns.min(to_ns));
            if moment.from_ns >= to_ns {
                return;
            }
            let slice = &track.slices[moment.slice];
            let stolen =
                Leeway { unknown: moment.stolen, steal: moment.stolen, ..Leeway::default() };
            match moment.doing {
                Doing::Interrupt(layer, vector) => {
                    self.interrupt(span_ns, layer, vector, (cpu, stolen));
                }
                Doing::Task if throttled => {
                    self.lay(span_ns.0, span_ns.1, Class::Throttled, Some(cpu), (cpu, stolen));
                }
                Doing::Task => {
                    self.task(span_ns, slice, slice.from_ns == found, (cpu, stolen));
                }
            }
        }
    }

    fn interrupt(&mut self, span_ns: (u64, u64), layer: u8, vector: u32, at: (usize, Leeway)) {
        let class = if layer == layer::SOFTIRQ { Class::Softirq } else { Class::Irq };
        self.push(span_ns, class, Who::Interrupt { layer, vector }, Some(at.0), at);
    }

    fn task(&mut self, span_ns: (u64, u64), slice: &Slice, is_first: bool, at: (usize, Leeway)) {
        if slice.task < usize::from(self.run.cpus) {
            let class = if is_first { Class::IdleExit } else { Class::Idle };
            // Which idle slice it found first depends on when it was let go.
            let touched = |doubt: &(u64, u64)| doubt.0 <= slice.to_ns && doubt.1 >= slice.from_ns;
            let found = self.doubts.iter().any(touched);
            let leeway = Leeway { unknown: found || at.1.unknown, ..at.1 };
            return self.push(span_ns, class, Who::Nobody, Some(at.0), (at.0, leeway));
        }
        let (class, who) = self.culprit(slice);
        let last = slice.to_ns == u64::MAX;
        let leeway = Leeway { class: last, unknown: last || at.1.unknown, ..at.1 };
        self.push(span_ns, class, who, Some(at.0), (at.0, leeway));
    }

    /// What the task of a slice is to the victim: the first that matches.
    fn culprit(&self, slice: &Slice) -> (Class, Who) {
        let (task, victim) = (&self.run.tasks[slice.task], &self.run.tasks[self.wait.task]);
        let shares = slice.group == self.wait.group && self.run.groups[slice.group].id != 1;
        let class = match task {
            _ if task.key.tgid == self.run.profiler_tgid => Class::Profiler,
            _ if slice.priority < 100 => Class::Rt,
            _ if task.kernel => Class::Kernel,
            _ if task.key.tgid == victim.key.tgid => Class::Own,
            _ if task.watched => Class::Load,
            _ if shares => Class::Cgroup,
            _ => Class::Foreign,
        };
        (class, Who::Task(task.key))
    }

    fn lay(
        &mut self,
        from_ns: u64,
        to_ns: u64,
        class: Class,
        cpu: Option<usize>,
        at: (usize, Leeway),
    ) {
        self.push((from_ns, to_ns), class, Who::Nobody, cpu, at);
    }

    /// Cuts a piece where the evidence of its CPU begins or ceases to be enough.
    fn push(
        &mut self,
        (from_ns, to_ns): (u64, u64),
        class: Class,
        who: Who,
        cpu: Option<usize>,
        (on, leeway): (usize, Leeway),
    ) {
        let before_queue = from_ns < self.wait.queued_ns;
        let doubts = &self.run.journal.tracks[on].doubts;
        let doubts = doubts.iter().chain(&self.doubts).copied();
        let ends = doubts.clone().flat_map(|(from_ns, to_ns)| [from_ns, to_ns]);
        let mut cuts: Vec<_> = ends.filter(|at| (from_ns + 1..to_ns).contains(at)).collect();
        cuts.extend([from_ns, to_ns]);
        cuts.sort_unstable();
        for pair in cuts.windows(2).filter(|pair| pair[0] < pair[1]) {
            let doubtful = doubts.clone().any(|(from, to)| from <= pair[0] && pair[1] <= to);
            let placement =
                leeway.placement || (doubtful && before_queue && class == Class::IdleExit);
            let leeway = Leeway { unknown: leeway.unknown || doubtful, placement, ..leeway };
            let cpu = cpu.map(|cpu| cpu as u16);
            let (from_ns, to_ns) = (pair[0], pair[1]);
            self.tiles.push(TrueTile { from_ns, to_ns, class, who, cpu, leeway });
        }
    }
}

/// The slices that touch `[from_ns, to_ns)`.
fn slices(track: &Track, from_ns: u64, to_ns: u64) -> impl Iterator<Item = &Slice> {
    let first = track.slices.partition_point(|slice| slice.to_ns <= from_ns);
    track.slices[first..].iter().take_while(move |slice| slice.from_ns < to_ns)
}
