//! One life of a process: it holds the lease of a shard, is asked to give it back, walks over the job's instants, begins firings in any order,
//! and lets them take effect.

use std::sync::Arc;

use cronx_ledger::Key;
use cronx_ledger::act::{Act, Guard, Reply};
use cronx_ledger::claim::{Fence, Refusal, Verdict};
use cronx_scheduler::{Open, Utc};

use super::{Ended, INSTANTS, LEASE, PERIOD, World};

/// A firing that waits for a worker.
struct Waiting {
    nominal: Utc,
    after: Utc,
}

/// A run at work.
struct Running {
    key: Key,
    nominal: Utc,
    fence: Fence,
    has_effect: bool,
}

pub struct Owner {
    name: Arc<str>,
    /// By which name it has the job: with a lease, another each time.
    claimant: Arc<str>,
    /// What it believes to hold.
    guard: Option<Guard>,
    has_joined: bool,
    cursor: Utc,
    told: Utc,
    waiting: Vec<Waiting>,
    running: Vec<Running>,
    /// It is stopped until then, and knows nothing of it.
    sleeps_until: Utc,
}

impl Owner {
    pub fn born(world: &mut World) -> Self {
        world.lives += 1;
        let name: Arc<str> = format!("life {}", world.lives).into();
        Self {
            claimant: Arc::clone(&name),
            name,
            guard: None,
            has_joined: false,
            cursor: Utc(0),
            told: Utc(0),
            waiting: Vec::new(),
            running: Vec::new(),
            sleeps_until: Utc(i64::MIN),
        }
    }

    /// Does one thing.
    pub fn turn(&mut self, world: &mut World) -> Result<(), Ended> {
        if world.model.now < self.sleeps_until {
            return Ok(());
        }
        if world.is_wild() && world.random.one_in(60) {
            let nap = world.random.below(3 * LEASE as u64) as i64;
            self.sleeps_until = Utc(world.model.now.0 + nap);
            return Ok(());
        }
        // What runs goes on whoever has the lease now.
        if world.random.one_in(2) {
            return self.work(world);
        }
        if world.leased && (self.guard.is_none() || world.random.one_in(3)) {
            return self.hold(world);
        }
        if !self.has_joined {
            return self.join(world);
        }
        if world.leased && world.is_wild() && self.running.is_empty() && world.random.one_in(30) {
            return self.give_back(world);
        }
        match world.random.below(3) {
            0 => self.walk(world),
            _ => self.begin(world),
        }
    }

    /// Takes the lease, or keeps it.
    fn hold(&mut self, world: &mut World) -> Result<(), Ended> {
        let key = World::lease_key();
        let lease = std::time::Duration::from_nanos(LEASE as u64);
        let act = match &self.guard {
            Some(guard) => Act::Renew { key, fence: guard.fence, lease },
            None => Act::Claim { key, claim: world.claim(&self.name.clone(), LEASE, false) },
        };
        match world.act(&act)? {
            Reply::Verdict(Verdict::Granted { fence, .. }) => {
                self.claimant = format!("{}#{}", self.name, fence.0).into();
                self.guard = Some(Guard { key: World::lease_key(), fence });
            }
            Reply::Verdict(Verdict::Refused(_)) => self.lose(),
            _ => {}
        }
        Ok(())
    }

    /// Somebody else has the jobs. What runs, runs.
    fn lose(&mut self) {
        self.guard = None;
        self.has_joined = false;
        self.waiting.clear();
    }

    /// Others want it, and nothing of it runs.
    fn give_back(&mut self, world: &mut World) -> Result<(), Ended> {
        let guard = self.guard.take();
        self.lose();
        let Some(Guard { key, fence }) = guard else { return Ok(()) };
        world.act(&Act::Fail { key, fence, why: "given back".into() }).map(|_| ())
    }

    fn join(&mut self, world: &mut World) -> Result<(), Ended> {
        let (job, owner, guard) = (world.job.clone(), self.claimant.clone(), self.guard.clone());
        match world.act(&Act::Join { job, now: Utc(0), owner, guard })? {
            Reply::Joined { cursor, open } => {
                (self.cursor, self.told, self.has_joined) = (cursor, cursor, true);
                // By these nothing is decided any more.
                let again = |Open { nominal, .. }| Waiting { nominal, after: nominal };
                self.waiting = open.into_iter().map(again).collect();
            }
            _ => self.lose(),
        }
        Ok(())
    }

    /// The next instant waits for a worker, or is left out.
    fn walk(&mut self, world: &mut World) -> Result<(), Ended> {
        let nominal = Utc((self.cursor.0.div_euclid(PERIOD) + 1) * PERIOD);
        if nominal > world.model.now || nominal > Utc(INSTANTS * PERIOD) {
            return Ok(());
        }
        let after = self.told;
        (self.cursor, self.told) = (nominal, nominal);
        if !world.is_wild() || !world.random.one_in(6) {
            self.waiting.push(Waiting { nominal, after });
            return Ok(());
        }
        world.skipped.decide(after.max(Utc(nominal.0 - PERIOD)), nominal);
        let (job, guard) = (world.job.clone(), self.guard.clone());
        if world.act(&Act::Skip { job, after, through: nominal, guard })? != Reply::Noted {
            self.lose();
        }
        Ok(())
    }

    /// A worker takes any of them.
    fn begin(&mut self, world: &mut World) -> Result<(), Ended> {
        let Some(place) = world.random.place(self.waiting.len()) else { return Ok(()) };
        let waiting = self.waiting.swap_remove(place);
        let key = world.key(waiting.nominal);
        let act = Act::Begin {
            job: world.job.clone(),
            key: key.clone(),
            claim: world.claim(&self.claimant.clone(), i64::MAX, true),
            decides: Some((waiting.after, waiting.nominal)),
            guard: self.guard.clone(),
        };
        match world.act(&act)? {
            Reply::Verdict(Verdict::Granted { fence, .. }) => {
                self.running.push(Running {
                    key,
                    nominal: waiting.nominal,
                    fence,
                    has_effect: false,
                });
            }
            Reply::Verdict(Verdict::Refused(Refusal::Fenced)) => self.lose(),
            _ => {}
        }
        Ok(())
    }

    /// A run does what it is for, says so, or fails.
    fn work(&mut self, world: &mut World) -> Result<(), Ended> {
        let Some(place) = world.random.place(self.running.len()) else { return Ok(()) };
        let run = &mut self.running[place];
        let (key, fence) = (run.key.clone(), run.fence);
        let fails = world.is_wild() && world.random.one_in(5);
        if !fails && !run.has_effect {
            world.model.effect(&key)?;
            run.has_effect = true;
            return Ok(());
        }
        let nominal = self.running.swap_remove(place).nominal;
        if !fails {
            world.act(&Act::Complete { key, fence, result: "well".into() })?;
            return Ok(());
        }
        let kept = world.act(&Act::Fail { key, fence, why: "no".into() })?;
        if kept == Reply::Verdict(Verdict::Kept) && self.has_joined {
            self.waiting.push(Waiting { nominal, after: nominal });
        }
        Ok(())
    }
}
