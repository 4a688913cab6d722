//! The flamegraph of lateness: below each job, and each name of a span, what its time went to.

use std::io::Write;

use cronx_recording::{Announced, Class, Part, Report};
use inferno::flamegraph::color::{Color, PaletteMap};
use inferno::flamegraph::from_lines;

use crate::{Error, folded, svg, units};

const TITLE: &str = "What lateness went to";

/// What all waits of a job or span are called; its other parts have their own names.
const WAITS: &str = "waits";

/// Writes the flamegraph as SVG for a browser: process, job or span, part, and of waits the class and
/// the culprit; width is nanoseconds. False, and nothing written, if nothing was announced.
pub fn write_lateness_svg(report: &Report, out: impl Write) -> Result<bool, Error> {
    let lines = lines(report);
    if lines.is_empty() {
        return Ok(false);
    }
    let mut palette = palette();
    let mut options = svg::options(TITLE, subtitle(report), &mut palette);
    from_lines(&mut options, lines.iter().map(String::as_str), out)?;
    Ok(true)
}

fn lines(report: &Report) -> Vec<String> {
    let spans = report.spans.iter();
    let all = spans.flat_map(|spans| spans.jobs.iter().chain(&spans.spans));
    let mut lines: Vec<_> = all.flat_map(of_one).collect();
    lines.sort();
    lines
}

fn of_one(row: &Announced) -> Vec<String> {
    let whose = format!("{};{}", folded::frame(&row.process), folded::frame(&row.name));
    let whose =
        whose.strip_prefix('#').map_or_else(|| whose.clone(), |rest| format!(r"\x23{rest}"));
    let parts = row.all.parts.iter().filter(|share| !share.part.is_wait());
    let parts = parts.map(|share| (share.part.name().to_owned(), share.length_ns));
    let culprits = row.all.culprits.iter().map(|blame| {
        let mut frames = format!("{WAITS};{}", blame.class.name());
        if !blame.culprit.name.raw().is_empty() {
            let mut culprit = folded::frame(&blame.culprit.name);
            folded::guard_number(&mut culprit);
            frames = format!("{frames};{culprit}");
        }
        (frames, blame.waited_ns)
    });
    let all = parts.chain(culprits).filter(|(_, length_ns)| *length_ns > 0);
    all.map(|(frames, length_ns)| format!("{whose};{frames} {length_ns}")).collect()
}

fn subtitle(report: &Report) -> String {
    let Some(spans) = &report.spans else { return String::new() };
    let count = |rows: &[Announced]| rows.iter().map(|row| row.all.count).sum::<u64>();
    format!(
        "{} firings, {} spans. From the top: process, job or span, part, and what waits were for",
        units::count(count(&spans.jobs)),
        units::count(count(&spans.spans)),
    )
}

/// Parts and classes in colours of their own.
fn palette() -> PaletteMap {
    let mut palette = PaletteMap::default();
    for class in Class::ALL {
        palette.insert(class.name(), svg::class_color(class));
    }
    for (part, (r, g, b)) in [
        (Part::Breaker, (208, 108, 128)),
        (Part::Timer, (150, 180, 214)),
        (Part::ShardRuns, (170, 204, 140)),
        (Part::ShardBlocked, (186, 134, 120)),
        (Part::Queue, (236, 190, 92)),
        (Part::WorkerRuns, (150, 196, 122)),
        (Part::WorkerBlocked, (198, 142, 112)),
        (Part::Runs, (150, 196, 122)),
        (Part::Blocked, (198, 142, 112)),
        (Part::Unknown, (172, 172, 172)),
    ] {
        palette.insert(part.name(), Color { r, g, b });
    }
    palette.insert(WAITS, Color { r: 226, g: 128, b: 72 });
    palette
}

#[cfg(test)]
mod tests {
    use cronx_recording::{
        Budget, Culprit, CulpritBlame, Listened, PartShare, Quantiles, Spans, Untrusted,
    };

    use super::*;
    use crate::fixture::{CANARY, report};

    fn budget() -> Budget {
        let culprit = Culprit { name: "worker 7".into(), ..Culprit::default() };
        let blame = CulpritBlame { class: Class::Foreign, culprit, waited_ns: 30, interval: None };
        Budget {
            count: 1,
            total_ns: 100,
            parts: vec![
                PartShare { part: Part::Queue, length_ns: 70 },
                PartShare { part: Part::ShardWaits, length_ns: 30 },
            ],
            blame: vec![],
            culprits: vec![blame],
        }
    }

    fn announced(name: impl Into<Untrusted>) -> Report {
        let row = Announced {
            name: name.into(),
            process: "cronx".into(),
            quantiles: Quantiles::default(),
            late: 0,
            all: budget(),
            tail: budget(),
        };
        let spans = Spans {
            listened: Listened::default(),
            records: 1,
            lateness: Quantiles::default(),
            firings: budget(),
            late: Budget::default(),
            jobs: vec![row],
            spans: vec![],
            worst_firings: vec![],
            worst_spans: vec![],
            rejected: vec![],
            flaws: std::collections::BTreeMap::new(),
        };
        Report { spans: Some(spans), ..report(vec![]) }
    }

    #[test]
    fn each_nanosecond_is_in_one_line() {
        let lines = lines(&announced("nightly"));
        assert_eq!(lines, ["cronx;nightly;queue 70", "cronx;nightly;waits;foreign;worker_7 30"]);
    }

    #[test]
    fn nothing_announced_is_no_picture() {
        let mut out = Vec::new();
        assert!(!write_lateness_svg(&report(vec![]), &mut out).unwrap());
        assert!(out.is_empty());
    }

    #[test]
    fn a_name_is_text_and_nothing_else() {
        let mut out = Vec::new();
        assert!(write_lateness_svg(&announced(CANARY), &mut out).unwrap());
        let svg = String::from_utf8(out).unwrap();
        assert!(!svg.contains("</script>::error"), "{svg}");
        assert!(!svg.contains('\x1b'));
    }
}
