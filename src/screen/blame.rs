//! The blame of the tail, by class and by culprit, under one sentence that says the most of it.

use cronx_flamegraph::units::{count, duration, percent};
use cronx_recording::{Class, ClassBlame, Culprit, CulpritBlame, Report, Tail, histogram};

use super::line::{Line, Paint, bar, column, fit, width, wrap};
use super::plural;

/// Culprits named one by one; the rest is one row.
const CULPRITS: usize = 5;
/// Columns of the class names and of culprits' names; a culprit's may have more if there is room.
const CLASS_WIDTH: usize = 9;
const NAME_MAX: usize = 40;
/// Columns of a row besides name and bar: share and length.
const FIGURES: usize = 16;
const INDENT: usize = 2;
const GAP: usize = 3;

/// Never empty: without waits it says that there were none.
pub(crate) fn lines(report: &Report, columns: usize) -> Vec<Line> {
    if report.waits == 0 {
        return vec![Line::new().add(Paint::Bold, none(report))];
    }
    let (sentence, blame) = match &report.tail {
        Some(tail) => (of_tail(report, tail), Blame::of_tail(tail)),
        None => (of_all(report), Blame::of_all(report)),
    };
    let mut lines = wrap(Paint::Bold, &sentence, columns);
    lines.extend(blame.table(columns));
    lines
}

/// That nobody waited is said only where nothing speaks against it.
fn none(report: &Report) -> &'static str {
    let (boundary, health) = (report.boundary, &report.health);
    let cut_off =
        report.censored.count > 0 || boundary.open_unknown > 0 || boundary.close_unknown > 0;
    let gone = health.lost.max(health.missing).max(health.recursion_misses) > 0
        || health.storage_failures > 0
        || health.torn.is_some();
    if cut_off || gone {
        "No complete wait for a CPU was recorded."
    } else {
        "No thread waited for a CPU."
    }
}

/// "Of 412 ms waited in the 43 waits at or above P99 (3.10 ms), 61 % was compactor."
fn of_tail(report: &Report, tail: &Tail) -> String {
    // An objective above P99 is the threshold, give or take the nanosecond that makes it a miss.
    let at_p99 = report.objective_ns.is_none_or(|objective| tail.threshold_ns > objective + 1);
    let threshold = duration(tail.threshold_ns);
    let which = if at_p99 {
        format!("at or above P99 ({threshold})")
    } else {
        format!("of {threshold} or longer")
    };
    let waits = match tail.waits {
        1 => "wait".to_owned(),
        n => format!("{} waits", count(n)),
    };
    format!(
        "Of {} waited in the {waits} {which}, {}.",
        duration(tail.waited_ns),
        most(&tail.culprits, tail.waited_ns)
    )
}

fn of_all(report: &Report) -> String {
    let needed = histogram::CARRIES.iter().find(|(q, _)| *q >= 0.99).map_or(0, |(_, n)| *n);
    let are = if report.waits == 1 { "is" } else { "are" };
    format!(
        "{} {are} too few for a P99, which wants {needed}. Of the {} waited in all, {}.",
        plural(report.waits, "wait"),
        duration(report.waited_ns),
        most(&report.culprits, report.waited_ns)
    )
}

fn most(culprits: &[CulpritBlame], whole_ns: u64) -> String {
    let Some(first) = culprits.first() else { return "nothing is known".to_owned() };
    let share = percent(first.waited_ns, whole_ns);
    let name = fit(&first.culprit.name.terminal().to_string(), NAME_MAX);
    let whose = match first.class {
        Class::Irq => format!("the interrupt {name}"),
        Class::Softirq => format!("the softirq {name}"),
        Class::IdleExit => "a CPU leaving idle".to_owned(),
        Class::Idle => "an idle CPU".to_owned(),
        Class::Placement => "before any queue had the thread".to_owned(),
        Class::Throttled => "a cgroup out of quota".to_owned(),
        Class::Steal => "the hypervisor".to_owned(),
        Class::Unknown => "without evidence".to_owned(),
        _ if name.is_empty() => "a task without a name".to_owned(),
        _ => name,
    };
    format!("{share} was {whose}")
}

/// A culprit by its name, its process beside it where that has another one.
pub(crate) fn name(class: Class, culprit: &Culprit) -> String {
    let shown = culprit.name.terminal().to_string();
    match class {
        _ if shown.is_empty() => format!("({})", absent(class)),
        _ if !culprit.process.raw().is_empty() && culprit.process != culprit.name => {
            format!("{shown} ({})", culprit.process.terminal())
        }
        _ => shown,
    }
}

