//! A scheduler's [`Store`](cronx_scheduler::Store) that is a ledger.

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::{
    Answer, Firing, Outcome, Permit, Rejection, Resumed, Run, Skipped, Store, StoreError, Utc,
};

use crate::act::{Act, Guard, Reply};
use crate::claim::{Bid, Claim, Fence, Refusal, Verdict};
use crate::key::{JobId, Key};
use crate::shards::Shards;
use crate::{Error, Ledger};

/// How much of what a run says of itself is kept, bytes.
const SAID_MOST: usize = 1024;

/// By what right an owner has the jobs that he joins: in each case nobody else can have them, so that what
/// others left in flight is free.
#[derive(Debug, Clone)]
pub enum Tenure {
    /// The whole store is locked as long as the process lives.
    Store,
    /// He holds this, and every write checks that he still does.
    Lease(Guard),
    /// He holds some of the shards; a job of another is refused. A store that does not answer is asked again
    /// for as long as the shard is his.
    Shards(Arc<Shards>),
}

/// By which name, and by what that he must hold.
type Right = (Arc<str>, Option<Guard>);

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

    fn right(&self, job: &JobId) -> Result<Right, Error> {
        let owner = Arc::clone(&self.owner);
        match &self.tenure {
            Tenure::Store => Ok((owner, None)),
            Tenure::Lease(guard) => Ok((owner, Some(guard.clone()))),
            Tenure::Shards(shards) => {
                let right = shards.right(job.job()).map(|right| (right.owner, Some(right.guard)));
                right.ok_or_else(|| shards.not_ours(job.job()))
            }
        }
    }

    fn begin_act(&self, firing: &Firing) -> Result<Act, Error> {
        let job = self.job(&firing.job)?;
        let (owner, guard) = self.right(&job)?;
        let claim = Claim {
            owner,
            bid: Bid(firing.trace.0),
            fingerprint: None,
            // As long as its owner: whoever comes after him knows that he is gone.
            lease: Duration::MAX,
            sole: true,
        };
        let decides = firing.trigger.is_none().then_some((firing.after, firing.nominal));
        Ok(Act::Begin { key: key(&job, firing), job, claim, decides, guard })
    }

    fn end_act(&self, run: &Run) -> Result<Act, Error> {
        let key = key(&self.job(&run.firing.job)?, &run.firing);
        let (fence, said) = (Fence(run.fence), said(&run.outcome));
        Ok(if run.again {
            Act::Fail { key, fence, why: said }
        } else {
            Act::Complete { key, fence, result: said }
        })
    }

    fn skip_act(&self, skipped: &Skipped) -> Result<Act, Error> {
        let Skipped { after, through, .. } = *skipped;
        let job = self.job(&skipped.job)?;
        let (_, guard) = self.right(&job)?;
        Ok(Act::Skip { job, after, through, guard })
    }

    /// Asks it, if it can be asked at all. Of a job that another has there is nothing to be said.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        job: &'a str,
        act: Result<Act, Error>,
        read: fn(Reply) -> Result<T, Error>,
    ) -> Answer<'a, T> {
        match act {
            Ok(act) => Answer::later(async move { Ok(read(self.answer(job, act).await?)?) }),
            Err(Error::NotOurs { .. }) => Answer::now(read(FENCED).map_err(Into::into)),
            Err(error) => Answer::now(Err(error.into())),
        }
    }

    async fn answer(&self, job: &str, act: Act) -> Result<Reply, Error> {
        if let Tenure::Shards(shards) = &self.tenure {
            loop {
                match self.ledger.act(act.clone()).await {
                    Err(Error::Unavailable { .. }) if shards.asks_again(job).await => {}
                    // Another will have it.
                    Err(Error::Unavailable { .. }) => return Ok(FENCED),
                    answer => return answer,
                }
            }
        }
        self.ledger.act(act).await
    }

    fn answer_and_wait(&self, job: &str, act: Act) -> Result<Reply, Error> {
        if let Tenure::Shards(shards) = &self.tenure {
            loop {
                match self.ledger.act_and_wait(act.clone()) {
                    Err(Error::Unavailable { .. }) if shards.asks_again_and_waits(job) => {}
                    Ok(FENCED) => return Err(shards.not_ours(job)),
                    answer => return answer,
                }
            }
        }
        self.ledger.act_and_wait(act)
    }
}

const FENCED: Reply = Reply::Verdict(Verdict::Refused(Refusal::Fenced));

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
#[expect(clippy::needless_pass_by_value, reason = "one of the ways in which an answer is read")]
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
        let id = self.job(job)?;
        let (owner, guard) = self.right(&id)?;
        match self.answer_and_wait(job, Act::Join { job: id, now, owner, guard })? {
            Reply::Joined { cursor, open } => Ok(Resumed { cursor, open }),
            other => Err(unfit(&other).into()),
        }
    }

    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit> {
        if firing.job.shared().is_none() {
            return Answer::now(Ok(Permit::Granted(0)));
        }
        self.ask(&firing.job, self.begin_act(firing), permit)
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        // What was not granted has nothing to end.
        if run.fence == 0 {
            return Answer::now(Ok(()));
        }
        self.ask(&run.firing.job, self.end_act(run), noted)
    }

    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()> {
        self.ask(&skipped.job, self.skip_act(skipped), noted)
    }

    fn forget(&self, job: &str) -> Result<(), StoreError> {
        let id = self.job(job)?;
        let (owner, guard) = self.right(&id)?;
        noted(self.answer_and_wait(job, Act::Forget { job: id, owner, guard })?)?;
        Ok(())
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
