//! What is injected, and how truth is had.
//!
//! The words of actors and loads are those of `cronx-actor`; `{seconds}`, `{program}`, `{group}` (the cgroup
//! with a quota) and `{beside}` (one without) are filled in. The load is what is recorded, and the threads named `victims` in it are judged.

use cronx_recording::Class;

/// One cause, alone or with company.
pub struct Case {
    pub name: &'static str,
    /// For a reader of the table.
    pub injects: &'static str,
    /// Whether it is cheap enough for every change.
    pub short: bool,
    /// Started before the recording; they log.
    pub actors: &'static [&'static str],
    /// What is recorded.
    pub load: &'static str,
    /// The name of the threads that are judged.
    pub victims: &'static str,
    pub truth: Truth,
    /// What `{group}` may run in every 100 ms, microseconds.
    pub quota_us: Option<u32>,
    /// Further words to `cronx record`.
    pub record: &'static str,
    /// The only CPU of the profiler itself, and of the load.
    pub seat: Option<&'static str>,
    /// A file of the kernel's that has another content meanwhile.
    pub setting: Option<(&'static str, &'static str)>,
    /// Whether records are to be lost.
    pub lossy: bool,
}

/// How truth is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Wait by wait from the actors' logs; the victim is pinned to CPU 1.
    Logs,
    /// The same, with the long gaps in them: what no actor has is mostly of that class.
    Gaps(Class),
    /// The same, and the victim's CPU from the log of whoever moves it.
    Placed,
    /// The same, and the victim's CPU as the recording has it: nobody else knows which queue it is on.
    Recorded,
    /// The group's own counter; nobody else wants the CPU.
    Quota,
    /// The group's own counter, and what is left is the hog's.
    QuotaAndHog,
    /// What the kernel counted for its workers while the load ran, by the load's log.
    Workers,
    /// The profiler's own CPU time.
    Profiler,
    /// Nobody wants the CPU: waits are of those classes, and none is longer than the kernel has it.
    Idle(&'static [Class]),
    /// The log of the hog that the server waited for, when the asker waited for the server.
    Chain,
}

const VICTIM: &str = "timers --cpu 1 --period-us 2000 --work-us 300 --name victim \
                      --seconds {seconds}";

/// It preempts nobody and so waits for milliseconds: what a log cannot see is a small part of that.
const PATIENT: &str = "--nice 10 timers --cpu 1 --period-us 1000 --work-us 400 --name victim \
                       --seconds {seconds}";

const PLAIN: Case = Case {
    name: "",
    injects: "",
    short: false,
    actors: &[],
    load: VICTIM,
    victims: "victim",
    truth: Truth::Logs,
    quota_us: None,
    record: "",
    seat: None,
    setting: None,
    lossy: false,
};

