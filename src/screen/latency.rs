//! The distribution: wake-to-run as bars, its two parts beside it.

use cronx_flamegraph::units::duration;
use cronx_recording::{MetricName, Quantiles, Report};

use super::line::{Line, Paint, bar, column};

/// Columns besides the bar: label, the three figures, and the blanks between.
const FIXED: usize = 44;
/// A longer bar says no more.
const BAR_MAX: usize = 60;

type Pick = fn(&Quantiles) -> Option<u64>;

const ROWS: [(&str, Pick); 5] = [
    ("P50", |q| q.p50_ns),
    ("P90", |q| q.p90_ns),
    ("P99", |q| q.p99_ns),
    ("P99.9", |q| q.p999_ns),
    ("max", |q| (q.count > 0).then_some(q.max_ns)),
];

/// Nothing if no thread waited.
pub(crate) fn lines(report: &Report, width: usize) -> Vec<Line> {
    let Some(whole) = quantiles(report, MetricName::WakeToRun).filter(|q| q.count > 0) else {
        return Vec::new();
    };
    let placement = quantiles(report, MetricName::Placement);
    let run_queue = quantiles(report, MetricName::RunQueue);
    let bar_width = (width - FIXED).min(BAR_MAX);
    let titles = format!(
        "{}{:>12}{:>12}",
        column("         wake to run", 20 + bar_width),
        "placement",
        "run queue"
    );
    let mut lines = vec![Line::new().add(Paint::Dim, titles)];
    for (label, pick) in ROWS {
        let value = pick(whole);
        let paint = if label == "P99" { Paint::Bold } else { Paint::Plain };
        lines.push(
            Line::new()
                .add(paint, format!("{label:>7}  {:>9}  ", shown(value)))
                .plain(bar(value.unwrap_or_default(), whole.max_ns, bar_width))
                .plain(format!(
                    "{:>12}{:>12}",
                    shown(placement.and_then(pick)),
                    shown(run_queue.and_then(pick))
                )),
        );
    }
    lines
}

fn quantiles(report: &Report, name: MetricName) -> Option<&Quantiles> {
    report.metrics.iter().find(|metric| metric.name == name).map(|metric| &metric.all)
}

fn shown(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), duration)
}
