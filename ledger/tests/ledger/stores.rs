//! Every store through the suite, each a real one that the test itself has started.

use std::sync::Arc;

use crate::suite::{Stage, clock, conforms};

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_conforms() {
    use cronx_ledger::sqlite::{Options, Sqlite};
    let folder = tempfile::TempDir::new().unwrap();
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Arc::new(Sqlite::open(&folder.path().join("ledger"), &options).unwrap());
    conforms(&Stage { ledger, now }, 0..40).await;
}

/// A firing that a store failed to begin leaves a hole in its job's course: from there all is asked for again.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn what_a_job_may_ask_for_again_stays() {
    use cronx_ledger::act::{Act, Reply};
    use cronx_ledger::claim::{Bid, Claim, Refusal, Verdict};
    use cronx_ledger::sqlite::{Options, Sqlite};
    use cronx_ledger::{JobId, Key, Ledger};
    use cronx_scheduler::Utc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    const HOUR: i64 = 3_600_000_000_000;
    let folder = tempfile::TempDir::new().unwrap();
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Sqlite::open(&folder.path().join("ledger"), &options).unwrap();
    let job = JobId::new("t", "daily").unwrap();
    let day = |number: i64| Utc(number * 24 * HOUR);
    let at = |instant: Utc| now.store(instant.0, Ordering::SeqCst);
    let join = || {
        let (job, owner) = (job.clone(), "me".into());
        ledger.act_and_wait(Act::Join { job, now: day(0), owner, guard: None }).unwrap()
    };
    let begin = |number: i64| {
        let lease = Duration::from_secs(10);
        let claim = Claim { owner: "me".into(), bid: Bid(0), fingerprint: None, lease, sole: true };
        let (key, decides) =
            (Key::firing(&job, day(number), 0), Some((day(number - 1), day(number))));
        let act = Act::Begin { job: job.clone(), key, claim, decides, guard: None };
        ledger.act_and_wait(act).unwrap()
    };
    let end = |number: i64| {
        let Reply::Verdict(Verdict::Granted { fence, .. }) = begin(number) else {
            panic!("it is done")
        };
        let key = Key::firing(&job, day(number), 0);
        ledger.act_and_wait(Act::Complete { key, fence, result: "".into() }).unwrap();
    };
    let prune = async || ledger.prune("t", Duration::from_hours(1), 9).await.unwrap();

    join();
    // Day 1 could not be begun.
    at(day(2));
    end(2);
    at(Utc(day(2).0 + 2 * HOUR));
    assert_eq!(prune().await, 0);
    assert_eq!(join(), Reply::Joined { cursor: day(0), open: Vec::new() });
    let done = Refusal::Done { result: "".into() };
    assert_eq!(begin(2), Reply::Verdict(Verdict::Refused(done)));
    // It is begun after all, and what follows.
    end(1);
    at(day(3));
    end(3);
    at(Utc(day(3).0 + 2 * HOUR));
    assert_eq!(prune().await, 2, "the last one may be asked for as long as none follows");
}

#[cfg(any(feature = "mariadb", feature = "postgres"))]
mod frozen;
#[cfg(feature = "mariadb")]
pub mod mariadb;
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis"))]
mod owners;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "redis", feature = "sqlite"))]
mod redis;
#[cfg(feature = "postgres")]
mod shards;

/// What tests of servers ask.
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis"))]
mod asked;
