//! What programs announced of themselves: jobs by lateness, spans by length, the worst of each as a
//! timeline of named parts, and what breakers let not pass.

use cronx_flamegraph::units::{count, duration, percent};
use cronx_recording::{
    Announced, Budget, Explained, Part, PartReport, PutOff, Rejected, Report, Spans, Untrusted,
};

use super::line::{Line, Paint, bar, column, fit, wrap};
use super::{blame, plural};

/// Jobs and spans shown; the Report has more.
const ROWS: usize = 4;
/// Lines of parts that the worst may have.
const PARTS: usize = 7;
/// Parts named beside a row.
const NAMED: usize = 2;
const NAME: usize = 20;
const BAR: usize = 10;
/// Columns of a sentence of which a part is anybody's.
const SENTENCE_MAX: usize = 300;

/// Nothing if nobody listened, or there was nothing to listen to.
pub(crate) fn lines(report: &Report, width: usize) -> Vec<Line> {
    let Some(spans) = &report.spans else { return Vec::new() };
    let mut lines = Vec::new();
    if spans.firings.count > 0 {
        lines.extend(wrap(Paint::Bold, &firings(spans), width));
        lines.extend(rows("job", &spans.jobs));
        lines.extend(worst(spans.worst_firings.first()));
    }
    if !spans.rejected.is_empty() {
        lines.extend(wrap(Paint::Bold, &rejected(&spans.rejected), width));
        lines.extend(rejected_rows(&spans.rejected));
    }
    if !spans.spans.is_empty() {
        lines.push(Line::new().add(Paint::Bold, "What the spans' time went to"));
        lines.extend(rows("span", &spans.spans));
        lines.extend(worst(spans.worst_spans.first()));
    }
    lines.extend(trust(spans).iter().flat_map(|(paint, text)| wrap(*paint, text, width)));
    lines
}

/// `Lateness of 1,200 firings: P50 80.0 µs, P99 3.20 ms, longest 4.10 ms. Of 31.0 ms that 12 were
/// late, 81 % was the worker's waiting.`
fn firings(spans: &Spans) -> String {
    let lateness = &spans.lateness;
    let shown = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), duration);
    format!(
        "Lateness of {}: P50 {}, P99 {}, longest {}.{}",
        plural(lateness.count, "firing"),
        shown(lateness.p50_ns),
        shown(lateness.p99_ns),
        duration(lateness.max_ns),
        late(&spans.late),
    )
}

fn late(late: &Budget) -> String {
    if late.count == 0 {
        return String::new();
    }
    let (total, count) = (duration(late.total_ns), count(late.count));
    format!(" Of the {total} of {count} late ones: {}.", parts(late))
}

fn rows(what: &str, all: &[Announced]) -> Vec<Line> {
    let titles = format!(
        "  {}{:>9}{:>11}{:>11}   where the longest ones' time went",
        column(what, NAME),
        "count",
        "P99",
        "max"
    );
    let mut lines = vec![Line::new().add(Paint::Dim, titles)];
    lines.extend(all.iter().take(ROWS).map(row));
    lines.extend(more(all.len()));
    lines
}

fn row(announced: &Announced) -> Line {
    let quantiles = &announced.quantiles;
    let p99 = quantiles.p99_ns.map_or_else(|| "-".to_owned(), duration);
    let figures =
        format!("{:>9}{p99:>11}{:>11}   ", count(quantiles.count), duration(quantiles.max_ns));
    Line::new()
        .plain("  ")
        .add(Paint::Bold, column(&announced.name.terminal().to_string(), NAME))
        .plain(figures + &parts(&announced.tail))
}

/// `Breakers rejected 12 attempts. After 3 of them the firing is tried again.`
fn rejected(rows: &[Rejected]) -> String {
    let sum = |of: fn(&Rejected) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    let (all, put_off) = (sum(|row| row.count), sum(|row| row.put_off));
    let rejected = format!("Breakers rejected {}", plural(all, "attempt"));
    match put_off {
        0 => format!("{rejected}. None is tried again."),
        _ => format!("{rejected}. After {} of them the firing is tried again.", count(put_off)),
    }
}

fn rejected_rows(rows: &[Rejected]) -> Vec<Line> {
    let titles = format!(
        "  {}{:>9}{:>9}   by which breaker, and why",
        column("job", NAME),
        "count",
        "put off"
    );
    let mut lines = vec![Line::new().add(Paint::Dim, titles)];
    lines.extend(rows.iter().take(ROWS).map(|row| {
        let figures = format!("{:>9}{:>9}   ", count(row.count), count(row.put_off));
        Line::new()
            .plain("  ")
            .add(Paint::Bold, column(&row.name.terminal().to_string(), NAME))
            .plain(figures + &why([&row.breaker, &row.state, &row.rule]))
    }));
    lines.extend(more(rows.len()));
    lines
}

/// `ledger is open (consecutive)`
fn why([breaker, state, rule]: [&Untrusted; 3]) -> String {
    let [breaker, state, rule] =
        [breaker, state, rule].map(|word| fit(&word.terminal().to_string(), NAME));
    format!("{breaker} is {state} ({rule})")
}

