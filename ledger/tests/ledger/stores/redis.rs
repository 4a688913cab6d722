//! Redis: the suite, and what a server can do to a ledger.

mod empty;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cronx_ledger::act::{Act, Guard, Reply};
use cronx_ledger::claim::{Bid, Claim, Fence, Refusal, Verdict};
use cronx_ledger::redis::{Options, Redis};
use cronx_ledger::{Error, Fingerprint, JobId, Key, Ledger, Look};
use cronx_scheduler::Utc;

use super::asked::{claim, is_granted, is_in_flight};
use super::owners::hand_over;
use crate::suite::{Stage, clock, conforms};
use cronx_servers::{Server, needs, redis};

/// What it said, it has.
const DURABLE: &str = "appendonly yes\nappendfsync always\nsave \"\"\n";
const BOUND: Duration = Duration::from_mins(1);

fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}", server.port)
}

async fn connect(server: &Server) -> Redis {
    Redis::connect(&url(server), Options::default()).await.unwrap()
}

async fn refused(server: &Server) -> Error {
    Redis::connect(&url(server), Options::default()).await.err().expect("it is refused")
}

/// As a person would, beside the ledger.
async fn says(server: &Server, command: &str) -> String {
    let client = redis::Client::open(url(server)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    match command.query_async::<redis::Value>(&mut connection).await.unwrap() {
        redis::Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
        redis::Value::VerbatimString { text, .. } => text,
        redis::Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn fence(reply: &Reply) -> Fence {
    match reply {
        Reply::Verdict(Verdict::Granted { fence, .. }) => *fence,
        other => panic!("{other:?}"),
    }
}

fn key(name: &str) -> Key {
    Key::call("t", name).unwrap()
}

fn complete(name: &str, fence: Fence) -> Act {
    Act::Complete { key: key(name), fence, result: "well".into() }
}

fn fail(name: &str, fence: Fence) -> Act {
    Act::Fail { key: key(name), fence, why: "no".into() }
}

fn kept() -> Reply {
    Reply::Verdict(Verdict::Kept)
}

fn is_lost(reply: &Reply) -> bool {
    matches!(reply, Reply::Verdict(Verdict::Refused(Refusal::Lost { .. })))
}

fn join(job: &JobId, now: i64) -> Act {
    Act::Join { job: job.clone(), now: Utc(now), owner: "me".into(), guard: None }
}

fn begin(job: &JobId, nominal: i64, guard: Option<Guard>) -> Act {
    let lease = Duration::MAX;
    let claim = Claim { owner: "me".into(), bid: Bid(1), fingerprint: None, lease, sole: true };
    let decides = Some((Utc(nominal - 1), Utc(nominal)));
    Act::Begin { job: job.clone(), key: Key::firing(job, Utc(nominal), 0), claim, decides, guard }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    let Some(server) = needs("redis_conforms", redis(DURABLE), "Redis") else { return };
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Arc::new(Redis::connect(&url(&server), options).await.unwrap());
    conforms(&Stage { ledger, now }, 0..40).await;
}

/// Two clients, whose guesses about the other are wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_has_a_key_of_redis() {
    let test = "one_of_many_has_a_key_of_redis";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledgers = [connect(&server).await, connect(&server).await];
    let job = JobId::new("t", "job").unwrap();
    assert!(matches!(ledgers[0].act(join(&job, 0)).await.unwrap(), Reply::Joined { .. }));
    for round in 0..20 {
        let ask = |n: i64| {
            let ledger = ledgers[n as usize % 2].clone();
            let one = claim(&round.to_string(), &n.to_string(), 1);
            let begins = begin(&job, 8 * round + n + 1, None);
            tokio::spawn(async move {
                (ledger.act(one).await.unwrap(), ledger.act(begins).await.unwrap())
            })
        };
        let asked: Vec<_> = (0..8).map(ask).collect();
        let mut granted = [0; 2];
        for asked in asked {
            let (one, begins) = asked.await.unwrap();
            granted[0] += usize::from(is_granted(&one));
            granted[1] += usize::from(is_granted(&begins));
        }
        assert_eq!(granted, [1, 8], "round {round}");
    }
    // Nothing that one client decided was written over by the other.
    let courses = ledgers[0].courses().await.unwrap();
    let (_, course) = courses[0].as_ref().unwrap();
    assert_eq!((course.cursor(), course.ahead()), (Utc(160), &[][..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_all_the_time_takes_one_round_trip() {
    let test = "what_is_asked_for_all_the_time_takes_one_round_trip";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    let job = JobId::new("t", "job").unwrap();
    ledger.act(join(&job, 0)).await.unwrap();
    says(&server, "CONFIG RESETSTAT").await;
    let one = fence(&ledger.act(claim("one", "me", 1)).await.unwrap());
    let lease = Duration::from_hours(2);
    let renew = Act::Renew { key: key("one"), fence: one, lease };
    assert_eq!(ledger.act(renew).await.unwrap(), kept());
    assert_eq!(ledger.act(complete("one", one)).await.unwrap(), kept());
    let other = fence(&ledger.act(claim("other", "me", 2)).await.unwrap());
    assert_eq!(ledger.act(fail("other", other)).await.unwrap(), kept());
    fence(&ledger.act(begin(&job, 1, None)).await.unwrap());
    fence(&ledger.act(begin(&job, 2, None)).await.unwrap());
    let stats = says(&server, "INFO commandstats").await;
    let scripts = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    assert_eq!(scripts.and_then(|calls| calls.split(',').next()), Some("7"), "{stats}");
}

/// By the clock of the server itself, to the microsecond.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_by_the_servers_clock() {
    let test = "a_lease_is_by_the_servers_clock";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    let lease = Duration::from_nanos(300_000_001_234);
    let asked = |bid, lease| {
        let claim =
            Claim { owner: "me".into(), bid: Bid(bid), fingerprint: None, lease, sole: false };
        Act::Claim { key: key("x"), claim }
    };
    let fence = fence(&ledger.act(asked(1, lease)).await.unwrap());
    let Reply::Verdict(Verdict::Refused(Refusal::InFlight { until, .. })) =
        ledger.act(asked(2, lease)).await.unwrap()
    else {
        panic!("it is free")
    };
    let rows = ledger.entries(Look::Last, None, 1).await.unwrap();
    let (_, entry) = rows[0].as_ref().unwrap();
    assert_eq!(until, entry.since + lease);
    assert_eq!(u64::try_from(entry.since.0 / 1000).unwrap() + 1, fence.0);
    let here = Utc::from(std::time::SystemTime::now());
    assert!(here.0.abs_diff(entry.since.0) < 60_000_000_000, "{here} {}", entry.since);
    // It never ends earlier than it was to, and may end never.
    for lease in [Duration::ZERO, Duration::MAX] {
        let renew = Act::Renew { key: key("x"), fence, lease };
        assert_eq!(ledger.act(renew).await.unwrap(), kept());
        let refused = ledger.act(asked(3, lease)).await.unwrap();
        let ends = if lease.is_zero() { until } else { Utc::MAX };
        let Reply::Verdict(Verdict::Refused(Refusal::InFlight { until, .. })) = refused else {
            panic!("it is free")
        };
        assert_eq!(until, ends);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_has_what_it_said() {
    let test = "a_redis_that_dies_has_what_it_said";
    let Some(mut server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    for round in 0..3 {
        let name = format!("round {round}");
        assert!(is_granted(&ledger.act(claim(&name, "me", 1)).await.unwrap()));
        server.kill_and_start();
        assert!(is_in_flight(&ledger.act(claim(&name, "other", 2)).await.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_on_one_redis_hand_over() {
    let test = "owners_on_one_redis_hand_over";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    hand_over(Arc::new(connect(&server).await)).await;
}

/// What was cut off is asked for again, and done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_redis_that_are_cut_lose_nothing() {
    let test = "connections_of_redis_that_are_cut_lose_nothing";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    let asked = tokio::spawn(async move {
        for round in 0..300_u128 {
            let name = round.to_string();
            let granted = ledger.act(claim(&name, "me", round)).await.unwrap();
            let done = ledger.act(complete(&name, fence(&granted))).await.unwrap();
            assert_eq!(done, kept(), "{round}");
        }
    });
    while !asked.is_finished() {
        says(&server, "CLIENT KILL TYPE normal SKIPME yes").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    asked.await.unwrap();
}

#[tokio::test]
async fn the_last_to_change_come_first() {
    let test = "the_last_to_change_come_first";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    let [job, other] = ["job", "job/0"].map(|name| JobId::new("t", name).unwrap());
    let mut first = None;
    for job in [&job, &other] {
        ledger.act(join(job, 0)).await.unwrap();
        for nominal in 1..=3 {
            let granted = fence(&ledger.act(begin(job, nominal, None)).await.unwrap());
            first = first.or(Some(granted));
        }
    }
    let done = Key::firing(&job, Utc(1), 0);
    let act = Act::Complete { key: done.clone(), fence: first.unwrap(), result: "".into() };
    ledger.act(act).await.unwrap();
    let last = async |job: Option<&JobId>, most| -> Vec<Key> {
        let rows = ledger.entries(Look::Last, job.cloned(), most).await.unwrap();
        rows.into_iter().map(|row| row.unwrap().0).collect()
    };
    let of = |job: &JobId, nominal| Key::firing(job, Utc(nominal), 0);
    let all = [of(&job, 1), of(&other, 3), of(&other, 2), of(&other, 1), of(&job, 3), of(&job, 2)];
    assert_eq!(last(None, 9).await, all);
    assert_eq!(last(None, 2).await, all[..2]);
    assert_eq!(last(Some(&job), 2).await, [of(&job, 1), of(&job, 3)]);
}

#[tokio::test]
async fn another_programs_keys_stay_as_they_are() {
    let test = "another_programs_keys_stay_as_they_are";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    for (theirs, found) in [
        ("SET cronx:ledger hello", "cronx:ledger is another program's"),
        ("RPUSH cronx:ledger hello", "cronx:ledger is a list"),
        ("SET cronx:keys hello", "cronx:keys is a string"),
        ("HSET cronx:courses a b", "cronx:courses and no cronx:ledger"),
    ] {
        says(&server, "FLUSHALL").await;
        says(&server, theirs).await;
        let refused = refused(&server).await;
        assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains(found), "{refused}");
        assert_eq!(says(&server, "DBSIZE").await, "1");
    }
    says(&server, "FLUSHALL").await;
    let options = Options { makes: false, ..Options::default() };
    let none = Redis::connect(&url(&server), options).await.err().unwrap();
    assert!(matches!(none, Error::Foreign { .. }), "{none}");
    assert_eq!(says(&server, "DBSIZE").await, "0");
    says(&server, "EVAL redis.call('SET','cronx:ledger','3'..string.char(32)..'x') 0").await;
    let newer = refused(&server).await;
    assert!(matches!(newer, Error::Newer { found: 3, known: 2, .. }), "{newer}");
    says(&server, "EVAL redis.call('SET','cronx:ledger','1'..string.char(32)..'x') 0").await;
    let older = refused(&server).await;
    assert!(matches!(older, Error::Older { found: 1, known: 2, .. }), "{older}");
    assert_eq!(says(&server, "DBSIZE").await, "1");
}

/// One that no cronx wrote is said, hides no other, and nothing of a question about it is done.
#[tokio::test]
async fn a_key_of_another_kind_is_said() {
    let test = "a_key_of_another_kind_is_said";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    for name in ["list", "half", "whole"] {
        assert!(is_granted(&ledger.act(claim(name, "me", 1)).await.unwrap()));
    }
    says(&server, "DEL cronx:entry:t/~call/list").await;
    says(&server, "RPUSH cronx:entry:t/~call/list theirs").await;
    says(&server, "SET cronx:entry:t/~call/half 7").await;
    for name in ["list", "half"] {
        let error = ledger.act(claim(name, "me", 2)).await.err().unwrap();
        assert!(matches!(error, Error::Torn { .. }), "{error}");
    }
    let rows = ledger.entries(Look::After(None), None, 10).await.unwrap();
    assert_eq!(rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(says(&server, "LLEN cronx:entry:t/~call/list").await, "1");
    let job = JobId::new("t", "job").unwrap();
    ledger.act(join(&job, 0)).await.unwrap();
    says(&server, "SET cronx:open:t/job theirs").await;
    let before = says(&server, "DBSIZE").await;
    let error = ledger.act(begin(&job, 1, None)).await.err().unwrap();
    assert!(matches!(error, Error::Torn { .. }), "{error}");
    assert_eq!(says(&server, "DBSIZE").await, before);
    assert_eq!(ledger.courses().await.unwrap()[0].as_ref().unwrap().1.cursor(), Utc(0));
}

#[tokio::test]
async fn a_redis_that_is_full_says_so_and_goes_on_when_there_is_room() {
    let test = "a_redis_that_is_full_says_so_and_goes_on_when_there_is_room";
    let Some(server) = needs(test, redis("save \"\"\n"), "Redis") else { return };
    let ledger = connect(&server).await;
    let held = fence(&ledger.act(claim("held", "me", 1)).await.unwrap());
    let used = says(&server, "INFO memory").await;
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let most = used.trim().parse::<u64>().unwrap() + 200_000;
    says(&server, &format!("CONFIG SET maxmemory {most}")).await;
    let mut granted = 1;
    let error = loop {
        match ledger.act(claim(&format!("{granted:0400}"), "me", 1)).await {
            Ok(reply) => granted += usize::from(is_granted(&reply)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(granted > 1);
    // Far beyond what it may have, the least of questions finds no room.
    says(&server, "CONFIG SET maxmemory 500000").await;
    let error = ledger.act(complete("held", held)).await.err().unwrap();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    let whole = ledger.entries(Look::After(None), None, 10_000).await.unwrap();
    assert_eq!(whole.iter().filter(|row| row.is_ok()).count(), granted);
    assert_eq!(whole.len(), granted);
    says(&server, "CONFIG SET maxmemory 0").await;
    assert_eq!(ledger.act(complete("held", held)).await.unwrap(), kept());
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused() {
    let test = "a_redis_that_evicts_is_refused";
    let settings = "save \"\"\nmaxmemory-policy allkeys-lru\n";
    let Some(server) = needs(test, redis(settings), "Redis") else { return };
    let refused = refused(&server).await.to_string();
    assert!(refused.contains("allkeys-lru") && refused.contains("noeviction"), "{refused}");
    assert_eq!(says(&server, "DBSIZE").await, "0");
}

#[tokio::test]
async fn a_replica_says_that_it_may_only_be_read() {
    let test = "a_replica_says_that_it_may_only_be_read";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    assert!(is_granted(&ledger.act(claim("x", "me", 1)).await.unwrap()));
    let settings = format!("save \"\"\nreplicaof 127.0.0.1 {}\n", server.port);
    let replica = redis(&settings).unwrap();
    let until = Instant::now() + BOUND;
    while !says(&replica, "INFO replication").await.contains("master_link_status:up") {
        assert!(Instant::now() < until, "the replica has not caught up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let reader = connect(&replica).await;
    let rows = reader.entries(Look::After(None), None, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    // What needs no writing is answered.
    assert!(is_in_flight(&reader.act(claim("x", "other", 1)).await.unwrap()));
    let refused = reader.act(claim("y", "me", 1)).await.err().unwrap();
    assert!(matches!(refused, Error::ReadOnly { .. }), "{refused}");
}

#[tokio::test]
async fn a_key_of_another_request_is_refused() {
    let test = "a_key_of_another_request_is_refused";
    let Some(server) = needs(test, redis(DURABLE), "Redis") else { return };
    let ledger = connect(&server).await;
    let ask = |request: &str| {
        let fingerprint = Some(Fingerprint::of(request.as_bytes()));
        let (owner, lease) = ("me".into(), Duration::from_hours(1));
        let claim = Claim { owner, bid: Bid(1), fingerprint, lease, sole: false };
        Act::Claim { key: key("order 7"), claim }
    };
    let fence = fence(&ledger.act(ask("5 €")).await.unwrap());
    let refused = ledger.act(ask("50 €")).await.unwrap();
    assert_eq!(refused, Reply::Verdict(Verdict::Refused(Refusal::Mismatch)));
    assert_eq!(ledger.act(complete("order 7", fence)).await.unwrap(), kept());
    let refused = ledger.act(ask("50 €")).await.unwrap();
    assert_eq!(refused, Reply::Verdict(Verdict::Refused(Refusal::Mismatch)));
}
