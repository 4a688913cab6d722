//! One-shots and cron jobs, many of each: by the record of every run.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cronx_scheduler::{
    Answer, Definition, Error as Refused, Firing, JobOptions, Mono, Permit, Resumed, Run,
    Scheduler, Skipped, Spec, Store, StoreError, Utc, Work,
};
use hdrhistogram::Histogram;

use super::{histogram, insist, quantiles, start};
use crate::Error;

/// As popped, and as started.
struct Lateness(Mutex<[Histogram<u64>; 2]>);

impl Store for Lateness {
    fn resume(&self, _: &Arc<str>, now: Utc) -> Result<Resumed, StoreError> {
        Ok(Resumed { cursor: now, open: Vec::new() })
    }

    fn begin<'a>(&'a self, _: &'a Firing) -> Answer<'a, Permit> {
        Answer::now(Ok(Permit::Granted(0)))
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        let late = |at: Mono| at.0.saturating_sub(run.firing.due.0);
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = both[0].record(late(run.firing.popped));
        let _ = both[1].record(late(run.started));
        Answer::now(Ok(()))
    }

    fn skip<'a>(&'a self, _: &'a Skipped) -> Answer<'a, ()> {
        Answer::now(Ok(()))
    }

    fn forget(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(super) fn shots(count: u64, measured: Duration) -> Result<Vec<u64>, Error> {
    lateness(measured, |scheduler| {
        let mut random = 1_u64;
        for _ in 0..count {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let delay = Duration::from_nanos((random >> 32) * 26);
            insist(|| scheduler.after(delay, |_| async {}))?;
        }
        Ok(())
    })
}

pub(super) fn cron(count: u64, measured: Duration) -> Result<Vec<u64>, Error> {
    lateness(measured, |scheduler| crons(scheduler, count))
}

/// A thousand of a hundred thousand are due in each second.
pub(super) fn crons(scheduler: &Scheduler, count: u64) -> Result<(), Refused> {
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

fn lateness(
    measured: Duration,
    fill: impl FnOnce(&Scheduler) -> Result<(), Refused>,
) -> Result<Vec<u64>, Error> {
    let store = Arc::new(Lateness(Mutex::new([histogram()?, histogram()?])));
    let scheduler = start(Arc::clone(&store) as Arc<dyn Store>)?;
    fill(&scheduler)?;
    // What was due while it was filled is not what is measured.
    thread::sleep(Duration::from_secs(1));
    for histogram in &mut *store.0.lock().unwrap_or_else(PoisonError::into_inner) {
        histogram.reset();
    }
    // Whoever is to run beside it begins now.
    println!("measuring");
    thread::sleep(measured);
    let [popped, started] = store.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok([started.len()].into_iter().chain(quantiles(&popped)).chain(quantiles(&started)).collect())
}
