//! The same histories through a store and through the rules alone: each answer must be the same, and so must be
//! what can be read after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cronx_ledger::saga::{
    Attempt, Change, Definition, Due, Event, Outcome, Question, Saga, Seeker, State, Verb, Way,
};
use cronx_ledger::{Error, Key, SagaId};
use cronx_scheduler::{Retry, Utc};

use super::{Stage, definition, id};
use crate::random::Random;

const LENGTH: usize = 150;
const LEASE: Duration = Duration::from_nanos(40);
const OWNERS: [&str; 3] = ["one", "other", "third"];

/// A history, as far as it was told.
struct Telling<'a> {
    stage: &'a dyn Stage,
    now: Arc<AtomicI64>,
    random: Random,
    definitions: [Definition; 2],
    sagas: BTreeMap<SagaId, Saga>,
    events: BTreeMap<SagaId, Vec<Event>>,
    gates: BTreeMap<Key, bool>,
    /// What it has met.
    states: BTreeSet<State>,
    pruned: usize,
}

/// For a store that is empty; which states its sagas were in.
pub async fn conforms(stage: &dyn Stage, now: &Arc<AtomicI64>, seed: u64) -> BTreeSet<State> {
    now.store(0, Ordering::SeqCst);
    let mut telling = Telling {
        stage,
        now: Arc::clone(now),
        random: Random::new(seed),
        definitions: [
            definition("order", &["reserve", "!pay", "ship", "ü/\u{1b}"]),
            definition("trip", &["fly", "sleep"]),
        ],
        sagas: BTreeMap::new(),
        events: BTreeMap::new(),
        gates: BTreeMap::new(),
        states: BTreeSet::new(),
        pruned: 0,
    };
    for number in 0..LENGTH {
        let step = telling.step(seed);
        let place = format!("seed {seed}, step {number}: {step:?}");
        if let Err(error) = telling.tell(step, &place).await {
            panic!("{place}: {error}");
        }
        if telling.random.one_in(10) {
            telling.prune(&place).await;
        }
    }
    assert!(telling.pruned > 0, "seed {seed} pruned nothing");
    telling.states
}

