//! The life of an owner: a scheduler whose jobs insert a row each, in one transaction with the word that they
//! did. Some take their time, before and after; some fail first.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{env, process};

use cronx_ledger::{Firings, JobId, Key};
use cronx_scheduler::{
    Context, Definition, JobOptions, Misfire, Options, Overlap, Policy, Retry, Scheduler, Spec,
    Utc, Work,
};

use super::effects::Effects;
use super::place::Place;
use crate::random::Random;

/// As a test's name.
pub const NAME: &str = "killed::owner::lives";
/// Names the variable that says where.
pub const PLACE: &str = "CRONX_KILL_PLACE";

pub const TENANT: &str = "killed";

/// What there is to do, and when.
pub fn jobs() -> Vec<(JobId, Spec)> {
    let periods =
        [("often", "@every 30ms"), ("seldom", "@every 130ms"), ("rarely", "@every 400ms")];
    let job = |(name, spec)| (JobId::new(TENANT, name).unwrap(), Spec::parse(spec).unwrap());
    periods.map(job).to_vec()
}

/// Every instant counts, however late.
fn options() -> JobOptions {
    let policy = Policy {
        misfire: Misfire::FireAll { cap: u32::MAX },
        overlap: Overlap::Allow,
        ..Policy::default()
    };
    let (base, cap) = (Duration::from_millis(5), Duration::from_millis(20));
    let retry = Retry { attempts: u32::MAX, base, cap, ..Retry::NEVER };
    JobOptions { policy, retry, ..JobOptions::default() }
}

/// No test: the process that others begin and kill.
#[test]
#[ignore = "the process that is killed"]
fn lives() {
    let Ok(place) = env::var(PLACE) else { return };
    let place: Place = place.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let name = format!("{} at {}", process::id(), Utc::from(SystemTime::now()).0);
        let opened = place.open(&name).await;
        let effects = Arc::new(place.effects().await);
        let ledger = Arc::clone(&opened.ledger);
        let firings = Firings::new(ledger, TENANT, name.into(), opened.tenure());
        let store = Arc::new(firings);
        let handle = Some(tokio::runtime::Handle::current());
        let options = Options { store, runtime: handle, ..Options::default() };
        let scheduler = tokio::task::block_in_place(|| begin(options, &effects));
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
            .await
            .unwrap()
            .unwrap();
        let drained =
            tokio::task::spawn_blocking(move || scheduler.drain(Duration::from_secs(20))).await;
        assert!(drained.unwrap(), "runs did not end");
        opened.close().await;
    });
}

fn begin(settings: Options, effects: &Arc<Effects>) -> Scheduler {
    let scheduler = Scheduler::start(settings).unwrap();
    let options = Arc::new(options());
    for (job, spec) in jobs() {
        let definition = Definition { name: job.job().into(), spec, options: Arc::clone(&options) };
        let effects = Arc::clone(effects);
        let work = Work::future(move |context| {
            let (effects, job) = (Arc::clone(&effects), job.clone());
            async move { work(&effects, &job, &context).await }
        });
        scheduler.add(definition, work).unwrap();
    }
    scheduler
}

async fn work(effects: &Effects, job: &JobId, context: &Context) -> Result<(), String> {
    let nominal = context.nominal();
    let mut random = Random::new(nominal.0 as u64);
    let mut moment = || Duration::from_micros(random.below(4_000));
    tokio::time::sleep(moment()).await;
    if context.attempt() == 1 && nominal.0 % 7 == 0 {
        return Err("the first time it fails".to_owned());
    }
    effects.apply(&Key::firing(job, nominal, 0), context.fence()).await?;
    tokio::time::sleep(moment()).await;
    Ok(())
}
