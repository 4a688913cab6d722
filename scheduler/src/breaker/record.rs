//! What a breaker decided, and of what.

use super::rules::Share;
use crate::Mono;

/// Whether calls pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// They do.
    Closed,
    /// They do not.
    Open,
    /// A few do.
    HalfOpen,
    /// They do, whatever becomes of them: a person says so.
    ForcedClosed,
    /// They do not, whatever the time is: a person says so.
    ForcedOpen,
}

/// Why a breaker turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Closed to open: as many failures in a row.
    Consecutive,
    /// Closed to open: as many of the window failed.
    FailureRate,
    /// Closed to open: as many of the window were slow.
    SlowRate,
    /// Open to half-open: the wait is over.
    WaitOver,
    /// Half-open to open: a probe failed.
    ProbeFailed,
    /// Half-open to open: a probe took too long.
    ProbeTimeout,
    /// Half-open to open: too few probes are left to succeed.
    ProbesSpent,
    /// Half-open to open: it was half-open for too long.
    HalfOpenTimeout,
    /// Half-open to closed: enough probes succeeded.
    ProbesSucceeded,
    /// A person holds it.
    Forced,
    /// A person lets it go.
    Released,
}

/// What a decision was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Snapshot {
    /// Calls in the window.
    pub calls: u32,
    /// Of these, such as failed.
    pub failures: u32,
    /// Of these, such as were slow.
    pub slow: u32,
    /// Failures in a row.
    pub in_row: u32,
    /// The share of failures that it opens at; nothing, if none does.
    pub threshold: Option<Share>,
    /// Probes that were let through, since it is half-open.
    pub probes: u32,
    /// Of these, such as succeeded.
    pub succeeded: u32,
}

/// One transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Turn {
    /// How often it has turned, with this one.
    pub number: u64,
    /// When: of what a deadline decides, the deadline.
    pub at: Mono,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub rule: Rule,
    /// What was counted.
    pub window: Snapshot,
    /// The end of the wait, if it is open.
    pub until: Option<Mono>,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedClosed, Self::ForcedOpen];

    /// The one of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// In a word, as logs and metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedClosed => "forced-closed",
            Self::ForcedOpen => "forced-open",
        }
    }
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Consecutive,
        Self::FailureRate,
        Self::SlowRate,
        Self::WaitOver,
        Self::ProbeFailed,
        Self::ProbeTimeout,
        Self::ProbesSpent,
        Self::HalfOpenTimeout,
        Self::ProbesSucceeded,
        Self::Forced,
        Self::Released,
    ];

    /// The one of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.word() == word)
    }

    /// In a word, as logs and metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::FailureRate => "failure-rate",
            Self::SlowRate => "slow-rate",
            Self::WaitOver => "wait-over",
            Self::ProbeFailed => "probe-failed",
            Self::ProbeTimeout => "probe-timeout",
            Self::ProbesSpent => "probes-spent",
            Self::HalfOpenTimeout => "half-open-timeout",
            Self::ProbesSucceeded => "probes-succeeded",
            Self::Forced => "forced",
            Self::Released => "released",
        }
    }
}
