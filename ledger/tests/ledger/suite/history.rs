//! What is asked of a store, drawn from a seed: all that owners ask, in any order, some of it nonsense.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::act::{Act, Guard};
use cronx_ledger::claim::{Bid, Claim, Fence};
use cronx_ledger::{Fingerprint, JobId, Key, Named};
use cronx_scheduler::Utc;

use crate::model::Model;
use crate::random::Random;

/// Stores keep leases to the microsecond at least, and instants of firings to the nanosecond.
const TICK_NS: i64 = 1_000_000;

pub struct History {
    random: Random,
    jobs: [JobId; 2],
    lease: Key,
    calls: [Key; 2],
    /// Joined jobs have instants from here.
    base: Utc,
    now: Utc,
}

impl History {
    /// Of names that no other seed has.
    pub fn new(seed: u64) -> Self {
        let tenant = format!("seed {seed}");
        let base = Utc(1_764_338_400_000_000_001);
        Self {
            random: Random::new(seed),
            jobs: ["a/b", "ü"].map(|job| JobId::new(&tenant, job).unwrap()),
            lease: Key::lease(&tenant, "shard 1").unwrap(),
            calls: ["1", "%"].map(|name| Key::call(&tenant, name).unwrap()),
            base,
            now: Utc(base.0 - 1),
        }
    }

    pub fn jobs(&self) -> Vec<JobId> {
        self.jobs.to_vec()
    }

    pub fn is_of(key: &Key, job: &JobId) -> bool {
        matches!(key.named(), Named::Firing { job: of, .. } if of == *job)
    }

    /// Whether the last question is asked again.
    pub fn repeats(&mut self) -> bool {
        self.random.one_in(4)
    }

    pub fn next(&mut self, model: &Model) -> (Act, Utc) {
        self.now = Utc(self.now.0 + self.random.below(4) as i64 * TICK_NS);
        (self.act(model), self.now)
    }

    fn act(&mut self, model: &Model) -> Act {
        let job = self.jobs[self.random.below(2) as usize].clone();
        let guard = self.guard(model);
        let owner = self.owner();
        match self.random.below(20) {
            0..4 => Act::Claim { key: self.call(), claim: self.claim() },
            4 => Act::Claim { key: self.lease.clone(), claim: self.claim() },
            5..7 => {
                let (key, fence) = self.held(model);
                Act::Renew { key, fence, lease: self.time() }
            }
            7..10 => {
                let (key, fence) = self.held(model);
                let result = self.said();
                Act::Complete { key, fence, result }
            }
            10..12 => {
                let (key, fence) = self.held(model);
                Act::Fail { key, fence, why: self.said() }
            }
            12 | 13 => Act::Join { job, now: self.instant(), owner, guard },
            14..18 => self.begin(job, guard),
            18 => {
                let (after, through) = self.span();
                Act::Skip { job, after, through, guard }
            }
            _ if self.random.one_in(4) => Act::Forget { job, owner, guard },
            _ => Act::Join { job, now: self.instant(), owner, guard },
        }
    }

    fn begin(&mut self, job: JobId, guard: Option<Guard>) -> Act {
        let (after, nominal) = self.span();
        let trigger = NonZeroU64::new(self.random.below(3) / 2);
        let key = match trigger {
            Some(trigger) => Key::trigger(&job, nominal, trigger, 0),
            None => Key::firing(&job, nominal, 0),
        };
        let decides = trigger.is_none().then_some((after, nominal));
        Act::Begin { job, key, claim: self.claim(), decides, guard }
    }

    fn claim(&mut self) -> Claim {
        let fingerprint = match self.random.below(5) {
            0 => Some(Fingerprint::of(b"one")),
            1 => Some(Fingerprint::of(b"other")),
            _ => None,
        };
        let lease = if self.random.one_in(6) { Duration::MAX } else { self.time() };
        let (bid, sole) = (Bid(self.random.below(5).into()), self.random.one_in(4));
        Claim { owner: self.owner(), bid, fingerprint, lease, sole }
    }

    fn owner(&mut self) -> Arc<str> {
        ["me", "", "ö 'other\" \\ {}"][self.random.below(3) as usize].into()
    }

    fn said(&mut self) -> Arc<str> {
        ["well", "", "ü\n'--\" \\0 {}"][self.random.below(3) as usize].into()
    }

    fn call(&mut self) -> Key {
        self.calls[self.random.below(2) as usize].clone()
    }

    fn time(&mut self) -> Duration {
        Duration::from_nanos(self.random.below(12) * TICK_NS as u64)
    }

    fn instant(&mut self) -> Utc {
        Utc(self.base.0 + self.random.below(8) as i64)
    }

    fn span(&mut self) -> (Utc, Utc) {
        let after = self.instant();
        (after, Utc(after.0 + self.random.below(3) as i64))
    }

    /// A key that there is, mostly with its fence, or else with any.
    fn held(&mut self, model: &Model) -> (Key, Fence) {
        let mut keys: Vec<&Key> = model.entries.keys().collect();
        keys.sort();
        let Some(place) = self.random.place(keys.len()) else { return (self.call(), Fence(1)) };
        let key = keys[place].clone();
        let last = model.entries[&key].fence.0;
        let fence = if self.random.one_in(4) { self.random.below(last + 2) } else { last };
        (key, Fence(fence))
    }

    fn guard(&mut self, model: &Model) -> Option<Guard> {
        if !self.random.one_in(3) {
            return None;
        }
        let last = model.entries.get(&self.lease).map_or(0, |entry| entry.fence.0);
        let fence = if self.random.one_in(3) { self.random.below(last + 2) } else { last };
        Some(Guard { key: self.lease.clone(), fence: Fence(fence) })
    }
}
