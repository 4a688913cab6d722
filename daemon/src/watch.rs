//! A store that looks over another's shoulder: what is announced to it goes into the log and the
//! numbers, and then to the store that remembers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cronx_scheduler::{Answer, Firing, Permit, Resumed, Run, Skipped, Store, StoreError, Utc};

use crate::breakers::Breakers;
use crate::log::{Event, Log};
use crate::metrics::Metrics;
use crate::trace::Traces;

pub(crate) struct Watch {
    inner: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    breakers: Arc<Breakers>,
    traces: Arc<Traces>,
    log: Log,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Jobs that begin now, whatever there was of their names.
    new: HashSet<Arc<str>>,
    /// Of each job there is, the last run that ended.
    last: HashMap<Arc<str>, Option<Run>>,
}

impl Watch {
    pub(crate) fn new(
        inner: Arc<dyn Store>,
        metrics: &Arc<Metrics>,
        breakers: &Arc<Breakers>,
        traces: &Arc<Traces>,
        log: &Log,
    ) -> Self {
        let (metrics, breakers, traces) =
            (Arc::clone(metrics), Arc::clone(breakers), Arc::clone(traces));
        Self { inner, metrics, breakers, traces, log: Arc::clone(log), seen: Mutex::default() }
    }

    /// A job is added; one that comes new while others run begins now, whatever there was of its name.
    pub(crate) fn expect(&self, job: &Arc<str>, is_new: bool) {
        let mut seen = self.seen();
        seen.last.entry(Arc::clone(job)).or_default();
        if is_new {
            seen.new.insert(Arc::clone(job));
        }
    }

    /// A job is no more.
    pub(crate) fn leave(&self, job: &str) {
        self.pass_on(job);
        if let Err(error) = self.inner.forget(job) {
            (self.log)(&Event::Note(&format!("{job}: its cursor stays in the ledger: {error}")));
        }
    }

    /// A job goes on elsewhere.
    pub(crate) fn pass_on(&self, job: &str) {
        self.seen().last.remove(job);
        self.metrics.forget(job);
    }

    /// The last run of a job that ended.
    pub(crate) fn last(&self, job: &str) -> Option<Run> {
        self.seen().last.get(job).cloned().flatten()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, run: &Run) {
        if run.outcome.is_failure() {
            (self.log)(&Event::Failed(run));
        }
        self.breakers.note(run);
        self.traces.note(run);
        let mut seen = self.seen();
        // A run may outlive its job, and leaves no numbers then.
        if let Some(last) = seen.last.get_mut(&*run.firing.job) {
            *last = Some(run.clone());
            self.metrics.end(run, self.traces.is_sampled(run.firing.trace));
        }
    }
}

impl Store for Watch {
    fn resume(&self, job: &Arc<str>, now: Utc) -> Result<Resumed, StoreError> {
        let is_new = self.seen().new.remove(job);
        if is_new {
            self.inner.forget(job)?;
        }
        self.inner.resume(job, now)
    }

    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit> {
        self.inner.begin(firing)
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        self.note(run);
        self.inner.end(run)
    }

    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()> {
        self.inner.skip(skipped)
    }

    fn forget(&self, job: &str) -> Result<(), StoreError> {
        self.inner.forget(job)
    }
}
