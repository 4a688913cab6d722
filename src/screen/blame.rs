//! The blame of the tail, by class and by culprit, under one sentence that says the most of it.

use cronx_flamegraph::units::{count, duration, percent};
use cronx_recording::{
    Class, ClassBlame, Culprit, CulpritBlame, Metric, MetricName, Report, ShareInterval, Tail,
    WhatIf, histogram,
};

use super::line::{Line, Paint, bar, column, fit, width, wrap};
use super::plural;

/// Of what P99 would be without something.
const WHAT_IFS: usize = 3;
/// Culprits named one by one; the rest is one row.
const CULPRITS: usize = 5;
/// Columns of the class names and of culprits' names; a culprit's may have more if there is room.
const CLASS_WIDTH: usize = 9;
const NAME_MAX: usize = 40;
/// Columns of a row besides name and bar: share and length, and how sure the share is.
const FIGURES: usize = 16;
const SURE: usize = 4;
const INDENT: usize = 2;
const GAP: usize = 3;

/// Never empty: without waits it says that there were none.
pub(crate) fn lines(report: &Report, columns: usize) -> Vec<Line> {
    if report.waits == 0 {
        return wrap(Paint::Bold, &none(report), columns);
    }
    let (sentence, blame) = match &report.tail {
        Some(tail) => (of_tail(report, tail), Blame::of_tail(tail)),
        None => (of_all(report), Blame::of_all(report)),
    };
    let mut lines = wrap(Paint::Bold, &sentence, columns);
    lines.extend(blame.table(columns));
    lines.extend(report.tail.as_ref().and_then(|tail| what_if(report, tail, columns)));
    lines
}

/// What P99 would be without whom it owes most: the largest gains, as many as one line holds.
fn what_if(report: &Report, tail: &Tail, columns: usize) -> Option<Line> {
    let of = |metric: &&Metric| metric.name == MetricName::WakeToRun;
    let p99_ns = report.metrics.iter().find(of)?.all.p99_ns?;
    let mut gains: Vec<_> =
        tail.what_if.iter().filter_map(|what_if| gain(what_if, p99_ns)).collect();
    // Of a class and a culprit with equal gain the culprit says more.
    gains.sort_by_key(|(left_ns, what_if)| (*left_ns, what_if.culprit.is_none()));
    let mut text = "First-order estimate: P99".to_owned();
    for (n, (left_ns, what_if)) in gains.iter().take(WHAT_IFS).enumerate() {
        let parted = if n == 0 { "" } else { "," };
        let next = format!("{parted} {} without {}", duration(*left_ns), taken_out(what_if));
        if n > 0 && width(&text) + width(&next) > columns {
            break;
        }
        text += &next;
    }
    (!gains.is_empty()).then(|| Line::new().plain(text))
}

fn gain(what_if: &WhatIf, p99_ns: u64) -> Option<(u64, &WhatIf)> {
    let left_ns = what_if.p99_ns.filter(|left_ns| *left_ns < p99_ns)?;
    Some((left_ns, what_if))
}

fn taken_out(what_if: &WhatIf) -> String {
    match &what_if.culprit {
        Some(culprit) => fit(&culprit.name.terminal().to_string(), NAME_MAX / 2),
        None => format!("all {}", what_if.class.name()),
    }
}

/// That nobody waited is said only where nothing speaks against it.
fn none(report: &Report) -> String {
    if let Some(spared) = report.spared.filter(|spared| spared.waits > 0 && !spared.left_out) {
        return format!("No thread waited for {} or longer.", duration(spared.floor_ns));
    }
    let (boundary, health) = (report.boundary, &report.health);
    let cut_off =
        report.censored.count > 0 || boundary.open_unknown > 0 || boundary.close_unknown > 0;
    let gone = health.lost.max(health.missing).max(health.recursion_misses) > 0
        || health.storage_failures > 0
        || health.torn.is_some();
    if cut_off || gone {
        "No complete wait for a CPU was recorded.".to_owned()
    } else {
        "No thread waited for a CPU.".to_owned()
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
    let sure = first.interval.map(plus_minus).unwrap_or_default();
    format!("{share}{sure} was {whose}")
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
pub(crate) const fn absent(class: Class) -> &'static str {
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
        let figures = FIGURES + self.sure();
        // Below 80 columns there is no room for bars: the figures say the same.
        let bars = if columns < 80 { 0 } else { 6 + (columns - 80) / 5 - self.sure() / 2 };
        let left = INDENT + CLASS_WIDTH + 1 + bars + usize::from(bars > 0) + figures - 1;
        let room = columns - left - GAP - figures - bars - usize::from(bars > 0);
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

    /// Columns for how sure a share is: none where that is not known of any.
    fn sure(&self) -> usize {
        let known = self.classes.iter().any(|class| class.interval.is_some());
        if known { SURE } else { 0 }
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
            self.figures(start, blame.class, (blame.waited_ns, blame.interval), bars)
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
                let figures = (blame.waited_ns, blame.interval);
                self.figures(Line::new().plain(name), blame.class, figures, bars)
            })
            .collect();
        if !rest.is_empty() {
            let text = column(&format!("and {} more", rest.len()), name_width);
            let sum = rest.iter().map(|blame| blame.waited_ns).fold(0, u64::saturating_add);
            let start = Line::new().add(Paint::Dim, text);
            rows.push(self.figures(start, Class::Unknown, (sum, None), bars));
        }
        rows
    }

    fn figures(
        &self,
        start: Line,
        class: Class,
        (ns, interval): (u64, Option<ShareInterval>),
        bars: usize,
    ) -> Line {
        let share = percent(ns, self.whole_ns);
        let start = match bars {
            0 => start,
            _ => start.plain(" ").add(Paint::Of(class), bar(ns, self.whole_ns, bars)),
        };
        let sure = column(&interval.map(plus_minus).unwrap_or_default(), self.sure());
        let start = start.plain(format!("{share:>7}")).add(Paint::Dim, sure);
        start.plain(format!("{:>9}", duration(ns)))
    }
}

/// Half the width of the interval, in percent of the whole.
fn plus_minus(interval: ShareInterval) -> String {
    format!(" ±{:.0}", ((interval.high - interval.low) * 50.0).clamp(0.0, 50.0))
}
