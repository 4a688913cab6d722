//! Every history of short sagas, and many of longer ones, beside a saga that is told in one straight line.

use std::collections::BTreeMap;

use Fate::{Done, Failed, Refused as No, Unknown};

use super::*;
use crate::key::SagaId;
use crate::saga::ask::{Answer, Question};
use crate::saga::plan::{Part, Plan};

const LEASE: Duration = Duration::from_nanos(100);
const RETRY: Retry = Retry {
    attempts: 1,
    base: Duration::from_nanos(10),
    cap: Duration::from_nanos(40),
    rejected: false,
};

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Failed,
    Unknown,
    /// Its owner ends in the middle of it.
    Ends,
    Refused,
}

const FATES: [Fate; 5] = [Fate::Done, Fate::Failed, Fate::Unknown, Fate::Ends, Fate::Refused];

/// An attempt: the step, whether it was undone, which one, and what became of it.
type Tried = (usize, bool, u32, Fate);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Completed,
    Compensated,
    Stuck(Why),
}

/// As one would tell it: no state, no time, nobody who ends.
struct Told<'a> {
    plan: &'a Plan,
    attempts: u32,
    log: Vec<Tried>,
}

impl Told<'_> {
    fn tell(&mut self, fate: &mut impl FnMut() -> Fate) -> End {
        let steps = self.plan.parts.len();
        let mut may_have_happened = vec![false; steps];
        for step in 0..steps {
            let (is_done, doubt) = self.tries(step, false, fate);
            may_have_happened[step] = is_done || doubt;
            if is_done {
                continue;
            }
            let compensates = |step: usize| self.plan.parts[step].compensates;
            if self.plan.pivot.is_some_and(|pivot| pivot < step) {
                return End::Stuck(Why::Forward);
            }
            if self.plan.pivot == Some(step) && doubt && !compensates(step) {
                return End::Stuck(Why::Pivot);
            }
            let undone: Vec<usize> =
                (0..=step).rev().filter(|&s| may_have_happened[s] && compensates(s)).collect();
            for step in undone {
                if !self.tries(step, true, fate).0 {
                    return End::Stuck(Why::Compensation);
                }
            }
            return End::Compensated;
        }
        End::Completed
    }

    /// Whether it was done; and else whether it may have happened.
    fn tries(&mut self, step: usize, undo: bool, fate: &mut impl FnMut() -> Fate) -> (bool, bool) {
        let mut doubt = false;
        for number in 1..=self.attempts {
            let fate = fate();
            self.log.push((step, undo, number, fate));
            match fate {
                Fate::Done => return (true, false),
                Fate::Refused => break,
                Fate::Failed => {}
                Fate::Unknown | Fate::Ends => doubt = true,
            }
        }
        (false, doubt)
    }
}

/// As the rules have it, each question asked as a store would, and some twice.
struct Lived {
    saga: Saga,
    now: Utc,
    gates: BTreeMap<Key, bool>,
    events: Vec<Event>,
    owners: u32,
}

impl Lived {
    fn new(plan: Plan) -> Self {
        let id = SagaId::new("t", "x").unwrap();
        let saga = Saga::new(id, "order".into(), "{}".into(), plan, Utc(0));
        Self { saga, now: Utc(0), gates: BTreeMap::new(), events: Vec::new(), owners: 0 }
    }

    fn ask(&mut self, question: &Question) -> Result<(), Refusal> {
        let Answer { reply, change } = question.on(&self.saga.id, Some(&self.saga), self.now);
        if let Some(Change { saga, gates, events }) = change {
            assert_eq!(saga.events as usize, self.events.len() + events.len());
            for Gate { key, is_open } in gates {
                let gate = self.gates.entry(key).or_insert(is_open);
                assert!(!is_open || *gate, "a gate is not opened again");
                *gate &= is_open;
            }
            self.events.extend(events);
            self.saga = saga;
        }
        reply.map(drop)
    }

    fn claim(&mut self) -> Fence {
        self.owners += 1;
        let owner: Arc<str> = format!("owner {}", self.owners).into();
        let before = self.saga.fence;
        let claim = Question::Claim { owner, lease: LEASE, sole: false };
        self.ask(&claim).unwrap();
        assert!(self.ask(&claim).is_err(), "it is held");
        assert!(self.saga.fence > before);
        self.saga.fence
    }

