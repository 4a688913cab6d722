//! The records that the kernel side writes and the user side reads, byte for byte.
//!
//! Every record starts with a [`Header`]; its `kind` says which of the `*Record` types follows. All
//! instants are CLOCK_MONOTONIC nanoseconds (`bpf_ktime_get_ns`), all integers are in the machine's
//! own byte order, and every byte of padding has a name, so that a record is its bytes.
//!
//! What it does not do: decode, decide, or depend on anything but `core`.
//!
//! ```
//! use cronx_abi::{Header, Record, SliceRecord, Slice, TaskKey, kind};
//!
//! let record = SliceRecord {
//!     header: Header { at_ns: 900, seq: 1, kind: kind::SLICE, flags: 0, cpu: 0, reserved: 0 },
//!     slice: Slice { since_ns: 400, task: TaskKey { start_ns: 7, tid: 12, tgid: 12 } },
//! };
//! assert_eq!(SliceRecord::from_bytes(record.as_bytes()), Some(record));
//! ```
#![no_std]

pub mod bucket;
pub mod span;

/// Version of everything in this crate. The object carries it as the global `ABI_VERSION`, the
/// Capture in its header. An object's must be this one.
pub const ABI_VERSION: u32 = 5;

/// The oldest version of which a Capture's records can still be read: what was added since stands at
/// the end of a record, and of an older one it is all 0.
pub const OLDEST_ABI_VERSION: u32 = 3;

/// Bytes of a task's name in the kernel, its NUL included (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// Kernel frames in a [`SampleRecord`], leaf first.
pub const KERNEL_FRAMES: usize = 48;

/// User frames in a [`SampleRecord`], leaf first.
pub const USER_FRAMES: usize = 80;

/// What [`Header::kind`] holds.
pub mod kind {
    /// [`super::SliceRecord`]: a slice ended while somebody watched was waiting for its CPU.
    pub const SLICE: u8 = 1;
    /// [`super::WaitRecord`]: a watched thread was switched in after a wait; carries the slice before.
    pub const WAIT: u8 = 2;
    /// [`super::MoveRecord`]: a waiting thread changed its queue.
    pub const MOVE: u8 = 3;
    /// [`super::InterruptRecord`]: an interrupt ended while somebody watched was waiting.
    pub const INTERRUPT: u8 = 4;
    /// [`super::SampleRecord`]: the stack of who ran while somebody watched was waiting.
    pub const SAMPLE: u8 = 5;
    /// [`super::TaskRecord`]: the name of a task, before the first evidence that needs it.
    pub const TASK: u8 = 6;
    /// [`super::OpenWaitRecord`]: a wait still open when the recording stopped.
    pub const OPEN: u8 = 7;
    /// [`super::OpenWaitRecord`]: a wait whose switch-in nobody saw; it ended some time before.
    pub const UNSEEN_CLOSE: u8 = 8;
    /// [`super::UnopenedRecord`]: a watched thread was switched in and no opening had been seen.
    pub const UNOPENED: u8 = 9;
    /// [`super::RefillRecord`]: a cgroup that was out of quota on a CPU gets more.
    pub const REFILL: u8 = 10;
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// On SLICE and WAIT: the task known to occupy the CPU was not the one that left it. On
    /// INTERRUPT: its beginning or its end was not seen; it lies somewhere in the time given.
    pub const CONTRADICTS: u8 = 1;
    /// On MOVE: when it left that queue the thread was out of quota.
    pub const THROTTLED: u8 = 2;
}

/// What [`Wait::opening`] holds.
pub mod opening {
    /// Opened by a wake-up: at `sched_waking`, or at the switch-out if that came later.
    pub const WAKEUP: u8 = 1;
    /// Opened by the first wake-up of a forked thread.
    pub const FORK: u8 = 2;
    /// Opened by a switch-out while still runnable (preempted, or a yield: they look alike).
    pub const PREEMPTED: u8 = 3;
}

