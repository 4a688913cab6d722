//! Jobs due every second, of ours and of others.
//!
//! Every instant of every job counts: from the second that it is named by to its first start within the
//! next. One without is a whole second late and lost, so that nobody looks punctual by leaving out.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apalis_core::worker::builder::WorkerBuilder;
use apalis_cron::{CronScheduler, Tick};
use cronx_scheduler::{Definition, JobOptions, Spec, Work};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::{Which, histogram, nothing, quantiles, runtime, start};
use crate::Error;

const PATTERN: &str = "* * * * * *";
/// Seconds before those that count.
const BEFORE: u64 = 3;

/// Which job started when, nanoseconds since 1970.
#[derive(Clone, Default)]
struct Starts(Arc<Mutex<Vec<(u64, u64)>>>);

impl Starts {
    fn note(&self, job: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((job, now().as_nanos() as u64));
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub(super) fn run(which: Which, count: u64, measured: Duration) -> Result<Vec<u64>, Error> {
    let starts = Starts::default();
    let runtime = runtime()?;
    let _here = runtime.enter();
    let said = |error: JobSchedulerError| Error::Scheduler(error.to_string());
    match which {
        Which::Cronx | Which::Tokio => {
            let scheduler = ours(count, &starts)?;
            let numbers = measure(&starts, count, measured);
            drop(scheduler);
            return numbers;
        }
        Which::TokioCronScheduler => {
            runtime.block_on(tokio_cron_scheduler(count, &starts)).map_err(said)?;
        }
        Which::ApalisCron => apalis_cron(count, &starts)?,
    }
    let numbers = measure(&starts, count, measured);
    runtime.shutdown_background();
    numbers
}

fn ours(count: u64, starts: &Starts) -> Result<cronx_scheduler::Scheduler, Error> {
    let scheduler = start(nothing())?;
    let options = Arc::new(JobOptions::default());
    for job in 0..count {
        let (name, spec) = (format!("job {job}").into(), Spec::parse(PATTERN)?);
        let definition = Definition { name, spec, options: Arc::clone(&options) };
        let starts = starts.clone();
        scheduler.add(
            definition,
            Work::future(move |_| {
                starts.note(job);
                async {}
            }),
        )?;
    }
    Ok(scheduler)
}

async fn tokio_cron_scheduler(count: u64, starts: &Starts) -> Result<(), JobSchedulerError> {
    let scheduler = JobScheduler::new_with_channel_size(count as usize * 4).await?;
    for number in 0..count {
        let starts = starts.clone();
        let job = Job::new_async(PATTERN, move |_, _| {
            starts.note(number);
            Box::pin(async {})
        })?;
        scheduler.add(job).await?;
    }
    scheduler.start().await?;
    // It would end with its handle.
    std::mem::forget(scheduler);
    Ok(())
}

fn apalis_cron(count: u64, starts: &Starts) -> Result<(), Error> {
    let schedule =
        cron::Schedule::from_str(PATTERN).map_err(|error| Error::Scheduler(error.to_string()))?;
    for job in 0..count {
        let starts = starts.clone();
        let worker = WorkerBuilder::new(format!("worker {job}"))
            .backend(CronScheduler::new(schedule.clone()))
            .build(move |_: Tick| {
                starts.note(job);
                async {}
            });
        tokio::spawn(async move { worker.run().await });
    }
    Ok(())
}

/// `INSTANTS`, quantiles, `LOST`.
fn measure(starts: &Starts, count: u64, measured: Duration) -> Result<Vec<u64>, Error> {
    let from = now().as_secs() + BEFORE;
    let seconds = measured.as_secs();
    // The last second has its second too.
    let end = Duration::from_secs(from + seconds + 1);
    std::thread::sleep(end.saturating_sub(now()) + Duration::from_millis(100));
    let mut first = vec![None::<u64>; (count * seconds) as usize];
    for &(job, at_ns) in starts.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let (second, late_ns) = (at_ns / 1_000_000_000, at_ns % 1_000_000_000);
        if (from..from + seconds).contains(&second) {
            let first = &mut first[(job * seconds + second - from) as usize];
            *first = Some(first.map_or(late_ns, |there| there.min(late_ns)));
        }
    }
    let mut late = histogram()?;
    for first in &first {
        let _ = late.record(first.unwrap_or(1_000_000_000));
    }
    let lost = first.iter().filter(|first| first.is_none()).count() as u64;
    Ok([late.len()].into_iter().chain(quantiles(&late)).chain([lost]).collect())
}