/// What to say where a class has no culprit, or its name is empty.
const fn absent(class: Class) -> &'static str {
    match class {
        Class::IdleExit => "leaving idle",
        Class::Idle => "idle CPU",
        Class::Placement => "not queued yet",
        Class::Throttled => "out of quota",
        Class::Steal => "hypervisor",
        Class::Unknown => "no evidence",
        _ => "not named",
    }
}

/// What the two tables show.
struct Blame<'a> {
    whole_ns: u64,
    classes: &'a [ClassBlame],
    culprits: &'a [CulpritBlame],
}

impl<'a> Blame<'a> {
    fn of_tail(tail: &'a Tail) -> Self {
        Self { whole_ns: tail.waited_ns, classes: &tail.blame, culprits: &tail.culprits }
    }

    fn of_all(report: &'a Report) -> Self {
        Self { whole_ns: report.waited_ns, classes: &report.blame, culprits: &report.culprits }
    }

    /// Classes at the left, culprits at the right.
    fn table(&self, columns: usize) -> Vec<Line> {
        // Below 80 columns there is no room for bars: the figures say the same.
        let bars = if columns < 80 { 0 } else { 6 + (columns - 80) / 5 };
        let left = INDENT + CLASS_WIDTH + 1 + bars + usize::from(bars > 0) + FIGURES - 1;
        let room = columns - left - GAP - FIGURES - bars - usize::from(bars > 0);
        let name_width = self.longest_name().min(room);
        let mut classes = self.class_rows(bars).into_iter();
        let mut culprits = self.culprit_rows(name_width, bars).into_iter();
        let mut lines = Vec::new();
        loop {
            let (class, culprit) = (classes.next(), culprits.next());
            if class.is_none() && culprit.is_none() {
                return lines;
            }
            let class = class.unwrap_or_default();
            lines.push(class.beside(left + GAP, culprit.unwrap_or_default()));
        }
    }

    /// Columns for the longest name that is shown, or for what stands for the rest.
    fn longest_name(&self) -> usize {
        let shown = self.culprits.iter().take(CULPRITS + 1);
        let widths = shown.map(|blame| width(&self.label(blame)));
        widths.max().unwrap_or(0).clamp("and 256 more".len(), NAME_MAX)
    }

    /// The culprit's name; its thread's number too where another culprit has the same name.
    fn label(&self, blame: &CulpritBlame) -> String {
        let label = name(blame.class, &blame.culprit);
        let alike = |other: &&CulpritBlame| other.culprit.name == blame.culprit.name;
        let number = blame.culprit.tid;
        if number != 0 && self.culprits.iter().filter(alike).count() > 1 {
            return format!("{label} {number}");
        }
        label
    }

    /// The label where there is room for it; else the name alone.
    fn short_label(&self, blame: &CulpritBlame, columns: usize) -> String {
        let label = self.label(blame);
        let alone = blame.culprit.name.terminal().to_string();
        if width(&label) <= columns || alone.is_empty() { label } else { alone }
    }

    fn class_rows(&self, bars: usize) -> Vec<Line> {
        let rows = self.classes.iter().map(|blame| {
            let name = column(blame.class.name(), CLASS_WIDTH);
            let start = Line::new().plain(" ".repeat(INDENT)).plain(name);
            self.figures(start, blame.class, blame.waited_ns, bars)
        });
        rows.collect()
    }

    fn culprit_rows(&self, name_width: usize, bars: usize) -> Vec<Line> {
        // A row for one is not shorter than the one itself.
        let shown = if self.culprits.len() == CULPRITS + 1 { CULPRITS + 1 } else { CULPRITS };
        let (named, rest) = self.culprits.split_at(shown.min(self.culprits.len()));
        let mut rows: Vec<_> = named
            .iter()
            .map(|blame| {
                let name = column(&self.short_label(blame, name_width), name_width);
                self.figures(Line::new().plain(name), blame.class, blame.waited_ns, bars)
            })
            .collect();
        if !rest.is_empty() {
            let text = column(&format!("and {} more", rest.len()), name_width);
            let sum = rest.iter().map(|blame| blame.waited_ns).fold(0, u64::saturating_add);
            let start = Line::new().add(Paint::Dim, text);
            rows.push(self.figures(start, Class::Unknown, sum, bars));
        }
        rows
    }

    fn figures(&self, start: Line, class: Class, ns: u64, bars: usize) -> Line {
        let share = percent(ns, self.whole_ns);
        let start = match bars {
            0 => start,
            _ => start.plain(" ").add(Paint::Of(class), bar(ns, self.whole_ns, bars)),
        };
        start.plain(format!("{share:>7}{:>9}", duration(ns)))
    }
}
