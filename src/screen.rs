//! The screen after a recording: one Report as text that a person reads from the top down, from
//! how long threads waited, to whom they waited for, to how far all that can be trusted.
//!
//! It does not print and does not ask the terminal: width and colour are the caller's to know.

mod blame;
mod diff;
#[cfg(test)]
mod fixture;
mod health;
mod latency;
mod line;
mod spans;
mod verdict;
mod worst;

use cronx_flamegraph::units::{count, duration};
use cronx_recording::{LoadEnd, Report, Target, Untrusted};

pub use diff::diff;
pub use line::fit;
pub use verdict::{GROWN, sentence, verdict, who};

#[cfg(test)]
pub(crate) use verdict::tests as verdict_tests;

use line::{Line, Paint};

/// What the text has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns of the terminal; taken as 60 to 160.
    pub width: usize,
    /// Whether to colour, by SGR codes.
    pub color: bool,
}

/// The screen: lines that are never wider than the style's width, each with its line end.
pub fn render(report: &Report, style: &Style) -> String {
    let width = style.width.clamp(60, 160);
    let sections = [
        headline(report, width),
        latency::lines(report, width),
        blame::lines(report, width),
        worst::lines(report, width),
        spans::lines(report, width),
        health::lines(report, width),
    ];
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        for line in section {
            text.push_str(&line.render(width, style.color));
            text.push('\n');
        }
    }
    text
}

/// What was recorded, and how much of it there was.
fn headline(report: &Report, width: usize) -> Vec<Line> {
    let of = &report.provenance;
    let what = match &of.target {
        Target::Command { argv } => joined(argv.iter().map(|arg| arg.terminal().to_string())),
        Target::Processes { pids } => format!("processes {}", joined(pids)),
        Target::Threads { names } => {
            format!(
                "threads named {}",
                joined(names.iter().map(|name| name.terminal().to_string()))
            )
        }
        Target::Cgroup { path } => format!("cgroup {}", path.terminal()),
        Target::All => "every thread".to_owned(),
    };
    let title =
        format!("Recorded {} for {}", line::fit(&what, width - 30), duration(of.duration_ns));
    let mut lines = vec![Line::new().add(Paint::Bold, title), totals(report)];
    let kernel = format!(
        "Linux {} {}, {}",
        line::fit(&of.kernel.terminal().to_string(), 40),
        Untrusted::from(of.machine.as_str()).terminal(),
        plural(u64::from(of.online_cpus), "CPU"),
    );
    lines.push(Line::new().add(Paint::Dim, kernel));
    lines.extend(load_end(of.load).map(|text| Line::new().add(Paint::Loud, text)));
    lines
}

/// How many waits with a record, how long in all, how many of them missed the objective.
fn totals(report: &Report) -> Line {
    let mut line = Line::new().plain(plural(report.waits, "wait"));
    if report.waits > 0 {
        line = line.plain(format!(", {} in all", duration(report.waited_ns)));
    }
    match (report.objective_ns, report.misses) {
        (Some(objective_ns), Some(misses)) => {
            let paint = if misses > 0 { Paint::Bold } else { Paint::Plain };
            let objective = duration(objective_ns);
            line.plain("; ").add(paint, format!("{} longer than {objective}", count(misses)))
        }
        _ => line,
    }
}

/// How the load ended, where that is worth a line.
fn load_end(end: Option<LoadEnd>) -> Option<String> {
    match end? {
        LoadEnd::Exited(0) => None,
        LoadEnd::Exited(status) => Some(format!("The load exited with status {status}")),
        LoadEnd::Signaled(signal) => Some(format!("Signal {signal} ended the load")),
        LoadEnd::Running => Some("The load was still running at the end".to_owned()),
    }
}

fn joined<T: ToString>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| word.to_string()).collect::<Vec<_>>().join(" ")
}

fn plural(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