/// Bits of [`Wait::flags`].
pub mod wait_flag {
    /// When it opened, the victim's cgroup was out of quota: until a refill nobody could let it run.
    pub const THROTTLED: u8 = 1;
    /// On OPEN: it was so when the recording stopped.
    pub const THROTTLED_AT_STOP: u8 = 2;
}

/// Bits of [`Wait::off_state`], those of the kernel's task state (include/linux/sched.h) that a reader
/// can act on.
pub mod off_state {
    /// `TASK_INTERRUPTIBLE`: it sleeps until somebody or a timer wakes it.
    pub const ASLEEP: u32 = 1;
    /// `TASK_UNINTERRUPTIBLE`: it waits for a page, a disk, a lock of the kernel's.
    pub const UNINTERRUPTIBLE: u32 = 2;
    /// `__TASK_STOPPED`: a signal stopped it.
    pub const STOPPED: u32 = 4;
    /// `__TASK_TRACED`: a debugger stopped it.
    pub const TRACED: u32 = 8;
    /// All of them.
    pub const ALL: u32 = 15;
}

/// What [`InterruptRecord::layer`] and the high byte of [`Waker::interrupt`] hold.
pub mod layer {
    /// A device interrupt; `vector` is the IRQ number.
    pub const IRQ: u8 = 1;
    /// A local vector of the CPU (timer, IPIs); `vector` is the vector number.
    pub const VECTOR: u8 = 2;
    /// A softirq; `vector` is its number in `enum`, `HI_SOFTIRQ` = 0.
    pub const SOFTIRQ: u8 = 3;
}

/// Bits of [`TaskRecord::flags`].
pub mod task_flag {
    /// A kernel thread (`PF_KTHREAD`).
    pub const KERNEL: u32 = 1;
    /// A thread of the recorded load.
    pub const WATCHED: u32 = 2;
    /// A thread of the profiler itself.
    pub const PROFILER: u32 = 4;
}

/// Names a task for as long as the machine is up: a tid is used again, a tid with its start is not.
/// The idle task has tid 0 and start 0; which idle task it is, the CPU says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// When the task was made (`task_struct.start_time`), CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// The thread (`task_struct.pid`), as the root pid namespace numbers it.
    pub tid: u32,
    /// The process (`task_struct.tgid`).
    pub tgid: u32,
}

/// The head of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The instant of the event.
    pub at_ns: u64,
    /// Number of this record on its CPU, from 1, taken before the reserve: a gap is a loss.
    pub seq: u64,
    /// One of [`kind`].
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// The CPU that wrote the record.
    pub cpu: u16,
    /// Always 0.
    pub reserved: u32,
}

/// One task's time on one CPU, ending at the record's `at_ns`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// When the task was switched in.
    pub since_ns: u64,
    /// Who ran.
    pub task: TaskKey,
}

/// Who made a waiting thread runnable.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waker {
    /// The task in whose context the wake-up happened; all 0 if unknown or not a wake-up.
    pub task: TaskKey,
    /// The interrupt that woke from on top of that task: [`layer`] << 24 | vector; 0 for none.
    pub interrupt: u32,
    /// Always 0.
    pub reserved: u32,
}

/// One wait of a watched thread, all but its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// When the thread became runnable.
    pub open_ns: u64,
    /// When it was put on a queue; equals `open_ns` for FORK and PREEMPTED.
    pub queued_ns: u64,
    /// Who waited.
    pub victim: TaskKey,
    /// Who woke it.
    pub waker: Waker,
    /// The CPU whose queue it was first put on.
    pub first_cpu: u16,
    /// The CPU whose queue it is on at the end.
    pub cpu: u16,
    /// Changes of queue since the opening; so many MOVE records belong to this wait.
    pub moves: u16,
    /// One of [`opening`].
    pub opening: u8,
    /// Bits of [`wait_flag`].
    pub flags: u8,
    /// The victim's last switch-out before this wait: what is between that and `open_ns` it slept.
    /// `open_ns` itself for PREEMPTED, 0 if none was seen. Since version 4.
    pub off_ns: u64,
    /// How it went to sleep then: bits of [`off_state`]; 0 if it did not, or nobody knows.
    pub off_state: u32,
    /// Always 0.
    pub reserved: u32,
}

