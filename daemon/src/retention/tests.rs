use std::sync::atomic::{AtomicI64, Ordering};

use cronx_ledger::act::Act;
use cronx_ledger::claim::{Bid, Claim, Verdict};
use cronx_ledger::saga::{Definition, Outcome, Question, State, Step, sqlite};
use cronx_ledger::sqlite::{Options, Sqlite};
use cronx_ledger::{Clock, JobId, Key, Look, SagaId, act};
use cronx_scheduler::{Retry, Utc};
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

/// Of two steps, of which the first is the pivot: if the second is refused it needs an operator.
async fn end_saga(sagas: &dyn Sagas, name: &str, last: Outcome) {
    let pay = Step { is_pivot: true, compensates: false, ..Step::new("pay") };
    let begin = Definition::new("order", vec![pay, Step::new("ship")]).unwrap().begin("{}");
    let ask = async |question| {
        let id = SagaId::new("cronx", name).unwrap();
        sagas.ask(id, question).await.unwrap().unwrap()
    };
    ask(begin.unwrap()).await;
    let claim = Question::Claim { owner: "me".into(), lease: DAY, sole: true };
    let fence = ask(claim).await.fence;
    for outcome in [Outcome::Done(String::new()), last] {
        let saga = ask(Question::Start { fence, attempts: 1 }).await;
        let (attempt, retry) = (saga.attempt().unwrap(), Retry::NEVER);
        ask(Question::Settle { fence, attempt, outcome, retry, draw: 0 }).await;
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
    end_saga(&*sagas, "over", Outcome::Done(String::new())).await;
    end_saga(&*sagas, "stopped", Outcome::Refused("no".into())).await;
    pass(DAY);
    end(5000).await;

    let metrics = Arc::new(Metrics::new());
    let retention = Retention {
        ledger: Arc::clone(&ledger) as _,
        sagas: Some(Arc::clone(&sagas) as _),
        period: 2 * DAY,
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
    let left = sagas.list(None, 9).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|saga| saga.unwrap()).collect();
    assert_eq!(left.len(), 1, "who waits for an operator stays: {left:?}");
    assert_eq!((left[0].id.saga(), left[0].state), ("stopped", State::NeedsOperator));
}
