//! A lease that is kept as long as its owner lives: whoever has it has the jobs, and every write of theirs
//! checks that he still does.
//!
//! An owner that is stopped for longer than his lease may wake and believe that he has it. He is refused: the
//! next one has a larger fence, and it is the store that compares. So nobody's clock but the store's counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::act::{Act, Guard, Reply};
use crate::claim::{Bid, Claim, Refusal, Verdict};
use crate::key::Key;
use crate::{Error, Ledger};

/// A lease that is ours.
pub struct Lease {
    ledger: Arc<dyn Ledger>,
    guard: Guard,
    lost: watch::Receiver<bool>,
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
        let mut bid = 0;
        let fence = loop {
            bid += 1;
            let claim = Claim {
                owner: Arc::clone(&owner),
                bid: Bid(bid),
                fingerprint: None,
                lease: length,
                sole: false,
            };
            match ledger.act(Act::Claim { key: key.clone(), claim }).await? {
                Reply::Verdict(Verdict::Granted { fence, .. }) => break fence,
                Reply::Verdict(Verdict::Refused(Refusal::InFlight { .. })) => {}
                other => return Err(Error::Answer { answer: format!("{other:?}") }),
            }
            tokio::time::sleep(length / 4).await;
        };
        Ok(Self::kept(ledger, Guard { key, fence }, length))
    }

    fn kept(ledger: Arc<dyn Ledger>, guard: Guard, length: Duration) -> Self {
        let (tell, lost) = watch::channel(false);
        let (store, kept) = (Arc::clone(&ledger), guard.clone());
        let keeper = tokio::spawn(async move {
            keep(&*store, &kept, length).await;
            // Whoever would listen may be gone.
            let _ = tell.send(true);
        });
        Self { ledger, guard, lost, keeper }
    }

    /// What shows that it is ours.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Waits until it is lost: another has it, or for as long as it lasts nobody could be told that we live.
    pub async fn lost(&mut self) {
        // Whoever would tell is there as long as this is.
        let _ = self.lost.wait_for(|lost| *lost).await;
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

/// Renews it three times in its length, until it is lost.
async fn keep(ledger: &dyn Ledger, guard: &Guard, length: Duration) {
    let mut last = Instant::now();
    while last.elapsed() < length {
        tokio::time::sleep(length / 3).await;
        let asked = Instant::now();
        let (key, fence) = (guard.key.clone(), guard.fence);
        let renew = ledger.act(Act::Renew { key, fence, lease: length });
        match tokio::time::timeout(length, renew).await {
            Ok(Ok(Reply::Verdict(Verdict::Kept))) => last = asked,
            Ok(Ok(_)) => return,
            // It may answer again before it is too late.
            Ok(Err(_)) | Err(_) => {}
        }
    }
}
