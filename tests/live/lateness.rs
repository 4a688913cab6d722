//! Causes of lateness, injected one at a time: the part that was injected has what was added.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use cronx_recording::{Class, Part, Report, Spans, Untrusted};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Neighbour, Recording, actor, can_listen, steady, wait_until};

/// Firings beyond it are those that were disturbed: no injected cause is shorter than twice of it.
const OBJECTIVE: &str = "10ms";
/// So many of them must have been disturbed, or nothing was injected.
const DISTURBED: u64 = 10;

/// A scheduler on CPU 1, its workers on CPU 0, and a job due every 5 ms.
fn beat(options: &[&str]) -> Vec<String> {
    let program = actor().get_program().to_string_lossy().into_owned();
    let place = ["--shard-cpu", "1", "--cpu", "0", "--seconds", "3"];
    let words = [&["--objective", OBJECTIVE, "--", &program, "beat"], &place[..], options].concat();
    words.into_iter().map(str::to_owned).collect()
}

fn spans(report: &Report) -> &Spans {
    report.spans.as_ref().expect("spans were listened to")
}

/// Of every recording of a scheduler: each firing's parts sum to its lateness, and little is unknown.
fn holds(recording: &Recording) -> Result<&Spans, String> {
    let spans = spans(&recording.report);
    let listened = &spans.listened;
    assert_eq!(listened.seen, listened.filtered + listened.submitted + listened.lost);
    assert_eq!(listened.lost, 0);
    assert!(spans.firings.count > DISTURBED, "{} firings: {:?}", spans.firings.count, spans.flaws);
    let sum = |parts: &mut dyn Iterator<Item = u64>| parts.sum::<u64>();
    for budget in [&spans.firings, &spans.late] {
        let parts = sum(&mut budget.parts.iter().map(|share| share.length_ns));
        assert_eq!(parts, budget.total_ns);
    }
    assert_eq!(
        spans.firings.total_ns, spans.lateness.sum_ns,
        "the parts of all sum to their lateness"
    );
    for firing in &spans.worst_firings {
        assert_eq!(sum(&mut firing.parts.iter().map(|part| part.length_ns)), firing.total_ns);
    }
    let unknown = share(spans, &[Part::Unknown], false);
    if unknown > 0.02 { Err(format!("{unknown} of it is unknown")) } else { Ok(spans) }
}

/// The share of some parts, of the late firings or of all.
fn share(spans: &Spans, parts: &[Part], late: bool) -> f64 {
    let budget = if late { &spans.late } else { &spans.firings };
    let of = budget.parts.iter().filter(|share| parts.contains(&share.part));
    of.map(|share| share.length_ns).sum::<u64>() as f64 / budget.total_ns.max(1) as f64
}

/// The late firings are late for these parts.
fn blamed(recording: &Recording, parts: &[Part]) -> Result<(), String> {
    let spans = holds(recording)?;
    if spans.late.count < DISTURBED {
        return Err(format!("only {} firings were late", spans.late.count));
    }
    let share = share(spans, parts, true);
    let found = || format!("{share} of it is {parts:?}: {:?}", spans.late);
    if share < 0.95 { Err(found()) } else { Ok(()) }
}

#[test]
fn undisturbed_nothing_is_unknown() {
    if can_listen("undisturbed_nothing_is_unknown", &[]) {
        steady(|| holds(&Recording::make(&beat(&[]))).map(drop));
    }
}

