//! A scheduler's [`Store`](cronx_scheduler::Store) that is a ledger.

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::{
    Answer, Firing, Outcome, Permit, Rejection, Resumed, Run, Skipped, Store, StoreError, Utc,
};

use crate::act::{Act, Guard, Reply};
use crate::claim::{Bid, Claim, Fence, Verdict};
use crate::key::{JobId, Key};
use crate::{Error, Ledger};

/// How much of what a run says of itself is kept, bytes.
const SAID_MOST: usize = 1024;

/// By what right an owner has the jobs that he joins: in each case nobody else can have them, so that what
/// others left in flight is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenure {
    /// The whole store is locked as long as the process lives.
    Store,
    /// He holds this, and every write checks that he still does.
    Lease(Guard),
}

/// The firings of a scheduler's jobs, written down in a ledger.
///
/// One-shots have no name and leave nothing: a process that ends has forgotten them.
pub struct Firings {
    ledger: Arc<dyn Ledger>,
    tenant: Arc<str>,
    owner: Arc<str>,
    tenure: Tenure,
}

impl Firings {
    /// For one life of a process: `owner` must be a name that no other life of any has had.
    pub fn new(ledger: Arc<dyn Ledger>, tenant: &str, owner: Arc<str>, tenure: Tenure) -> Self {
        Self { ledger, tenant: tenant.into(), owner, tenure }
    }

    fn job(&self, name: &str) -> Result<JobId, Error> {
        JobId::new(&self.tenant, name)
    }

    fn guard(&self) -> Option<Guard> {
        match &self.tenure {
            Tenure::Store => None,
            Tenure::Lease(guard) => Some(guard.clone()),
        }
    }

    fn begin_act(&self, firing: &Firing) -> Result<Act, Error> {
        let job = self.job(&firing.job)?;
        let claim = Claim {
            owner: Arc::clone(&self.owner),
            bid: Bid(firing.trace.0),
            fingerprint: None,
            // As long as its owner: whoever comes after him knows that he is gone.
            lease: Duration::MAX,
            sole: true,
        };
        let decides = firing.trigger.is_none().then_some((firing.after, firing.nominal));
        Ok(Act::Begin { key: key(&job, firing), job, claim, decides, guard: self.guard() })
    }

    fn end_act(&self, run: &Run) -> Result<Act, Error> {
        let key = key(&self.job(&run.firing.job)?, &run.firing);
        let (fence, said) = (Fence(run.fence), said(&run.outcome));
        Ok(match run.again {
            true => Act::Fail { key, fence, why: said },
            false => Act::Complete { key, fence, result: said },
        })
    }

    fn skip_act(&self, skipped: &Skipped) -> Result<Act, Error> {
        let Skipped { after, through, .. } = *skipped;
        Ok(Act::Skip { job: self.job(&skipped.job)?, after, through, guard: self.guard() })
    }

    /// Asks it, if it can be asked at all.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        act: Result<Act, Error>,
        read: fn(Reply) -> Result<T, Error>,
    ) -> Answer<'a, T> {
        match act {
            Ok(act) => Answer::later(async move { Ok(read(self.ledger.act(act).await?)?) }),
            Err(error) => Answer::now(Err(error.into())),
        }
    }
}

fn key(job: &JobId, firing: &Firing) -> Key {
    match firing.trigger {
        None => Key::firing(job, firing.nominal, 0),
        Some(trigger) => Key::trigger(job, firing.nominal, trigger, 0),
    }
}

fn permit(reply: Reply) -> Result<Permit, Error> {
    match reply {
        Reply::Verdict(Verdict::Granted { fence, .. }) => Ok(Permit::Granted(fence.0)),
        Reply::Verdict(Verdict::Refused(_)) => Ok(Permit::Refused),
        other => Err(unfit(&other)),
    }
}

/// Whatever a ledger says about an end, there is nothing left to do: that a fence is old means that another
/// has the firing now.
fn noted(reply: Reply) -> Result<(), Error> {
    match reply {
        Reply::Verdict(Verdict::Granted { .. }) | Reply::Joined { .. } => Err(unfit(&reply)),
        Reply::Verdict(_) | Reply::Noted => Ok(()),
    }
}

fn unfit(reply: &Reply) -> Error {
    Error::Answer { answer: format!("{reply:?}") }
}

/// An outcome in words, as far as they are kept. A zero is no character to every database.
fn said(outcome: &Outcome) -> Arc<str> {
    let with = |word: &str, why: &str| {
        let why = &why[..why.floor_char_boundary(SAID_MOST)];
        format!("{word}: {}", why.replace('\0', "\u{fffd}")).into()
    };
    match outcome {
        Outcome::Succeeded => "succeeded".into(),
        Outcome::Failed(why) => with("failed", why),
        Outcome::TimedOut => "timed out".into(),
        Outcome::Panicked(why) => with("panicked", why),
        Outcome::Cancelled => "cancelled".into(),
        Outcome::Refused => "refused".into(),
        Outcome::Rejected(Rejection { breaker, said }) => {
            with("rejected", &format!("{breaker}, {}", said.rule.word()))
        }
    }
}

impl Store for Firings {
    fn resume(&self, job: &Arc<str>, now: Utc) -> Result<Resumed, StoreError> {
        let (job, owner) = (self.job(job)?, Arc::clone(&self.owner));
        let reply = self.ledger.act_and_wait(Act::Join { job, now, owner, guard: self.guard() })?;
        match reply {
            Reply::Joined { cursor, open } => Ok(Resumed { cursor, open }),
            other => Err(unfit(&other).into()),
        }
    }

    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit> {
        if firing.job.shared().is_none() {
            return Answer::now(Ok(Permit::Granted(0)));
        }
        self.ask(self.begin_act(firing), permit)
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        // What was not granted has nothing to end.
        if run.fence == 0 {
            return Answer::now(Ok(()));
        }
        self.ask(self.end_act(run), noted)
    }

    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()> {
        self.ask(self.skip_act(skipped), noted)
    }

    fn forget(&self, job: &str) -> Result<(), StoreError> {
        let (job, owner) = (self.job(job)?, Arc::clone(&self.owner));
        noted(self.ledger.act_and_wait(Act::Forget { job, owner, guard: self.guard() })?)?;
        Ok(())
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
