//! An owner in a process of its own: this program again, which is told by its environment what it is.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronx_ledger::postgres::{self, Postgres};
use cronx_ledger::shards::{Change, Options};
use cronx_ledger::{Firings, Ledger, Shards, Tenure};
use cronx_scheduler::{
    Context, Definition, Job, JobOptions, Misfire, Overlap, Policy, Retry, Scheduler, Spec, Work,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::effects::Effects;

pub const TENANT: &str = "t";
pub const SHARDS: u32 = 6;
pub const JOBS: usize = 12;
/// Between two instants of a job, nanoseconds.
pub const PERIOD: i64 = 250_000_000;
/// A store on a busy machine answers well within it.
pub const LEASE: Duration = Duration::from_secs(4);
/// What runs has ended by then, if it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// The name of a job.
pub fn job(number: usize) -> String {
    format!("job {number}")
}

pub async fn connect(url: &str) -> Arc<dyn Ledger> {
    #[cfg(feature = "redis")]
    if url.starts_with("redis:") {
        use cronx_ledger::redis::{Options, Redis};
        return Arc::new(Redis::connect(url, Options::default()).await.unwrap());
    }
    Arc::new(Postgres::connect(url, postgres::Options::default()).await.unwrap())
}

/// As its parent sees it.
pub struct Owner {
    pub name: String,
    child: Child,
}

impl Owner {
    pub fn start(name: &str, ledger: &str, effects: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture"]);
        command.arg("stores::shards::process::an_owner");
        command.env("CRONX_OWNER", name).env("CRONX_LEDGER", ledger).env("CRONX_EFFECTS", effects);
        // It ends when nobody can tell it anything any more.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Self { name: name.to_owned(), child }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Lets it end in order, and waits for that.
    pub fn end(&mut self) {
        drop(self.child.stdin.take());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{} ended: {ended}", self.name);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // One that has ended is none any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "it is a process of other tests"]
fn an_owner() {
    let told = |name: &str| std::env::var(name).unwrap();
    let (name, ledger, url) = (told("CRONX_OWNER"), told("CRONX_LEDGER"), told("CRONX_EFFECTS"));
    let (end, ends) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        end.send(())
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut own = Own::new(&name, &ledger, &url).await;
        own.work(ends).await;
        own.stop().await;
    });
}

/// As it sees itself.
struct Own {
    name: Arc<str>,
    effects: Arc<Effects>,
    shards: Arc<Shards>,
    changes: tokio::sync::mpsc::UnboundedReceiver<Change>,
    scheduler: Arc<Scheduler>,
    jobs: BTreeMap<u32, Vec<Job>>,
}

impl Own {
    async fn new(name: &str, ledger: &str, effects: &str) -> Self {
        let (name, ledger): (Arc<str>, _) = (name.into(), connect(ledger).await);
        let options = Options { shards: Some(SHARDS), lease: LEASE };
        let joined = Shards::join(Arc::clone(&ledger), TENANT, Arc::clone(&name), options).await;
        let (shards, changes) = joined.unwrap();
        let tenure = Tenure::Shards(Arc::clone(&shards));
        let store = Arc::new(Firings::new(ledger, TENANT, Arc::clone(&name), tenure));
        let options = cronx_scheduler::Options {
            shards: 1,
            store,
            runtime: Some(Handle::current()),
            ..cronx_scheduler::Options::default()
        };
        let scheduler = Arc::new(Scheduler::start(options).unwrap());
        let effects = Arc::new(Effects::of_url(effects));
        Self { name, effects, shards, changes, scheduler, jobs: BTreeMap::new() }
    }

    async fn work(&mut self, mut ends: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                change = self.changes.recv() => self.change(change.unwrap()).await,
                _ = &mut ends => return,
            }
        }
    }

    async fn change(&mut self, change: Change) {
        match change {
            Change::Gained(shard) => self.add(shard).await,
            Change::Lost(shard) => drop(self.leave(shard)),
            Change::Wanted(shard) => self.let_go(shard).await,
            // What it loses by that, it is told.
            Change::Failing(error) => eprintln!("{}: {error}", self.name),
        }
    }

    async fn add(&mut self, shard: u32) {
        for name in (0..JOBS).map(job).filter(|name| self.shards.shard_of(name) == shard) {
            let (definition, work) = (definition(&name), self.effect());
            let scheduler = Arc::clone(&self.scheduler);
            let added = tokio::task::spawn_blocking(move || scheduler.add(definition, work));
            match added.await.unwrap() {
                Ok(job) => self.jobs.entry(shard).or_default().push(job),
                // It was lost before it was begun.
                Err(error) => eprintln!("{}: {error}", self.name),
            }
        }
    }

    fn effect(&self) -> Work {
        let (effects, owner) = (Arc::clone(&self.effects), Arc::clone(&self.name));
        Work::future(move |context: Context| {
            let (effects, owner) = (Arc::clone(&effects), Arc::clone(&owner));
            async move {
                let (nominal, fence) = (context.nominal().0, context.fence() as i64);
                effects.happen(context.job(), nominal, &owner, fence).await
            }
        })
    }

    fn leave(&mut self, shard: u32) -> Vec<Job> {
        let jobs = self.jobs.remove(&shard).unwrap_or_default();
        for job in &jobs {
            job.leave();
        }
        jobs
    }

    async fn let_go(&mut self, shard: u32) {
        self.shards.close(shard);
        let (jobs, until) = (self.leave(shard), Instant::now() + PATIENCE);
        while jobs.iter().any(|job| job.status().busy > 0) {
            if Instant::now() > until {
                self.shards.open(shard);
                return self.add(shard).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.shards.give_back(shard).await.unwrap();
    }

    async fn stop(mut self) {
        self.shards.withdraw().await.unwrap();
        for shard in self.shards.ours() {
            self.shards.close(shard);
            self.leave(shard);
        }
        let scheduler = Arc::into_inner(self.scheduler).unwrap();
        let drained = tokio::task::spawn_blocking(move || scheduler.drain(10 * PATIENCE)).await;
        assert!(drained.unwrap(), "runs go on");
        for shard in self.shards.ours() {
            self.shards.give_back(shard).await.unwrap();
        }
    }
}

/// Every instant is to begin, however late it is, and to be tried until it has taken effect.
fn definition(name: &str) -> Definition {
    let policy = Policy {
        misfire: Misfire::FireAll { cap: 10_000 },
        overlap: Overlap::Allow,
        ..Policy::default()
    };
    let (base, cap) = (Duration::from_millis(20), Duration::from_millis(500));
    let retry = Retry { attempts: u32::MAX, base, cap, ..Retry::NEVER };
    let spec = Spec::parse(&format!("@every {}ms", PERIOD / 1_000_000)).unwrap();
    let options = Arc::new(JobOptions { policy, retry, ..JobOptions::default() });
    Definition { name: name.into(), spec, options }
}
