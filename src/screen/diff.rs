//! Two recordings beside each other: their P99, and whose blame grew or shrank.

use cronx_flamegraph::units::{count, duration};
use cronx_gate::growth::Growth;
use cronx_recording::{MetricName, Report};

use super::Style;
use super::line::{Line, Paint};
use super::verdict::row;

/// Culprits of each kind.
const MOST: usize = 5;

/// Lines that are never wider than the style's width, each with its line end.
pub fn diff(base: &Report, candidate: &Report, grown: &[Growth], style: &Style) -> String {
    let mut lines = vec![Line::new().plain(p99(base, candidate))];
    let grew: Vec<_> = grown.iter().filter(|g| g.by_ns() >= 1.0).take(MOST).collect();
    let shrank = grown.iter().rev().filter(|g| g.by_ns() <= -1.0).take(MOST).collect();
    for (title, rows) in [("What grew", grew), ("What shrank", shrank)] {
        if rows.is_empty() {
            continue;
        }
        let title = format!("{title} most, for each wait of the tail");
        lines.extend([Line::new(), Line::new().add(Paint::Bold, title)]);
        lines.extend(rows.into_iter().map(row));
    }
    let width = style.width.clamp(60, 160);
    lines.iter().map(|line| line.render(width, style.color) + "\n").collect()
}

fn p99(base: &Report, candidate: &Report) -> String {
    let of = |report: &Report| {
        let metric = report.metrics.iter().find(|metric| metric.name == MetricName::WakeToRun);
        let p99 = metric.and_then(|metric| metric.all.p99_ns);
        let p99 = p99.map_or_else(|| "no P99".to_owned(), |ns| format!("P99 {}", duration(ns)));
        format!("{p99} of {} waits", count(report.waits))
    };
    format!("before: {}; now: {}", of(base), of(candidate))
}
