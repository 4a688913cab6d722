//! Sagas as tables have them: numbers and texts, which are doubted when they are read.

use cronx_scheduler::Utc;
use serde::{Deserialize, Serialize};

use super::plan::{Part, Plan};
use super::state::{Deed, Event, Hold, Saga, Standing, State, Way, What, Why};
use crate::Error;
use crate::claim::Fence;
use crate::row::torn;

/// A row of the table of sagas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SagaRow {
    pub(super) saga: String,
    pub(super) name: String,
    pub(super) payload: String,
    /// Those that go on by themselves are below the others.
    pub(super) state: i16,
    /// All else: JSON.
    pub(super) body: String,
    pub(super) due_ns: i64,
    pub(super) fence: i64,
    pub(super) owner: Option<String>,
    pub(super) until_ns: Option<i64>,
    pub(super) begun_ns: i64,
    pub(super) since_ns: i64,
}

/// The columns of a row, in its order.
pub(super) const COLUMNS: &str =
    "saga, name, payload, state, body, due_ns, fence, owner, until_ns, begun_ns, since_ns";

/// The least state of one that goes on no more by itself.
pub(super) const OVER: i16 = 5;

/// Of sagas, those that [`Sagas::prune`](super::Sagas::prune) lets go of, but for their time: nobody has to look
/// at them any more.
pub(super) fn prunable() -> String {
    format!("state IN ({}, {})", number(State::Completed), number(State::Compensated))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    way: String,
    at: usize,
    tried: u32,
    events: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pivot: Option<usize>,
    plan: String,
    steps: Vec<BodyStep>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyStep {
    name: String,
    compensates: bool,
    done: String,
    undone: String,
}

/// The number of a state in a table.
pub(super) fn number(state: State) -> i16 {
    State::ALL.iter().position(|one| *one == state).map_or(0, |place| place as i16 + 1)
}

fn known<T: Copy>(
    all: &[T],
    word: fn(T) -> &'static str,
    text: &str,
    what: &str,
) -> Result<T, String> {
    let found = all.iter().copied().find(|one| word(*one) == text);
    found.ok_or_else(|| format!("there is no {what} '{text}'"))
}

const WAYS: [Way; 2] = [Way::Forward, Way::Back];

impl SagaRow {
    pub(super) fn of(saga: &Saga) -> Self {
        let step = |(part, standing): (&Part, &Standing)| BodyStep {
            name: part.name.to_string(),
            compensates: part.compensates,
            done: standing.done.word().to_owned(),
            undone: standing.undone.word().to_owned(),
        };
        let body = Body {
            way: saga.way.word().to_owned(),
            at: saga.at,
            tried: saga.tried,
            events: saga.events,
            why: saga.why.map(|why| why.word().to_owned()),
            pivot: saga.plan.pivot,
            plan: saga.plan.fingerprint().to_hex(),
            steps: saga.plan.parts.iter().zip(&saga.steps).map(step).collect(),
        };
        Self {
            saga: saga.id.to_string(),
            name: saga.name.to_string(),
            payload: saga.payload.to_string(),
            state: number(saga.state),
            body: serde_json::to_string(&body).expect("words and numbers are JSON"),
            due_ns: saga.due.0,
            fence: i64::try_from(saga.fence.0).unwrap_or(i64::MAX),
            owner: saga.hold.as_ref().map(|hold| hold.owner.to_string()),
            until_ns: saga.hold.as_ref().map(|hold| hold.until.0),
            begun_ns: saga.begun.0,
            since_ns: saga.since.0,
        }
    }

    /// What it says, if one of ours can have written it.
    pub(super) fn read(self, place: &str) -> Result<Saga, Error> {
        let row = self.saga.clone();
        self.saga().map_err(|reason| torn(place, "the saga", &row, reason))
    }

    fn saga(self) -> Result<Saga, String> {
        let id = self.saga.parse().map_err(|error: Error| error.to_string())?;
        let body: Body = serde_json::from_str(&self.body).map_err(|error| error.to_string())?;
        let state = usize::try_from(self.state - 1).ok().and_then(|place| State::ALL.get(place));
        let hold = match (self.owner, self.until_ns) {
            (Some(owner), Some(until)) => Some(Hold { owner: owner.into(), until: Utc(until) }),
            (None, None) => None,
            _ => return Err("it has half of an owner".to_owned()),
        };
        let steps = body.steps.iter().map(standing).collect::<Result<Vec<_>, _>>()?;
        let part = |step: &BodyStep| Part {
            name: step.name.as_str().into(),
            compensates: step.compensates,
        };
        let plan = Plan { parts: body.steps.iter().map(part).collect(), pivot: body.pivot };
        if plan.fingerprint().to_hex() != body.plan {
            return Err("its steps have not the fingerprint that they had".to_owned());
        }
        let is_within = |place: usize| place < steps.len();
        if !is_within(body.at) || !body.pivot.is_none_or(is_within) {
            return Err(format!("it is at step {} of {}", body.at, steps.len()));
        }
        let why = body.why.map(|why| known(&Why::ALL, Why::word, &why, "reason")).transpose()?;
        Ok(Saga {
            id,
            name: self.name.into(),
            payload: self.payload.into(),
            plan,
            steps,
            state: *state.ok_or_else(|| format!("there is no state {}", self.state))?,
            way: known(&WAYS, Way::word, &body.way, "way")?,
            at: body.at,
            tried: body.tried,
            due: Utc(self.due_ns),
            why,
            fence: u64::try_from(self.fence)
                .map(Fence)
                .map_err(|_| format!("its fence is {}", self.fence))?,
            hold,
            events: body.events,
            begun: Utc(self.begun_ns),
            since: Utc(self.since_ns),
        })
    }
}

fn standing(step: &BodyStep) -> Result<Standing, String> {
    let deed = |text: &str| known(&Deed::ALL, Deed::word, text, "deed");
    Ok(Standing { done: deed(&step.done)?, undone: deed(&step.undone)? })
}

/// A row of the table of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventRow {
    pub(super) at_ns: i64,
    pub(super) began_ns: i64,
    pub(super) who: String,
    pub(super) step: String,
    pub(super) way: String,
    pub(super) attempt: i64,
    pub(super) what: String,
    pub(super) said: String,
}

