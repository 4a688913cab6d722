//! How a saga stands: plain data, as stores have it.

use std::fmt;
use std::sync::Arc;

use cronx_scheduler::Utc;

use super::plan::Plan;
use crate::claim::Fence;
use crate::key::{Key, SagaId};

/// A saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    /// Which.
    pub id: SagaId,
    /// The name of its definition.
    pub name: Arc<str>,
    /// What its steps are told, in the words of whoever began it.
    pub payload: Arc<str>,
    /// Its steps.
    pub plan: Plan,
    /// How each of them stands.
    pub steps: Vec<Standing>,
    /// How it stands as a whole.
    pub state: State,
    /// Which way it goes, or went when it stopped.
    pub way: Way,
    /// The step that is done or undone next.
    pub at: usize,
    /// Attempts at that so far.
    pub tried: u32,
    /// When the next one is due, by the store's clock.
    pub due: Utc,
    /// Why it needs an operator, if it does.
    pub why: Option<Why>,
    /// Of the last grant: from 1.
    pub fence: Fence,
    /// Who is at it.
    pub hold: Option<Hold>,
    /// Events so far.
    pub events: u32,
    /// When it began, by the store's clock.
    pub begun: Utc,
    /// When it last changed, likewise.
    pub since: Utc,
}

/// Who may take a saga on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// One name for each life of a process.
    pub owner: Arc<str>,
    /// Until when, whether he is alive or not, by the store's clock.
    pub until: Utc,
}

/// How a saga stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing of it was tried.
    Pending,
    /// An action is at work, or due at once.
    Executing,
    /// An action waits for its next attempt.
    Retrying,
    /// It is being undone.
    Compensating,
    /// Every step is done.
    Completed,
    /// Whatever was done is undone.
    Compensated,
    /// Nothing more is done until a person says what.
    NeedsOperator,
}

/// Which way a saga goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By actions, to its last step.
    Forward,
    /// By compensations, to its first.
    Back,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its action.
    pub done: Deed,
    /// Its compensation.
    pub undone: Deed,
}

/// How an action or a compensation stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deed {
    /// It was never begun.
    #[default]
    Absent,
    /// An attempt is at work.
    Running {
        /// Whether nobody knows what became of one before.
        doubted: bool,
    },
    /// Every attempt said that nothing of it is there.
    Failed,
    /// Nobody knows what became of an attempt.
    Unknown,
    /// It happened.
    Done,
    /// It happened, an operator says.
    Given,
    /// It is left out: an operator says so.
    Skipped,
}

/// Why a saga needs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A step after the pivot failed for good, and there is no way back.
    Forward,
    /// Nobody knows whether the pivot happened, and it has no compensation.
    Pivot,
    /// A compensation failed for good.
    Compensation,
    /// Its steps are no longer those that it was begun by.
    Definition,
}

/// Something that was tried, or decided by a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was over, by the store's clock.
    pub at: Utc,
    /// When it had begun, likewise.
    pub began: Utc,
    /// The owner, or the operator.
    pub who: Arc<str>,
    /// The step's name.
    pub step: Arc<str>,
    /// Whether it was about the step's action or its compensation.
    pub way: Way,
    /// Which attempt, from 1; 0 of what is none.
    pub attempt: u32,
    /// What became of it.
    pub what: What,
    /// More of it, in words of whoever did it.
    pub said: Arc<str>,
}

/// What became of an attempt, or what a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It happened.
    Done,
    /// It failed, and nothing of it is there.
    Failed,
    /// It failed, and another attempt would too.
    Refused,
    /// Nobody knows.
    Unknown,
    /// The definition is another one.
    Parked,
    /// An operator lets it be tried again.
    Retry,
    /// An operator says that it happened.
    Given,
    /// An operator leaves it out.
    Skipped,
    /// An operator lets the saga be undone.
    TurnedBack,
}

/// Whether an action, or a compensation, may still take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Of which.
    pub key: Key,
    /// Once closed it is not opened again, unless an operator has it tried again.
    pub is_open: bool,
}

