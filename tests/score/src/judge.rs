//! One recording of a case -> its row, and whether the bars hold.

mod chain;
mod counted;
mod quota;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use cronx_abi::TaskKey;
use cronx_blame::{Options, TiledWait, Who};
use cronx_recording::Class;
use serde::Serialize;

use crate::cases::{Case, Truth};
use crate::log::Thread;
use crate::oracles;
use crate::rules::{ByRule, RULES};
use crate::score::{self, Figures};
use crate::slices::{self, Slices};
use crate::stage::Take;
use crate::truth::{self, Cast, Real, Shares, Stay};

/// Shorter waits are not counted: what a log cannot see would be a large part of them.
const COUNTED_NS: u64 = 100_000;
/// Fewer waits say nothing.
const FEW: usize = 15;
const TOP1_BAR: f64 = 99.0;
const SHARE_BAR: f64 = 3.0;
const UNKNOWN_BAR: f64 = 2.0;
/// A burst of interrupts is longer; a tick, and the hypervisor's way for one, is shorter.
const BURST_NS: u64 = 50_000;
/// Percent that the logs need not know; where it is more, too little is left to judge.
const UNKNOWABLE_BAR: f64 = 20.0;

/// How the note on the largest false certainty begins.
pub const WORST: &str = "the worst of it";

/// What a case gave.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    pub case: &'static str,
    /// How many were counted.
    pub waits: usize,
    /// Percent; `None` where truth does not say it of each wait.
    pub top1: Option<f64>,
    /// Percent.
    pub share_error: Option<f64>,
    /// Percent of the waits' time.
    pub unknown: Option<f64>,
    /// Nanoseconds.
    pub false_certainty: u64,
    pub rules: ByRule<RuleFigures>,
    #[serde(skip)]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub failures: Vec<String>,
    /// Why it did not run.
    #[serde(skip)]
    pub skipped: Option<String>,
}

/// What a rule of thumb makes of the same waits.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct RuleFigures {
    pub top1: Option<f64>,
    pub share_error: Option<f64>,
}

/// All that a judgement looks at.
struct Evidence<'a> {
    take: &'a Take,
    slices: Slices,
    victims: Vec<&'a Thread>,
    /// Every closed wait, the victims' among them.
    everyones: Vec<TiledWait>,
    /// Those that are long enough.
    waits: Vec<TiledWait>,
    cast: Cast,
}

impl Row {
    pub fn of(case: &Case) -> Self {
        Self { case: case.name, ..Self::default() }
    }

    /// What was blamed on who did not run, and what no log could have shown.
    fn accuse(&mut self, (false_ns, short_ns): (u64, u64)) {
        self.false_certainty = false_ns;
        if short_ns > 0 {
            self.notes.push(format!("{short_ns} ns in stints too short for a log"));
        }
    }

    fn demand(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(otherwise());
        }
    }
}

/// Holds the recording against the truth.
pub fn judge(case: &Case, take: &Take) -> Result<Row> {
    let mut evidence = evidence(case, take)?;
    if case.truth == Truth::Placed {
        evidence.waits.retain(|wait| truth::is_certain(wait, &take.load.placed));
    }
    if matches!(case.truth, Truth::Logs | Truth::Gaps(_)) {
        evidence.waits.retain(|wait| is_on(wait, 1));
    }
    let mut row = Row { waits: evidence.waits.len(), ..Row::of(case) };
    match case.truth {
        Truth::Logs => by_logs(&evidence, &mut row, u64::MAX, |wait| truth::pinned(wait, 1)),
        Truth::Gaps(class) => {
            by_logs(&evidence, &mut row, BURST_NS, |wait| truth::pinned(wait, 1));
            demand_rest(&evidence, &mut row, &[class]);
        }
        Truth::Placed => {
            let moves = &take.load.placed;
            by_logs(&evidence, &mut row, u64::MAX, |wait| truth::placed(wait, moves));
        }
        Truth::Recorded => by_logs(&evidence, &mut row, u64::MAX, truth::recorded),
        Truth::Quota => quota::alone(&evidence, &mut row)?,
        Truth::QuotaAndHog => quota::beside_a_hog(&evidence, &mut row)?,
        Truth::Workers => counted::workers(&evidence, &mut row),
        Truth::Profiler => counted::profiler(&evidence, &mut row)?,
        Truth::Idle(classes) => counted::idle(&evidence, &mut row, classes),
        Truth::Chain => chain::judge(&evidence, &mut row)?,
    }
    bars(case, &evidence, &mut row);
    witness(&evidence, &mut row);
    Ok(row)
}

