use std::fmt::Write as _;

use cronx_recording::{MetricName, Quantiles, Report, histogram};

use crate::fixture::report;

fn figures(q: &Quantiles) -> (u64, u64, u64) {
    (q.count, q.sum_ns, q.max_ns)
}

fn axes(report: &Report, metric: usize) -> String {
    let metric = &report.metrics[metric];
    let axis = |keyed: &[cronx_recording::Keyed]| {
        keyed.iter().map(|k| format!("{}={}", k.key.raw(), k.quantiles.sum_ns)).collect::<Vec<_>>()
    };
    format!(
        "{:?} {:?} {:?}",
        axis(&metric.by_process),
        axis(&metric.by_thread),
        axis(&metric.by_cpu)
    )
}

#[test]
fn four_metrics() {
    let report = report(
        "10 cpu0 task a/app
         10 cpu0 task b/app
         100 cpu0 wait a 60..70 hog 40
         200 cpu1 wait b 120..120 hog 100 preempted",
    );
    let names: Vec<_> = report.metrics.iter().map(|m| m.name).collect();
    assert_eq!(names[..3], [MetricName::WakeToRun, MetricName::Placement, MetricName::RunQueue]);
    assert_eq!(names[3..], [MetricName::SelfCaused]);
    assert_eq!(figures(&report.metrics[0].all), (2, 120, 80));
    assert_eq!(figures(&report.metrics[1].all), (1, 10, 10));
    assert_eq!(figures(&report.metrics[2].all), (2, 110, 80));
    assert_eq!(axes(&report, 0), r#"["app=120"] ["b=80", "a=40"] ["1=80", "0=40"]"#);
    assert_eq!(axes(&report, 1), r#"["app=10"] ["a=10"] ["0=10"]"#);
    let decoded = histogram::decode(&report.metrics[0].all.histogram).unwrap();
    assert_eq!((decoded.len(), decoded.max()), (2, 80));
}

#[test]
fn an_axis_ends_with_the_rest() {
    let mut text = String::from("window 0..100000000\n");
    for n in 1..=300_u64 {
        let at = n * 1_000;
        writeln!(
            text,
            "{at} cpu0 wait v{n} {open}..{open} hog {since}",
            open = at - n,
            since = at - 900
        )
        .unwrap();
    }
    let report = report(&text);
    let by_thread = &report.metrics[0].by_thread;
    assert_eq!(by_thread.len(), 257);
    assert_eq!(by_thread[0].key.raw(), "v300");
    assert_eq!(by_thread[256].key.raw(), "(other)");
    assert_eq!(figures(&by_thread[256].quantiles), (44, 990, 44));
}

#[test]
fn nothing_waited() {
    let report = report("");
    assert_eq!(report.metrics.len(), 4);
    assert_eq!(report.metrics[0].all.p50_ns, None);
    assert!(report.tail.is_none() && report.worst.is_empty() && report.folds.is_empty());
}

/// A fellow of the victim's process, one of the load, and a stranger: the first two are its own doing.
#[test]
fn what_the_load_caused_itself() {
    let report = report(
        "10 cpu0 task mate watched
         100 cpu0 wait victim%app 60..60 app 40
         200 cpu0 wait victim%app 170..170 mate 140
         300 cpu0 wait victim%app 220..220 stranger 210",
    );
    assert_eq!(figures(&report.metrics[0].all), (3, 150, 80));
    assert_eq!(report.metrics[3].name, MetricName::SelfCaused);
    assert_eq!(figures(&report.metrics[3].all), (3, 70, 40));
}

/// Blocks are at least 50 ms long, and a block without waits is an empty text.
#[test]
fn a_distribution_says_how_it_came_in_time() {
    let mut text = String::from("window 0..200000000\n");
    for n in 1..=400_u64 {
        let at = if n <= 300 { n * 1_000 } else { 120_000_000 + n * 1_000 };
        writeln!(text, "{at} cpu0 wait v {}..{} hog {}", at - 100, at - 100, at - 900).unwrap();
    }
    let wake_to_run = &report(&text).metrics[0];
    let lengths = |quantiles: &Quantiles| -> Vec<u64> {
        let len = |text: &String| {
            if text.is_empty() { 0 } else { histogram::decode(text).unwrap().len() }
        };
        quantiles.blocks.iter().map(len).collect()
    };
    assert_eq!(lengths(&wake_to_run.all), [300, 0, 100]);
    assert_eq!(lengths(&wake_to_run.by_thread[0].quantiles), [300, 0, 100]);
    let few = report("100 cpu0 wait a 60..60 hog 40");
    assert!(few.metrics[0].all.blocks.is_empty(), "nobody gates on what has no P99");
}
