//! Three owners of one tenant's jobs, as processes of their own, on one store: they are killed, stopped for
//! longer than their leases, and cut off in the middle of what they ask. Every instant must be in the ledger
//! once, and must have taken effect once in a table that knows nothing of ledgers.

mod effects;
mod process;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronx_ledger::claim::{Entry, State};
use cronx_ledger::shards::{Change, Options};
use cronx_ledger::{Error, Firings, Key, Ledger, Look, Named, Shards, Tenure};
use cronx_scheduler::{Permit, Store, Utc};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::owners::firing_of;
use cronx_servers::{needs, postgres};
use effects::Effects;
use process::{JOBS, LEASE, Owner, PERIOD, SHARDS, TENANT, connect};

/// Nothing takes longer, on a slow machine that does something else too.
const BOUND: Duration = Duration::from_mins(1);

/// A ledger and a table of effects, and who works on them.
struct Scene {
    ledger: String,
    effects: Effects,
    owners: Vec<Owner>,
}

impl Scene {
    fn begin(&mut self, name: &str) {
        self.owners.push(Owner::start(name, &self.ledger, &self.effects.url));
    }

    fn owner(&mut self, name: &str) -> &mut Owner {
        self.owners.iter_mut().find(|owner| owner.name == name).unwrap()
    }