/// In the order of the table.
pub const ALL: &[Case] = &[
    Case {
        name: "hog",
        injects: "one thread that always runs",
        short: true,
        actors: &["hog --cpu 1 --seconds 600 --name hog"],
        load: PATIENT,
        ..PLAIN
    },
    Case {
        name: "rotating-hogs",
        injects: "four threads that hand the CPU on after 2, 3, 5 and 9 ms",
        short: true,
        actors: &["rotate --cpu 1"],
        load: PATIENT,
        ..PLAIN
    },
    Case {
        name: "fifo-burst",
        injects: "8 ms of a real-time thread in every 20",
        short: true,
        actors: &["--fifo 10 burst --cpu 1 --busy-us 8000 --sleep-us 12000"],
        ..PLAIN
    },
    Case {
        name: "nice-and-idle",
        injects: "hogs of nice 0, of nice 5 and of SCHED_IDLE",
        actors: &[
            "hog --cpu 1 --seconds 600 --name nice-0",
            "--nice 5 hog --cpu 1 --seconds 600 --name nice-5",
            "--idle hog --cpu 1 --seconds 600 --name idle",
        ],
        load: "--nice 3 timers --cpu 1 --period-us 1000 --work-us 2000 --name victim \
               --seconds {seconds}",
        ..PLAIN
    },
    Case {
        name: "quota",
        injects: "a cgroup with 20 ms in every 100, and a thread in it that always runs",
        // Some virtual machines have a thread of whose switches the kernel tells but half. Up to the next
        // switch it is unknown what the CPU did, so that one is never far.
        actors: &["burst --cpu 1 --busy-us 5 --sleep-us 1000"],
        load: "--cgroup {group} timers --cpu 1 --period-us 10 --work-us 30000 --name victim \
               --seconds {seconds}",
        truth: Truth::Quota,
        quota_us: Some(20_000),
        ..PLAIN
    },
    Case {
        name: "quota-and-hog",
        injects: "the same beside a hog outside the cgroup",
        short: true,
        actors: &["--cgroup {beside} hog --cpu 1 --seconds 600 --name hog"],
        load: "--cgroup {group} timers --cpu 1 --period-us 10 --work-us 30000 --name victim \
               --seconds {seconds}",
        truth: Truth::QuotaAndHog,
        quota_us: Some(20_000),
        ..PLAIN
    },
    Case {
        name: "quota-and-fifo",
        injects: "the same beside 250 ms of a real-time thread in every 620: quota is back long before",
        actors: &["--fifo 10 burst --cpu 1 --busy-us 250000 --sleep-us 370000"],
        load: "--cgroup {group} timers --cpu 1 --period-us 10 --work-us 30000 --name victim \
               --seconds {seconds}",
        truth: Truth::QuotaAndHog,
        quota_us: Some(20_000),
        ..PLAIN
    },
    Case {
        name: "softirq-flood",
        injects: "bursts of loopback datagrams whose softirqs are steered to the victim's CPU",
        actors: &[
            "flood --cpu 0 --slow --burst 60 --pause-us 3000",
            "hog --cpu 1 --seconds 600 --name hog",
        ],
        load: PATIENT,
        truth: Truth::Gaps(Class::Softirq),
        setting: Some(("/sys/class/net/lo/queues/rx-0/rps_cpus", "2")),
        ..PLAIN
    },
    Case {
        name: "ipi-storm",
        injects: "memory barriers on CPU 0, each of which interrupts CPU 1",
        actors: &["shake --cpu 1 --from 0 --pause-us 60"],
        load: PATIENT,
        truth: Truth::Gaps(Class::Irq),
        ..PLAIN
    },
    Case {
        name: "idle-wakeup",
        injects: "wake-ups of an idle CPU from another",
        load: "ask --cpu 0 --server-cpu 1 --seconds {seconds}",
        victims: "server",
        truth: Truth::Idle(&[Class::IdleExit]),
        ..PLAIN
    },
    Case {
        name: "affinity-change",
        injects: "a hog on each CPU, and a victim that is moved between them as it waits",
        short: true,
        actors: &[
            "hog --cpu 0 --seconds 600 --name hog-0",
            "hog --cpu 1 --seconds 600 --name hog-1",
        ],
        load: "--nice 5 flip --seconds {seconds}",
        truth: Truth::Placed,
        ..PLAIN
    },
    Case {
        name: "balancer",
        injects: "three hogs on two CPUs, and victims that the balancer moves",
        actors: &[
            "hog --seconds 600 --name hog-a",
            "hog --seconds 600 --name hog-b",
            "hog --seconds 600 --name hog-c",
        ],
        load: "timers --threads 3 --period-us 5000 --work-us 4000 --name victim \
               --seconds {seconds}",
        truth: Truth::Recorded,
        ..PLAIN
    },
    Case {
        name: "futex-chain",
        injects: "A waits for the answer of B, who waits for the CPU behind C",
        actors: &["hog --cpu 1 --seconds 600 --name hog"],
        load: "ask --cpu 0 --server-cpu 1 --work-us 200 --seconds {seconds}",
        victims: "asker",
        truth: Truth::Chain,
        ..PLAIN
    },
    Case {
        name: "kworker-burst",
        injects: "a kernel worker that collects dead keys among 100,000",
        load: "keys --cpu 1 --every-us 50000 --seconds {seconds}",
        truth: Truth::Workers,
        ..PLAIN
    },
    Case {
        name: "long-syscall",
        injects: "calls that walk 20,000 file locks under a spinlock",
        actors: &["locks --cpu 1"],
        ..PLAIN
    },
    Case {
        name: "profiler",
        injects: "cronx itself on the victim's CPU, at work for 10,000 samples a second",
        load: "--nice 19 hog --cpu 1 --seconds {seconds} --name victim",
        truth: Truth::Profiler,
        record: "--sample-hz 10000",
        seat: Some("1"),
        ..PLAIN
    },
    Case {
        name: "tid-reuse",
        injects: "threads of one number under three names, in a storm of forks",
        actors: &[
            "twins --cpu 1 --millis 200 --program {program}",
            "storm --seconds 600 --children 4",
        ],
        ..PLAIN
    },
    Case {
        name: "small-ring",
        injects: "rotating hogs, and a ring of 4 KiB that loses records",
        short: true,
        actors: &["rotate --cpu 1"],
        load: PATIENT,
        record: "--ring 4 --sample-hz 997",
        lossy: true,
        ..PLAIN
    },
    Case {
        name: "no-op-wakeups",
        injects: "wake-ups of a thread that has not left its CPU, beside a hog",
        actors: &["hog --cpu 1 --seconds 600 --name hog"],
        load: "--nice 10 doze --cpu 1 --seconds {seconds}",
        ..PLAIN
    },
    Case {
        name: "idle-machine",
        injects: "nothing: a timer on a CPU that nobody wants",
        load: "timers --cpu 1 --period-us 5000 --work-us 20 --name victim --seconds {seconds}",
        truth: Truth::Idle(&[Class::IdleExit, Class::Irq]),
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_no_two_are_the_same() {
        for (number, case) in ALL.iter().enumerate() {
            assert!(case.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", case.name);
            assert!(ALL[number + 1..].iter().all(|other| other.name != case.name), "{}", case.name);
            assert!(!case.injects.is_empty());
        }
    }

    #[test]
    fn a_group_is_there_where_the_load_wants_one() {
        for case in ALL {
            assert_eq!(case.load.contains("{group}"), case.quota_us.is_some(), "{}", case.name);
        }
    }
}