/// How many rows are not shown.
fn more(rows: usize) -> Option<Line> {
    let more = rows.checked_sub(ROWS).filter(|more| *more > 0)?;
    Some(Line::new().add(Paint::Dim, format!("  and {} more", count(more as u64))))
}

/// The largest parts, and of waits who was waited for most.
fn parts(budget: &Budget) -> String {
    let shares = budget.parts.iter().filter(|share| share.length_ns > 0).take(NAMED);
    let named = shares.map(|share| {
        let text = format!("{} {}", percent(share.length_ns, budget.total_ns), words(share.part));
        match budget.culprits.first().filter(|_| share.part.is_wait()) {
            Some(most) => {
                format!("{text} ({})", fit(&blame::name(most.class, &most.culprit), NAME))
            }
            None => text,
        }
    });
    named.collect::<Vec<_>>().join(", ")
}

fn words(part: Part) -> String {
    part.name().replace('_', " ")
}

/// One as a timeline.
fn worst(explained: Option<&Explained>) -> Vec<Line> {
    let Some(explained) = explained else { return Vec::new() };
    let name = fit(&explained.name.terminal().to_string(), NAME);
    let process = fit(&explained.process.terminal().to_string(), NAME);
    let head =
        format!("{:>9}  {name} {} ({process})", duration(explained.total_ns), explained.number);
    let at = explained.at_ns as f64 / 1e9;
    let mut lines = vec![
        Line::new()
            .add(Paint::Bold, head)
            .add(Paint::Dim, format!("  at {at:.3} s in thread {}", explained.tid)),
    ];
    let (shown, rest) = longest(&explained.parts);
    lines.extend(shown.into_iter().map(|part| line(part, explained.total_ns)));
    if rest.0 > 0 {
        let text =
            format!("{:>11}{}  {:>9}  and {} more", "", " ".repeat(BAR), duration(rest.1), rest.0);
        lines.push(Line::new().add(Paint::Dim, text));
    }
    lines
}

/// The longest parts in the order of time; how many others there are, and their sum.
fn longest(parts: &[PartReport]) -> (Vec<&PartReport>, (usize, u64)) {
    let mut shown: Vec<_> = parts.iter().collect();
    shown.sort_by_key(|part| std::cmp::Reverse(part.length_ns));
    let rest = shown.split_off(shown.len().min(PARTS));
    shown.sort_by_key(|part| part.from_ns);
    (shown, (rest.len(), rest.iter().fold(0, |sum, part| sum.saturating_add(part.length_ns))))
}

fn line(part: &PartReport, whole_ns: u64) -> Line {
    let most = part.tiles.iter().max_by_key(|tile| tile.length_ns);
    let paint = most.map_or(Paint::Plain, |tile| Paint::Of(tile.class));
    let mut line = Line::new()
        .plain(" ".repeat(11))
        .add(paint, bar(part.length_ns, whole_ns, BAR))
        .plain(format!("  {:>9}  ", duration(part.length_ns)))
        .add(paint, column(&words(part.part), 15));
    if let Some(PutOff { times, breaker, state, rule }) = &part.breaker {
        let times = if *times == 1 { String::new() } else { format!(", {} times", count(*times)) };
        line = line.plain(why([breaker, state, rule]) + &times);
    }
    if let Some(tile) = most {
        let name = fit(&blame::name(tile.class, &tile.culprit), 2 * NAME);
        let most = if tile.length_ns == part.length_ns { "for " } else { "most for " };
        line = line.plain(format!("{most}{name}"));
    }
    line
}

/// How far all of it can be trusted.
fn trust(spans: &Spans) -> Vec<(Paint, String)> {
    let listened = &spans.listened;
    let mut sentences = Vec::new();
    if listened.lost > 0 {
        let text = format!("SPANS LOST: {} at a full ring.", plural(listened.lost, "record"));
        sentences.push((Paint::Loud, text));
    }
    let flaws: Vec<_> =
        spans.flaws.iter().map(|(kind, n)| format!("{} {}", text(kind), count(*n))).collect();
    if !flaws.is_empty() {
        sentences.push((Paint::Plain, format!("not explained: {}", flaws.join(", "))));
    }
    for binary in &listened.binaries {
        let path = text(binary.path.raw());
        if let Some(refused) = &binary.refused {
            sentences.push((
                Paint::Plain,
                format!("not all of {path} is heard: {}", text(refused.raw())),
            ));
        }
    }
    if !listened.binaries.is_empty() && spans.records == 0 {
        let heard: Vec<_> =
            listened.binaries.iter().map(|binary| text(binary.path.raw())).collect();
        sentences.push((
            Paint::Plain,
            format!("listened to {}, which announced nothing", heard.join(", ")),
        ));
    }
    sentences
}

fn text(text: &str) -> String {
    fit(&Untrusted::from(text).terminal().to_string(), SENTENCE_MAX)
}