/// [`kind::SLICE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceRecord {
    /// `at_ns` is the end of the slice.
    pub header: Header,
    /// The slice.
    pub slice: Slice,
}

/// [`kind::WAIT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitRecord {
    /// `at_ns` is the switch-in: the end of the wait and of the slice alike.
    pub header: Header,
    /// The slice that ended with the wait.
    pub slice: Slice,
    /// The wait.
    pub wait: Wait,
}

/// [`kind::MOVE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveRecord {
    /// `at_ns` is the instant of the move.
    pub header: Header,
    /// Who waits.
    pub victim: TaskKey,
    /// The queue it left.
    pub from: u16,
    /// The queue it joined.
    pub to: u16,
    /// Always 0.
    pub reserved: u32,
}

/// [`kind::INTERRUPT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterruptRecord {
    /// `at_ns` is the end of the handler.
    pub header: Header,
    /// When the handler began, or when the first wait on this CPU opened if that came later.
    pub since_ns: u64,
    /// The number within the layer.
    pub vector: u32,
    /// One of [`layer`].
    pub layer: u8,
    /// Always 0.
    pub reserved: [u8; 3],
}

/// [`kind::SAMPLE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRecord {
    /// `at_ns` is the instant of the sample.
    pub header: Header,
    /// Who ran.
    pub task: TaskKey,
    /// Bytes filled in `kernel`; 0 for a sample of user code, negative an errno.
    pub kernel_bytes: i32,
    /// Bytes filled in `user`; negative an errno.
    pub user_bytes: i32,
    /// Return addresses in the kernel, leaf first.
    pub kernel: [u64; KERNEL_FRAMES],
    /// Return addresses in the process, leaf first.
    pub user: [u64; USER_FRAMES],
}

/// [`kind::TASK`]: told before the first evidence that needs it, and again when any of it changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskRecord {
    /// `at_ns` is the instant from which all of it holds.
    pub header: Header,
    /// Whose name.
    pub task: TaskKey,
    /// The thread's name, NUL-terminated; what follows the NUL is garbage.
    pub comm: [u8; COMM_LEN],
    /// The name of its process's first thread, likewise.
    pub process: [u8; COMM_LEN],
    /// The cgroup that shares out its CPU time: the id of the cpu controller's, version 1 or 2 (the
    /// inode of its folder). 0 if unknown.
    pub cgroup: u64,
    /// Bits of [`task_flag`].
    pub flags: u32,
    /// The kernel's effective priority (`task_struct.prio`): -1 deadline, 0 to 99 real time, 100 to
    /// 139 the rest, nice 0 being 120. [`UNKNOWN_PRIORITY`] if the kernel does not show it.
    pub priority: i32,
    /// `SCHED_*` of include/uapi/linux/sched.h; 0 if unknown.
    pub policy: u32,
    /// Always 0.
    pub reserved: u32,
}

/// [`TaskRecord::priority`] where the kernel does not show it.
pub const UNKNOWN_PRIORITY: i32 = i32::MIN;

/// [`kind::OPEN`] and [`kind::UNSEEN_CLOSE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenWaitRecord {
    /// `at_ns` is the instant up to which the wait was, or may have been, open.
    pub header: Header,
    /// The wait.
    pub wait: Wait,
}

/// [`kind::UNOPENED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnopenedRecord {
    /// `at_ns` is the switch-in.
    pub header: Header,
    /// Who was switched in.
    pub victim: TaskKey,
}

/// [`kind::REFILL`]: a timer of a cgroup's quota expired, at the end of a period or to share out what
/// was not used. Told for each CPU on whose queue the cgroup was out of quota till then and somebody
/// watched waits. Whether this refill reaches that queue, the kernel decides next.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefillRecord {
    /// `at_ns` is the expiry of the timer, on the CPU that took it: any.
    pub header: Header,
    /// Whose quota, as [`TaskRecord::cgroup`].
    pub cgroup: u64,
    /// The CPU of that queue.
    pub queue: u16,
    /// Always 0.
    pub reserved: [u16; 3],
}