    fn live(&mut self, attempts: u32, fate: &mut impl FnMut() -> Fate) -> Vec<Tried> {
        let (mut fence, mut log) = (self.claim(), Vec::new());
        loop {
            let start = Question::Start { fence, attempts };
            self.ask(&start).unwrap();
            let started = self.saga.clone();
            let Some(attempt) = self.saga.attempt() else {
                if self.saga.state.is_terminal() {
                    return log;
                }
                continue;
            };
            // Its answer was lost.
            self.ask(&start).unwrap();
            assert_eq!(self.saga, started);
            self.gates_are_right(attempt);
            self.now = self.now + Duration::from_nanos(1);
            let fate = fate();
            log.push((attempt.step, attempt.way == Way::Back, attempt.number, fate));
            if fate == Fate::Ends {
                self.now = self.now + LEASE;
                let old = fence;
                fence = self.claim();
                let late = settled(old, attempt, Fate::Done, attempts);
                assert_eq!(self.ask(&late), Err(Refusal::Lost));
                continue;
            }
            let settle = settled(fence, attempt, fate, attempts);
            self.ask(&settle).unwrap();
            let settled = self.saga.clone();
            match (self.ask(&settle), &settled.hold) {
                (Ok(()), Some(_)) | (Err(Refusal::Lost), None) => assert_eq!(self.saga, settled),
                other => panic!("settled again: {other:?}"),
            }
            if settled.state.is_terminal() {
                return log;
            }
            if settled.hold.is_none() {
                let is_before = settled.due > self.now;
                assert!(is_before, "it waits for nothing");
                self.now = settled.due;
                fence = self.claim();
            }
        }
    }

    /// An action may happen as long as its saga goes forward, a compensation once it is begun.
    fn gates_are_right(&self, attempt: Attempt) {
        assert!(
            self.gates[&self.saga.key(attempt.step, attempt.way)],
            "{attempt:?} may not happen"
        );
        for step in 0..self.saga.steps.len() {
            let action = self.gates.get(&self.saga.key(step, Way::Forward));
            let by_hand = matches!(self.saga.steps[step].done, Deed::Given | Deed::Skipped);
            let may = attempt.way == Way::Forward && step <= attempt.step && !by_hand;
            assert_eq!(action.copied().unwrap_or(false), may, "step {step} at {attempt:?}");
        }
    }

    fn end(&self) -> End {
        match self.saga.state {
            State::Completed => End::Completed,
            State::Compensated => End::Compensated,
            State::NeedsOperator => End::Stuck(self.saga.why.unwrap()),
            state => panic!("it ended {state}"),
        }
    }
}

fn settled(fence: Fence, attempt: Attempt, fate: Fate, attempts: u32) -> Question {
    let said = String::new();
    let outcome = match fate {
        Fate::Done => Outcome::Done(said),
        Fate::Failed => Outcome::Failed(said),
        Fate::Refused => Outcome::Refused(said),
        Fate::Unknown | Fate::Ends => Outcome::Unknown(said),
    };
    let retry = Retry { attempts, ..RETRY };
    Question::Settle { fence, attempt, outcome, retry, draw: 7 }
}

/// Both ways of it, by the same fates: the same is tried in the same order, and it ends the same.
fn compare(plan: &Plan, attempts: u32, fates: &mut dyn FnMut() -> Fate) {
    let mut told = Told { plan, attempts, log: Vec::new() };
    let mut drawn = Vec::new();
    let end = told.tell(&mut || {
        drawn.push(fates());
        drawn[drawn.len() - 1]
    });
    let mut lived = Lived::new(plan.clone());
    let mut again = drawn.iter().copied();
    let log = lived.live(attempts, &mut || again.next().expect("it goes on after its end"));
    assert_eq!((&log, lived.end()), (&told.log, end), "{plan:?}");
    let events =
        lived.events.iter().map(|event| (event.way == Way::Back, event.attempt, event.what));
    let what = |fate| match fate {
        Fate::Done => What::Done,
        Fate::Failed => What::Failed,
        Fate::Refused => What::Refused,
        Fate::Unknown | Fate::Ends => What::Unknown,
    };
    let expected = log.iter().map(|(_, undo, number, fate)| (*undo, *number, what(*fate)));
    assert!(events.eq(expected), "all that was tried is written down: {:?}", lived.events);
}

fn plans(steps: usize) -> impl Iterator<Item = Plan> {
    (0..=steps).flat_map(move |pivot| {
        (0..1_u32 << steps).map(move |mask| {
            let part = |place: usize| Part {
                name: format!("step {place}").into(),
                compensates: mask >> place & 1 == 1,
            };
            let pivot = (pivot < steps).then_some(pivot);
            Plan { parts: (0..steps).map(part).collect(), pivot }
        })
    })
}

