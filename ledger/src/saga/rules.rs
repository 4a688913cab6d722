//! What becomes of a saga: the rules, as functions over plain data.
//!
//! ```text
//!  pending ─► executing ─► completed                  step 1 ─► step 2 ─► pivot ─► step 4
//!               │  ▲ │                                   ◄─────────┘ back   │ forward alone
//!      failed,  ▼  │ └─ attempts are up ─► compensating ─► compensated
//!      unknown retrying      │                  │
//!                            └─► needs operator ◄┘ attempts are up
//! ```
//! *Before* a deed is at work it is written down, so whoever finds it so and is not its owner knows that its
//! outcome is unknown. A deed whose outcome is unknown is repeated under its key, or its step is asked. When
//! attempts at an action are up, the saga turns back: whatever was done, or may have been, is undone in reverse,
//! and no action of it may take effect any more. After the pivot, and where a compensation fails for good, a
//! person has to decide.

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::{Retry, Utc};

use super::state::{Attempt, Deed, Event, Gate, Hold, Saga, State, Way, What, Why};
use crate::claim::Fence;
use crate::key::Key;

/// Bytes that are kept of what somebody says.
const SAID_MOST: usize = 1024;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It happened; what was said of it.
    Done(String),
    /// It failed, and nothing of it is there: it may be tried again.
    Failed(String),
    /// It failed, nothing of it is there, and another attempt would fail too.
    Refused(String),
    /// Nobody knows: it may have happened, or may yet.
    Unknown(String),
}

/// What a person decides about the step at which a saga stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Try it again, with all its attempts.
    Retry,
    /// It happened: go on.
    Done,
    /// Leave it out: go on.
    Skip,
    /// Undo what was done. Where the pivot's outcome is unknown, this says that it did not happen.
    Compensate,
}

impl Verb {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Done => "done",
            Self::Skip => "skip",
            Self::Compensate => "compensate",
        }
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such saga.
    Absent,
    /// There is one of that name, with another definition or payload.
    Mismatch,
    /// Somebody is at it.
    Held {
        /// Who.
        owner: Arc<str>,
        /// By the store's clock.
        until: Utc,
    },
    /// It waits.
    NotDue {
        /// By the store's clock.
        due: Utc,
    },
    /// Nothing more happens by itself.
    Over(State),
    /// Somebody else has had it since.
    Lost,
    /// It does not need an operator.
    NotStuck(State),
    /// It stopped at another step.
    OtherStep(Arc<str>),
    /// It cannot turn back: its pivot is done, or it has.
    NoTurn,
    /// A person must say why.
    NoReason,
}

/// What is to be written: the saga as it is then, and what else changed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As it is then.
    pub saga: Saga,
    /// Opened or closed.
    pub gates: Vec<Gate>,
    /// Added; the first has the number that the saga had events before.
    pub events: Vec<Event>,
}

/// A change, or nothing to be written.
pub type Ruled = Result<Change, Refusal>;

/// Somebody asks for a saga that is due. With `sole` every other owner is known to be gone. What is found at
/// work was left by the dead: nobody knows what became of it.
pub fn claim(saga: &Saga, owner: &Arc<str>, lease: Duration, sole: bool, now: Utc) -> Ruled {
    if saga.state.is_terminal() {
        return Err(Refusal::Over(saga.state));
    }
    if let Some(Hold { owner: holder, until }) = &saga.hold
        && *until > now
        && !(sole && holder != owner)
    {
        return Err(Refusal::Held { owner: Arc::clone(holder), until: *until });
    }
    if saga.due > now {
        return Err(Refusal::NotDue { due: saga.due });
    }
    let mut change = Change::of(saga, now);
    if let Some(attempt) = saga.attempt() {
        let gone = Outcome::Unknown("whoever was at it is gone".to_owned());
        change.note(attempt, &gone, saga.since);
        change.set(Deed::Unknown);
        change.wait(Duration::ZERO);
    }
    let fence = saga.fence.next(now);
    change.saga.fence = fence;
    change.saga.hold = Some(Hold { owner: Arc::clone(owner), until: now + lease });
    Ok(change)
}

/// Its owner is alive.
pub fn renew(saga: &Saga, fence: Fence, lease: Duration, now: Utc) -> Ruled {
    let hold = held(saga, fence)?;
    let until = (now + lease).max(hold.until);
    // It is the same saga: when it changed is not now.
    let hold = Some(Hold { until, ..hold.clone() });
    Ok(Change::only(Saga { hold, ..saga.clone() }))
}

