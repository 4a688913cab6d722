//! A claim and its end, for keys that nobody had.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cronx_ledger::act::{Act, Reply};
use cronx_ledger::claim::{Bid, Claim, Verdict};
use cronx_ledger::{Key, Ledger, postgres, sqlite};

use super::{a_second, said};
use crate::Error;

pub(super) fn sqlite(folder: &Path) -> Result<Arc<dyn Ledger>, Error> {
    let path = folder.join("cronx");
    let ledger = sqlite::Sqlite::open(&path, &sqlite::Options::default()).map_err(said)?;
    Ok(Arc::new(ledger))
}

pub(super) async fn postgres(url: &str) -> Result<Arc<dyn Ledger>, Error> {
    let ledger = postgres::Postgres::connect(url, postgres::Options::default()).await;
    Ok(Arc::new(ledger.map_err(said)?))
}

/// One that nobody else asks for.
pub(super) fn claim(name: &str) -> Result<(Key, Act), Error> {
    let key = Key::call("bench", name).map_err(said)?;
    let (owner, bid, lease) = ("bench".into(), Bid(1), Duration::from_mins(1));
    let claim = Claim { owner, bid, fingerprint: None, lease, sole: false };
    Ok((key.clone(), Act::Claim { key, claim }))
}

/// Runs a second.
pub(super) async fn runs(
    ledger: Arc<dyn Ledger>,
    count: u64,
    at_once: usize,
) -> Result<String, Error> {
    let life = Instant::now();
    let number = Arc::new(AtomicU64::new(0));
    let prefix = format!("{:?} {}", std::time::SystemTime::now(), std::process::id());
    let prefix: Arc<str> = prefix.into();
    let work = || {
        let (ledger, number, prefix) =
            (Arc::clone(&ledger), Arc::clone(&number), Arc::clone(&prefix));
        tokio::spawn(async move {
            loop {
                let own = number.fetch_add(1, Ordering::Relaxed);
                if own >= count {
                    return Ok::<_, Error>(());
                }
                run(&*ledger, &format!("{prefix} {own}")).await?;
            }
        })
    };
    let workers: Vec<_> = (0..at_once).map(|_| work()).collect();
    for worker in workers {
        worker.await.map_err(said)??;
    }
    Ok(a_second(count, life))
}

async fn run(ledger: &dyn Ledger, name: &str) -> Result<(), Error> {
    let (key, claim) = claim(name)?;
    let reply = ledger.act(claim).await.map_err(said)?;
    let Reply::Verdict(Verdict::Granted { fence, .. }) = reply else {
        return Err(said(format!("a new key was not granted: {reply:?}")));
    };
    let done = ledger.act(Act::Complete { key, fence, result: "succeeded".into() }).await;
    match done.map_err(said)? {
        Reply::Verdict(Verdict::Kept) => Ok(()),
        other => Err(said(format!("an end was not kept: {other:?}"))),
    }
}