fn evidence<'a>(case: &Case, take: &'a Take) -> Result<Evidence<'a>> {
    let victims: Vec<_> =
        take.load.threads.iter().filter(|thread| thread.name == case.victims).collect();
    victims.first().context("no victim wrote its log")?;
    let tids: BTreeSet<_> = victims.iter().map(|thread| thread.tid).collect();
    let mut everyones = cronx_blame::tiles(&take.capture, &Options::default());
    everyones.retain(|wait| !wait.censored);
    let own = everyones.iter().filter(|wait| tids.contains(&wait.victim.tid));
    let own: Vec<_> = own.collect();
    let class = matches!(case.truth, Truth::Quota | Truth::QuotaAndHog).then_some(Class::Throttled);
    let long = |wait: &&TiledWait| wait.close_ns - wait.open_ns >= COUNTED_NS;
    // Where truth is a sum, every wait is a part of it.
    let whole = matches!(case.truth, Truth::Workers | Truth::Profiler | Truth::Idle(_));
    Ok(Evidence {
        take,
        slices: slices::read(&take.capture),
        victims,
        waits: own.iter().copied().filter(|wait| whole || long(wait)).cloned().collect(),
        cast: Cast::new(&take.actors.threads, &seen(&own), class),
        everyones,
    })
}

