//! What makes a recording, or a set of them, unfit to decide anything: looked for before any verdict.

use cronx_recording::{Class, LoadEnd, Report, Untrusted};
use serde::Serialize;

use crate::evidence::Evidence;
use crate::quantity::{Metric, Quantile};
use cronx_recording::MetricName;

/// How much of what is still no flaw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Lost records and unhandled events, of all: 0.001. Loss comes in bursts, and so does the tail.
    pub loss: f64,
    /// What the hypervisor took, of the CPUs' time in the window.
    pub steal: f64,
    /// What a quota cost, of the tail.
    pub throttled: f64,
    /// With `self_caused`: what others cost, of the tail.
    pub foreign: f64,
    /// How much the base side may change in the course of a comparison, as a share.
    pub drift: f64,
    /// Whether the gate asks for the load's own doing alone.
    pub self_caused: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            loss: 0.001,
            steal: 0.01,
            throttled: 0.05,
            foreign: 0.10,
            drift: 0.5,
            self_caused: false,
        }
    }
}

/// One of them, as a sentence. Whoever's name is in it, it is text from outside.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Nothing was measured.
    #[error("no value of {quantity} was measured")]
    NoEvents {
        /// What was asked for.
        quantity: String,
    },
    /// Too little, once it is known how waits cluster.
    #[error(
        "{effective:.0} effective values are too few, {needed:.0} are needed ({count} were measured, \
         and they come in clusters of {design:.1})"
    )]
    TooFew {
        /// Values over the design effect.
        effective: f64,
        /// How many there must be.
        needed: f64,
        /// Values.
        count: u64,
        /// The design effect.
        design: f64,
    },
    /// How waits cluster is not known.
    #[error(
        "how its values cluster is not known: it takes 8 blocks of 50 ms, or 8 recordings, with values \
         in each"
    )]
    NoBlocks,
    /// Evidence is missing, and mostly the tail's.
    #[error("{:.2} % of the evidence was lost, and {:.2} % is the most", share * 100.0, limit * 100.0)]
    Lost {
        /// What was lost, of all.
        share: f64,
        /// The limit.
        limit: f64,
    },
    /// The Capture broke off.
    #[error("the capture is torn: {how}")]
    Torn {
        /// Where and how.
        how: String,
    },
    /// What was recorded did not do its work.
    #[error("the load {how}")]
    Failed {
        /// How it ended.
        how: String,
    },
    /// The two were not recorded under the same conditions.
    #[error("the {what} differs: '{one}' and '{other}'")]
    Fingerprint {
        /// In what.
        what: &'static str,
        /// Of the first recording.
        one: String,
        /// Of another.
        other: String,
    },
    /// The hypervisor was elsewhere.
    #[error(
        "the hypervisor took {:.1} % of the CPUs' time, and {:.1} % is the most",
        share * 100.0, limit * 100.0
    )]
    Stolen {
        /// Of the CPUs' time.
        share: f64,
        /// The limit.
        limit: f64,
    },
    /// A quota made the tail.
    #[error(
        "{:.0} % of the tail is a cgroup out of quota, and {:.0} % is the most",
        share * 100.0, limit * 100.0
    )]
    Throttled {
        /// Of the tail.
        share: f64,
        /// The limit.
        limit: f64,
    },
    /// Others made the tail.
    #[error(
        "{:.0} % of the tail is the doing of others, and {:.0} % is the most",
        share * 100.0, limit * 100.0
    )]
    Foreign {
        /// Of the tail.
        share: f64,
        /// The limit.
        limit: f64,
    },
    /// Waits without tiles have no cause that could be told.
    #[error("recorded with a floor: whose doing the shorter waits were is not known")]
    Floor,
    /// The machine became another one meanwhile.
    #[error(
        "the base itself changed by {:.0} % from the first half to the second, and {:.0} % is the most",
        change * 100.0, limit * 100.0
    )]
    Drift {
        /// Of the later half over the earlier, less one.
        change: f64,
        /// The limit.
        limit: f64,
    },
    /// Too few recordings.
    #[error("{recordings} recordings are too few: {needed} are needed on each side")]
    FewRecordings {
        /// On the side that has fewer.
        recordings: usize,
        /// How many there must be.
        needed: usize,
    },
    /// Too many recordings were set aside.
    #[error(
        "{dropped} of {tried} pairs were disturbed and set aside: what is left may be the lucky ones"
    )]
    Filtered {
        /// Set aside.
        dropped: usize,
        /// Recorded.
        tried: usize,
    },
}

impl Flaw {
    /// A word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoEvents { .. } => "no_events",
            Self::TooFew { .. } => "too_few",
            Self::NoBlocks => "no_blocks",
            Self::Lost { .. } => "lost",
            Self::Torn { .. } => "torn",
            Self::Failed { .. } => "failed_load",
            Self::Fingerprint { .. } => "fingerprint",
            Self::Stolen { .. } => "steal",
            Self::Throttled { .. } => "throttled",
            Self::Foreign { .. } => "foreign",
            Self::Floor => "floor",
            Self::Drift { .. } => "drift",
            Self::FewRecordings { .. } => "few_recordings",
            Self::Filtered { .. } => "filtered",
        }
    }

    /// Whether it is the moment's alone: another recording may do without it. What the program under
    /// test may have brought about itself is never of this kind, or it could be set aside.
    pub const fn is_disturbance(&self) -> bool {
        matches!(self, Self::Stolen { .. } | Self::Foreign { .. })
    }

    /// The sentence, with the recording that it is about.
    pub fn of(&self, recording: &Untrusted) -> Reason {
        let says = if recording.raw().is_empty() {
            self.to_string()
        } else {
            format!("{}: {self}", recording.raw())
        };
        Reason { code: self.code(), says: says.into() }
    }
}

