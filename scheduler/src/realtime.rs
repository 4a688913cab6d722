//! Real time, where it is allowed: each wish is asked for, and what came of it is said.
//!
//! Nothing here is needed for a scheduler to run. A refusal is a fact for [`Status`](crate::Status),
//! never an error.

use std::fs;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::Pid;

/// What is wished for. By default nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealTime {
    /// The core of each shard, in order; a shard without one goes where the kernel puts it.
    pub cores: Vec<usize>,
    /// SCHED_FIFO for the shards' threads, 1 to 80: the kernel's own threads that must come first have
    /// more.
    pub fifo: Option<u8>,
    /// Keep the process's memory in RAM, what it has now and what it will have.
    pub lock_memory: bool,
}

/// A wish, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What was asked for, such as `SCHED_FIFO 50`.
    pub what: String,
    /// Granted, or why not.
    pub answer: Answer,
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Granted,
    /// It is not, and this is the kernel's reason.
    Refused(String),
}

/// What the machine does about real time, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Cores that the kernel keeps free of others, as it lists them; empty for none.
    pub isolated: String,
    /// How much of each period real-time threads may have, `runtime/period` in microseconds; a runtime
    /// of -1 is no limit.
    pub throttling: Option<(i64, i64)>,
    /// How long a real-time thread may run without sleeping, microseconds; `None` for no limit.
    pub rttime_us: Option<u64>,
    /// Interrupts that may be served on the shards' cores, by number; empty if no core was asked for.
    pub interrupts: Vec<u32>,
}

/// The highest priority that may be wished for.
const FIFO_MOST: u8 = 80;

/// For the whole process.
pub(crate) fn process(wishes: &RealTime) -> Vec<Wish> {
    let lock = || mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE);
    wishes.lock_memory.then(|| wish("mlockall".to_owned(), lock())).into_iter().collect()
}

/// For this thread, which is that shard's.
pub(crate) fn thread(wishes: &RealTime, shard: usize) -> Vec<Wish> {
    // A shard sleeps to an exact instant; the default would let the kernel wake it 50 us later.
    let slack = nix::sys::prctl::set_timerslack(1);
    let mut answers = vec![wish("timer slack 1 ns".to_owned(), slack)];
    if let Some(&core) = wishes.cores.get(shard) {
        answers.push(wish(format!("core {core}"), pin(core)));
    }
    if let Some(priority) = wishes.fifo {
        answers.push(wish(format!("SCHED_FIFO {priority}"), fifo(priority)));
    }
    answers
}

fn wish(what: String, done: Result<(), Errno>) -> Wish {
    let answer = match done {
        Ok(()) => Answer::Granted,
        Err(errno) => Answer::Refused(errno.desc().to_owned()),
    };
    Wish { what, answer }
}

fn pin(core: usize) -> Result<(), Errno> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

fn fifo(priority: u8) -> Result<(), Errno> {
    if !(1..=FIFO_MOST).contains(&priority) {
        return Err(Errno::EINVAL);
    }
    let parameters = libc::sched_param { sched_priority: i32::from(priority) };
    // SAFETY: the pointer is to a value that outlives the call; 0 is this thread.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    Errno::result(done).map(drop)
}

impl Machine {
    /// Reads it; what cannot be read is as if there were none.
    pub(crate) fn read(cores: &[usize]) -> Self {
        let number = |path| fs::read_to_string(path).ok()?.trim().parse::<i64>().ok();
        let runtime = number("/proc/sys/kernel/sched_rt_runtime_us");
        let isolated = fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
        Self {
            isolated: isolated.trim().to_owned(),
            throttling: runtime.zip(number("/proc/sys/kernel/sched_rt_period_us")),
            rttime_us: rttime_us(),
            interrupts: interrupts(cores),
        }
    }
}

fn rttime_us() -> Option<u64> {
    let (soft, _) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_RTTIME).ok()?;
    (soft != libc::RLIM_INFINITY).then_some(soft)
}

/// Interrupts whose affinity has any of the cores.
fn interrupts(cores: &[usize]) -> Vec<u32> {
    let served = |number: &u32| {
        let path = format!("/proc/irq/{number}/effective_affinity_list");
        let list = fs::read_to_string(path).unwrap_or_default();
        cores.iter().any(|&core| holds(&list, core))
    };
    let folders = fs::read_dir("/proc/irq").into_iter().flatten().flatten();
    let numbers = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    let mut numbers: Vec<u32> = numbers.filter(served).collect();
    numbers.sort_unstable();
    numbers
}

/// Whether a list as the kernel writes them, `0-3,8`, has the core.
fn holds(list: &str, core: usize) -> bool {
    list.trim().split(',').any(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let within = |from: usize, to: usize| (from..=to).contains(&core);
        from.parse().ok().zip(to.parse().ok()).is_some_and(|(from, to)| within(from, to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores() {
        assert!(holds("0-3,8\n", 2) && holds("0-3,8", 8) && holds("5", 5));
        assert!(!holds("0-3,8", 4) && !holds("", 0) && !holds("x-", 0));
    }

    #[test]
    fn what_is_not_there_is_refused_with_a_reason() {
        let wishes = RealTime { cores: vec![1023], fifo: Some(81), lock_memory: false };
        let answers = std::thread::spawn(move || thread(&wishes, 0)).join().unwrap();
        let refused = |wish: &Wish| matches!(&wish.answer, Answer::Refused(why) if !why.is_empty());
        assert_eq!(answers[0].answer, Answer::Granted);
        assert!(refused(&answers[1]) && refused(&answers[2]), "{answers:?}");
        assert_eq!(answers[2].what, "SCHED_FIFO 81");
    }

    #[test]
    fn the_machine_can_be_read() {
        let machine = Machine::read(&[]);
        assert!(machine.interrupts.is_empty());
    }
}