impl Telling<'_> {
    fn now(&self) -> Utc {
        Utc(self.now.load(Ordering::SeqCst))
    }

    fn step(&mut self, seed: u64) -> (SagaId, Question) {
        let pass = self.random.below(12) as i64;
        self.now.fetch_add(pass, Ordering::SeqCst);
        let id = id(&format!("{seed}/{}", self.random.below(3)));
        let question = match self.sagas.get(&id).cloned() {
            None => self.begin(),
            Some(saga) => self.about(&saga),
        };
        (id, question)
    }

    fn begin(&mut self) -> Question {
        let definition = &self.definitions[self.random.below(2) as usize];
        definition.begin(if self.random.one_in(8) { "[\"ü\"]" } else { "{}" }).unwrap()
    }

    fn about(&mut self, saga: &Saga) -> Question {
        // Somebody may believe to have it who has not.
        let stale = u64::from(self.random.one_in(12));
        let fence = cronx_ledger::claim::Fence(saga.fence.0.saturating_sub(stale));
        let place = self.random.below(OWNERS.len() as u64) as usize;
        let (owner, lease): (Arc<str>, _) = (OWNERS[place].into(), LEASE);
        if self.random.one_in(15) {
            return self.begin();
        }
        if saga.state == State::NeedsOperator {
            return self.operate(saga);
        }
        if let Some(attempt) = saga.attempt().filter(|_| !self.random.one_in(6)) {
            return self.settle(fence, attempt);
        }
        match (saga.hold.is_some(), self.random.below(12)) {
            (false, _) | (true, 0) => Question::Claim { owner, lease, sole: self.random.one_in(6) },
            (_, 1) => Question::Renew { fence, lease },
            (_, 2) => Question::Release { fence },
            (_, 3) => Question::Park { fence, said: "no\0such".to_owned() },
            _ => Question::Start { fence, attempts: 2 },
        }
    }

    fn settle(&mut self, fence: cronx_ledger::claim::Fence, attempt: Attempt) -> Question {
        let said = format!("said \0 {}", self.random.below(10));
        let outcome = match self.random.below(8) {
            0 => Outcome::Failed(said),
            1 => Outcome::Unknown("ü".repeat(2000)),
            2 => Outcome::Refused(said),
            _ => Outcome::Done(said),
        };
        let (base, cap) = (Duration::from_nanos(10), Duration::from_nanos(20));
        let retry = Retry { attempts: 2, base, cap, rejected: false };
        Question::Settle { fence, attempt, outcome, retry, draw: self.random.next() }
    }

    fn operate(&mut self, saga: &Saga) -> Question {
        let verbs = [Verb::Retry, Verb::Done, Verb::Skip, Verb::Compensate];
        let verb = verbs[self.random.below(4) as usize];
        let wrong = self.random.one_in(8);
        let step = if wrong { "fly" } else { &saga.plan.parts[saga.at].name };
        let why = if self.random.one_in(8) { "" } else { "paid by hand" };
        let (step, who, why) = (step.to_owned(), "me".to_owned(), why.to_owned());
        Question::Operate { verb, step, who, why }
    }

    async fn tell(&mut self, (id, question): (SagaId, Question), place: &str) -> Result<(), Error> {
        let answer = question.on(&id, self.sagas.get(&id), self.now());
        let reply = self.stage.sagas().ask(id.clone(), question).await?;
        assert_eq!(reply, answer.reply, "{place}");
        if let Some(Change { saga, gates, events }) = answer.change {
            self.states.insert(saga.state);
            for gate in gates {
                match self.gates.get_mut(&gate.key) {
                    Some(known) => *known &= gate.is_open,
                    None if gate.is_open => _ = self.gates.insert(gate.key, true),
                    None => {}
                }
            }
            self.events.entry(id.clone()).or_default().extend(events);
            self.sagas.insert(id.clone(), saga);
        }
        self.same(&id, place).await
    }

    /// One at a time: as many as there are.
    async fn prune(&mut self, place: &str) {
        let over_for = Duration::from_nanos(self.random.below(40));
        let before = self.now() - over_for;
        let is_over = |saga: &Saga| {
            matches!(saga.state, State::Completed | State::Compensated) && saga.since < before
        };
        let gone: Vec<Saga> =
            self.sagas.extract_if(.., |_, saga| is_over(saga)).map(|(_, saga)| saga).collect();
        for saga in &gone {
            self.events.remove(&saga.id);
            for step in 0..saga.steps.len() {
                for way in [Way::Forward, Way::Back] {
                    self.gates.remove(&saga.key(step, way));
                }
            }
            self.pruned += 1;
        }
        for left in (0..=gone.len()).rev() {
            let pruned = self.stage.sagas().prune("shop", over_for, 1).await;
            assert_eq!(pruned.expect("it can be pruned"), usize::from(left > 0), "{place}");
        }
    }

    async fn same(&mut self, id: &SagaId, place: &str) -> Result<(), Error> {
        let sagas = self.stage.sagas();
        let ours = self.sagas.get(id);
        let whole =
            ours.map(|saga| (saga.clone(), self.events.get(id).cloned().unwrap_or_default()));
        assert_eq!(sagas.show(id.clone()).await?, whole, "{place}");
        assert_eq!(sagas.get(id.clone()).await?.as_ref(), ours, "{place}");
        if let Some(saga) = ours {
            let step = self.random.below(saga.steps.len() as u64) as usize;
            for way in [Way::Forward, Way::Back] {
                let key = saga.key(step, way);
                let may = self.gates.get(&key).copied().unwrap_or(false);
                assert_eq!(self.stage.may(key).await?, may, "{place}: {step} {way:?}");
            }
        }
        self.same_lists(place).await
    }

    async fn same_lists(&mut self, place: &str) -> Result<(), Error> {
        let (sole, most) = (self.random.one_in(2), 1 + self.random.below(3) as usize);
        let mut names: Vec<Arc<str>> = vec!["order".into(), "trip".into(), "other".into()];
        names.rotate_left(self.random.below(2) as usize);
        names.pop();
        let seeker = Seeker { names, owner: "one".into(), sole };
        let due = self.due(&seeker, most);
        assert_eq!(self.stage.sagas().due(seeker, most).await?, due, "{place}");
        let state = (!self.random.one_in(3)).then(|| State::ALL[self.random.below(7) as usize]);
        let is_of = |saga: &&Saga| state.is_none_or(|state| saga.state == state);
        let mut ours: Vec<&Saga> = self.sagas.values().filter(is_of).collect();
        ours.sort_by_key(|saga| (std::cmp::Reverse(saga.since), saga.id.to_string()));
        ours.truncate(most);
        let theirs = self.stage.sagas().list(state, most).await?;
        let theirs: Vec<Saga> = theirs.into_iter().collect::<Result<_, _>>()?;
        assert!(theirs.iter().eq(ours), "{place}: {theirs:?}");
        Ok(())
    }

    /// What could be claimed: by asking for each.
    fn due(&self, seeker: &Seeker, most: usize) -> Due {
        let known = |saga: &&Saga| seeker.names.contains(&saga.name);
        let claim =
            Question::Claim { owner: Arc::clone(&seeker.owner), lease: LEASE, sole: seeker.sole };
        let open = self.sagas.values().filter(known).filter(|saga| !saga.state.is_terminal());
        let is_due = |saga: &&Saga| claim.on(&saga.id, Some(saga), self.now()).reply.is_ok();
        let mut now: Vec<&Saga> = open.clone().filter(is_due).collect();
        now.sort_by_key(|saga| (saga.due, saga.id.to_string()));
        let next = open.map(|saga| saga.due).filter(|due| *due > self.now()).min();
        Due {
            now: now.into_iter().take(most).map(|saga| saga.id.clone()).collect(),
            next: next.map(|next| next.since(self.now())),
        }
    }
}
