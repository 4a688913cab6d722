//! One suite for every store: the same histories, drawn from seeds, through the store and through the model;
//! each answer must be the same, and so must be what is left at the end.
//!
//! A store may number its fences otherwise, as long as they grow; so fences are compared by the grant that
//! they are of.

mod history;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cronx_ledger::act::{Act, Guard, Reply};
use cronx_ledger::claim::{Entry, Fence, Refusal, Verdict};
use cronx_ledger::{Clock, Key, Ledger, Look};
use cronx_scheduler::Utc;

use crate::model::Model;
use history::History;

/// Acts of a history.
const LENGTH: usize = 150;

/// What a history is told by.
pub struct Stage {
    pub ledger: Arc<dyn Ledger>,
    /// The store was opened with it.
    pub now: Arc<AtomicI64>,
}

/// A clock that the suite moves.
pub fn clock() -> (Clock, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(0));
    (Clock::Told(Arc::clone(&now)), now)
}

/// For a store that is empty, and is left with a few rows of each seed.
pub async fn conforms(stage: &Stage, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        tell(stage, seed).await;
    }
}

/// Fences of the model, and which of the store's are of the same grants.
#[derive(Default)]
struct Fences(HashMap<(Key, Fence), Fence>);

impl Fences {
    fn theirs(&self, key: &Key, fence: Fence) -> Fence {
        // One that was never granted must be none of theirs either.
        self.0.get(&(key.clone(), fence)).copied().unwrap_or(Fence(u64::MAX >> 1))
    }

    /// The same question, with the store's fences.
    fn translated(&self, act: &Act) -> Act {
        let mut act = act.clone();
        match &mut act {
            Act::Renew { key, fence, .. }
            | Act::Complete { key, fence, .. }
            | Act::Fail { key, fence, .. } => *fence = self.theirs(key, *fence),
            Act::Join { guard, .. }
            | Act::Begin { guard, .. }
            | Act::Skip { guard, .. }
            | Act::Forget { guard, .. } => {
                if let Some(Guard { key, fence }) = guard {
                    *fence = self.theirs(key, *fence);
                }
            }
            Act::Claim { .. } => {}
        }
        act
    }

    /// Learns of a grant; the store's fence of it must be larger than all before.
    fn learn(&mut self, key: &Key, ours: &Reply, theirs: &Reply) {
        let (Some(ours), Some(theirs)) = (granted(ours), granted(theirs)) else { return };
        let known = self.0.iter().filter(|((of, _), _)| of == key);
        for ((_, our), their) in known {
            assert_eq!(our.cmp(&ours), their.cmp(&theirs), "fences of {key} do not grow");
        }
        self.0.insert((key.clone(), ours), theirs);
    }

    fn entry(&self, key: &Key, entry: Entry) -> Entry {
        Entry { fence: self.theirs(key, entry.fence), ..entry }
    }
}

fn granted(reply: &Reply) -> Option<Fence> {
    match reply {
        Reply::Verdict(Verdict::Granted { fence, .. }) => Some(*fence),
        _ => None,
    }
}

/// A reply of the model's, as the store must give it.
fn expected(fences: &Fences, key: Option<&Key>, reply: Reply) -> Reply {
    let Some(key) = key else { return reply };
    match reply {
        Reply::Verdict(Verdict::Granted { fence, attempt }) => {
            Reply::Verdict(Verdict::Granted { fence: fences.theirs(key, fence), attempt })
        }
        Reply::Verdict(Verdict::Refused(Refusal::Lost { fence: Some(fence) })) => {
            let fence = Some(fences.theirs(key, fence));
            Reply::Verdict(Verdict::Refused(Refusal::Lost { fence }))
        }
        other => other,
    }
}

async fn tell(stage: &Stage, seed: u64) {
    let (mut model, mut fences) = (Model::default(), Fences::default());
    let (mut history, mut pruned) = (History::new(seed), 0);
    for step in 0..LENGTH {
        let (act, now) = history.next(&model);
        model.now = now;
        stage.now.store(now.0, Ordering::SeqCst);
        if let Some(done_for) = history.prunes() {
            let ours = model.prune(done_for);
            assert_eq!(prune(stage, history.tenant(), done_for).await, ours, "seed {seed}");
            pruned += ours;
        }
        // Asked again, it does what it did.
        for again in 0..=u32::from(history.repeats()) {
            let asked = fences.translated(&act);
            let ours = model.act(&act).expect("the model goes on");
            let theirs = stage.ledger.act(asked.clone()).await;
            let place = format!("seed {seed}, step {step}, {again} times before: {asked:?}");
            let theirs = theirs.unwrap_or_else(|error| panic!("{place}: {error}"));
            let key = act.wants().entry;
            if let Some(key) = key {
                fences.learn(key, &ours, &theirs);
            }
            assert_eq!(theirs, expected(&fences, key, ours), "{place}");
        }
    }
    same_in_the_end(stage, &history, &model, &fences).await;
    assert!(pruned > 0, "seed {seed} pruned nothing");
}

/// A few at a time, as a daemon does it.
async fn prune(stage: &Stage, tenant: &str, done_for: Duration) -> usize {
    let mut pruned = 0;
    loop {
        let page = stage.ledger.prune(tenant, done_for, 3).await.expect("it can be pruned");
        pruned += page;
        if page < 3 {
            return pruned;
        }
    }
}

async fn same_in_the_end(stage: &Stage, history: &History, model: &Model, fences: &Fences) {
    for job in history.jobs() {
        let mut found = Vec::new();
        loop {
            // In pages, as one who looks at a large ledger does.
            let last = found.last().map(|(key, _): &(Key, Entry)| key.clone());
            let page = stage.ledger.entries(Look::After(last), Some(job.clone()), 3).await;
            let page = page.expect("it can be read");
            if page.is_empty() {
                break;
            }
            found.extend(page.into_iter().map(|row| row.expect("it is whole")));
        }
        let of_job = model.entries.iter().filter(|(key, _)| History::is_of(key, &job));
        let ours: Vec<_> =
            of_job.map(|(key, entry)| (key.clone(), fences.entry(key, entry.clone()))).collect();
        assert_eq!(found, ours);
        let last = stage.ledger.entries(Look::Last, Some(job.clone()), 1000).await;
        let last = last.expect("it can be read").into_iter().map(|row| row.expect("it is whole").0);
        let keys = ours.into_iter().map(|(key, _)| key);
        assert_eq!(last.collect::<BTreeSet<_>>(), keys.collect());
    }
    let courses = stage.ledger.courses().await.expect("they can be read");
    let courses: HashMap<_, _> = courses.into_iter().map(|row| row.expect("it is whole")).collect();
    for job in history.jobs() {
        assert_eq!(courses.get(&job), model.courses.get(&job), "{job}");
    }
    assert!(model.now > Utc(0));
}
