//! What really happened: what each CPU did at each instant, and what each watched thread waited.

use super::machine::TaskId;

/// What a CPU does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It runs the task of the slice, or idles.
    Task,
    /// It handles the interrupt of this layer and number.
    Interrupt(u8, u32),
}

/// From here on a CPU did this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) from_ns: u64,
    pub(crate) doing: Doing,
    /// The hypervisor has the CPU: it only seems to do so.
    pub(crate) stolen: bool,
    /// Place in [`Track::slices`].
    pub(crate) slice: usize,
}

/// A task's time on a CPU. Who the task was is as it stood at the end of the slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) task: TaskId,
    pub(crate) from_ns: u64,
    /// `u64::MAX` for the last one.
    pub(crate) to_ns: u64,
    pub(crate) priority: i32,
    pub(crate) group: usize,
}

/// One CPU's history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Track {
    pub(crate) moments: Vec<Moment>,
    pub(crate) slices: Vec<Slice>,
    /// Where the hooks could not see enough: there blame may say `unknown`.
    pub(crate) doubts: Vec<(u64, u64)>,
    /// Ticks of the sampling clock that told of a task.
    pub(crate) samples_ns: Vec<u64>,
    /// When the hypervisor had it.
    pub(crate) stolen: Vec<(u64, u64)>,
}

/// A thread came to the queue of a CPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    pub(crate) from_ns: u64,
    pub(crate) cpu: usize,
    /// Whether the probes could see it come from another queue.
    pub(crate) seen: bool,
    /// Whether it was out of quota there.
    pub(crate) throttled: bool,
}

/// One wait of a thread of the load.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each end was seen or not")]
pub(crate) struct Wait {
    pub(crate) task: TaskId,
    pub(crate) open_ns: u64,
    pub(crate) queued_ns: u64,
    /// The switch-in.
    pub(crate) close_ns: Option<u64>,
    pub(crate) stops: Vec<Stop>,
    /// When it was out of quota; `u64::MAX` if it still is.
    pub(crate) throttled: Vec<(u64, u64)>,
    /// Whether the probes could see that it was queued, and that it was switched in.
    pub(crate) queued_seen: bool,
    pub(crate) close_seen: bool,
    /// Whether they could see the waking.
    pub(crate) waking_seen: bool,
    /// The cgroup at the end, or at the walk at the stop.
    pub(crate) group: usize,
    /// The walk found it open.
    pub(crate) walked: bool,
    /// And out of quota.
    pub(crate) walked_throttled: bool,
}

impl Wait {
    /// Whether it is out of quota.
    pub(crate) fn is_stopped(&self) -> bool {
        self.throttled.last().is_some_and(|&(_, until_ns)| until_ns == u64::MAX)
    }
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    pub(crate) tracks: Vec<Track>,
    pub(crate) waits: Vec<Wait>,
    /// When a timer of a quota expired, of which group, and on which queue it was out till then.
    pub(crate) refills: Vec<(u64, usize, usize)>,
    /// Watched threads switched in of whose opening no hook could tell: instants.
    pub(crate) unopened_ns: Vec<u64>,
    /// Watched threads switched out of whose switch-in no hook could tell: instants.
    pub(crate) unclosed_ns: Vec<u64>,
}

impl Journal {
    pub(crate) fn note(&mut self, cpu: usize, from_ns: u64, doing: Doing, stolen: bool) {
        let track = &mut self.tracks[cpu];
        let slice = track.slices.len().saturating_sub(1);
        track.moments.push(Moment { from_ns, doing, stolen, slice });
    }

    /// A slice begins; the one before has ended already.
    pub(crate) fn begin(&mut self, cpu: usize, task: TaskId, from_ns: u64) {
        let slice = Slice { task, from_ns, to_ns: u64::MAX, priority: 0, group: 0 };
        self.tracks[cpu].slices.push(slice);
    }

    pub(crate) fn end(&mut self, cpu: usize, to_ns: u64, priority: i32, group: usize) {
        if let Some(slice) = self.tracks[cpu].slices.last_mut() {
            (slice.to_ns, slice.priority, slice.group) = (to_ns, priority, group);
        }
    }

    pub(crate) fn doubt(&mut self, cpu: usize, from_ns: u64, to_ns: u64) {
        self.tracks[cpu].doubts.push((from_ns, to_ns));
    }
}
