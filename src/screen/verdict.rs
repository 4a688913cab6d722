//! A verdict as text: what was asked, the answer, by what figures or why not, and whose blame grew.

use cronx_flamegraph::units::{count, duration};
use cronx_gate::growth::Growth;
use cronx_gate::verdict::{BudgetFigures, Check, ComparisonFigures, Figures};
use cronx_gate::{Decision, Verdict};
use cronx_recording::Untrusted;

use super::Style;
use super::blame::absent;
use super::line::{Line, Paint, column, fit, wrap};

/// Culprits that are named.
pub const GROWN: usize = 3;
/// Reasons that are told, and of each so much.
const REASONS: usize = 5;
const REASON_MAX: usize = 400;
const NAME_MAX: usize = 36;

/// Lines that are never wider than the style's width, each with its line end.
pub fn verdict(verdict: &Verdict, style: &Style) -> String {
    let width = style.width.clamp(60, 160);
    let mut lines: Vec<_> = verdict.checks.iter().flat_map(|c| check(c, width)).collect();
    if verdict.decision != Decision::Pass {
        lines.extend(grown(&verdict.grown));
    }
    let rendered = lines.iter().map(|line| line.render(width, style.color) + "\n");
    rendered.collect()
}

fn check(check: &Check, width: usize) -> Vec<Line> {
    let (word, paint) = match check.decision {
        Decision::Pass => ("PASS", Paint::Bold),
        Decision::Regression => ("REGRESSION", Paint::Loud),
        Decision::Inconclusive => ("INCONCLUSIVE", Paint::Loud),
    };
    let name = fit(&check.name.terminal().to_string(), REASON_MAX);
    let mut lines = wrap(paint, &format!("{word}: {name}"), width);
    let figures = check.figures.as_ref();
    lines.extend(figures.iter().flat_map(|f| wrap(Paint::Plain, &figures_of(f), width)));
    lines.extend(figures.iter().flat_map(|f| wrap(Paint::Dim, &beside(f), width)));
    let reasons = check.reasons.iter().take(REASONS);
    lines.extend(reasons.flat_map(|r| reason("why not", &r.says, width)));
    let aside = check.set_aside.iter().take(REASONS);
    lines.extend(aside.flat_map(|r| reason("set aside", &r.says, width)));
    let told = check.reasons.len().min(REASONS) + check.set_aside.len().min(REASONS);
    let more = check.reasons.len() + check.set_aside.len() - told;
    if more > 0 {
        lines.push(Line::new().add(Paint::Dim, format!("and {more} more reasons")));
    }
    lines
}

fn reason(what: &str, says: &Untrusted, width: usize) -> Vec<Line> {
    let says = fit(&says.terminal().to_string(), REASON_MAX);
    wrap(Paint::Plain, &format!("{what}: {says}"), width)
}

/// The answer in one sentence: the first reason, or else the figures.
pub fn sentence(check: &Check) -> Untrusted {
    match (check.reasons.first(), &check.figures) {
        (Some(reason), _) => reason.says.clone(),
        (None, Some(figures)) => figures_of(figures).into(),
        (None, None) => "nothing was measured".into(),
    }
}

fn figures_of(figures: &Figures) -> String {
    match figures {
        Figures::Budget(figures) => budget(figures),
        Figures::Comparison(figures) => comparison(figures),
    }
}

fn budget(figures: &BudgetFigures) -> String {
    let value = duration(figures.value_ns);
    let interval = figures
        .value_interval_ns
        .map(|(low, high)| format!(", with 95 % between {} and {}", duration(low), duration(high)))
        .unwrap_or_default();
    let (low, high) = figures.share_interval;
    format!(
        "{value} of {} values{interval}; {:.3} % reach {}, with 95 % between {:.3} % and {:.3} %, and \
         {:.1} % may",
        count(figures.count),
        figures.share * 100.0,
        duration(figures.limit_ns),
        low * 100.0,
        high * 100.0,
        figures.allowed * 100.0
    )
}

fn comparison(figures: &ComparisonFigures) -> String {
    format!(
        "{}, between {} and {}: {} before and {} now, in {} recordings of each",
        growth(figures.ratio),
        growth(figures.lower),
        growth(figures.upper),
        duration(figures.base_ns as u64),
        duration(figures.candidate_ns as u64),
        figures.recordings
    )
}

/// `+12.5 %`
fn growth(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// What decides nothing and says how far to trust it.
fn beside(figures: &Figures) -> String {
    match figures {
        Figures::Budget(figures) => {
            let blocks = figures.bootstrap_interval.map(|(low, high)| {
                let (low, high) = (low * 100.0, high * 100.0);
                format!("; drawing blocks again gives {low:.3} % to {high:.3} %")
            });
            format!(
                "they count as {} by how they cluster ({:.1} to one){}",
                count(figures.effective as u64),
                figures.design_effect,
                blocks.unwrap_or_default()
            )
        }
        Figures::Comparison(figures) => {
            let sign_flip = figures.sign_flip_p.map(|p| format!("; sign-flip p {p:.2}"));
            format!(
                "each bound is wrong once in {:.0}{}; {} would have been found four times in five",
                1.0 / figures.alpha,
                sign_flip.unwrap_or_default(),
                growth(figures.detectable)
            )
        }
    }
}

fn grown(grown: &[Growth]) -> Vec<Line> {
    if grown.is_empty() {
        return Vec::new();
    }
    let title = "What grew most, for each wait of the tail";
    let title = Line::new().add(Paint::Bold, title);
    std::iter::once(title).chain(grown.iter().take(GROWN).map(row)).collect()
}

/// `  foreign    compactor (rocksdb)     120 µs ->    900 µs`
pub(crate) fn row(growth: &Growth) -> Line {
    let who = fit(&who(growth).terminal().to_string(), NAME_MAX);
    Line::new()
        .add(Paint::Of(growth.class), format!("  {}", column(growth.class.name(), 10)))
        .plain(column(&who, NAME_MAX))
        .plain(format!("{:>10} -> ", duration(growth.before_ns as u64)))
        .plain(format!("{:>8}", duration(growth.after_ns as u64)))
}

/// The culprit, its process beside it where that has another name; in words where there is none.
pub fn who(growth: &Growth) -> Untrusted {
    let (name, process) = (growth.name.raw(), growth.process.raw());
    if name.is_empty() {
        return format!("({})", absent(growth.class)).into();
    }
    if process.is_empty() || name == process {
        return growth.name.clone();
    }
    format!("{name} ({process})").into()
}

#[cfg(test)]
pub(crate) mod tests;
