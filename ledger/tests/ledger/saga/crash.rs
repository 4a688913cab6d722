//! Thousands of little worlds in which the owners of sagas end at every write, sleep through their leases, and
//! leave actions behind that happen later: every saga must end, and what it did must be whole, or undone.
//!
//! A failure names its seed: `CRONX_SAGA_SEED=N` lives through it again, and `CRONX_SAGA_SEEDS=1000000` asks
//! for more of them.

mod model;
mod owner;

use std::env;
use std::time::Duration;

use cronx_ledger::SagaId;
use cronx_ledger::saga::{Definition, Question, Saga, State, Step, Verb, Way};
use cronx_scheduler::{Retry, Utc};

use super::id;
use crate::random::Random;
use model::{Fault, Model};
use owner::{Ghost, Owner};

const LEASE: i64 = 50;
/// The world is wild for so long, and then calms down.
const WILD: i64 = 400;
const CALM: i64 = WILD + 40 * LEASE;

/// What all owners see.
struct World {
    model: Model,
    random: Random,
    definition: Definition,
    /// Whether one owner at a time has a lock on the whole store.
    is_sole: bool,
    /// Actions whose owners have given them up, or are gone, and which happen later.
    ghosts: Vec<Ghost>,
    lives: u32,
}

impl World {
    fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut random = Random::new(seed);
        let steps = 1 + random.below(4) as usize;
        let pivot = random.place(steps + 2).filter(|pivot| *pivot < steps);
        let retry = Retry {
            attempts: 1 + random.below(4) as u32,
            base: Duration::from_nanos(5),
            cap: Duration::from_nanos(30),
            rejected: false,
        };
        let step = |place: usize| {
            let is_pivot = pivot == Some(place);
            let compensates = !is_pivot || random.one_in(2);
            Step { is_pivot, compensates, retry, ..Step::new(&format!("step {place}")) }
        };
        let steps = (0..steps).map(step).collect();
        let definition = Definition::new("order", steps).unwrap();
        let is_sole = random.one_in(3);
        let mut model = Model::new(fault);
        for number in 0..=random.below(3) {
            let begun = model.ask(&id(&number.to_string()), &definition.begin("{}").unwrap());
            begun.unwrap().unwrap();
        }
        Self { model, random, definition, is_sole, ghosts: Vec::new(), lives: 0 }
    }

    fn is_wild(&self) -> bool {
        self.model.now < Utc(WILD)
    }

    /// One of those that were left behind happens now, if it may.
    fn haunt(&mut self) {
        if let Some(place) = self.random.place(self.ghosts.len()) {
            let ghost = self.ghosts.swap_remove(place);
            ghost.happen(&mut self.model).expect("nothing ends now");
        }
    }

    /// When all is calm an operator has everything tried again.
    fn operate(&mut self) {
        let stuck = |(id, saga): (&SagaId, &Saga)| {
            let step = saga.plan.parts[saga.at].name.to_string();
            (saga.state == State::NeedsOperator).then(|| (id.clone(), step))
        };
        for (id, step) in self.model.sagas.iter().filter_map(stuck).collect::<Vec<_>>() {
            let (verb, who, why) = (Verb::Retry, "me".to_owned(), String::new());
            let asked = self.model.ask(&id, &Question::Operate { verb, step, who, why });
            asked.unwrap().unwrap();
        }
    }

    /// All have ended, and what they have done is whole or undone.
    fn judge(&self) -> Result<(), String> {
        self.model.sagas.values().try_for_each(|saga| self.judge_one(saga))
    }

    fn judge_one(&self, saga: &Saga) -> Result<(), String> {
        let wrong = |what: String| Err(format!("{} is {}: {what}", saga.id, saga.state));
        for (step, part) in saga.plan.parts.iter().enumerate() {
            let happened = self.model.effects.contains_key(&saga.key(step, Way::Forward));
            // Of a compensation: whether there was something for it to undo.
            let undone = self.model.effects.get(&saga.key(step, Way::Back));
            let is_right = match saga.state {
                State::Completed => happened && undone.is_none(),
                State::Compensated if part.compensates => match undone {
                    Some(undid) => *undid == happened,
                    None => !happened,
                },
                // There is nothing to be undone, or the pivot did not happen.
                State::Compensated => {
                    undone.is_none() && (!happened || saga.plan.pivot != Some(step))
                }
                _ => return wrong("it has not ended".to_owned()),
            };
            if !is_right {
                return wrong(format!("{} happened: {happened}, undone: {undone:?}", part.name));
            }
        }
        Ok(())
    }
}

/// One world, from its beginning to its calm end.
fn live(seed: u64, fault: Option<Fault>) -> Result<(), String> {
    let mut world = World::new(seed, fault);
    let most = if world.is_sole { 1 } else { 3 };
    let count = 1 + world.random.below(most);
    let mut owners: Vec<Owner> = (0..count).map(|_| Owner::born(&mut world)).collect();
    while world.model.now < Utc(CALM) {
        world.model.now = Utc(world.model.now.0 + world.random.below(5) as i64);
        for owner in &mut owners {
            let ends = world.is_wild() && world.random.one_in(10);
            world.model.ends_after = ends.then(|| world.random.below(6));
            let ended = owner.turn(&mut world);
            world.model.ends_after = None;
            if ended.is_err() {
                owner.dies(&mut world);
                *owner = Owner::born(&mut world);
            }
        }
        if world.random.one_in(8) {
            world.haunt();
        }
        if !world.is_wild() && world.random.one_in(10) {
            world.operate();
        }
    }
    while !world.ghosts.is_empty() {
        world.haunt();
    }
    world.judge()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_saga_is_whole_or_undone() {
    if let Some(seed) = number("CRONX_SAGA_SEED") {
        live(seed, None).unwrap();
        return;
    }
    for seed in 0..number("CRONX_SAGA_SEEDS").unwrap_or(8_000) {
        if let Err(why) = live(seed, None) {
            panic!("CRONX_SAGA_SEED={seed}: {why}");
        }
    }
}

/// The simulation is worth what it finds.
#[test]
fn a_store_with_a_fault_is_found_out() {
    for fault in [Fault::NoTransactions, Fault::NoGates] {
        let found = (0..1000).filter(|&seed| live(seed, Some(fault)).is_err()).count();
        assert!(found > 0, "{fault:?} was not found in 1000 worlds");
    }
}