impl EventRow {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            at_ns: event.at.0,
            began_ns: event.began.0,
            who: event.who.to_string(),
            step: event.step.to_string(),
            way: event.way.word().to_owned(),
            attempt: event.attempt.into(),
            what: event.what.word().to_owned(),
            said: event.said.to_string(),
        }
    }

    /// What it says, if one of ours can have written it.
    pub(super) fn read(self, place: &str, saga: &str) -> Result<Event, Error> {
        self.event().map_err(|reason| torn(place, "an event of the saga", saga, reason))
    }

    fn event(self) -> Result<Event, String> {
        let attempt = u32::try_from(self.attempt);
        Ok(Event {
            at: Utc(self.at_ns),
            began: Utc(self.began_ns),
            who: self.who.into(),
            step: self.step.into(),
            way: known(&WAYS, Way::word, &self.way, "way")?,
            attempt: attempt.map_err(|_| format!("its attempt is {}", self.attempt))?,
            what: known(&What::ALL, What::word, &self.what, "event")?,
            said: self.said.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SagaId;

    fn saga() -> Saga {
        let part = |name: &str| Part { name: name.into(), compensates: name != "b" };
        let plan = Plan { parts: ["a", "b", "ü/"].map(part).to_vec(), pivot: Some(1) };
        let id = SagaId::new("t", "x/7").unwrap();
        Saga::new(id, "order".into(), "{}".into(), plan, Utc(-3))
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        for (place, state) in State::ALL.into_iter().enumerate() {
            let deed = Deed::ALL[place];
            let hold = Some(Hold { owner: "me".into(), until: Utc(9) }).filter(|_| place % 2 == 0);
            let mut saga = Saga { state, hold, at: place % 3, ..saga() };
            saga.why = Why::ALL.get(place).copied();
            saga.way = WAYS[place % 2];
            saga.steps[2] = Standing { done: deed, undone: Deed::ALL[7 - place] };
            assert_eq!(SagaRow::of(&saga).read("here").unwrap(), saga);
        }
        assert_eq!(number(State::Completed), OVER);
    }

    #[test]
    fn what_no_cronx_wrote_is_said() {
        let changes: [fn(&mut SagaRow); 10] = [
            |row| row.saga = "x".to_owned(),
            |row| row.state = 0,
            |row| row.state = 8,
            |row| row.fence = -1,
            |row| row.owner = Some("me".to_owned()),
            |row| row.body = "{}".to_owned(),
            |row| row.body = row.body.replace("absent", "away"),
            |row| row.body = row.body.replace("\"at\":0", "\"at\":3"),
            |row| row.body = row.body.replace("\"pivot\":1", "\"pivot\":2"),
            |row| row.body = row.body.replace("\"way\":\"do\"", "\"way\":\"up\""),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut row = SagaRow::of(&saga());
            change(&mut row);
            let error = row.read("here").expect_err(&number.to_string()).to_string();
            assert!(error.starts_with("here has in the saga "), "{error}");
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        for what in What::ALL {
            let event = Event {
                at: Utc(5),
                began: Utc(-2),
                who: "me".into(),
                step: "a".into(),
                way: Way::Back,
                attempt: 3,
                what,
                said: "no".into(),
            };
            assert_eq!(EventRow::of(&event).read("here", "t/~saga/x").unwrap(), event);
            let row = EventRow { attempt: -1, ..EventRow::of(&event) };
            assert!(row.read("here", "t/~saga/x").is_err());
        }
    }
}