/// Every sequence of fates; how many there were.
fn every(plan: &Plan, attempts: u32) -> usize {
    let mut digits: Vec<usize> = Vec::new();
    let mut count = 0;
    loop {
        let mut place = 0;
        compare(plan, attempts, &mut || {
            if place == digits.len() {
                digits.push(0);
            }
            place += 1;
            FATES[digits[place - 1]]
        });
        count += 1;
        digits.truncate(place);
        while digits.last() == Some(&(FATES.len() - 1)) {
            digits.pop();
        }
        match digits.last_mut() {
            Some(last) => *last += 1,
            None => return count,
        }
    }
}

#[test]
fn every_history_of_short_sagas_is_as_it_is_told() {
    let one: usize = plans(1).map(|plan| every(&plan, 3)).sum();
    let two: usize = plans(2).map(|plan| every(&plan, 2)).sum();
    let three: usize = plans(3).map(|plan| every(&plan, 1)).sum();
    assert!(one > 300 && two > 10_000 && three > 1_000, "{one}, {two}, {three}");
}

proptest::proptest! {
    #[test]
    fn longer_ones_too(
        plan in 0_usize..6 * 32,
        attempts in 1_u32..6,
        fates in proptest::collection::vec(0_usize..8, 120),
    ) {
        let plan = plans(5).nth(plan).unwrap();
        let mut fates = fates.into_iter().cycle();
        // Most things go well.
        compare(&plan, attempts, &mut || FATES[fates.next().unwrap().saturating_sub(3)]);
    }
}

/// Three steps, the second of which is the pivot, up to where `fates` are at an end.
fn stuck(fates: &[Fate]) -> Lived {
    let part = |name: &str| Part { name: name.into(), compensates: name != "pay" };
    let plan = Plan { parts: ["reserve", "pay", "ship"].map(part).to_vec(), pivot: Some(1) };
    let mut lived = Lived::new(plan);
    let mut fates = fates.iter().copied();
    lived.live(2, &mut || fates.next().unwrap());
    assert_eq!(lived.saga.state, State::NeedsOperator);
    lived
}

fn decided(lived: &mut Lived, verb: Verb, step: &str) -> Result<State, Refusal> {
    let (step, who, why) = (step.to_owned(), "me".to_owned(), "I looked".to_owned());
    lived.ask(&Question::Operate { verb, step, who, why })?;
    let event = lived.events.last().unwrap();
    assert_eq!((&*event.who, &*event.said), ("me", "I looked"));
    Ok(lived.saga.state)
}

#[test]
fn after_the_pivot_an_operator_goes_forward() {
    let forward = [Done, Done, Failed, Unknown];
    let mut lived = stuck(&forward);
    assert_eq!(lived.saga.why, Some(Why::Forward));
    assert_eq!(choices(&lived.saga), [Verb::Retry, Verb::Done, Verb::Skip]);
    assert_eq!(decided(&mut lived, Verb::Compensate, "ship"), Err(Refusal::NoTurn));
    let other = Refusal::OtherStep("ship".into());
    assert_eq!(decided(&mut lived, Verb::Done, "pay"), Err(other));
    assert_eq!(decided(&mut lived, Verb::Done, "ship"), Ok(State::Completed));
    assert_eq!(lived.saga.steps[2].done, Deed::Given);
    assert!(!lived.gates[&lived.saga.key(2, Way::Forward)], "what comes late is refused");
    let over = Refusal::NotStuck(State::Completed);
    assert_eq!(decided(&mut lived, Verb::Retry, "ship"), Err(over));

    let mut lived = stuck(&forward);
    assert_eq!(decided(&mut lived, Verb::Skip, "ship"), Ok(State::Completed));
    assert_eq!(lived.saga.steps[2].done, Deed::Skipped);

    let mut lived = stuck(&forward);
    assert_eq!(decided(&mut lived, Verb::Retry, "ship"), Ok(State::Retrying));
    let mut fates = [Failed, Done].into_iter();
    let log = lived.live(2, &mut || fates.next().unwrap());
    assert_eq!(log, [(2, false, 1, Failed), (2, false, 2, Done)]);
    assert_eq!(lived.end(), End::Completed);
}

