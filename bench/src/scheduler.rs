//! The whole scheduler at work: how late it starts what is due, and how fast it takes what is asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cronx_scheduler::{
    Answer, Clock, Definition, Error as Refused, Firing, JobOptions, Mono, Options, Permit, Run,
    Scheduler, Skipped, Spec, Store, StoreError, SystemClock, Utc, Work,
};
use hdrhistogram::Histogram;

use crate::Error;

/// What is done with a scheduler.
#[derive(Debug, clap::Args)]
pub(crate) struct AtWork {
    #[arg(long)]
    load: Load,
    /// Jobs, or requests.
    #[arg(long)]
    count: u64,
    /// For how long lateness is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Load {
    /// One-shots at random nanoseconds of 111 seconds: `POPPED` and `STARTED`, each P50 P99 P99.9 max in ns.
    Shots,
    /// Cron jobs, 60 % of them once a minute, the others once an hour: the same.
    Cron,
    /// One-shots that are due in one instant: `LAST_NS SPAWN_NS`, beside as many bare tasks.
    Burst,
    /// Requests of two threads: `FLOOD_P99_NS PACED_P99_NS`.
    Submit,
}

/// Lateness by the record of each run.
struct Lateness(Mutex<[Histogram<u64>; 2]>);

impl Store for Lateness {
    fn cursor(&self, _: &str) -> Result<Option<Utc>, StoreError> {
        Ok(None)
    }

    fn begin<'a>(&'a self, _: &'a Firing) -> Answer<'a, Permit> {
        Box::pin(std::future::ready(Ok(Permit::Granted)))
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        let late = |at: Mono| at.0.saturating_sub(run.firing.due.0);
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = both[0].record(late(run.firing.popped));
        let _ = both[1].record(late(run.started));
        Box::pin(std::future::ready(Ok(())))
    }

    fn skip<'a>(&'a self, _: &'a Skipped) -> Answer<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl AtWork {
    pub(crate) fn run(&self) -> Result<(), Error> {
        match self.load {
            Load::Shots => self.lateness(|scheduler, count| shots(scheduler, count)),
            Load::Cron => self.lateness(cron),
            Load::Burst => self.burst(),
            Load::Submit => self.submit(),
        }
    }

    fn lateness(
        &self,
        fill: impl FnOnce(&Scheduler, u64) -> Result<(), Refused>,
    ) -> Result<(), Error> {
        let histogram = || Histogram::new(3).map_err(|error| Error::Scheduler(error.to_string()));
        let store = Arc::new(Lateness(Mutex::new([histogram()?, histogram()?])));
        let scheduler = start(Arc::clone(&store) as Arc<dyn Store>)?;
        fill(&scheduler, self.count)?;
        // What was due while it was filled is not what is measured.
        thread::sleep(Duration::from_secs(1));
        for histogram in &mut *store.0.lock().unwrap_or_else(PoisonError::into_inner) {
            histogram.reset();
        }
        thread::sleep(Duration::from_secs(self.seconds));
        let both = store.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        println!("{} {} {}", both[0].len(), figures(&both[0]), figures(&both[1]));
        Ok(())
    }

    fn burst(&self) -> Result<(), Error> {
        let scheduler = start(Arc::new(cronx_scheduler::Memory::new(0)))?;
        let (last, left) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(self.count)));
        let due = SystemClock.mono() + Duration::from_secs(3);
        for _ in 0..self.count {
            let (last, left) = (Arc::clone(&last), Arc::clone(&left));
            let delay = due.since(SystemClock.mono());
            insist(|| {
                let (last, left) = (Arc::clone(&last), Arc::clone(&left));
                scheduler.after(delay, move |_| async move {
                    last.fetch_max(SystemClock.mono().0, Ordering::Relaxed);
                    left.fetch_sub(1, Ordering::Release);
                })
            })?;
        }
        wait(&left);
        let took = last.load(Ordering::Relaxed).saturating_sub(due.0);
        println!("{took} {}", spawn(self.count)?);
        Ok(())
    }

    fn submit(&self) -> Result<(), Error> {
        let flood = submitted(self.count, Duration::ZERO)?;
        let paced = submitted(2000, Duration::from_millis(1))?;
        println!("{flood} {paced}");
        Ok(())
    }
}