/// Whom the kernel side watches: the global `FILTER`.
pub mod filter {
    /// Marked tasks, and those that they fork.
    pub const MARKED: u32 = 0;
    /// Threads whose name is on the list, for as long as they have it.
    pub const NAMED: u32 = 1;
    /// Every task.
    pub const ALL: u32 = 2;
}

/// What the list of threads asks for.
pub mod target {
    /// To watch this one.
    pub const WATCH: u32 = 1;
    /// To watch this one no more.
    pub const LEAVE: u32 = 2;
}

/// Where a watched task is, as far as its hooks told ([`TaskState::state`]); 0 if they told nothing.
pub mod task_state {
    /// On a CPU.
    pub const RUNNING: u32 = 1;
    /// Neither on a CPU nor waiting for one.
    pub const BLOCKED: u32 = 2;
    /// Waiting for a CPU, and counted there.
    pub const QUEUED: u32 = 3;
    /// Waiting for a CPU since nobody knows when, and counted nowhere.
    pub const QUEUED_UNSEEN: u32 = 4;
}

/// What the kernel side remembers of a task. User space writes and reads it only where there is no
/// task storage: then it lies in a hash by thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskState {
    /// The first waking since the last switch-out; 0 for none.
    pub waking_ns: u64,
    /// Who did that waking.
    pub waker: Waker,
    /// The wait, valid while QUEUED; `wait.cpu` is the CPU the task is counted on. Its last switch-out
    /// is always valid. In the hash its victim is always the task itself.
    pub wait: Wait,
    /// One of [`task_state`].
    pub state: u32,
    /// 1 for a thread of the load.
    pub watched: u32,
    /// 1 once its present name was told.
    pub named: u32,
    /// The priority that was told with it.
    pub priority: i32,
    /// The address of the task group that was told with it.
    pub group: u64,
}

/// The hooks whose events are counted, by their place in [`CpuState::hooks`].
pub mod hook {
    /// `sched_waking`.
    pub const WAKING: usize = 0;
    /// `sched_wakeup`.
    pub const WAKEUP: usize = 1;
    /// `sched_wakeup_new`.
    pub const WAKEUP_NEW: usize = 2;
    /// `sched_migrate_task`.
    pub const MIGRATE: usize = 3;
    /// `sched_switch`.
    pub const SWITCH: usize = 4;
    /// `sched_process_fork`, or `task_newtask`.
    pub const FORK: usize = 5;
    /// `task_rename`.
    pub const RENAME: usize = 6;
    /// The beginning of a hard interrupt, device or vector.
    pub const HARD_ENTRY: usize = 7;
    /// Its end.
    pub const HARD_EXIT: usize = 8;
    /// The beginning of a softirq.
    pub const SOFT_ENTRY: usize = 9;
    /// Its end.
    pub const SOFT_EXIT: usize = 10;
    /// A tick of the sampling clock.
    pub const SAMPLE: usize = 11;
    /// `hrtimer_expire_entry`: of interest are the two timers of a quota.
    pub const TIMER: usize = 12;
    /// How many there are.
    pub const COUNT: usize = 13;

    /// Their names, in order.
    pub const NAMES: [&str; COUNT] = [
        "waking",
        "wakeup",
        "wakeup_new",
        "migrate",
        "switch",
        "fork",
        "rename",
        "hard_entry",
        "hard_exit",
        "soft_entry",
        "soft_exit",
        "sample",
        "timer",
    ];
}

/// Events of one hook on one CPU. `seen` is counted at the entry, the other two at the end: they
/// sum to it, or an event was lost in between.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookCount {
    /// The hook was called.
    pub seen: u64,
    /// It changed something that is remembered, or told a record.
    pub handled: u64,
    /// It concerned nobody who is watched.
    pub filtered: u64,
}

