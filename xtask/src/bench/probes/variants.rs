//! Who observes: nobody, cronx in its ways, and its rivals.

/// One way to be observed.
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) by: By,
}

/// Who does it. The words of cronx are those of `cronx record`; in them [`LOAD`] and [`IDLE`] are
/// processes.
pub(super) enum By {
    Nobody,
    /// Programs of two instructions at the hooks of cronx.
    Empty,
    Cronx(&'static [&'static str]),
    /// The program, and how many hooks it takes.
    Rival(&'static [&'static str], usize),
    /// It can be told to begin, and says that it has.
    PerfSched,
}

pub(super) const LOAD: &str = "{load}";
pub(super) const IDLE: &str = "{idle}";

pub(super) const NOTHING: &str = "nothing";
pub(super) const EMPTY: &str = "empty programs";
pub(super) const MISS: &str = "cronx, filter miss";
pub(super) const WATCHED: &str = "cronx, watched";
pub(super) const RUNQLAT: &str = "runqlat";

/// Every variant. One that is refused here is left out of the rounds, and said to be.
pub(super) const VARIANTS: [Variant; 10] = [
    Variant { name: NOTHING, by: By::Nobody },
    Variant { name: EMPTY, by: By::Empty },
    Variant { name: MISS, by: By::Cronx(&["--pid", IDLE]) },
    Variant { name: WATCHED, by: By::Cronx(&["--pid", LOAD]) },
    Variant {
        name: "cronx, watched, no sampler",
        by: By::Cronx(&["--pid", LOAD, "--sample-hz", "0"]),
    },
    Variant { name: "cronx --all", by: By::Cronx(&["--all"]) },
    Variant { name: RUNQLAT, by: By::Rival(&["runqlat"], 3) },
    Variant { name: "runqslower", by: By::Rival(&["runqslower"], 3) },
    Variant { name: "bpftrace runqlat", by: By::Rival(&["bpftrace", "-e", BPFTRACE], 3) },
    Variant { name: "perf sched record", by: By::PerfSched },
];

/// What runqlat does, said in bpftrace's language: from queued or preempted to switched in.
const BPFTRACE: &str = "
tracepoint:sched:sched_wakeup, tracepoint:sched:sched_wakeup_new { @queued[args->pid] = nsecs; }
tracepoint:sched:sched_switch {
    if (args->prev_state == 0) { @queued[args->prev_pid] = nsecs; }
    $queued = @queued[args->next_pid];
    if ($queued) {
        @us = hist((nsecs - $queued) / 1000);
        delete(@queued[args->next_pid]);
    }
}";

impl Variant {
    /// Whether it is programs in the kernel, whose time can be asked for.
    pub(super) fn has_programs(&self) -> bool {
        !matches!(self.by, By::Nobody | By::PerfSched)
    }
}
