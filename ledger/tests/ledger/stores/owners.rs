//! Several owners of one job on one server: one has it at a time, and nothing of it is lost on the way from
//! one to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cronx_ledger::{Firings, Key, Lease, Ledger, Tenure};
use cronx_scheduler::{Firing, Mono, Outcome, Permit, Run, Store, TraceId, Utc};

/// A store on a busy machine answers well within it.
const LEASE: Duration = Duration::from_secs(2);

/// An owner, for as long as he has the lease.
struct Owner {
    lease: Lease,
    firings: Firings,
}

async fn owner(ledger: &Arc<dyn Ledger>, name: &str) -> Owner {
    let key = Key::lease("t", "jobs").unwrap();
    let lease = Lease::take(Arc::clone(ledger), key, name.into(), LEASE).await.unwrap();
    let tenure = Tenure::Lease(lease.guard().clone());
    let firings = Firings::new(Arc::clone(ledger), "t", name.into(), tenure);
    Owner { lease, firings }
}

fn firing(nominal: i64, attempt: u32, trace: u128) -> Firing {
    firing_of(&"job".into(), nominal, attempt, trace)
}

pub fn firing_of(job: &Arc<str>, nominal: i64, attempt: u32, trace: u128) -> Firing {
    Firing {
        job: Arc::clone(job).into(),
        nominal: Utc(nominal),
        attempt,
        number: 0,
        after: Utc(if attempt == 1 { nominal - 1 } else { nominal }),
        trigger: None,
        due: Mono(0),
        popped: Mono(0),
        shard_tid: 1,
        trace: TraceId(trace),
    }
}

fn succeeded(firing: Firing, fence: u64) -> Run {
    let at = Mono(0);
    let outcome = Outcome::Succeeded;
    let (enqueued, dequeued, started, finished) = (at, at, at, at);
    let (worker_tid, decisions, again) = (1, Vec::new(), false);
    Run {
        firing,
        enqueued,
        dequeued,
        started,
        finished,
        worker_tid,
        outcome,
        decisions,
        fence,
        again,
    }
}

/// The first owner ends in the middle of his work, and says nothing any more; then he wakes.
pub async fn hand_over(ledger: Arc<dyn Ledger>) {
    let job: Arc<str> = "job".into();
    let first = owner(&ledger, "first").await;
    assert_eq!(first.firings.resume(&job, Utc(0)).unwrap().cursor, Utc(0));
    for nominal in [1, 3] {
        let firing = firing(nominal, 1, nominal as u128);
        let Permit::Granted(fence) = first.firings.begin(&firing).await.unwrap() else { panic!() };
        first.firings.end(&succeeded(firing, fence)).await.unwrap();
    }
    let at_work = firing(4, 1, 4);
    let Permit::Granted(old) = first.firings.begin(&at_work).await.unwrap() else { panic!() };
    // His process is stopped: nobody renews.
    let Owner { lease, firings: first } = first;
    drop(lease);
    let since = Instant::now();
    let second = owner(&ledger, "second").await;
    assert!(since.elapsed() < 2 * LEASE, "taken over after {:?}", since.elapsed());
    let resumed = second.firings.resume(&job, Utc(99)).unwrap();
    // 2 was never begun, and 3 was: the cursor has not passed 2.
    let open: Vec<_> = resumed.open.iter().map(|open| (open.nominal, open.attempt)).collect();
    assert_eq!((resumed.cursor, open), (Utc(1), vec![(Utc(4), 1)]));
    // He wakes, and is refused whatever he begins.
    assert_eq!(first.begin(&firing(2, 1, 12)).await.unwrap(), Permit::Refused);
    let again = firing(4, 2, 24);
    let Permit::Granted(new) = second.firings.begin(&again).await.unwrap() else { panic!() };
    assert!(new > old);
    // What he says of his own run counts for nothing: another has it.
    first.end(&succeeded(at_work, old)).await.unwrap();
    let Permit::Granted(fence) = second.firings.begin(&firing(2, 1, 22)).await.unwrap() else {
        panic!()
    };
    second.firings.end(&succeeded(firing(2, 1, 22), fence)).await.unwrap();
    // What was done before is not done again.
    assert_eq!(second.firings.begin(&firing(3, 1, 23)).await.unwrap(), Permit::Refused);
    second.firings.end(&succeeded(again, new)).await.unwrap();
    let resumed = second.firings.resume(&job, Utc(99)).unwrap();
    assert_eq!((resumed.cursor, resumed.open), (Utc(4), vec![]));
    // One that ends in order lets the next one begin at once.
    second.lease.give_back().await.unwrap();
    let since = Instant::now();
    owner(&ledger, "third").await;
    assert!(since.elapsed() < LEASE);
}
