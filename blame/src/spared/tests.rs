use cronx_recording::{Capture, Spared, Trailer};

use super::*;
use crate::analyse;
use crate::fixture::capture;

/// One recorded wait of 100 ns on CPU 0, and on CPU 1 three of 10 ns and one of 40 without a record.
fn with_spared() -> Capture {
    let mut capture = capture("floor 50\n 200 cpu0 wait victim 100..100 hog 40 preempted");
    let counts = [(10, 3), (40, 1)].into();
    let wake_to_run = Counted { counts, sum_ns: 71, max_ns: 40 };
    let spared = Spared { run_queue: wake_to_run.clone(), wake_to_run, ..Spared::default() };
    trailer(&mut capture).cpus.push(cronx_recording::CpuTrailer {
        cpu: 1,
        spared,
        ..Default::default()
    });
    capture
}

fn trailer(capture: &mut Capture) -> &mut Trailer {
    capture.trailer.as_mut().unwrap()
}

fn figures(capture: &Capture, options: &Options) -> String {
    let report = analyse(capture, options);
    let rows = |keyed: &[cronx_recording::Keyed]| {
        let row = |k: &cronx_recording::Keyed| format!("{}:{}", k.key.raw(), k.quantiles.count);
        keyed.iter().map(row).collect::<Vec<_>>().join(" ")
    };
    let metric = &report.metrics[0];
    let all = &metric.all;
    let (threads, cpus) = (rows(&metric.by_thread), rows(&metric.by_cpu));
    let anomalies = report.health.anomalies;
    format!(
        "{}/{} {}/{}/{} [{threads}] [{cpus}] {anomalies:?}",
        report.waits, report.waited_ns, all.count, all.sum_ns, all.max_ns
    )
}

#[test]
fn over_all_and_by_cpu_alone() {
    let capture = with_spared();
    let figures = figures(&capture, &Options::default());
    assert_eq!(figures, "1/100 5/171/100 [victim:1] [0:1 1:4] {}");
    let spared = analyse(&capture, &Options::default()).spared.unwrap();
    assert_eq!((spared.floor_ns, spared.waits, spared.waited_ns), (50, 4, 71));
    assert!(!spared.left_out);
}

#[test]
fn a_filter_leaves_them_out() {
    let capture = with_spared();
    let options = Options { thread: Some("victim".to_owned()), ..Options::default() };
    assert_eq!(figures(&capture, &options), "1/100 1/100/100 [victim:1] [0:1] {}");
    assert!(analyse(&capture, &options).spared.unwrap().left_out);
}

#[test]
fn what_cannot_be_is_not_counted() {
    let refused = |change: fn(&mut Capture)| {
        let mut capture = with_spared();
        change(&mut capture);
        let report = analyse(&capture, &Options::default());
        assert_eq!(report.metrics[0].all.count, 1);
        report.health.anomalies.into_keys().collect::<Vec<_>>().join(" ")
    };
    let change = |capture: &mut Capture| capture.header.floor_ns = 0;
    assert_eq!(refused(change), "spared_without_floor");
    let change = |capture: &mut Capture| capture.header.floor_ns = 40;
    assert_eq!(refused(change), "spared_above_floor");
    let change = |capture: &mut Capture| {
        let counts = &mut trailer(capture).cpus[1].spared.placement.counts;
        counts.insert(bucket::COUNT as u32, 1);
    };
    assert_eq!(refused(change), "unknown_bucket");
    let change = |capture: &mut Capture| {
        trailer(capture).cpus[1].spared.run_queue.counts.insert(3, u64::MAX);
    };
    assert_eq!(refused(change), "implausible_count");
    let change = |capture: &mut Capture| {
        trailer(capture).cpus[1].spared.placement.sum_ns = 1;
    };
    assert_eq!(refused(change), "implausible_count");
}

#[test]
fn they_have_their_rank_in_the_tail() {
    let mut capture = with_spared();
    let counts = &mut trailer(&mut capture).cpus[1].spared.wake_to_run.counts;
    counts.insert(10, 400);
    trailer(&mut capture).cpus[1].spared.wake_to_run.sum_ns += 3_970;
    let report = analyse(&capture, &Options::default());
    let tail = report.tail.unwrap();
    assert_eq!((tail.threshold_ns, tail.waits, tail.waited_ns), (50, 1, 100));
    assert_eq!(tail.what_if[0].p99_ns, Some(10));
}
