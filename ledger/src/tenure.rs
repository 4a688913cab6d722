//! A lease that is kept as long as its owner lives: whoever has it has the jobs, and every write of theirs
//! checks that he still does.
//!
//! An owner that is stopped for longer than his lease may wake and believe that he has it. He is refused: the
//! next one has a larger fence, and it is the store that compares. So nobody's clock but the store's counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::act::{Act, Guard, Reply};
use crate::claim::{Bid, Claim, Refusal, Verdict};
use crate::key::Key;
use crate::{Error, Ledger};

/// A lease that is ours.
pub struct Lease {
    ledger: Arc<dyn Ledger>,
    guard: Guard,
    length: Duration,
    /// When its last claim or renewal was asked for, by our clock; nothing once it is lost.
    asked: watch::Receiver<Option<Instant>>,
    keeper: JoinHandle<()>,
}

impl Lease {
    /// Waits until it is ours: at most as long as the lease of an owner that is gone, and a quarter of our
    /// own. `owner` must be a name that no other life of a process has had. Needs a runtime.
    pub async fn take(
        ledger: Arc<dyn Ledger>,
        key: Key,
        owner: Arc<str>,
        length: Duration,
    ) -> Result<Self, Error> {
        loop {
            if let Some(lease) = Self::try_take(&ledger, &key, &owner, length).await? {
                return Ok(lease);
            }
            sleep(length / 4).await;
        }
    }

    /// The same, if nobody has it. Needs a runtime.
    pub async fn try_take(
        ledger: &Arc<dyn Ledger>,
        key: &Key,
        owner: &Arc<str>,
        length: Duration,
    ) -> Result<Option<Self>, Error> {
        let asked = Instant::now();
        let claim = Claim {
            owner: Arc::clone(owner),
            bid: bid(),
            fingerprint: None,
            lease: length,
            sole: false,
        };
        match ledger.act(Act::Claim { key: key.clone(), claim }).await? {
            Reply::Verdict(Verdict::Granted { fence, .. }) => {
                let guard = Guard { key: key.clone(), fence };
                Ok(Some(Self::kept(Arc::clone(ledger), guard, length, asked)))
            }
            Reply::Verdict(Verdict::Refused(Refusal::InFlight { .. })) => Ok(None),
            other => Err(Error::Answer { answer: format!("{other:?}") }),
        }
    }

    fn kept(ledger: Arc<dyn Ledger>, guard: Guard, length: Duration, asked: Instant) -> Self {
        let (tell, asked) = watch::channel(Some(asked));
        let (store, kept) = (Arc::clone(&ledger), guard.clone());
        let keeper = tokio::spawn(async move {
            keep(&*store, &kept, length, &tell).await;
            tell.send_replace(None);
        });
        Self { ledger, guard, length, asked, keeper }
    }

    /// What shows that it is ours.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Whether it is ours, by our own clock, which an owner that was stopped has looked at before he goes on.
    pub fn is_held(&self) -> bool {
        self.asked.borrow().is_some_and(|asked| Instant::now() < end(asked, self.length))
    }

    /// How long it has at least been since the store last heard that we live; nothing once it is lost.
    pub(crate) fn unheard(&self) -> Option<Duration> {
        self.asked.borrow().map(|asked| asked.elapsed())
    }

    /// Waits until it is lost: another has it, or for as long as it lasts nobody could be told that we live.
    /// Whoever waits need not have it any more.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut asked = self.asked.clone();
        async move {
            // Its keeper is gone with it.
            let _ = asked.wait_for(Option::is_none).await;
        }
    }

    /// Lets another have it at once.
    pub async fn give_back(self) -> Result<(), Error> {
        self.keeper.abort();
        let (Guard { key, fence }, why) = (self.guard.clone(), "given back".into());
        self.ledger.act(Act::Fail { key, fence, why }).await.map(|_| ())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// One that this process has never asked with.
pub(crate) fn bid() -> Bid {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    Bid(u128::from(ASKED.fetch_add(1, Ordering::Relaxed)) + 1)
}

/// Until when it is ours, by our clock. By the store's it lasts longer: by an eighth, since no two clocks go
/// alike, and by the way to it.
fn end(asked: Instant, length: Duration) -> Instant {
    asked + length / 8 * 7
}

/// Renews it three times in its length, until it is lost; more often while the store does not answer.
async fn keep(
    ledger: &dyn Ledger,
    guard: &Guard,
    length: Duration,
    tell: &watch::Sender<Option<Instant>>,
) {
    let mut wait = length / 3;
    let Some(mut last) = *tell.borrow() else { return };
    loop {
        let end = end(last, length);
        sleep_until(end.min(Instant::now() + wait).into()).await;
        let asked = Instant::now();
        if asked >= end {
            return;
        }
        let (key, fence) = (guard.key.clone(), guard.fence);
        let renew = ledger.act(Act::Renew { key, fence, lease: length });
        // One that hangs is asked anew while there is time: its answer may be lost on the way.
        wait = match timeout_at(end.min(asked + length / 3).into(), renew).await {
            Ok(Ok(Reply::Verdict(Verdict::Kept))) => {
                last = asked;
                tell.send_replace(Some(last));
                length / 3
            }
            Ok(Ok(_)) => return,
            // It may answer again before it is too late.
            Ok(Err(_)) | Err(_) => length / 12,
        };
    }
}
