//! Three jobs for three seconds: one by a pattern, one that fails and is tried again, one that blocks.
//!
//! `cargo run -p cronx-scheduler --example hello`

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use cronx_scheduler::{
    Definition, Error, JobOptions, Options, Overlap, Policy, Retry, Scheduler, Spec, Work,
};

fn main() -> Result<(), Error> {
    let scheduler = Scheduler::start(Options::default())?;
    let tick = scheduler.schedule("* * * * * *", |run| async move {
        println!("{} was due at {}", run.job(), run.nominal());
    })?;

    let retry = Retry {
        attempts: 5,
        base: Duration::from_millis(50),
        cap: Duration::from_secs(1),
        rejected: false,
    };
    let flaky = Definition {
        name: "flaky".into(),
        spec: Spec::parse("@every 2s")?,
        options: Arc::new(JobOptions { retry, ..JobOptions::default() }),
    };
    let calls = AtomicU32::new(0);
    let flaky = scheduler.add(
        flaky,
        Work::future(move |run| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            println!("{} attempt {}", run.job(), run.attempt());
            async move { if call % 3 == 2 { Ok(()) } else { Err("not yet") } }
        }),
    )?;

    let policy = Policy { overlap: Overlap::BufferOne, ..Policy::default() };
    let slow = Definition {
        name: "slow".into(),
        spec: Spec::parse("@every 400ms")?,
        options: Arc::new(JobOptions { policy, ..JobOptions::default() }),
    };
    let slow =
        scheduler.add(slow, Work::blocking(|_| thread::sleep(Duration::from_millis(700))))?;

    thread::sleep(Duration::from_secs(3));
    for job in [tick, flaky, slow] {
        let status = job.status();
        println!("{:6} {:?} left out: {:?}", job.name(), status.ended, status.skipped);
        println!("       P99 lateness {} us", job.lateness_us().value_at_quantile(0.99));
    }
    println!("drained: {}", scheduler.drain(Duration::from_secs(5)));
    Ok(())
}
