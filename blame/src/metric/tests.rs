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
fn three_metrics() {
    let report = report(
        "10 cpu0 task a/app
         10 cpu0 task b/app
         100 cpu0 wait a 60..70 hog 40
         200 cpu1 wait b 120..120 hog 100 preempted",
    );
    let names: Vec<_> = report.metrics.iter().map(|m| m.name).collect();
    assert_eq!(names, [MetricName::WakeToRun, MetricName::Placement, MetricName::RunQueue]);
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
    assert_eq!(report.metrics.len(), 3);
    assert_eq!(report.metrics[0].all.p50_ns, None);
    assert!(report.tail.is_none() && report.worst.is_empty() && report.folds.is_empty());
}
