//! A process with a scheduler and a ledger, killed at random moments and begun again; at the end every instant
//! of every job must have taken effect once, counted in the user's own table.
//!
//! The process is this program itself, told by its environment to live as an owner. `CRONX_KILL_ROUNDS` says
//! how often it is killed, `CRONX_KILL_SEED` what the moments are drawn from.

mod census;
mod effects;
mod owner;
mod place;

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cronx_ledger::act::{Act, Reply};
use cronx_scheduler::Utc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::random::Random;
use census::{Begun, Census};
use cronx_servers::Server;
use place::Place;

/// For every change; a campaign has a thousand.
const ROUNDS: u64 = 8;
/// A life lasts at most so long after it could begin.
const LIFE: Duration = Duration::from_millis(400);
/// In which the last life has come to the end of all that was due.
const CALM: Duration = Duration::from_mins(2);

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// An owner's process. It ends in order when this is dropped.
struct Life(Option<Child>);

impl Life {
    fn begin(place: &Place) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", owner::NAME, "--ignored", "--nocapture"]);
        command.env(owner::PLACE, place.to_string());
        Self(Some(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()))
    }

    fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }

    /// In order, with all that it has begun.
    fn end(mut self) {
        let mut child = self.0.take().unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success(), "the last owner did not end in order");
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Where the jobs begin, before anybody could be killed.
async fn join(place: &Place) -> Begun {
    let opened = place.open("the first").await;
    let now = Utc::from(SystemTime::now());
    let mut begun = Begun::new();
    for (job, _) in owner::jobs() {
        let (owner, guard) = ("the first".into(), opened.guard());
        let joined = opened.ledger.act(Act::Join { job: job.clone(), now, owner, guard }).await;
        assert_eq!(joined.unwrap(), Reply::Joined { cursor: now, open: vec![] });
        begun.insert(job, now);
    }
    opened.close().await;
    begun
}

/// Lives, as many as asked for, and one in peace.
async fn campaign(place: &Place, mut server: Option<&mut Server>) -> Census {
    let seed = number("CRONX_KILL_SEED").unwrap_or_else(|| Utc::from(SystemTime::now()).0 as u64);
    println!("CRONX_KILL_SEED={seed}, {place}");
    let mut random = Random::new(seed);
    let begun = join(place).await;
    for _ in 0..number("CRONX_KILL_ROUNDS").unwrap_or(ROUNDS) {
        let life = Life::begin(place);
        let most = place.lease() + LIFE;
        tokio::time::sleep(Duration::from_micros(random.below(most.as_micros() as u64))).await;
        // Now and then the server goes first.
        if let Some(server) = server.as_deref_mut().filter(|_| random.one_in(8)) {
            server.kill_and_start();
        }
        life.kill();
    }
    let until = Utc::from(SystemTime::now());
    let last = Life::begin(place);
    let calm = Instant::now() + CALM;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        match census::take(place, &begun, until).await {
            Ok(_) => break,
            Err(why) => assert!(Instant::now() < calm, "CRONX_KILL_SEED={seed}: {why}"),
        }
    }
    last.end();
    let census = census::take(place, &begun, until).await;
    let census = census.unwrap_or_else(|why| panic!("CRONX_KILL_SEED={seed}: {why}"));
    println!("killed: {census}");
    census
}

/// It was worth it.
fn assert_hit(census: &Census) {
    assert!(census.firings > 0, "nothing was due");
    assert!(census.again > 0, "no kill met a firing: {census}");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite() {
    let folder = TempDir::new().unwrap();
    let place = Place::Sqlite(folder.path().to_owned());
    assert_hit(&campaign(&place, None).await);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    use cronx_servers::{needs, postgres};
    let Some(mut server) = needs("killed::postgres", postgres(), "PostgreSQL") else { return };
    let place = Place::Postgres(format!("postgres://cronx@127.0.0.1:{}/postgres", server.port));
    assert_hit(&campaign(&place, Some(&mut server)).await);
}

#[cfg(feature = "mariadb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    use cronx_servers::{mariadb, needs};
    let Some(mut server) = needs("killed::mariadb", mariadb(), "MariaDB") else { return };
    let place = Place::MariaDb(crate::stores::mariadb::url(&server).await);
    assert_hit(&campaign(&place, Some(&mut server)).await);
}

/// With a database behind it, which is what its page asks for.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis() {
    use cronx_servers::{needs, redis};
    const SETTINGS: &str = "appendonly yes\nappendfsync always\nmaxmemory-policy noeviction\n";
    let Some(mut server) = needs("killed::redis", redis(SETTINGS), "Redis") else { return };
    let folder = TempDir::new().unwrap();
    let url = format!("redis://127.0.0.1:{}", server.port);
    let place = Place::Redis(url, folder.path().to_owned());
    assert_hit(&campaign(&place, Some(&mut server)).await);
}
