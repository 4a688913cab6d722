use std::sync::atomic::{AtomicI64, Ordering};

use cronx_ledger::act::Act;
use cronx_ledger::claim::{Bid, Claim, Verdict};
use cronx_ledger::saga::sqlite;
use cronx_ledger::sqlite::{Options, Sqlite};
use cronx_ledger::{Clock, JobId, Key, Look, act};
use cronx_scheduler::Utc;
use tempfile::TempDir;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn key(number: i64) -> Key {
    Key::firing(&JobId::new("cronx", "a").unwrap(), Utc(number), 0)
}

async fn claim(ledger: &Sqlite, key: Key) -> cronx_ledger::claim::Fence {
    let (owner, bid) = ("me".into(), Bid(0));
    let claim = Claim { owner, bid, fingerprint: None, lease: DAY, sole: true };
    match ledger.act(Act::Claim { key, claim }).await.unwrap() {
        act::Reply::Verdict(Verdict::Granted { fence, .. }) => fence,
        other => panic!("{other:?}"),
    }
}

async fn keys(ledger: &Sqlite) -> Vec<Key> {
    let rows = ledger.entries(Look::After(None), None, 9999).await.unwrap();
    rows.into_iter().map(|row| row.unwrap().0).collect()
}

/// More than a page of firings, one that is young, and one that is not done.
#[tokio::test]
async fn what_is_over_for_long_enough_goes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger");
    let now = Arc::new(AtomicI64::new(1_764_338_400_000_000_000));
    let clock = Clock::Told(Arc::clone(&now));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let ledger = Arc::new(Sqlite::open(&path, &options).unwrap());
    let sagas = Arc::new(sqlite::Sqlite::open(&path, clock).unwrap());
    let pass = |time: Duration| now.fetch_add(time.as_nanos() as i64, Ordering::SeqCst);
    let end = async |number| {
        let fence = claim(&ledger, key(number)).await;
        let act = Act::Complete { key: key(number), fence, result: "".into() };
        ledger.act(act).await.unwrap();
    };

    claim(&ledger, key(0)).await;
    for number in 1..=2 * FIRINGS as i64 {
        end(number).await;
    }
    pass(DAY);
    end(5000).await;

    let metrics = Arc::new(Metrics::new());
    let retention = Retention {
        ledger: Arc::clone(&ledger) as _,
        sagas: Some(sagas),
        retention: 2 * DAY,
        metrics: Arc::clone(&metrics),
        log: Arc::new(|event| panic!("{}", event.text())),
    };
    pass(DAY);
    retention.prune_all().await;
    assert_eq!(keys(&ledger).await.len(), 2 * FIRINGS + 2, "nothing is old enough");
    pass(Duration::from_nanos(1));
    retention.prune_all().await;
    assert_eq!(keys(&ledger).await, [key(0), key(5000)]);
    let text = metrics.text().unwrap();
    assert!(text.contains("cronx_pruned_total{what=\"firings\"} 1000\n"), "{text}");
}