    /// Waits until all of these are at work.
    async fn work(&self, names: &[&str]) {
        let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let until = Instant::now() + BOUND;
        loop {
            let last = self.effects.last_owners().await;
            let owners: BTreeSet<String> = last.values().cloned().collect();
            if owners == wanted && last.len() == JOBS {
                return;
            }
            assert!(Instant::now() < until, "not {wanted:?} but {last:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until others have gone on with all jobs that one had, and says how long that took.
    async fn taken_over(&self, from: &str, since: Instant) -> Duration {
        loop {
            let last = self.effects.last_owners().await;
            if last.values().all(|owner| owner != from) {
                return since.elapsed();
            }
            assert!(since.elapsed() < BOUND, "{from} still has {last:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing is lost and nothing happened twice.
    async fn judge(&self) {
        let ledger = connect(&self.ledger).await;
        let entries = firings(&*ledger).await;
        for number in 0..JOBS {
            let job = process::job(number);
            let (instants, total) = self.effects.of(&job).await;
            assert_eq!(instants.len() as i64, total, "{job} took effect twice");
            let gaps = instants.windows(2).filter(|pair| pair[1] - pair[0] != PERIOD).count();
            assert_eq!(gaps, 0, "{job} lost instants: {instants:?}");
            let mut written = Vec::new();
            for (key, entry) in &entries {
                let Named::Firing { job: of, nominal, .. } = key.named() else { continue };
                if of.job() == job {
                    assert!(matches!(entry.state, State::Done { .. }), "{key} is {entry:?}");
                    written.push(nominal.0);
                }
            }
            assert_eq!(written, instants, "{job}: the ledger, and what took effect");
        }
    }
}

async fn firings(ledger: &dyn Ledger) -> Vec<(Key, Entry)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let rows = ledger.entries(Look::After(after), None, 1000).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(last.as_ref().unwrap().0.clone());
        all.extend(rows.into_iter().map(Result::unwrap));
    }
    all.retain(|(key, _)| matches!(key.named(), Named::Firing { .. }));
    all
}

/// All of it; `cut` cuts off whoever asks the ledger just then.
async fn owners_lose_nothing(ledger: String, effects: Effects, cut: impl AsyncFn()) {
    let mut scene = Scene { ledger, effects, owners: Vec::new() };
    for name in ["one", "two", "three"] {
        scene.begin(name);
    }
    scene.work(&["one", "two", "three"]).await;

    scene.owner("one").signal(Signal::SIGKILL);
    let took = scene.taken_over("one", Instant::now()).await;
    assert!(took < 2 * LEASE, "killed, and taken over after {took:?}");
    scene.begin("four");
    scene.work(&["two", "three", "four"]).await;

    scene.owner("two").signal(Signal::SIGSTOP);
    let since = Instant::now();
    let took = scene.taken_over("two", since).await;
    assert!(took < 2 * LEASE, "stopped, and taken over after {took:?}");
    sleep((2 * LEASE).saturating_sub(since.elapsed())).await;
    // It believes to have what it had.
    scene.owner("two").signal(Signal::SIGCONT);
    scene.work(&["two", "three", "four"]).await;

    let since = Instant::now();
    while since.elapsed() < 2 * LEASE {
        cut().await;
        sleep(Duration::from_millis(100)).await;
    }
    scene.work(&["two", "three", "four"]).await;

    // One that ends in order lets the others go on at once.
    let since = Instant::now();
    scene.owner("three").end();
    let took = scene.taken_over("three", since).await;
    assert!(took < LEASE, "given back, and taken after {took:?}");
    for name in ["two", "four"] {
        scene.owner(name).end();
    }
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_on_one_postgres_lose_nothing() {
    let test = "owners_on_one_postgres_lose_nothing";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let url = format!("postgres://cronx@127.0.0.1:{}/postgres", server.port);
    let effects = Effects::make(&url).await;
    let admin = effects.clone();
    owners_lose_nothing(url, effects, async || admin.cut("cronx").await).await;
}

/// The ledger is in Redis, and what is done is in a database behind it.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_on_one_redis_lose_nothing() {
    let test = "owners_on_one_redis_lose_nothing";
    let settings = "appendonly yes\nappendfsync always\nsave \"\"\n";
    let Some(redis) = needs(test, cronx_servers::redis(settings), "Redis") else { return };
    let Some(database) = needs(test, postgres(), "PostgreSQL") else { return };
    let effects = format!("postgres://cronx@127.0.0.1:{}/postgres", database.port);
    let effects = Effects::make(&effects).await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let admin = redis::Client::open(url.clone()).unwrap();
    let cut = async || {
        let mut connection = admin.get_multiplexed_async_connection().await.unwrap();
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        let _: i64 = kill.query_async(&mut connection).await.unwrap();
    };
    owners_lose_nothing(url, effects, cut).await;
}

/// Over how many shards, for a tenant.
async fn join(
    ledger: &Arc<dyn Ledger>,
    owner: &str,
    shards: Option<u32>,
) -> Result<Arc<Shards>, Error> {
    let options = Options { shards, lease: LEASE };
    let joined = Shards::join(Arc::clone(ledger), TENANT, owner.into(), options).await;
    joined.map(|(shards, _)| shards)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_agree_about_shards_or_say_so() {
    let test = "owners_agree_about_shards_or_say_so";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let url = format!("postgres://cronx@127.0.0.1:{}/postgres", server.port);
    let ledger = connect(&url).await;
    let first = join(&ledger, "first", Some(SHARDS)).await.unwrap();
    assert_eq!(first.count(), SHARDS);
    assert_eq!(join(&ledger, "second", None).await.unwrap().count(), SHARDS);
    let refused = join(&ledger, "third", Some(7)).await.unwrap_err();
    assert!(matches!(refused, Error::Spread { found: SHARDS, asked: 7, .. }), "{refused}");
}

/// What is closed stays ours and begins nothing; what is given back is gone at once, and whoever withdraws
/// takes nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_owner_is_given_his_share() {
    let test = "a_second_owner_is_given_his_share";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let job_in = |shards: &Shards, shard| {
        let mut names = (0..).map(|number: u32| Arc::<str>::from(number.to_string()));
        names.find(|name| shards.shard_of(name) == shard).unwrap()
    };
    let ledger = connect(&format!("postgres://cronx@127.0.0.1:{}/postgres", server.port)).await;
    let options = Options { shards: Some(SHARDS), lease: LEASE };
    let (first, mut changes) =
        Shards::join(Arc::clone(&ledger), TENANT, "first".into(), options).await.unwrap();
    for _ in 0..SHARDS {
        assert!(matches!(changes.recv().await.unwrap(), Change::Gained(_)));
    }
    assert_eq!(first.ours(), (0..SHARDS).collect::<Vec<_>>());
    let tenure = Tenure::Shards(Arc::clone(&first));
    let firings = Firings::new(Arc::clone(&ledger), TENANT, "first".into(), tenure);
    let (second, mut gained) =
        Shards::join(Arc::clone(&ledger), TENANT, "second".into(), options).await.unwrap();
    for _ in 0..SHARDS / 2 {
        let Change::Wanted(shard) = changes.recv().await.unwrap() else { panic!() };
        let job = job_in(&first, shard);
        assert_eq!(firings.resume(&job, Utc(7)).unwrap().cursor, Utc(7));
        first.close(shard);
        assert!(first.ours().contains(&shard) && firings.resume(&job, Utc(7)).is_err());
        first.give_back(shard).await.unwrap();
        assert!(!first.ours().contains(&shard));
        let refused = firings.resume(&job, Utc(7)).unwrap_err().to_string();
        assert_eq!(refused, format!("'{job}' is in shard {shard}, which is not ours"));
        assert!(firings.forget(&job).is_err());
        assert_eq!(firings.begin(&firing_of(&job, 8, 1, 8)).await.unwrap(), Permit::Refused);
    }
    for _ in 0..SHARDS / 2 {
        let Change::Gained(shard) = gained.recv().await.unwrap() else { panic!() };
        assert!(!first.ours().contains(&shard));
        let tenure = Tenure::Shards(Arc::clone(&second));
        let firings = Firings::new(Arc::clone(&ledger), TENANT, "second".into(), tenure);
        // It goes on where the first one was.
        assert_eq!(firings.resume(&job_in(&first, shard), Utc(9)).unwrap().cursor, Utc(7));
    }
    second.withdraw().await.unwrap();
    for shard in second.ours() {
        second.give_back(shard).await.unwrap();
    }
    for _ in 0..SHARDS / 2 {
        assert!(matches!(changes.recv().await.unwrap(), Change::Gained(_)));
    }
    assert_eq!((first.ours().len(), second.ours().len()), (SHARDS as usize, 0));
}