/// Its owner gives it to whoever comes.
pub fn release(saga: &Saga, fence: Fence) -> Ruled {
    held(saga, fence)?;
    Ok(Change::only(Saga { hold: None, ..saga.clone() }))
}

/// What is due is to be at work: it is written down before it is. If the attempts at it are up the saga turns
/// back, or stops. Asked again, it is the same attempt.
pub fn start(saga: &Saga, fence: Fence, attempts: u32, now: Utc) -> Ruled {
    held(saga, fence)?;
    let mut change = Change::of(saga, now);
    if saga.attempt().is_some() {
        return Ok(change.unchanged(saga));
    }
    if saga.tried >= attempts.max(1) {
        change.give_up();
        return Ok(change);
    }
    let doubted = saga.deed() == Deed::Unknown;
    change.set(Deed::Running { doubted });
    change.saga.tried += 1;
    change.saga.state = match saga.way {
        Way::Forward => State::Executing,
        Way::Back => State::Compensating,
    };
    change.gate(saga.at, saga.way, true);
    Ok(change)
}

/// An attempt is over. Asked again, it does nothing more. `draw` is any number, for the jitter.
pub fn settle(
    saga: &Saga,
    fence: Fence,
    attempt: Attempt,
    outcome: &Outcome,
    (retry, draw): (&Retry, u64),
    now: Utc,
) -> Ruled {
    held(saga, fence)?;
    let mut change = Change::of(saga, now);
    if saga.attempt() != Some(attempt) {
        return Ok(change.unchanged(saga));
    }
    change.note(attempt, outcome, saga.since);
    match outcome {
        Outcome::Done(_) => {
            change.set(Deed::Done);
            change.advance();
            return Ok(change);
        }
        Outcome::Unknown(_) => change.set(Deed::Unknown),
        // One before may yet happen.
        _ if attempt.doubted => change.set(Deed::Unknown),
        _ => change.set(Deed::Failed),
    }
    let again = retry.delay(attempt.number, draw);
    match again.filter(|_| !matches!(outcome, Outcome::Refused(_))) {
        Some(wait) => change.wait(wait),
        None => change.give_up(),
    }
    Ok(change)
}

/// Its steps are not those that its owner knows: it stops where it is.
pub fn park(saga: &Saga, fence: Fence, said: &str, now: Utc) -> Ruled {
    let owner = Arc::clone(&held(saga, fence)?.owner);
    let mut change = Change::of(saga, now);
    if saga.attempt().is_some() {
        return Ok(change.unchanged(saga));
    }
    change.event(What::Parked, &owner, said);
    change.stop(Why::Definition);
    Ok(change)
}

/// A person decides. `step` is where the saga stopped, as he has seen it.
pub fn operate(saga: &Saga, verb: Verb, step: &str, (who, why): (&str, &str), now: Utc) -> Ruled {
    if saga.state != State::NeedsOperator {
        return Err(Refusal::NotStuck(saga.state));
    }
    let here = &saga.plan.parts[saga.at].name;
    if **here != *step {
        return Err(Refusal::OtherStep(Arc::clone(here)));
    }
    if verb != Verb::Retry && why.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    if !choices(saga).contains(&verb) {
        return Err(Refusal::NoTurn);
    }
    let mut change = Change::of(saga, now);
    change.saga.why = None;
    match verb {
        Verb::Retry => {
            change.event(What::Retry, who, why);
            change.saga.tried = 0;
            change.wait(Duration::ZERO);
        }
        Verb::Done => change.decide(What::Given, Deed::Given, who, why),
        Verb::Skip => change.decide(What::Skipped, Deed::Skipped, who, why),
        Verb::Compensate => {
            change.event(What::TurnedBack, who, why);
            if saga.way == Way::Forward
                && saga.plan.pivot == Some(saga.at)
                && !saga.is_to_be_undone(saga.at)
            {
                change.set(Deed::Skipped);
            }
            change.turn_back();
        }
    }
    Ok(change)
}

/// What a person may decide about a saga that needs one.
pub fn choices(saga: &Saga) -> Vec<Verb> {
    if saga.state != State::NeedsOperator {
        return Vec::new();
    }
    let back = saga.way == Way::Forward && !saga.has_passed_pivot();
    let mut verbs = vec![Verb::Retry, Verb::Done, Verb::Skip];
    verbs.extend(back.then_some(Verb::Compensate));
    verbs
}

/// Whoever has a saga, whatever the time is: who takes it writes a larger fence.
fn held(saga: &Saga, fence: Fence) -> Result<&Hold, Refusal> {
    saga.hold.as_ref().filter(|_| saga.fence == fence).ok_or(Refusal::Lost)
}