/// What is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The step's place.
    pub step: usize,
    /// Its action, or its compensation.
    pub way: Way,
    /// From 1.
    pub number: u32,
    /// Whether nobody knows what became of one before.
    pub doubted: bool,
}

impl State {
    /// Whether nothing more happens by itself.
    pub fn is_terminal(self) -> bool {
        self >= Self::Completed
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Executing => "executing",
            Self::Retrying => "retrying",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::NeedsOperator => "needs_operator",
        }
    }

    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Executing,
        Self::Retrying,
        Self::Compensating,
        Self::Completed,
        Self::Compensated,
        Self::NeedsOperator,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Deed {
    /// In a word; one that is at work after a doubt has two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Running { doubted: false } => "running",
            Self::Running { doubted: true } => "running again",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Done => "done",
            Self::Given => "given as done",
            Self::Skipped => "skipped",
        }
    }

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Absent,
        Self::Running { doubted: false },
        Self::Running { doubted: true },
        Self::Failed,
        Self::Unknown,
        Self::Done,
        Self::Given,
        Self::Skipped,
    ];

    /// Whether there is nothing more to be done about it.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Given | Self::Skipped)
    }
}

impl Why {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Pivot => "pivot",
            Self::Compensation => "compensation",
            Self::Definition => "definition",
        }
    }

    /// In a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Forward => "a step after the pivot failed for good: there is no way back",
            Self::Pivot => {
                "nobody knows whether the pivot happened, and it has no compensation: look whether it did"
            }
            Self::Compensation => {
                "a compensation failed for good: what it was to undo is still there"
            }
            Self::Definition => "its steps are no longer those that it was begun by",
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Pivot, Self::Compensation, Self::Definition];
}

impl Way {
    /// What is done on it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forward => "do",
            Self::Back => "undo",
        }
    }
}

impl What {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Parked => "parked",
            Self::Retry => "retry",
            Self::Given => "given as done",
            Self::Skipped => "skipped",
            Self::TurnedBack => "turned back",
        }
    }

    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Refused,
        Self::Unknown,
        Self::Parked,
        Self::Retry,
        Self::Given,
        Self::Skipped,
        Self::TurnedBack,
    ];
}

impl Saga {
    /// One of which nothing was tried.
    pub fn new(id: SagaId, name: Arc<str>, payload: Arc<str>, plan: Plan, now: Utc) -> Self {
        Self {
            id,
            name,
            payload,
            steps: vec![Standing::default(); plan.parts.len()],
            plan,
            state: State::Pending,
            way: Way::Forward,
            at: 0,
            tried: 0,
            due: now,
            why: None,
            fence: Fence(0),
            hold: None,
            events: 0,
            begun: now,
            since: now,
        }
    }

    /// The key of a step's action or compensation.
    #[expect(clippy::missing_panics_doc, reason = "no plan has such a name")]
    pub fn key(&self, step: usize, way: Way) -> Key {
        let key = Key::step(&self.id, &self.plan.parts[step].name, way == Way::Back);
        key.expect("a plan's steps have names that fit")
    }

    /// How the deed stands that is done next, or at work.
    pub(crate) fn deed(&self) -> Deed {
        match self.way {
            Way::Forward => self.steps[self.at].done,
            Way::Back => self.steps[self.at].undone,
        }
    }

    /// What is at work, if something is.
    pub fn attempt(&self) -> Option<Attempt> {
        let Deed::Running { doubted } = self.deed() else { return None };
        Some(Attempt { step: self.at, way: self.way, number: self.tried, doubted })
    }

    /// Whether there is no way back any more.
    pub fn has_passed_pivot(&self) -> bool {
        self.plan.pivot.is_some_and(|pivot| self.steps[pivot].done.is_settled())
    }

    /// Whether a step has something that is to be undone and is not.
    pub fn is_to_be_undone(&self, step: usize) -> bool {
        let happened = matches!(self.steps[step].done, Deed::Done | Deed::Given | Deed::Unknown);
        happened && self.plan.parts[step].compensates && !self.steps[step].undone.is_settled()
    }
}
