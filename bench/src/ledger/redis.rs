//! A claim in Redis beside `SET NX`, which is a guard without an owner, a fence or an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cronx_ledger::Ledger;
use cronx_ledger::act::Reply;
use cronx_ledger::claim::Verdict;
use cronx_ledger::redis::{Options, Redis};
use futures::StreamExt;
use hdrhistogram::Histogram;

use super::ours::claim;
use super::{a_second, said};
use crate::Error;

async fn ledger(url: &str) -> Result<Redis, Error> {
    Redis::connect(url, Options::default()).await.map_err(said)
}

/// Names that no other call uses.
fn prefix() -> Arc<str> {
    format!("{:?}", std::time::SystemTime::now()).into()
}

pub(super) async fn claims(url: &str, count: u64, at_once: usize) -> Result<String, Error> {
    let (ledger, prefix) = (ledger(url).await?, prefix());
    measure(count, at_once, move |number| {
        let (ledger, prefix) = (ledger.clone(), Arc::clone(&prefix));
        async move {
            let (_, claim) = claim(&format!("{prefix} {number}"))?;
            match ledger.act(claim).await.map_err(said)? {
                Reply::Verdict(Verdict::Granted { .. }) => Ok(()),
                other => Err(said(format!("a new key was not granted: {other:?}"))),
            }
        }
    })
    .await
}

pub(super) async fn sets(url: &str, count: u64, at_once: usize) -> Result<String, Error> {
    let client = ::redis::Client::open(url).map_err(said)?;
    let connection = client.get_connection_manager().await.map_err(said)?;
    let prefix = prefix();
    measure(count, at_once, move |number| {
        let (mut connection, prefix) = (connection.clone(), Arc::clone(&prefix));
        async move {
            let mut set = ::redis::cmd("SET");
            set.arg(format!("set {prefix} {number}")).arg("1").arg("NX");
            let set: bool = set.query_async(&mut connection).await.map_err(said)?;
            if set { Ok(()) } else { Err(said("a new key was there")) }
        }
    })
    .await
}

/// The median in nanoseconds, and how many a second.
async fn measure<F>(
    count: u64,
    at_once: usize,
    ask: impl Fn(u64) -> F + Send + Clone + 'static,
) -> Result<String, Error>
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let number = Arc::new(AtomicU64::new(0));
    let work = || {
        let (ask, number) = (ask.clone(), Arc::clone(&number));
        tokio::spawn(async move {
            let mut took = Histogram::<u64>::new(3).map_err(said)?;
            loop {
                let own = number.fetch_add(1, Ordering::Relaxed);
                if own >= count {
                    return Ok::<_, Error>(took);
                }
                let asked = Instant::now();
                ask(own).await?;
                let _ = took.record(asked.elapsed().as_nanos() as u64);
            }
        })
    };
    let since = Instant::now();
    let workers: Vec<_> = (0..at_once).map(|_| work()).collect();
    let mut took = Histogram::<u64>::new(3).map_err(said)?;
    for worker in workers {
        took.add(worker.await.map_err(said)??).map_err(said)?;
    }
    Ok(format!("{} {}", took.value_at_quantile(0.5), a_second(count, since)))
}

/// What the server is sent for a claim, as it sees it itself.
pub(super) async fn script(url: &str) -> Result<String, Error> {
    let ledger = ledger(url).await?;
    let client = ::redis::Client::open(url).map_err(said)?;
    // The script is there from the first call on.
    ledger.act(claim(&format!("{} before", prefix()))?.1).await.map_err(said)?;
    let monitor = client.get_async_monitor().await.map_err(said)?;
    let mut seen = monitor.into_on_message::<String>();
    let (key, claim) = claim(&format!("{} script", prefix()))?;
    ledger.act(claim).await.map_err(said)?;
    loop {
        let line = seen.next().await.ok_or_else(|| said("the server said no more"))?;
        if line.contains("\"EVALSHA\"") && line.contains("script") {
            let (_, words) = line.split_once("] ").unwrap_or_default();
            let words = words.trim_matches('"').replace(key.as_str(), "bench/~call/__rand_int__");
            return Ok(words.split("\" \"").collect::<Vec<_>>().join("\n"));
        }
    }
}
