//! A Redis that is restarted empty while it is at work: what its page says it loses, and nothing more.

use cronx_ledger::act::{Act, Reply};
use cronx_ledger::claim::Fence;
use cronx_ledger::redis::Redis;
use cronx_ledger::sqlite::execute_once;
use cronx_ledger::{Error, JobId, Ledger, Look, Once};
use cronx_scheduler::Utc;
use rusqlite::Connection;

use super::{begin, claim, complete, connect, fence, is_granted, is_lost, join, kept, key, says};
use cronx_servers::{Server, needs, redis};

/// It keeps nothing.
const FORGETFUL: &str = "save \"\"\nappendonly no\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_emptied_is_noticed() {
    let test = "a_redis_that_was_emptied_is_noticed";
    let Some(mut server) = needs(test, redis(FORGETFUL), "Redis") else { return };
    let ledger = connect(&server).await;
    let job = JobId::new("t", "job").unwrap();
    ledger.act(join(&job, 10)).await.unwrap();
    ledger.act(begin(&job, 11, None)).await.unwrap();
    let done = fence(&ledger.act(claim("done", "me", 1)).await.unwrap());
    assert_eq!(ledger.act(complete("done", done)).await.unwrap(), kept());
    let held = fence(&ledger.act(claim("held", "me", 1)).await.unwrap());
    server.kill_and_start();
    // Whatever is asked, it says so, and writes nothing.
    let forget = Act::Forget { job: job.clone(), owner: "me".into(), guard: None };
    let acts = [complete("held", held), claim("new", "me", 1), join(&job, 0), forget];
    for act in acts.into_iter().chain([begin(&job, 12, None)]) {
        let error = ledger.act(act).await.err().unwrap();
        assert!(matches!(error, Error::Forgotten { .. }), "{error}");
    }
    let error = ledger.entries(Look::Last, None, 1).await.err().unwrap();
    assert!(matches!(error, Error::Forgotten { .. }), "{error}");
    assert!(ledger.courses().await.is_err());
    assert_eq!(says(&server, "DBSIZE").await, "0");
    // Opened anew it is a new one: keys are absent, and a job goes on from now.
    let anew = connect(&server).await;
    assert!(is_granted(&anew.act(claim("done", "me", 2)).await.unwrap()));
    let joined = anew.act(join(&job, 20)).await.unwrap();
    assert_eq!(joined, Reply::Joined { cursor: Utc(20), open: vec![] });
    // What is granted anew has a larger fence, and whoever has the old one is refused.
    assert!(is_lost(&anew.act(complete("held", held)).await.unwrap()));
    let again = fence(&anew.act(claim("held", "other", 1)).await.unwrap());
    assert!(again > held, "{again:?} {held:?}");
    assert!(is_lost(&anew.act(complete("held", held)).await.unwrap()));
    assert_eq!(anew.act(complete("held", again)).await.unwrap(), kept());
    // One that was connected before is still told.
    assert!(matches!(ledger.act(claim("x", "me", 1)).await, Err(Error::Forgotten { .. })));
}

/// The user's own database, and a guard in front of it that forgets.
struct Shop {
    server: Server,
    ledger: Redis,
    database: Connection,
    bids: u128,
}

/// Where the guard is emptied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptied {
    Claimed,
    Effected,
    Completed,
}

impl Shop {
    async fn claim(&mut self, order: &str) -> Option<Fence> {
        self.bids += 1;
        let reply = self.ledger.act(claim(order, "me", self.bids)).await.unwrap();
        is_granted(&reply).then(|| fence(&reply))
    }

    fn empty_if(&mut self, now: bool) {
        if now {
            self.server.kill_and_start();
        }
    }

    /// Once from the beginning to the end, with a guard that is emptied on the way; says what became of it.
    async fn pay(&mut self, order: &str, emptied: Option<Emptied>) -> Option<Once> {
        let fence = self.claim(order).await?;
        self.empty_if(emptied == Some(Emptied::Claimed));
        let transaction = self.database.transaction().unwrap();
        let once = execute_once(&transaction, &key(order), None, |transaction| {
            transaction.execute("INSERT INTO paid VALUES (?1)", [order]).map(|_| "paid")
        });
        transaction.commit().unwrap();
        self.empty_if(emptied == Some(Emptied::Effected));
        // Whether it is noted or not.
        let noted = self.ledger.act(complete(order, fence)).await;
        assert_eq!(noted.is_err(), matches!(emptied, Some(Emptied::Claimed | Emptied::Effected)));
        self.empty_if(emptied == Some(Emptied::Completed));
        if emptied.is_some() {
            self.ledger = connect(&self.server).await;
        }
        Some(once.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_database_behind_it_nothing_happens_twice() {
    let test = "with_a_database_behind_it_nothing_happens_twice";
    let Some(server) = needs(test, redis(FORGETFUL), "Redis") else { return };
    let ledger = connect(&server).await;
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("CREATE TABLE paid (id TEXT)").unwrap();
    let mut shop = Shop { server, ledger, database, bids: 0 };
    let (now, before) = (Once::Now("paid".to_owned()), Once::Before("paid".to_owned()));
    for (order, emptied) in
        [("1", Emptied::Claimed), ("2", Emptied::Effected), ("3", Emptied::Completed)]
    {
        assert_eq!(shop.pay(order, Some(emptied)).await, Some(now.clone()));
        // The guard has forgotten, and lets it in again; the database has not.
        assert_eq!(shop.pay(order, None).await, Some(before.clone()));
        // Now the guard knows too.
        assert_eq!(shop.pay(order, None).await, None);
    }
    let sql = "SELECT count(*), count(DISTINCT id) FROM paid";
    let paid = shop.database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(paid.unwrap(), (3_i64, 3_i64));
}
