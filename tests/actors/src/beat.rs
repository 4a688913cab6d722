//! A scheduler with one job that is due all the time, and what may come in its way.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cronx_scheduler::breaker::{Breaker, Rules, Wait};
use cronx_scheduler::{
    Clock, Definition, Error, JobOptions, Mono, Notify, Options, Overlap, Policy, Reading,
    RealTime, Retry, Scheduler, Sleeper, Spec, SystemClock, Work,
};

/// A breaker that opened stays so.
const OPEN: Duration = Duration::from_millis(200);
/// The wait for another attempt.
const SOON: Duration = Duration::from_millis(10);

/// Fires a job called `beat` every few milliseconds, with one thread for all jobs. A second job can
/// hold a place in the pool, or the thread itself, in each tenth of a second.
#[derive(Debug, clap::Args)]
pub struct Beat {
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// From one firing to the next.
    #[arg(long, default_value_t = 5)]
    every_ms: u64,
    /// The CPU of the shard's thread; any, if not given.
    #[arg(long)]
    shard_cpu: Option<usize>,
    /// The CPU of all other threads; any, if not given.
    #[arg(long)]
    cpu: Option<usize>,
    /// Runs at work at once.
    #[arg(long, default_value_t = 64)]
    running: usize,
    /// A job called `holder` sleeps so long, and gives the thread back meanwhile.
    #[arg(long, default_value_t = 0)]
    hold_ms: u64,
    /// A job called `blocker` sleeps so long, and keeps the thread.
    #[arg(long, default_value_t = 0)]
    block_ms: u64,
    /// One timer in nineteen of the shard's expires so much late.
    #[arg(long, default_value_t = 0)]
    slack_ms: u64,
    /// What a job called `payment` depends on is down for so long from the start on. The job is due as
    /// often as the first, and behind a breaker called `ledger`.
    #[arg(long, default_value_t = 0)]
    down_ms: u64,
    /// It waits for its breaker.
    #[arg(long)]
    patient: bool,
}

/// The system's clocks, but for timers with slack.
struct Slack(Duration);

impl Clock for Slack {
    fn read(&self) -> Reading {
        SystemClock.read()
    }

    fn sleeper(&self) -> Result<Box<dyn Sleeper>, Error> {
        Ok(Box::new(Late { sleeper: SystemClock.sleeper()?, slack: self.0, sleeps: 0 }))
    }
}

struct Late {
    sleeper: Box<dyn Sleeper>,
    slack: Duration,
    sleeps: u64,
}

impl Sleeper for Late {
    fn sleep(&mut self, until: Option<Mono>) {
        self.sleeps += 1;
        let slack_ns =
            // Odd, so that it is not always one of those that the end of a run cuts short.
            if self.sleeps.is_multiple_of(19) { self.slack.as_nanos() as u64 } else { 0 };
        self.sleeper.sleep(until.map(|until| Mono(until.0 + slack_ns)));
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.sleeper.notifier()
    }
}

impl Beat {
    pub fn run(&self) {
        // Threads of the runtime are where the one is that made them.
        self.cpu.into_iter().for_each(crate::pin);
        let realtime =
            RealTime { cores: self.shard_cpu.into_iter().collect(), ..RealTime::default() };
        let (workers, running) = (1, self.running);
        let clock = Arc::new(Slack(Duration::from_millis(self.slack_ms)));
        let options =
            Options { shards: 1, workers, running, realtime, clock, ..Options::default() };
        let scheduler = Scheduler::start(options).expect("a scheduler can be started");
        let add_with = |name: &str, every_ms: u64, options: JobOptions, work: Work| {
            let definition = Definition {
                name: name.into(),
                spec: Spec::parse(&format!("@every {every_ms}ms")).expect("a spec"),
                options: Arc::new(options),
            };
            scheduler.add(definition, work).expect("a job can be added");
        };
        let add = |name: &str, every_ms: u64, work: Work| {
            add_with(name, every_ms, JobOptions::default(), work);
        };
        if self.down_ms > 0 {
            let (options, work) = self.payment();
            add_with("payment", self.every_ms, options, work);
        }
        add("beat", self.every_ms, Work::future(|_| async {}));
        let [hold, block] = [self.hold_ms, self.block_ms].map(Duration::from_millis);
        if !hold.is_zero() {
            add("holder", 100, Work::future(move |_| tokio::time::sleep(hold)));
        }
        if !block.is_zero() {
            add("blocker", 100, Work::future(move |_| async move { thread::sleep(block) }));
        }
        thread::sleep(Duration::from_secs_f64(self.seconds));
        scheduler.drain(Duration::from_secs(1));
    }

    /// What fails as long as something is down.
    fn payment(&self) -> (JobOptions, Work) {
        let up = Instant::now() + Duration::from_millis(self.down_ms);
        let work = Work::future(move |_| {
            std::future::ready(if Instant::now() < up { Err("down") } else { Ok(()) })
        });
        let wait = Wait { first: OPEN, most: OPEN };
        let breaker = Breaker::new("ledger", Rules { wait, ..Rules::PAPER_CH1 });
        let patient = Retry { attempts: 1000, base: SOON, cap: SOON, rejected: true };
        let retry = if self.patient { patient } else { Retry::NEVER };
        let policy = Policy { overlap: Overlap::Allow, ..Policy::default() };
        let options = JobOptions { retry, policy, ..JobOptions::default() };
        (options, work.behind([breaker.expect("rules that can be kept")]))
    }
}
