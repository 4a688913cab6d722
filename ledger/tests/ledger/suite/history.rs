//! What is asked of a store, drawn from a seed: all that owners ask, in any order, some of it nonsense.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::act::{Act, Guard};
use cronx_ledger::claim::{Bid, Claim, Fence};
use cronx_ledger::{Fingerprint, JobId, Key, Named, SagaId};
use cronx_scheduler::Utc;

use crate::model::Model;
use crate::random::Random;

/// Stores keep leases to the microsecond at least, and instants of firings to the nanosecond.
const TICK_NS: i64 = 1_000_000;

pub struct History {
    random: Random,
    tenant: String,
    jobs: [JobId; 2],
    lease: Key,
    calls: [Key; 3],
    /// Joined jobs have instants from here.
    base: Utc,
    now: Utc,
    /// All that were seen of each key.
    fences: BTreeMap<Key, BTreeSet<Fence>>,
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
            calls: [
                Key::call(&tenant, "1").unwrap(),
                Key::call(&tenant, "%").unwrap(),
                Key::step(&SagaId::new(&tenant, "order/1").unwrap(), "pay", false).unwrap(),
            ],
            tenant,
            base,
            now: Utc(base.0 - 1),
            fences: BTreeMap::new(),
        }
    }

    pub fn tenant(&self) -> &str {
        &self.tenant
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

    /// Whether old entries are let go of now, and how old they must be.
    pub fn prunes(&mut self) -> Option<Duration> {
        self.random.one_in(10).then(|| self.time())
    }

    pub fn next(&mut self, model: &Model) -> (Act, Utc) {
        for (key, entry) in &model.entries {
            self.fences.entry(key.clone()).or_default().insert(entry.fence);
        }
        self.now = Utc(self.now.0 + self.random.below(4) as i64 * TICK_NS);
        (self.act(), self.now)
    }

    fn act(&mut self) -> Act {
        let job = self.jobs[self.random.below(2) as usize].clone();
        let guard = self.guard();
        let owner = self.owner();
        match self.random.below(20) {
            0..4 => Act::Claim { key: self.call(), claim: self.claim() },
            4 => Act::Claim { key: self.lease.clone(), claim: self.claim() },
            5..7 => {
                let (key, fence) = self.held();
                Act::Renew { key, fence, lease: self.time() }
            }
            7..10 => {
                let (key, fence) = self.held();
                let result = self.said();
                Act::Complete { key, fence, result }
            }
            10..12 => {
                let (key, fence) = self.held();
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
        self.calls[self.random.below(3) as usize].clone()
    }

    fn time(&mut self) -> Duration {
        Duration::from_nanos(self.random.below(12) * TICK_NS as u64)
    }

    fn instant(&mut self) -> Utc {
        // Some jobs are beyond what was done long ago.
        let from = if self.random.one_in(6) { self.now } else { self.base };
        Utc(from.0 + self.random.below(8) as i64)
    }

    fn span(&mut self) -> (Utc, Utc) {
        let after = self.instant();
        (after, Utc(after.0 + self.random.below(3) as i64))
    }

    /// A key that there was, mostly with its last fence, or else with an older one, or one that never was.
    fn held(&mut self) -> (Key, Fence) {
        let place = self.random.place(self.fences.len());
        let Some(key) = place.and_then(|place| self.fences.keys().nth(place)).cloned() else {
            return (self.call(), Fence(1));
        };
        let fence = self.fence(&key);
        (key, fence)
    }

    fn fence(&mut self, key: &Key) -> Fence {
        let fences: Vec<Fence> = self.fences.get(key).into_iter().flatten().copied().collect();
        let Some(last) = fences.last().filter(|_| !self.random.one_in(8)) else { return Fence(1) };
        if self.random.one_in(6) {
            return fences[self.random.below(fences.len() as u64) as usize];
        }
        *last
    }

    fn guard(&mut self) -> Option<Guard> {
        if !self.random.one_in(3) {
            return None;
        }
        let key = self.lease.clone();
        let fence = self.fence(&key);
        Some(Guard { key, fence })
    }
}