#[test]
fn a_neighbour_on_the_shards_core_is_the_shards_waiting() {
    if !can_listen("a_neighbour_on_the_shards_core_is_the_shards_waiting", &["chrt"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    steady(|| {
        let mut burst = Command::new("chrt");
        burst.args(["-f", "10"]).arg(actor().get_program()).args(["burst", "--cpu", "1"]);
        burst.args(["--busy-us", "40000", "--sleep-us", "60000", "--name", "compactor", "--log"]);
        let _neighbour = Neighbour::start(burst.arg(folder.path().join("log")));
        let recording = Recording::make(&beat(&[]));
        blamed(&recording, &[Part::ShardWaits])?;
        let first =
            spans(&recording.report).late.culprits.first().map(|blame| blame.culprit.name.clone());
        let is_named = first.as_ref().is_some_and(|name| name.raw() == "compactor");
        is_named.then_some(()).ok_or_else(|| format!("{first:?} is blamed first"))
    });
}

#[test]
fn a_full_pool_is_the_queue() {
    if can_listen("a_full_pool_is_the_queue", &[]) {
        steady(|| {
            blamed(&Recording::make(&beat(&["--running", "1", "--hold-ms", "40"])), &[Part::Queue])
        });
    }
}

#[test]
fn a_job_that_blocks_its_worker_is_the_queue() {
    if can_listen("a_job_that_blocks_its_worker_is_the_queue", &[]) {
        steady(|| blamed(&Recording::make(&beat(&["--block-ms", "40"])), &[Part::Queue]));
    }
}

/// A breaker lets nothing pass while what is behind it is down.
#[test]
fn a_rejected_firing_says_by_which_breaker_and_why() {
    if !can_listen("a_rejected_firing_says_by_which_breaker_and_why", &[]) {
        return;
    }
    // It is up again before the breaker lets a probe pass: so there is one reason.
    let recording = Recording::make(&beat(&["--down-ms", "150"]));
    let spans = spans(&recording.report);
    let [row] = &spans.rejected[..] else { panic!("{:?}", spans.rejected) };
    let words = [&row.name, &row.breaker, &row.state, &row.rule].map(Untrusted::raw);
    assert_eq!(words, ["payment", "ledger", "open", "consecutive"]);
    assert!(row.count > DISTURBED && row.put_off == 0, "{row:?}");
    // Classic tracepoints do not show what a process is called.
    let process = if recording.report.health.object == "legacy" { "" } else { "cronx-actor" };
    assert!(row.first_ns <= row.last_ns && row.process.raw() == process, "{row:?}");
    let screen = String::from_utf8(recording.output.stderr).unwrap();
    assert!(screen.contains("ledger is open (consecutive)"), "{screen}");
    assert!(
        screen.contains(&format!("Breakers rejected {} attempts. None", row.count)),
        "{screen}"
    );
}

/// One that waits for its breaker is late, and says for which and why.
#[test]
fn a_firing_that_a_breaker_put_off_is_late_for_it() {
    if !can_listen("a_firing_that_a_breaker_put_off_is_late_for_it", &[]) {
        return;
    }
    let recording = Recording::make(&beat(&["--down-ms", "150", "--patient"]));
    let spans = spans(&recording.report);
    assert!(spans.rejected.iter().any(|row| row.put_off > DISTURBED), "{:?}", spans.rejected);
    let latest = &spans.worst_firings[0];
    assert_eq!(latest.name.raw(), "payment");
    let first = &latest.parts[0];
    assert_eq!((first.part, first.from_ns), (Part::Breaker, 0));
    assert!(first.length_ns * 2 > latest.total_ns && latest.total_ns > 100_000_000, "{latest:?}");
    let why = first.breaker.as_ref().unwrap();
    assert!(why.times >= 1 && why.breaker.raw() == "ledger", "{why:?}");
    assert!(share(spans, &[Part::Breaker], true) > 0.5, "{:?}", spans.late);
    let screen = String::from_utf8(recording.output.stderr).unwrap();
    assert!(screen.contains("ledger is open (consecutive)"), "{screen}");
}

/// The process of that name that has a shard.
fn scheduler_of(load: &str) -> Option<u32> {
    let numbers = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    };
    let is_called =
        |path: String, name: &str| fs::read_to_string(path).is_ok_and(|comm| comm.trim() == name);
    let mut processes =
        numbers("/proc".into()).filter(|pid| is_called(format!("/proc/{pid}/comm"), load));
    processes.find(|pid| {
        let mut threads = numbers(format!("/proc/{pid}/task").into());
        threads.any(|tid| is_called(format!("/proc/{pid}/task/{tid}/comm"), "cronx-shard-0"))
    })
}

/// Records it while `inject` is called with its process, some time after its start.
fn injected(inject: impl Fn(u32) + Send + 'static) -> Recording {
    let injector = thread::spawn(move || {
        let mut found = None;
        wait_until("the scheduler runs", || {
            found = scheduler_of("cronx-actor");
            found.is_some()
        });
        inject(found.unwrap());
    });
    let recording = Recording::make(&beat(&[]));
    injector.join().unwrap();
    recording
}

#[test]
fn a_stopped_process_is_a_blocked_shard() {
    if !can_listen("a_stopped_process_is_a_blocked_shard", &[]) {
        return;
    }
    steady(|| {
        let recording = injected(|process| {
            let process = Pid::from_raw(process as i32);
            for _ in 0..16 {
                kill(process, Signal::SIGSTOP).unwrap();
                thread::sleep(Duration::from_millis(60));
                kill(process, Signal::SIGCONT).unwrap();
                thread::sleep(Duration::from_millis(60));
            }
        });
        // It may be stopped when the firing is the worker's already.
        blamed(&recording, &[Part::ShardBlocked, Part::WorkerBlocked])
    });
}

#[test]
fn slack_is_the_timer() {
    if can_listen("slack_is_the_timer", &[]) {
        steady(|| blamed(&Recording::make(&beat(&["--slack-ms", "40"])), &[Part::Timer]));
    }
}

/// A cgroup with a tenth of a CPU; it goes with the value.
struct Quota(PathBuf);

impl Quota {
    fn make() -> Option<Self> {
        let hierarchies = [
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "10000"),
            ("/sys/fs/cgroup", "cpu.max", "10000 100000"),
        ];
        hierarchies.into_iter().find_map(|(root, file, value)| {
            let folder = PathBuf::from(root).join(format!("cronx-late-{}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            let group = Self(folder);
            let limit = group.0.join(file);
            // Where there is no such controller, the file would be made.
            (limit.exists() && fs::write(limit, value).is_ok()).then_some(group)
        })
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Who was in it may take a moment to be gone.
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_quota_is_waiting_that_is_throttled() {
    if !can_listen("a_quota_is_waiting_that_is_throttled", &["sh"]) {
        return;
    }
    let Some(quota) = Quota::make() else {
        can_listen("a_quota_is_waiting_that_is_throttled", &["a cgroup with a quota"]);
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Some virtual machines have a thread of whose switches the kernel tells but half. Up to the next
    // switch it is unknown what the CPU did, so that one is never far.
    let mut pulse = actor();
    pulse.args(["burst", "--cpu", "0", "--busy-us", "5", "--sleep-us", "1000", "--log"]);
    let _pulse = Neighbour::start(pulse.arg(folder.path().join("log")));
    steady(|| {
        // The hog uses the quota up, and the scheduler stands still with it.
        let script =
            "echo $$ > \"$0/cgroup.procs\"; \"$1\" hog --cpu 0 --seconds 3 & shift; exec \"$@\"";
        let beat = beat(&["--every-ms", "25"]);
        let at = beat.iter().position(|word| word == "--").unwrap();
        let (options, load) = beat.split_at(at + 1);
        let shell = ["sh", "-c", script, quota.0.to_str().unwrap(), &load[0]].map(str::to_owned);
        let recording = Recording::make(&[options, &shell, load].concat());
        blamed(&recording, &[Part::ShardWaits, Part::WorkerWaits])?;
        let knows_no_quotas = |why: &String| why.contains("neither quotas nor cgroups are known");
        if recording.report.health.degraded.iter().any(knows_no_quotas) {
            return Ok(());
        }
        let late = &spans(&recording.report).late;
        let throttled = late.blame.iter().find(|blame| blame.class == Class::Throttled);
        let share = throttled.map_or(0, |blame| blame.waited_ns) as f64 / late.total_ns as f64;
        if share < 0.95 { Err(format!("{share} of it is throttled: {late:?}")) } else { Ok(()) }
    });
}