/// As it is kept. A zero is no character to every database.
fn short(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(SAID_MOST)].replace('\0', "\u{fffd}").into()
}

impl Change {
    pub(super) fn only(saga: Saga) -> Self {
        Self { saga, gates: Vec::new(), events: Vec::new() }
    }

    fn of(saga: &Saga, now: Utc) -> Self {
        Self::only(Saga { since: now, ..saga.clone() })
    }

    fn unchanged(self, saga: &Saga) -> Self {
        Self { saga: saga.clone(), ..self }
    }

    fn set(&mut self, deed: Deed) {
        let step = &mut self.saga.steps[self.saga.at];
        match self.saga.way {
            Way::Forward => step.done = deed,
            Way::Back => step.undone = deed,
        }
    }

    fn gate(&mut self, step: usize, way: Way, is_open: bool) {
        let key: Key = self.saga.key(step, way);
        self.gates.push(Gate { key, is_open });
    }

    fn note(&mut self, attempt: Attempt, outcome: &Outcome, began: Utc) {
        let (what, said) = match outcome {
            Outcome::Done(said) => (What::Done, said),
            Outcome::Failed(said) => (What::Failed, said),
            Outcome::Refused(said) => (What::Refused, said),
            Outcome::Unknown(said) => (What::Unknown, said),
        };
        let owner = self.saga.hold.as_ref().map_or_else(|| "".into(), |hold| hold.owner.clone());
        self.event(what, &owner, said);
        if let Some(event) = self.events.last_mut() {
            (event.attempt, event.began) = (attempt.number, began);
        }
    }

    fn event(&mut self, what: What, who: &str, said: &str) {
        let saga = &mut self.saga;
        saga.events += 1;
        self.events.push(Event {
            at: saga.since,
            began: saga.since,
            who: short(who),
            step: Arc::clone(&saga.plan.parts[saga.at].name),
            way: saga.way,
            attempt: 0,
            what,
            said: short(said),
        });
    }

    /// For another attempt.
    fn wait(&mut self, wait: Duration) {
        let saga = &mut self.saga;
        saga.due = saga.since + wait;
        saga.state = match saga.way {
            Way::Forward => State::Retrying,
            Way::Back => State::Compensating,
        };
        if !wait.is_zero() {
            saga.hold = None;
        }
    }

    fn stop(&mut self, why: Why) {
        self.saga.why = Some(why);
        self.end(State::NeedsOperator);
    }

    fn end(&mut self, state: State) {
        self.saga.state = state;
        self.saga.hold = None;
    }

    /// The step is settled: on to the next one.
    fn advance(&mut self) {
        match self.saga.way {
            Way::Back => self.undo_next(),
            Way::Forward if self.saga.at + 1 == self.saga.steps.len() => self.end(State::Completed),
            Way::Forward => {
                let saga = &mut self.saga;
                (saga.at, saga.tried, saga.due) = (saga.at + 1, 0, saga.since);
                saga.state = State::Executing;
            }
        }
    }

    /// No attempt is left.
    fn give_up(&mut self) {
        let saga = &self.saga;
        let here = (saga.steps[saga.at].done, saga.plan.parts[saga.at].compensates);
        let is_pivot = saga.plan.pivot == Some(saga.at);
        match saga.way {
            Way::Back => self.stop(Why::Compensation),
            Way::Forward if saga.has_passed_pivot() => self.stop(Why::Forward),
            Way::Forward if is_pivot && here == (Deed::Unknown, false) => self.stop(Why::Pivot),
            Way::Forward => self.turn_back(),
        }
    }

    /// From here on no action of it may take effect.
    fn turn_back(&mut self) {
        self.saga.way = Way::Back;
        for step in 0..=self.saga.at {
            if self.saga.steps[step].done != Deed::Absent {
                self.gate(step, Way::Forward, false);
            }
        }
        self.undo_next();
    }

    fn undo_next(&mut self) {
        let next = (0..=self.saga.at).rev().find(|step| self.saga.is_to_be_undone(*step));
        let Some(next) = next else { return self.end(State::Compensated) };
        let saga = &mut self.saga;
        (saga.at, saga.tried, saga.due) = (next, 0, saga.since);
        saga.state = State::Compensating;
    }

    /// A person says how it stands: whatever of it is still on its way comes too late.
    fn decide(&mut self, what: What, deed: Deed, who: &str, why: &str) {
        self.event(what, who, why);
        if self.saga.deed() != Deed::Absent {
            self.gate(self.saga.at, self.saga.way, false);
        }
        self.set(deed);
        self.advance();
    }
}

#[cfg(test)]
mod tests;