#[test]
fn a_compensation_that_fails_for_good_is_an_operators() {
    let back = [Done, No, Failed, Failed];
    let mut lived = stuck(&back);
    assert_eq!(lived.saga.why, Some(Why::Compensation));
    assert_eq!(choices(&lived.saga), [Verb::Retry, Verb::Done, Verb::Skip]);
    assert_eq!(decided(&mut lived, Verb::Compensate, "reserve"), Err(Refusal::NoTurn));
    assert_eq!(decided(&mut lived, Verb::Done, "reserve"), Ok(State::Compensated));
    assert_eq!(lived.saga.steps[0].undone, Deed::Given);
    assert!(!lived.gates[&lived.saga.key(0, Way::Back)]);
    let mut lived = stuck(&back);
    assert_eq!(decided(&mut lived, Verb::Retry, "reserve"), Ok(State::Compensating));
    lived.live(2, &mut || Done);
    assert_eq!(lived.end(), End::Compensated);
}

#[test]
fn whether_the_pivot_happened_an_operator_says() {
    let unknown = [Done, Unknown, Failed];
    let mut lived = stuck(&unknown);
    assert_eq!(lived.saga.why, Some(Why::Pivot));
    assert_eq!(choices(&lived.saga).last(), Some(&Verb::Compensate));
    assert_eq!(decided(&mut lived, Verb::Compensate, "pay"), Ok(State::Compensating));
    let log = lived.live(2, &mut || Done);
    assert_eq!((log, lived.end()), (vec![(0, true, 1, Done)], End::Compensated));
    let mut lived = stuck(&unknown);
    assert_eq!(decided(&mut lived, Verb::Done, "pay"), Ok(State::Executing));
    lived.live(2, &mut || Done);
    assert_eq!(lived.end(), End::Completed);
}

#[test]
fn a_decision_has_a_reason() {
    let mut lived = stuck(&[Done, Done, No]);
    for verb in [Verb::Done, Verb::Skip] {
        let (step, who, why) = ("ship".to_owned(), "me".to_owned(), " ".to_owned());
        let refused = lived.ask(&Question::Operate { verb, step, who, why });
        assert_eq!(refused, Err(Refusal::NoReason));
    }
}

#[test]
fn another_definition_is_an_operators_affair() {
    let plan = plans(2).last().unwrap();
    let mut lived = Lived::new(plan);
    let fence = lived.claim();
    lived.ask(&Question::Park { fence, said: "its steps were others".to_owned() }).unwrap();
    assert_eq!((lived.saga.state, lived.saga.why), (State::NeedsOperator, Some(Why::Definition)));
    assert_eq!(choices(&lived.saga).len(), 4);
    assert_eq!(decided(&mut lived, Verb::Done, "step 0"), Ok(State::Executing));
    lived.live(1, &mut || Done);
    assert_eq!(lived.end(), End::Completed);
}

#[test]
fn one_who_is_sole_waits_for_no_lease() {
    let mut lived = Lived::new(plans(1).last().unwrap());
    let fence = lived.claim();
    lived.ask(&Question::Start { fence, attempts: 2 }).unwrap();
    let claim = |owner: &str, sole| Question::Claim { owner: owner.into(), lease: LEASE, sole };
    assert!(lived.ask(&claim("owner 1", true)).is_err(), "it is his own");
    lived.ask(&claim("other", true)).unwrap();
    assert_eq!(lived.saga.steps[0].done, Deed::Unknown);
    assert!(lived.ask(&claim("third", false)).is_err());
    assert_eq!(lived.ask(&Question::Renew { fence, lease: LEASE }), Err(Refusal::Lost));
}

/// So it does over a saga that was let go of, and begins anew.
#[test]
fn a_fence_grows_with_the_time() {
    for (now, fence) in [(0, 1), (5_000_000, 5001)] {
        let mut lived = Lived { now: Utc(now), ..Lived::new(plans(1).last().unwrap()) };
        assert_eq!(lived.claim(), Fence(fence));
    }
}

#[test]
fn what_is_begun_again_is_the_same() {
    let mut lived = Lived::new(plans(1).last().unwrap());
    let begin = |name: &str, payload: &str| Question::Begin {
        name: name.into(),
        payload: payload.into(),
        plan: plans(2).last().unwrap(),
    };
    let before = lived.saga.clone();
    // Whatever its definition has become, it has begun.
    assert_eq!(lived.ask(&begin("order", "{}")), Ok(()));
    assert_eq!(lived.saga, before);
    assert_eq!(lived.ask(&begin("order", "[]")), Err(Refusal::Mismatch));
    assert_eq!(lived.ask(&begin("other", "{}")), Err(Refusal::Mismatch));
    let absent = begin("order", "{}").on(&before.id, None, Utc(5));
    assert_eq!(absent.change.unwrap().saga.state, State::Pending);
    let gone = Question::Release { fence: Fence(1) }.on(&before.id, None, Utc(5));
    assert_eq!(gone.reply, Err(Refusal::Absent));
}
