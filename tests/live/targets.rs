//! Whom a recording is about: by name, by cgroup, everybody; and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Child;

use cronx_recording::{Class, MetricName, Report};

use crate::bench::{Neighbour, Recording, actor, can_run};

/// Threads that sleep and wake, under a name.
fn timers(name: &str, more: &[&str]) -> Neighbour {
    let mut timers = actor();
    timers.args(["timers", "--threads", "2", "--name", name]).args(more);
    Neighbour::start(&mut timers)
}

/// The names of the threads whose waits were recorded.
fn victims(report: &Report) -> BTreeSet<String> {
    let metric = report.metrics.iter().find(|metric| metric.name == MetricName::WakeToRun);
    let threads = &metric.unwrap().by_thread;
    threads.iter().map(|thread| thread.key.raw().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Threads that were there, and threads that come and take their name while the window is open.
#[test]
fn threads_of_a_name() {
    if !can_run("threads_of_a_name", &[]) {
        return;
    }
    let _here = timers("wanted", &["--seconds", "60"]);
    let _other = timers("unwanted", &["--seconds", "60"]);
    let program = actor().get_program().to_string_lossy().into_owned();
    let comer = ["timers", "--seconds", "2", "--name", "newcomer"];
    let args = ["--comm", "wanted", "--comm", "newcomer", "--", &program];
    let recording = Recording::make(&[&args[..], &comer].concat());
    assert_eq!(victims(&recording.report), names(&["wanted", "newcomer"]));
}

/// A thread that gives its name away is recorded no more.
#[test]
fn a_name_that_is_given_up() {
    if !can_run("a_name_that_is_given_up", &["sh"]) {
        return;
    }
    let script = "for i in $(seq 50); do sleep 0.002; done; echo later >/proc/$$/comm; \
                  for i in $(seq 50); do sleep 0.002; done";
    let recording = Recording::make(&["--comm", "sh", "--", "sh", "-c", script]);
    let victims = victims(&recording.report);
    assert!(victims.contains("sh") && !victims.contains("later"), "{victims:?}");
}

/// A cgroup that is made for a test: of the cpu controller's hierarchy, whichever version.
struct Group(PathBuf);

impl Group {
    fn make(name: &str) -> Option<Self> {
        let mounts = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"];
        let mount = mounts.iter().map(PathBuf::from).find(|m| m.join("cgroup.procs").exists())?;
        let path = mount.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).ok().map(|()| Self(path))
    }

    fn below(&self) -> Self {
        let path = self.0.join("below");
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn take(&self, process: &Child) {
        fs::write(self.0.join("cgroup.procs"), process.id().to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who was in it was killed, and may take a moment to be gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Who is in it or below it, who joins, and whom they fork; not who is elsewhere.
#[test]
fn threads_of_a_cgroup() {
    if !can_run("threads_of_a_cgroup", &["sleep"]) {
        return;
    }
    let group = Group::make("cronx-test").expect("a cgroup can be made where probes can be loaded");
    let below = group.below();
    let here = timers("member", &["--seconds", "60"]);
    below.take(&here.0);
    let _other = timers("stranger", &["--seconds", "60"]);
    // It joins in the window and makes its threads later.
    let comer = timers("newcomer", &["--after", "1.5", "--seconds", "60"]);
    let (path, procs) = (group.0.to_str().unwrap(), group.0.join("cgroup.procs"));
    let join = format!(
        "echo {0} >{1} && until [ $(ls /proc/{0}/task | wc -l) = 3 ]; do sleep 0.1; done; sleep 1",
        comer.0.id(),
        procs.display()
    );
    let recording = Recording::make(&["--cgroup", path, "--", "sh", "-c", &join]);
    let mut victims = victims(&recording.report);
    // The first thread of each, which has its program's name and hardly ever waits.
    victims.remove("cronx-actor");
    assert_eq!(victims, names(&["member", "newcomer"]));
    drop((here, comer));
}

/// The kernel's own account of how long each thread that is there has waited.
fn run_delays() -> BTreeMap<u32, u64> {
    let inside = |folder: PathBuf| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    let delay = |thread: PathBuf| {
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        let tid = thread.file_name()?.to_str()?.parse().ok()?;
        Some((tid, text.split_whitespace().nth(1)?.parse().ok()?))
    };
    let threads = inside("/proc".into()).flat_map(|process| inside(process.join("task")));
    threads.filter_map(delay).collect()
}

/// How long each thread was queued in the longest waits, and in how many.
fn longest_queued(report: &Report) -> BTreeMap<u32, (u64, u64)> {
    let mut by_thread = BTreeMap::new();
    for miss in &report.worst {
        let queued = miss.tiles.iter().filter(|tile| tile.class != Class::Placement);
        let (queued_ns, waits) = by_thread.entry(miss.tid).or_insert((0, 0));
        *queued_ns += queued.map(|tile| tile.length_ns).sum::<u64>();
        *waits += 1;
    }
    by_thread
}

/// The longest waits of a whole machine are such as the kernel too has counted. Best seen on a
/// machine at rest; CRONX_IDLE_SECONDS asks for a longer look.
#[test]
fn everybody_and_no_bogus_tail() {
    if !can_run("everybody_and_no_bogus_tail", &["sleep"]) {
        return;
    }
    let seconds = std::env::var("CRONX_IDLE_SECONDS").unwrap_or("5".into());
    let before = run_delays();
    let recording = Recording::make(&["--all", "--", "sleep", &seconds]);
    let after = run_delays();
    let spared = recording.capture().trailer.unwrap().cpus.into_iter().map(|cpu| cpu.spared);
    let spared: u64 = spared.map(|s| s.wake_to_run.counts.values().sum::<u64>()).sum();
    let report = &recording.report;
    println!("{seconds} s: {spared} waits counted, {} recorded", report.waits);
    println!("the longest: {:?}", report.worst.first().map(|m| (m.thread.raw(), m.waited_ns)));
    assert!(spared > 100, "only {spared} waits were counted");
    for (tid, (queued_ns, waits)) in longest_queued(report) {
        // Who has gone took the kernel's account along.
        let Some(kernel_ns) = after.get(&tid) else { continue };
        let grown_ns = kernel_ns - before.get(&tid).unwrap_or(&0);
        // From a wake-up that preempts on, the kernel's own clock may stand still until the switch, or
        // the next tick: 4 ms at 250 Hz.
        let most_ns = grown_ns + grown_ns / 50 + waits * 4_000_000;
        assert!(queued_ns <= most_ns, "{tid} was queued {queued_ns} ns, to the kernel {grown_ns}");
    }
}

/// Everybody, under a load of wake-ups and of births: what is lost is counted, and the recorder does
/// not grow with it.
#[test]
fn everybody_under_a_storm() {
    if !can_run("everybody_under_a_storm", &["hackbench"]) {
        return;
    }
    let storm = actor().get_program().to_string_lossy().into_owned();
    let script = format!("hackbench -l 1000 & {storm} storm --seconds 3; wait");
    let recording = Recording::make_lossy(&["--all", "--", "sh", "-c", &script]);
    let health = &recording.report.health;
    assert_eq!(health.lost, health.missing);
    assert_eq!(health.storage_failures, 0);
    let waits = recording.report.waits;
    println!("{waits} waits recorded, {} records, {} lost", health.records, health.lost);
    let worst = recording.report.worst.first().map_or(0, |miss| miss.waited_ns);
    assert!(worst < recording.report.provenance.duration_ns, "no wait is longer than the window");
}

/// One number, three names: each is blamed for its own time.
#[test]
fn a_number_used_again_and_an_exec_have_their_own_names() {
    if !can_run("a_number_used_again_and_an_exec_have_their_own_names", &["sh"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = actor().get_program().to_string_lossy().into_owned();
    let third = folder.path().join("third-name");
    std::os::unix::fs::symlink(&program, &third).unwrap();
    let _victims = timers("victim", &["--cpu", "0", "--seconds", "60"]);
    let twins = ["twins", "--cpu", "0", "--program", third.to_str().unwrap()];
    let args = ["--comm", "victim", "--", &program];
    let recording = Recording::make(&[&args[..], &twins].concat());
    let number: u32 = String::from_utf8_lossy(&recording.output.stdout).trim().parse().unwrap();
    let blamed = |name: &str| {
        let culprits = recording.report.culprits.iter();
        let own = culprits.filter(|c| c.culprit.tid == number && c.culprit.name.raw() == name);
        own.map(|culprit| culprit.waited_ns).sum::<u64>()
    };
    let all: u64 = recording
        .report
        .culprits
        .iter()
        .filter(|c| c.culprit.tid == number)
        .map(|culprit| culprit.waited_ns)
        .sum();
    let each = ["first-twin", "second-twin", "third-name"].map(blamed);
    // Until a child gives itself a name it has its parent's.
    let unnamed = blamed("cronx-actor");
    println!("of {all} ns blamed on {number}: {each:?}, {unnamed} before a name");
    assert_eq!(each.iter().sum::<u64>() + unnamed, all, "nothing under any other name");
    // Each burns as long as the others; to execute takes the third some time on top.
    assert!(each.iter().all(|&ns| ns * 20 > all) && unnamed * 10 < all, "{each:?} of {all}");
}