/// What the kernel side keeps for each CPU, in a mapped array that user space reads at the start
/// (self-check) and at the end (the last slice, the loss). Cache lines of its own, since other
/// CPUs count into it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// Watched threads queued on this CPU. A leaked count costs records, never truth.
    pub waiters: i64,
    /// When `waiters` last went from 0 to 1; 0 while nobody waits.
    pub gate_ns: u64,
    /// 1 if a waiting thread left this queue and the running slice still has to be told.
    pub owed: u64,
    /// When the occupant was switched in; 0 before the first switch seen.
    pub since_ns: u64,
    /// Who runs here.
    pub occupant: TaskKey,
    /// When the hard interrupt in progress began; 0 if none, or if nobody waited then.
    pub hard_since_ns: u64,
    /// The same for the softirq in progress.
    pub soft_since_ns: u64,
    /// The hard interrupt in progress, as [`Waker::interrupt`]; 0 for none.
    pub hard: u32,
    /// The softirq in progress, likewise.
    pub soft: u32,
    /// Number of the last record written or lost on this CPU.
    pub seq: u64,
    /// Records lost because the ring was full.
    pub lost: u64,
    /// Task storage that could not be had: the event was not handled.
    pub storage_failures: u64,
    /// Waiting and running at once, and the like: transitions of a task that cannot be.
    pub impossible: u64,
    /// The last instant of this CPU that any record could be about: while somebody waits, the last
    /// switch, or end of an interrupt.
    pub seen_ns: u64,
    /// The same for a softirq, which hard interrupts may interrupt: the last switch, or end of one.
    pub soft_seen_ns: u64,
    /// 1 once the occupant's name was told since it was switched in.
    pub occupant_told: u64,
    /// Events by [`hook`].
    pub hooks: [HookCount; hook::COUNT],
    /// Always 0.
    pub tail: u64,
}

/// Waits that were counted and have no record, in buckets of equal ratio: a histogram of each part
/// of a wait. Only this CPU writes it; user space maps it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparedWaits {
    /// Opening to switch-in.
    pub wake_to_run: SparedHistogram,
    /// Waking to being queued, of woken threads.
    pub placement: SparedHistogram,
    /// Queued to switch-in.
    pub run_queue: SparedHistogram,
}

/// One histogram of [`SparedWaits`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparedHistogram {
    /// How many, by [`bucket::of`].
    pub counts: [u64; bucket::COUNT],
    /// Their sum, nanoseconds.
    pub sum_ns: u64,
    /// The longest, nanoseconds.
    pub max_ns: u64,
}

/// A type that is its bytes.
///
/// # Safety
/// `repr(C)`, no implicit padding, and every bit pattern is a value.
pub unsafe trait Record: Copy {
    /// The record's bytes, as the ring buffer holds them.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: the implementor has no padding, so every byte is initialised.
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }

    /// Reads a record from the start of `bytes`; `None` if they are too few.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<Self>() {
            return None;
        }
        // SAFETY: long enough, every bit pattern is valid, and alignment is not asked for.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}

macro_rules! records {
    ($($record:ty: $size:literal,)*) => {$(
        const _: () = assert!(size_of::<$record>() == $size);
        // SAFETY: repr(C) integers, and the size above is the sum of the fields.
        unsafe impl Record for $record {}
        #[cfg(feature = "user")]
        // SAFETY: as for `Record`.
        unsafe impl aya::Pod for $record {}
    )*};
}

records! {
    Header: 24,
    SliceRecord: 48,
    WaitRecord: 128,
    MoveRecord: 48,
    InterruptRecord: 40,
    SampleRecord: 1072,
    TaskRecord: 96,
    OpenWaitRecord: 104,
    UnopenedRecord: 40,
    RefillRecord: 40,
    TaskState: 136,
    HookCount: 24,
    CpuState: 448,
    SparedHistogram: 16_400,
    SparedWaits: 49_200,
}
