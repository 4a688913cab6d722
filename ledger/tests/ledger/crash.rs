//! Ten thousand little worlds in which processes end at every write, sleep through their leases, and come
//! back: every firing must have been begun, and must have taken effect once.
//!
//! A failure names its seed: `CRONX_LEDGER_SEED=N` lives through it again, and `CRONX_LEDGER_SEEDS=1000000`
//! asks for more of them.

mod owner;

use std::collections::BTreeMap;
use std::env;

use cronx_ledger::act::{Act, Reply};
use cronx_ledger::claim::{Bid, Claim, Fence, State, Verdict};
use cronx_ledger::{JobId, Key};
use cronx_scheduler::{Course, Utc};

use crate::model::{Ended, Model};
use crate::random::Random;
use owner::Owner;

/// Time between two instants of the job.
const PERIOD: i64 = 10;
/// How many it has.
const INSTANTS: i64 = 12;
/// A lease lasts as long as so many of them.
const LEASE: i64 = 5 * PERIOD;
/// The world is wild for so long, and then calms down.
const WILD: i64 = INSTANTS * PERIOD + 60;
const CALM: i64 = WILD + 20 * LEASE;

/// What all owners see.
struct World {
    model: Model,
    random: Random,
    job: JobId,
    /// Whether owners hold a lease; else there is one owner, and a lock.
    leased: bool,
    /// What was left out, as far as the ledger was told.
    skipped: Course,
    /// Grants of each key, in order.
    grants: BTreeMap<Key, Vec<Fence>>,
    bids: u128,
    lives: u32,
}

impl World {
    fn new(seed: u64, is_broken: bool) -> Self {
        let mut random = Random::new(seed);
        let leased = !random.one_in(3);
        Self {
            model: Model::new(is_broken),
            random,
            job: JobId::new("t", "job").unwrap(),
            leased,
            skipped: Course::new(Utc(i64::MIN)),
            grants: BTreeMap::new(),
            bids: 0,
            lives: 0,
        }
    }

    fn lease_key() -> Key {
        Key::lease("t", "shard 0").unwrap()
    }

    fn key(&self, nominal: Utc) -> Key {
        Key::firing(&self.job, nominal, 0)
    }

    fn bid(&mut self) -> Bid {
        self.bids += 1;
        Bid(self.bids)
    }

    fn claim(&mut self, owner: &str, lease: i64, sole: bool) -> Claim {
        let lease = std::time::Duration::from_nanos(lease as u64);
        Claim { owner: owner.into(), bid: self.bid(), fingerprint: None, lease, sole }
    }

    /// Asks, and remembers every grant.
    fn act(&mut self, act: &Act) -> Result<Reply, Ended> {
        let reply = self.model.act(act)?;
        let key = act.wants().entry;
        if let (Reply::Verdict(Verdict::Granted { fence, .. }), Some(key)) = (&reply, key) {
            self.grants.entry(key.clone()).or_default().push(*fence);
        }
        Ok(reply)
    }

    fn is_wild(&self) -> bool {
        self.model.now < Utc(WILD)
    }

    /// Nothing is lost, nothing happened twice, no fence came back.
    fn judge(&self) -> Result<(), String> {
        for (key, fences) in &self.grants {
            if !fences.is_sorted_by(|one, next| one < next) {
                return Err(format!("fences of {key} came back: {fences:?}"));
            }
        }
        for number in 1..=INSTANTS {
            self.judge_firing(Utc(number * PERIOD))?;
        }
        let course = self.model.courses.get(&self.job).ok_or("there is no course")?;
        let is_whole = course.cursor() >= Utc(INSTANTS * PERIOD) && course.ahead().is_empty();
        if is_whole { Ok(()) } else { Err(format!("the course has holes: {course:?}")) }
    }

    fn judge_firing(&self, nominal: Utc) -> Result<(), String> {
        let key = self.key(nominal);
        let happened = self.model.effects.get(&key).copied().unwrap_or(0);
        let is_skipped = !self.skipped.clone().decide(Utc(nominal.0 - 1), nominal);
        let Some(entry) = self.model.entries.get(&key) else {
            return if is_skipped { Ok(()) } else { Err(format!("{key} is lost")) };
        };
        if happened == 1 && matches!(entry.state, State::Done { .. }) {
            return Ok(());
        }
        Err(format!("{key} happened {happened} times, and is {entry:?}"))
    }
}

/// One world, from its beginning to its calm end.
fn live(seed: u64, is_broken: bool) -> Result<(), String> {
    let mut world = World::new(seed, is_broken);
    let most = if world.leased { 3 } else { 1 };
    let count = 1 + world.random.below(most);
    let mut owners: Vec<Owner> = (0..count).map(|_| Owner::born(&mut world)).collect();
    while world.model.now < Utc(CALM) {
        world.model.now = Utc(world.model.now.0 + world.random.below(5) as i64);
        for owner in &mut owners {
            let ends = world.is_wild() && world.random.one_in(12);
            world.model.ends_after = ends.then(|| world.random.below(6));
            let ended = owner.turn(&mut world);
            world.model.ends_after = None;
            if ended.is_err() {
                *owner = Owner::born(&mut world);
            }
        }
    }
    world.judge()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice() {
    if let Some(seed) = number("CRONX_LEDGER_SEED") {
        live(seed, false).unwrap();
        return;
    }
    for seed in 0..number("CRONX_LEDGER_SEEDS").unwrap_or(10_000) {
        if let Err(why) = live(seed, false) {
            panic!("CRONX_LEDGER_SEED={seed}: {why}");
        }
    }
}

/// The simulation is worth what it finds.
#[test]
fn a_store_without_transactions_is_found_out() {
    let found = (0..500).filter(|&seed| live(seed, true).is_err()).count();
    assert!(found > 0, "nothing was found in 500 worlds");
}
