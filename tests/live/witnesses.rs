//! Other tools watch the same threads at the same time, and must see the same.
//!
//! The load does nothing until all observers are attached, and its threads stay, asleep, until all
//! have looked: so the windows are the same though they do not begin together.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use cronx_abi::{Record, WaitRecord, kind, opening};
use cronx_recording::{Capture, MetricName, histogram};

use crate::bench::{Neighbour, Recording, actor, can_run, steady};

/// Below this, what a wake-up preemption waits is next to nothing in the kernel's own account.
const FLOOR_NS: u64 = 30_000;

#[test]
fn witnesses_agree() {
    if !can_run("witnesses_agree", &["runqlat", "perf", "timeout"]) {
        return;
    }
    steady(|| {
        let seen = observe();
        let waits = waits(&seen.recording.capture());
        compare_runqlat(&seen)?;
        compare_timehist(&seen.timehist, &waits)?;
        compare_schedstat(seen.run_delay_ns, &waits)
    });
}

struct Seen {
    recording: Recording,
    runqlat: String,
    timehist: String,
    run_delay_ns: u64,
}

/// A load beside a hog, under all observers at once.
fn observe() -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("perf.data");
    let mut hog = actor();
    let _hog = Neighbour::start(hog.args(["hog", "--cpu", "1", "--seconds", "60"]));
    let mut load = actor();
    // More work than the CPU has time for: most waits are long, and so are the buckets they fall in.
    load.args(["timers", "--threads", "3", "--cpu", "1", "--period-us", "1500"]);
    load.args(["--work-us", "900", "--after", "4", "--seconds", "3", "--linger", "8"]);
    let load = Neighbour::start(&mut load);
    let pid = load.0.id().to_string();

    let runqlat = Command::new("runqlat")
        .args(["-p", &pid, "9", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut perf = perf_record(&trace);
    let recording = Recording::make(&["--pid", &pid, "--duration", "8500ms"]);
    let run_delay_ns = run_delay(load.0.id());
    let runqlat = runqlat.wait_with_output().unwrap();
    perf.wait().unwrap();
    Seen {
        recording,
        runqlat: String::from_utf8(runqlat.stdout).unwrap(),
        timehist: timehist(&trace),
        run_delay_ns,
    }
}

fn perf_record(trace: &Path) -> std::process::Child {
    Command::new("perf")
        .args(["sched", "record", "-k", "CLOCK_MONOTONIC", "-o"])
        .arg(trace)
        .args(["--", "sleep", "9"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn timehist(trace: &Path) -> String {
    let output = Command::new("perf")
        .args(["sched", "timehist", "-i"])
        .arg(trace)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The kernel's own account of the load's threads: nanoseconds they were runnable and not running.
fn run_delay(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .map(|thread| {
            let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        })
        .sum()
}

/// One wait as the capture has it.
#[derive(Debug, Clone, Copy)]
struct Waited {
    tid: u32,
    end_ns: u64,
    wake_to_run_ns: u64,
    run_queue_ns: u64,
    preempted: bool,
}

fn waits(capture: &Capture) -> Vec<Waited> {
    let records = capture.records.iter().flat_map(cronx_recording::CpuRecords::iter);
    records
        .filter_map(WaitRecord::from_bytes)
        .filter(|record| record.header.kind == kind::WAIT)
        .map(|WaitRecord { header, wait, .. }| Waited {
            tid: wait.victim.tid,
            end_ns: header.at_ns,
            wake_to_run_ns: header.at_ns - wait.open_ns,
            run_queue_ns: header.at_ns - wait.queued_ns,
            preempted: wait.opening == opening::PREEMPTED,
        })
        .collect()
}

/// Counts within 1 %, and each quantile within the bucket that runqlat has for it.
fn compare_runqlat(seen: &Seen) -> Result<(), String> {
    let buckets = buckets(&seen.runqlat);
    let counted: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let metric = &seen.recording.report.metrics[2];
    assert_eq!(metric.name, MetricName::RunQueue);
    let (ours, theirs) = (metric.all.count as f64, counted as f64);
    if counted == 0 || (ours / theirs - 1.0).abs() > 0.01 {
        return Err(format!("runqlat counted {counted} waits, cronx {ours}"));
    }
    let histogram = histogram::decode(&metric.all.histogram).unwrap();
    for q in [0.5, 0.9, 0.99] {
        let micros = histogram.value_at_quantile(q) / 1_000;
        let bucket = bucket_at(&buckets, q);
        if micros < bucket.from_us || micros > bucket.to_us {
            return Err(format!("quantile {q}: cronx says {micros} us, runqlat {bucket:?}"));
        }
    }
    println!("runqlat counted {counted} waits, cronx {ours}");
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    from_us: u64,
    to_us: u64,
    count: u64,
}

/// Lines such as `  4 -> 7   : 12   |***  |`.
fn buckets(text: &str) -> Vec<Bucket> {
    text.lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(':')?;
            let (from, to) = range.split_once("->")?;
            Some(Bucket {
                from_us: from.trim().parse().ok()?,
                to_us: to.trim().parse().ok()?,
                count: rest.split_whitespace().next()?.parse().ok()?,
            })
        })
        .collect()
}

fn bucket_at(buckets: &[Bucket], q: f64) -> Bucket {
    let total: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let rank = (q * total as f64).ceil() as u64;
    let mut below = 0;
    *buckets
        .iter()
        .find(|bucket| {
            below += bucket.count;
            below >= rank
        })
        .expect("the last bucket holds the last wait")
}

/// `perf sched timehist` starts at waking, as wake-to-run does: 99 % of the waits within 5 us. The
/// wait of a preempted thread stands in its column "wait time", that of a woken one in "sch delay".
fn compare_timehist(timehist: &str, waits: &[Waited]) -> Result<(), String> {
    const NEAR_NS: u64 = 5_000;
    let theirs = delays(timehist);
    let mut matched = 0_u64;
    let mut near = 0_u64;
    for wait in waits {
        let Some(delay_ns) = delay_at(&theirs, wait) else { continue };
        matched += 1;
        near += u64::from(delay_ns.abs_diff(wait.wake_to_run_ns) <= NEAR_NS);
    }
    println!("perf saw {matched} of {} waits, {near} within 5 us", waits.len());
    if near * 100 < waits.len() as u64 * 99 {
        return Err(format!("{near} of {} waits are within 5 us of perf's", waits.len()));
    }
    Ok(())
}

/// What perf says of the time before a run.
#[derive(Debug, Clone, Copy)]
struct Delay {
    wait_ns: u64,
    sched_ns: u64,
}

/// By thread and the instant at which each of its runs began.
type Delays = BTreeMap<u32, BTreeMap<u64, Delay>>;

/// Lines such as `  12.345678 [0001]  timer[12/34]   1.000   0.012   0.700`: the end of a run, the
/// thread, and its blocked time, delay and run time in milliseconds.
fn delays(timehist: &str) -> Delays {
    let mut delays = Delays::new();
    for line in timehist.lines() {
        let Some((tid, began_ns, delay)) = run(line) else { continue };
        delays.entry(tid).or_default().insert(began_ns, delay);
    }
    delays
}

fn run(line: &str) -> Option<(u32, u64, Delay)> {
    let mut words = line.split_whitespace();
    let end_s: f64 = words.next()?.parse().ok()?;
    let cpu = words.next()?;
    let thread = words.next()?;
    let numbers = thread.rsplit_once('[')?.1.strip_suffix(']')?;
    let tid = numbers.split('/').next()?.parse().ok()?;
    let millis: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    let [wait_ms, sched_ms, run_ms] = millis[..] else { return None };
    cpu.starts_with('[').then_some(())?;
    let nanos = |millis: f64| (millis * 1e6) as u64;
    let delay = Delay { wait_ns: nanos(wait_ms), sched_ns: nanos(sched_ms) };
    Some((tid, nanos(end_s * 1e3 - run_ms), delay))
}

/// perf's figure for the run that began when this wait ended, give or take its own rounding.
fn delay_at(delays: &Delays, wait: &Waited) -> Option<u64> {
    const ROUNDING_NS: u64 = 20_000;
    let runs = delays.get(&wait.tid)?;
    let near = runs.range(wait.end_ns.saturating_sub(ROUNDING_NS)..wait.end_ns + ROUNDING_NS);
    let (_, delay) = near.min_by_key(|(began_ns, _)| began_ns.abs_diff(wait.end_ns))?;
    Some(if wait.preempted { delay.wait_ns } else { delay.sched_ns })
}

/// The long waits sum to the kernel's own account within 2 %.
fn compare_schedstat(run_delay_ns: u64, waits: &[Waited]) -> Result<(), String> {
    let long = waits.iter().map(|wait| wait.run_queue_ns).filter(|ns| *ns > FLOOR_NS);
    let ours: u64 = long.sum();
    let preempted = waits.iter().filter(|wait| wait.preempted).count();
    println!("schedstat {run_delay_ns} ns, cronx {ours} ns ({preempted} preempted)");
    if (ours as f64 / run_delay_ns as f64 - 1.0).abs() > 0.02 {
        return Err(format!("schedstat says {run_delay_ns} ns, the waits sum to {ours} ns"));
    }
    Ok(())
}