/// Every task that anything is owed to.
fn seen(waits: &[&TiledWait]) -> Vec<TaskKey> {
    let tiles = waits.iter().flat_map(|wait| &wait.tiles);
    let tasks = tiles.filter_map(|tile| match tile.who {
        Who::Task(task) => Some(task),
        _ => None,
    });
    tasks.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Wait by wait, where the logs know: not in gaps of less than so long.
fn by_logs(
    evidence: &Evidence,
    row: &mut Row,
    gap_ns: u64,
    stays: impl Fn(&TiledWait) -> Vec<Stay>,
) {
    let known = evidence.waits.iter().map(|wait| evidence.cast.known(stays(wait), gap_ns));
    let known: Vec<_> = known.collect();
    let real: Vec<_> = known.iter().map(|stays| evidence.cast.real(stays)).collect();
    let unknowable_ns =
        total_ns(&evidence.waits) - real.iter().map(|real| real.length_ns).sum::<u64>();
    let share = percent(unknowable_ns, total_ns(&evidence.waits));
    row.notes.push(format!("{share:.2} % not judged: an actor had the CPU and did not progress"));
    row.demand(share <= UNKNOWABLE_BAR, || format!("the logs do not know {share:.1} %"));
    by_waits(evidence, row, &known, &real);
}

/// Whether a wait was on that CPU's queue alone: a thread begins anywhere, before it goes to its own.
fn is_on(wait: &TiledWait, cpu: u16) -> bool {
    wait.tiles.iter().all(|tile| tile.cpu.is_none_or(|own| own == cpu))
}

fn by_waits(evidence: &Evidence, row: &mut Row, stays: &[Vec<Stay>], real: &[Real]) {
    let cast = &evidence.cast;
    let blamed = evidence.waits.iter().zip(stays).map(|(wait, stays)| cast.blamed(wait, stays));
    let blamed: Vec<_> = blamed.collect();
    let Figures { top1, share_error } = score::figures(real, &blamed);
    (row.top1, row.share_error) = (top1, share_error);
    row.accuse(score::false_certainty_ns(real, &blamed));
    row.notes.extend(score::worst_false(real, &blamed).map(|(wait, actor)| {
        let wait = &evidence.waits[wait];
        format!("{WORST}: {}", evidence.cast.show(wait, actor))
    }));
    row.rules = rules_of_thumb(evidence).map(|mut blamed| {
        for ((shares, real), wait) in blamed.iter_mut().zip(real).zip(&evidence.waits) {
            // A rule says how much, and not when.
            let judged = real.length_ns as f64 / (wait.close_ns - wait.open_ns) as f64;
            for share in shares.iter_mut() {
                *share = (*share as f64 * judged) as u64;
            }
        }
        let Figures { top1, share_error } = score::figures(real, &blamed);
        RuleFigures { top1, share_error }
    });
}

/// Of each counted wait, what each rule would have said.
fn rules_of_thumb(evidence: &Evidence) -> ByRule<Vec<Shares>> {
    RULES.map(|rule| {
        let each = evidence.waits.iter().map(|wait| {
            let mut shares = vec![0; evidence.cast.places()];
            let record = evidence.slices.wait(wait.victim.tid, wait.close_ns);
            for (task, ns) in record.map(|r| rule(r, &evidence.slices)).unwrap_or_default() {
                let own = task == wait.victim;
                let place =
                    if own { evidence.cast.nowhere() } else { evidence.cast.place_of(task) };
                shares[place] += ns;
            }
            shares
        });
        each.collect()
    })
}

/// Nanoseconds of the counted waits by class.
fn class_ns(waits: &[TiledWait], class: Class) -> u64 {
    let tiles = waits.iter().flat_map(|wait| &wait.tiles);
    tiles.filter(|tile| tile.class == class).map(|tile| tile.to_ns - tile.from_ns).sum()
}

fn total_ns(waits: &[TiledWait]) -> u64 {
    waits.iter().map(|wait| wait.close_ns - wait.open_ns).sum()
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// What no actor has is mostly of one of these classes.
fn demand_rest(evidence: &Evidence, row: &mut Row, classes: &[Class]) {
    let others = Class::ALL.into_iter().filter(|other| !other.is_task());
    let ns = |class| class_ns(&evidence.waits, class);
    let most = others.max_by_key(|class| ns(*class)).unwrap_or(Class::Unknown);
    let names: Vec<_> = classes.iter().map(|class| class.name()).collect();
    let share = percent(classes.iter().map(|class| ns(*class)).sum(), total_ns(&evidence.waits));
    let names = names.join(" or ");
    row.notes.push(format!("{share:.1} % is {names}"));
    row.demand(classes.contains(&most), || format!("more is {} than {names}", most.name()));
}

fn bars(case: &Case, evidence: &Evidence, row: &mut Row) {
    let health = &evidence.take.report.health;
    let (lost, unbalanced) = (health.lost, health.unbalanced);
    let unknown_ns = class_ns(&evidence.waits, Class::Unknown);
    let unknown = percent(unknown_ns, total_ns(&evidence.waits));
    row.unknown = (row.waits > 0).then_some(unknown);
    let (waits, false_ns) = (row.waits, row.false_certainty);
    row.demand(unbalanced == 0, || format!("{unbalanced} waits do not sum"));
    row.demand(waits >= FEW, || format!("only {waits} waits"));
    row.demand(false_ns == 0, || format!("{false_ns} ns blamed on who did not run"));
    row.demand(case.lossy == (lost > 0), || format!("{lost} records lost"));
    if case.lossy {
        row.notes.push(format!("{lost} of {} records lost", health.records + lost));
        return;
    }
    let (top1, share) = (row.top1.unwrap_or(100.0), row.share_error.unwrap_or(0.0));
    row.demand(top1 >= TOP1_BAR, || format!("top-1 is {top1:.2} %, not {TOP1_BAR} %"));
    row.demand(share <= SHARE_BAR, || {
        format!("the share error is {share:.2} %, not {SHARE_BAR} %")
    });
    row.demand(unknown <= UNKNOWN_BAR, || {
        format!("{unknown:.2} % is unknown, not {UNKNOWN_BAR} %")
    });
}

/// What the kernel says to the same.
fn witness(evidence: &Evidence, row: &mut Row) {
    let account = oracles::run_delay(&evidence.victims, &evidence.slices);
    row.notes.push(format!(
        "waits over 30 us: {:.3} ms, run_delay {:.3} ms ({:+.2} %)",
        account.ours_ns as f64 / 1e6,
        account.kernel_ns as f64 / 1e6,
        account.excess()
    ));
}
