//! The breakers that there are, by name: what jobs depend on, and what jobs have for themselves. One whose
//! rules have not changed goes on through a reload as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cronx_scheduler::breaker::{Breaker, Standing};
use cronx_scheduler::{Clock, Error, Job, Run, SystemClock};

use crate::decisions::Decisions;
use crate::feed::Feeding;
use crate::file::{BreakerPlan, Jobs, Plan, own};

/// All of them.
pub(crate) struct Breakers {
    known: Mutex<BTreeMap<Arc<str>, Known>>,
    pub(crate) decisions: Arc<Decisions>,
}

struct Known {
    plan: BreakerPlan,
    breaker: Arc<Breaker>,
    feeding: Option<Feeding>,
}

/// A breaker as it stands.
pub(crate) struct Seen {
    pub(crate) name: Arc<str>,
    pub(crate) plan: BreakerPlan,
    pub(crate) standing: Standing,
    /// Answers of its feed, and questions without one.
    pub(crate) fed: Option<(u64, u64)>,
}

/// What a file changes of them.
#[derive(Default)]
pub(crate) struct Turnover {
    /// Those that are new, or begin again: who is behind one has to be told.
    pub(crate) new: BTreeSet<Arc<str>>,
    /// Those that are no more.
    pub(crate) gone: Vec<Arc<str>>,
}

impl Breakers {
    pub(crate) fn new(decisions: Arc<Decisions>) -> Self {
        Self { known: Mutex::default(), decisions }
    }

    /// Makes them what the file says.
    pub(crate) fn become_as(&self, file: &Jobs) -> Result<Turnover, Error> {
        let wanted = wanted(file);
        let mut known = self.known();
        let gone = known.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        let mut turnover = Turnover { new: BTreeSet::new(), gone };
        for name in &turnover.gone {
            known.remove(name);
        }
        for (name, plan) in wanted {
            match known.get_mut(&name) {
                Some(old) if old.plan.rules == plan.rules && old.plan.feed == plan.feed => {
                    old.plan = plan;
                }
                _ => {
                    let breaker = self.begin(&name, &plan)?;
                    turnover.new.insert(Arc::clone(&name));
                    let feed = plan.feed.clone();
                    let feeding = feed.map(|feed| Feeding::start(feed, Arc::clone(&breaker)));
                    known.insert(name, Known { plan, breaker, feeding });
                }
            }
        }
        Ok(turnover)
    }

    fn begin(&self, name: &Arc<str>, plan: &BreakerPlan) -> Result<Arc<Breaker>, Error> {
        let witness = self.decisions.begun(name, &plan.rules);
        Breaker::watched(Arc::clone(name), plan.rules, witness)
    }

    /// Those that a job is behind.
    pub(crate) fn of(&self, job: &str, plan: &Plan) -> Vec<Arc<Breaker>> {
        let known = self.known();
        let found = plan.breakers(job).filter_map(|name| known.get(&name));
        found.map(|known| Arc::clone(&known.breaker)).collect()
    }

    /// Gives each the job that heals it.
    pub(crate) fn set_remedies(&self, job: impl Fn(&str) -> Option<Job>) {
        for Known { plan, breaker, .. } in self.known().values() {
            breaker.set_remedy(plan.on_open.as_deref().and_then(&job));
        }
    }

    /// A run ended: if it was to heal, that is a decision's end.
    pub(crate) fn note(&self, run: &Run) {
        let heals = |known: &Known| known.plan.on_open.as_deref() == Some(&*run.firing.job);
        if run.firing.trigger.is_some() && self.known().values().any(heals) {
            self.decisions.healed(run);
        }
    }

    /// All as they stand.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let now = SystemClock.mono();
        let seen = |(name, known): (&Arc<str>, &Known)| Seen {
            name: Arc::clone(name),
            plan: known.plan.clone(),
            standing: known.breaker.standing(now),
            fed: known.feeding.as_ref().map(Feeding::counts),
        };
        self.known().iter().map(seen).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the file names, and what its jobs have for themselves.
pub(crate) fn wanted(file: &Jobs) -> BTreeMap<Arc<str>, BreakerPlan> {
    let named = file.breakers.iter().map(|(name, plan)| (Arc::clone(name), plan.clone()));
    let owned = file.plans.iter().filter_map(|(job, plan)| Some((own(job), plan.breaker.clone()?)));
    named.chain(owned).collect()
}