/// Why a verdict is inconclusive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// [`Flaw::code`], or `undecided`.
    pub code: &'static str,
    /// In a sentence, which may hold names from outside.
    pub says: Untrusted,
}

/// What is wrong with a Report as such, whatever is asked of it.
pub fn of_report(report: &Report, metric: Metric, limits: &Limits) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    flaws.extend(report.health.torn.clone().map(|how| Flaw::Torn { how }));
    flaws.extend(failed(report.provenance.load).map(|how| Flaw::Failed { how }));
    let over = |share: f64, limit: f64| share > limit;
    let lost = lost(report);
    if over(lost, limits.loss) {
        flaws.push(Flaw::Lost { share: lost, limit: limits.loss });
    }
    let stolen = stolen(report);
    if over(stolen, limits.steal) {
        flaws.push(Flaw::Stolen { share: stolen, limit: limits.steal });
    }
    flaws.extend(of_tail(report, limits));
    let floor = report.spared.is_some_and(|spared| spared.floor_ns > 0);
    if floor && metric == Metric::Report(MetricName::SelfCaused) {
        flaws.push(Flaw::Floor);
    }
    flaws
}

/// What the tail says of the machine. Asked for the load's own doing, a quota is one of its causes, and
/// others are what disturbs.
fn of_tail(report: &Report, limits: &Limits) -> Option<Flaw> {
    if limits.self_caused {
        let share = share_of_tail(report, is_foreign);
        let limit = limits.foreign;
        return (share > limit).then_some(Flaw::Foreign { share, limit });
    }
    let share = share_of_tail(report, |class| class == Class::Throttled);
    let limit = limits.throttled;
    (share > limit).then_some(Flaw::Throttled { share, limit })
}

/// Whether it is somebody's else's doing: other tasks, interrupts, the hypervisor. A task of a real-time
/// priority counts too, whose ever it is: the class does not say.
const fn is_foreign(class: Class) -> bool {
    matches!(
        class,
        Class::Foreign
            | Class::Cgroup
            | Class::Rt
            | Class::Steal
            | Class::Irq
            | Class::Softirq
            | Class::Profiler
    )
}

/// Of the tail, or of all waits if they are too few to have one.
fn share_of_tail(report: &Report, wanted: impl Fn(Class) -> bool) -> f64 {
    let (blame, whole_ns) = match &report.tail {
        Some(tail) => (&tail.blame, tail.waited_ns),
        None => (&report.blame, report.waited_ns),
    };
    let part = blame.iter().filter(|blame| wanted(blame.class)).map(|blame| blame.waited_ns);
    share(part.fold(0, u64::saturating_add), whole_ns)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn lost(report: &Report) -> f64 {
    let health = &report.health;
    let gone = health.lost.max(health.missing);
    let unhandled = health.recursion_misses.saturating_add(health.storage_failures);
    let of_records = share(gone, health.records.saturating_add(gone));
    // A capture whose events nobody counted has records at least.
    let events = health.events.max(health.records).saturating_add(unhandled);
    of_records.max(share(unhandled, events))
}

fn stolen(report: &Report) -> f64 {
    let of = &report.provenance;
    share(report.health.stolen_ns, of.duration_ns.saturating_mul(of.online_cpus.into()))
}

/// Nothing of a load that was not ours, or that was ended because its time was up.
fn failed(end: Option<LoadEnd>) -> Option<String> {
    match end? {
        LoadEnd::Exited(0) | LoadEnd::Running => None,
        LoadEnd::Exited(status) => Some(format!("exited with status {status}")),
        LoadEnd::Signaled(signal) => Some(format!("was ended by signal {signal}")),
    }
}

/// What is wrong with one recording as a figure of a comparison: each must carry its quantile by
/// itself.
pub fn of_figure(evidence: &Evidence, quantile: Quantile) -> Option<Flaw> {
    let count = evidence.count();
    if count == 0 {
        return Some(Flaw::NoEvents { quantity: evidence.quantity.clone() });
    }
    let needed = quantile.needed();
    // A foreign log may know nothing of time; then its values are taken as they are.
    let design = match evidence.design(evidence.at(quantile)) {
        Some(design) => design,
        None if evidence.foreign => 1.0,
        None => return Some(Flaw::NoBlocks),
    };
    let effective = count as f64 / design;
    (effective < needed).then_some(Flaw::TooFew { effective, needed, count, design })
}

/// How much the later half of some figures is above the earlier, in logarithms.
pub fn drift(base: &[f64], limits: &Limits) -> Option<Flaw> {
    let half = base.len() / 2;
    if half < 2 {
        return None;
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let moved = mean(&base[base.len() - half..]) - mean(&base[..half]);
    let change = moved.exp() - 1.0;
    (moved.abs() > limits.drift.ln_1p()).then_some(Flaw::Drift { change, limit: limits.drift })
}

#[cfg(test)]
mod tests;
