//! One life of a process: it takes sagas that are due, lets their steps do what they are for, and says so.

use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::claim::Fence;
use cronx_ledger::saga::{Attempt, Outcome, Question, Saga, Way};
use cronx_ledger::{Key, SagaId};
use cronx_scheduler::Utc;

use super::model::{Ended, Model};
use super::{LEASE, World};

/// Something that happens whenever it does, whatever has become of its owner.
pub struct Ghost {
    key: Key,
    /// Of a compensation, what it is to undo.
    undoes: Option<Key>,
}

impl Ghost {
    /// In one transaction; whether it was let in.
    pub fn happen(&self, model: &mut Model) -> Result<bool, Ended> {
        let undoes = self.undoes.clone();
        model.effect(&self.key, |model| undoes.is_some_and(|key| model.effects.contains_key(&key)))
    }
}

/// A saga that it believes to have.
struct Hand {
    id: SagaId,
    fence: Fence,
    /// What is at work.
    attempt: Option<(Attempt, Ghost)>,
    /// What is to be said of it.
    outcome: Option<Outcome>,
}

pub struct Owner {
    name: Arc<str>,
    hand: Option<Hand>,
    /// It is stopped until then, and knows nothing of it.
    sleeps_until: Utc,
}

impl Owner {
    pub fn born(world: &mut World) -> Self {
        world.lives += 1;
        let name = format!("life {}", world.lives).into();
        Self { name, hand: None, sleeps_until: Utc(i64::MIN) }
    }

    /// What it had begun goes on without it, now and then.
    pub fn dies(&mut self, world: &mut World) {
        let attempt = self.hand.take().and_then(|hand| hand.attempt);
        if let Some((_, ghost)) = attempt.filter(|_| world.random.one_in(2)) {
            world.ghosts.push(ghost);
        }
    }

    /// Does one thing.
    pub fn turn(&mut self, world: &mut World) -> Result<(), Ended> {
        if world.model.now < self.sleeps_until {
            return Ok(());
        }
        if world.is_wild() && world.random.one_in(40) {
            let nap = world.random.below(3 * LEASE as u64) as i64;
            self.sleeps_until = Utc(world.model.now.0 + nap);
            return Ok(());
        }
        let Some(mut hand) = self.hand.take() else { return self.seek(world) };
        let stays = if hand.outcome.is_some() {
            settle(&mut hand, world)
        } else if let Some((attempt, ghost)) = hand.attempt.take() {
            // It is at work when its process ends.
            self.hand = Some(hand);
            let done = work(world, &ghost);
            hand = self.hand.take().expect("it was put there");
            hand.attempt = Some((attempt, ghost));
            hand.outcome = Some(done?);
            Ok(true)
        } else {
            start(&mut hand, world)
        };
        if stays? {
            self.hand = Some(hand);
        }
        Ok(())
    }

    fn seek(&mut self, world: &mut World) -> Result<(), Ended> {
        let all: Vec<SagaId> = world.model.sagas.keys().cloned().collect();
        let Some(place) = world.random.place(all.len()) else { return Ok(()) };
        let (owner, lease) = (Arc::clone(&self.name), Duration::from_nanos(LEASE as u64));
        let claim = Question::Claim { owner, lease, sole: world.is_sole };
        if let Ok(saga) = world.model.ask(&all[place], &claim)? {
            let (id, fence) = (saga.id, saga.fence);
            self.hand = Some(Hand { id, fence, attempt: None, outcome: None });
        }
        Ok(())
    }
}

/// Whether it is still to be gone on with.
fn start(hand: &mut Hand, world: &mut World) -> Result<bool, Ended> {
    let saga = &world.model.sagas[&hand.id];
    let attempts = world.definition.steps()[saga.at].retry.attempts;
    let started = world.model.ask(&hand.id, &Question::Start { fence: hand.fence, attempts })?;
    let Ok(saga) = started else { return Ok(false) };
    hand.attempt = saga.attempt().map(|attempt| (attempt, ghost(&saga, attempt)));
    Ok(saga.hold.is_some())
}

fn ghost(saga: &Saga, attempt: Attempt) -> Ghost {
    let undoes = (attempt.way == Way::Back).then(|| saga.key(attempt.step, Way::Forward));
    Ghost { key: saga.key(attempt.step, attempt.way), undoes }
}

/// What a step does and says. It never says that nothing is there where something is, or may yet be.
fn work(world: &mut World, ghost: &Ghost) -> Result<Outcome, Ended> {
    let said = String::new();
    let fate = if world.is_wild() { world.random.below(10) } else { 9 };
    match fate {
        0 | 1 => Ok(Outcome::Failed(said)),
        2 => Ok(Outcome::Refused(said)),
        3 => {
            let Ghost { key, undoes } = ghost;
            world.ghosts.push(Ghost { key: key.clone(), undoes: undoes.clone() });
            Ok(Outcome::Unknown(said))
        }
        4 => ghost.happen(&mut world.model).map(|_| Outcome::Unknown(said)),
        _ => {
            let is_in = ghost.happen(&mut world.model)?;
            Ok(if is_in { Outcome::Done(said) } else { Outcome::Refused(said) })
        }
    }
}

fn settle(hand: &mut Hand, world: &mut World) -> Result<bool, Ended> {
    let (Some((attempt, _)), Some(outcome)) = (hand.attempt.take(), hand.outcome.take()) else {
        return Ok(true);
    };
    let retry = world.definition.steps()[attempt.step].retry;
    let (fence, draw) = (hand.fence, world.random.next());
    let settle = Question::Settle { fence, attempt, outcome, retry, draw };
    // A saga that waits is anybody's.
    Ok(world.model.ask(&hand.id, &settle)?.is_ok_and(|saga| saga.hold.is_some()))
}
