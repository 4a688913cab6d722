//! What real kernels make and a model must make too, and how often it did.

use std::collections::BTreeMap;

macro_rules! phenomena {
    ($($name:ident,)*) => {
        /// Something that makes evidence hard to read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Phenomenon {
            $($name,)*
        }

        impl Phenomenon {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

phenomena! {
    AffinityChangeInMidWait,
    BalancerMove,
    BlockedTaskMoved,
    CgroupChange,
    DeadlineTask,
    EndsOfTwoInterruptsUnseen,
    EntryOfInterruptUnseen,
    EqualTimestamps,
    ExitOfInterruptUnseen,
    ExitOfStraddlingInterruptUnseen,
    Exit,
    Fork,
    ForkToldByNoFork,
    HardInSoftInTask,
    HiddenAtStart,
    HardInSoftOfEntryUnseen,
    IdleExitByInterrupt,
    IdleExitByPolling,
    IdleWhileQueued,
    InterruptStraddlesGate,
    InterruptedAtStop,
    KernelThreadRan,
    MoveStrandsSlice,
    MoveUnseen,
    MoveWhileThrottled,
    NestedQuota,
    OpenAtStop,
    Preemption,
    PriorityChange,
    ProfilerRan,
    QueueStoppedByNewcomer,
    QueuedTaskWoken,
    RealTimeTask,
    Refill,
    RefillAfterItLetGo,
    RefillOnOtherCpu,
    RefillThatDidNotReach,
    Rename,
    RunningTaskWoken,
    Sample,
    Steal,
    SwitchUnseen,
    TaskQueuedUnseenWoken,
    Throttled,
    ThrottledAtStop,
    ThrottledInMidWait,
    TidReused,
    UnseenClose,
    Unopened,
    WakeFromInterrupt,
    WakeFromTask,
    WakeupUnseen,
    WakingBeforeSwitchOut,
    WakingUnseen,
    Yield,
}

/// How often each was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Phenomenon, u64>);

impl Counts {
    pub(crate) fn count(&mut self, phenomenon: Phenomenon) {
        *self.0.entry(phenomenon).or_default() += 1;
    }

    /// How often this one was.
    pub fn of(&self, phenomenon: Phenomenon) -> u64 {
        self.0.get(&phenomenon).copied().unwrap_or(0)
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (&phenomenon, count) in &other.0 {
            *self.0.entry(phenomenon).or_default() += count;
        }
    }
}