fn start(store: Arc<dyn Store>) -> Result<Scheduler, Error> {
    Ok(Scheduler::start(Options { intake: 1 << 20, queue: 1 << 17, store, ..Options::default() })?)
}

/// As often as the intake is full.
fn insist<T>(mut ask: impl FnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    loop {
        match ask() {
            Err(Refused::Full { .. }) => thread::yield_now(),
            done => return done,
        }
    }
}

fn shots(scheduler: &Scheduler, count: u64) -> Result<(), Refused> {
    let mut random = 1_u64;
    for _ in 0..count {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let delay = Duration::from_nanos((random >> 32) * 26);
        insist(|| scheduler.after(delay, |_| async {}))?;
    }
    Ok(())
}

fn cron(scheduler: &Scheduler, count: u64) -> Result<(), Refused> {
    let options = Arc::new(JobOptions::default());
    for number in 0..count {
        let (second, minute) = (number % 60, number / 60 % 60);
        let text = if number % 10 < 6 {
            format!("{second} * * * * *")
        } else {
            format!("{second} {minute} * * * *")
        };
        let spec = Spec::parse(&text)?;
        insist(|| {
            let (name, spec) = (format!("job {number}").into(), spec.clone());
            let definition = Definition { name, spec, options: Arc::clone(&options) };
            scheduler.add(definition, Work::future(|_| async {}))
        })?;
    }
    Ok(())
}

fn figures(histogram: &Histogram<u64>) -> String {
    let at = |quantile| histogram.value_at_quantile(quantile);
    format!("{} {} {} {}", at(0.5), at(0.99), at(0.999), histogram.max())
}

fn wait(left: &AtomicU64) {
    while left.load(Ordering::Acquire) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

/// As many tasks that do the same, from the first spawn to the last start.
fn spawn(count: u64) -> Result<u64, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build();
    let runtime =
        runtime.map_err(|source| Error::System { what: "a runtime".to_owned(), source })?;
    let (last, left) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(count)));
    let start = SystemClock.mono();
    for _ in 0..count {
        let (last, left) = (Arc::clone(&last), Arc::clone(&left));
        runtime.spawn(async move {
            last.fetch_max(SystemClock.mono().0, Ordering::Relaxed);
            left.fetch_sub(1, Ordering::Release);
        });
    }
    wait(&left);
    Ok(last.load(Ordering::Relaxed).saturating_sub(start.0))
}

/// P99 of what two threads need to hand over a one-shot of the next hour.
fn submitted(count: u64, pause: Duration) -> Result<u64, Error> {
    let scheduler = start(Arc::new(cronx_scheduler::Memory::new(0)))?;
    let produce = || {
        let mut took = Histogram::<u64>::new(3).map_err(|error| error.to_string())?;
        for _ in 0..count {
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            let start = Instant::now();
            let asked = scheduler.after(Duration::from_hours(1), |_| async {});
            let ns = start.elapsed().as_nanos() as u64;
            if asked.is_ok() {
                took.record(ns).map_err(|error| error.to_string())?;
            } else {
                thread::yield_now();
            }
        }
        Ok(took)
    };
    let both: Result<Vec<_>, String> = thread::scope(|scope| {
        let producers = [scope.spawn(produce), scope.spawn(produce)];
        let joined = producers.map(|producer| producer.join());
        joined.into_iter().map(|took| took.unwrap_or_else(|_| Err("it panicked".into()))).collect()
    });
    let mut both = both.map_err(Error::Scheduler)?.into_iter();
    let mut sum = both.next().ok_or_else(|| Error::Scheduler("no producer".to_owned()))?;
    for other in both {
        sum.add(other).map_err(|error| Error::Scheduler(error.to_string()))?;
    }
    Ok(sum.value_at_quantile(0.99))
}
