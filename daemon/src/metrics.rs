//! What happened, in numbers: OpenMetrics.

use std::sync::atomic::{AtomicU64, Ordering};

use cronx_scheduler::breaker::State;
use cronx_scheduler::{JobStatus, Outcome, PoolStatus, Run, SkipCounts};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::breakers::Seen;
use crate::trace::Counts;

/// The library escapes what stands in a label.
type Labels = Vec<(&'static str, String)>;
/// An exemplar has the trace of a run that is sampled: to look it up, and no label that multiplies series.
type Lateness = HistogramWithExemplars<Labels>;

/// Upper ends of the lateness buckets, seconds.
const LATENESS_S: [f64; 13] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 10.0, 60.0];

const OUTCOMES: [&str; 7] =
    ["succeeded", "failed", "timed_out", "panicked", "cancelled", "refused", "rejected"];

/// All of them.
pub(crate) struct Metrics {
    registry: Registry,
    runs: Family<Labels, Counter>,
    lateness: Family<Labels, Lateness, fn() -> Lateness>,
    skips: Family<Labels, Counter>,
    busy: Family<Labels, Gauge>,
    jobs: Gauge,
    queued: Gauge,
    capacity: Gauge,
    running: Gauge,
    store_errors: Counter,
    reloads: Family<Labels, Counter>,
    breakers: Family<Labels, Gauge>,
    rejections: Family<Labels, Counter>,
    openings: Family<Labels, Counter>,
    decisions_dropped: Counter,
    spans: Family<Labels, Counter>,
    sagas: Family<Labels, Counter>,
    pruned: Family<Labels, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("cronx"),
            runs: Family::default(),
            lateness: Family::new_with_constructor(|| Lateness::new(LATENESS_S.into_iter())),
            skips: Family::default(),
            busy: Family::default(),
            jobs: Gauge::default(),
            queued: Gauge::default(),
            capacity: Gauge::default(),
            running: Gauge::default(),
            store_errors: Counter::default(),
            reloads: Family::default(),
            breakers: Family::default(),
            rejections: Family::default(),
            openings: Family::default(),
            decisions_dropped: Counter::default(),
            spans: Family::default(),
            sagas: Family::default(),
            pruned: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let all = &mut self.registry;
        all.register("runs", "Attempts that ended", self.runs.clone());
        all.register(
            "lateness_seconds",
            "How long after its instant a run started",
            self.lateness.clone(),
        );
        all.register("skips", "Firings that were left out", self.skips.clone());
        all.register("busy", "Firings of a job that have not ended", self.busy.clone());
        all.register("jobs", "Jobs that have instants left", self.jobs.clone());
        all.register("queued", "Firings that wait for a worker", self.queued.clone());
        all.register("queue_capacity", "How many may wait for a worker", self.capacity.clone());
        all.register("running", "Runs at work", self.running.clone());
        all.register("store_errors", "What the store could not do", self.store_errors.clone());
        all.register("reloads", "How often the file was read again", self.reloads.clone());
        self.register_breakers();
    }

    fn register_breakers(&mut self) {
        let all = &mut self.registry;
        let says = "1 for the state that a breaker is in";
        all.register("breaker_state", says, self.breakers.clone());
        let says = "Calls that a breaker rejected, or would have";
        all.register("breaker_rejections", says, self.rejections.clone());
        all.register("breaker_openings", "How often a breaker opened", self.openings.clone());
        let says = "Decisions of breakers that nobody had time to write";
        all.register("decisions_dropped", says, self.decisions_dropped.clone());
        all.register("spans", "Spans by what became of them", self.spans.clone());
        all.register("sagas", "Sagas that came to an end here, by state", self.sagas.clone());
        let says = "What was over, and is kept no longer";
        all.register("pruned", says, self.pruned.clone());
    }

    /// How a breaker stands.
    pub(crate) fn breaker(&self, seen: &Seen) {
        let breaker = ("breaker", seen.name.to_string());
        for state in State::ALL {
            let labels = vec![breaker.clone(), ("state", state.word().to_owned())];
            let is_so = seen.standing.state == state;
            self.breakers.get_or_create(&labels).set(i64::from(is_so));
        }
        let labels = vec![breaker];
        set(&self.rejections.get_or_create(&labels), seen.standing.rejected);
        set(&self.openings.get_or_create(&labels), seen.standing.openings);
    }

    /// What became of spans.
    pub(crate) fn spans(&self, counts: &Counts) {
        let Counts { sent, dropped, failed } = *counts;
        for (result, count) in [("sent", sent), ("dropped", dropped), ("failed", failed)] {
            set(&self.spans.get_or_create(&vec![("result", result.to_owned())]), count);
        }
    }

    /// A saga has come to an end.
    pub(crate) fn saga(&self, job: &str, state: &'static str) {
        let labels = vec![("job", job.to_owned()), ("state", state.to_owned())];
        self.sagas.get_or_create(&labels).inc();
    }

    /// So many of these are kept no longer.
    pub(crate) fn pruned(&self, what: &'static str, count: usize) {
        let labels = vec![("what", what.to_owned())];
        self.pruned.get_or_create(&labels).inc_by(count as u64);
    }

    /// Decisions that are in no file.
    pub(crate) fn decisions(&self, dropped: u64) {
        set(&self.decisions_dropped, dropped);
    }

    /// A breaker is no more.
    pub(crate) fn forget_breaker(&self, name: &str) {
        let breaker = ("breaker", name.to_owned());
        for state in State::ALL {
            self.breakers.remove(&vec![breaker.clone(), ("state", state.word().to_owned())]);
        }
        let labels = vec![breaker];
        self.rejections.remove(&labels);
        self.openings.remove(&labels);
    }

    /// A run ended, and its trace can be looked up, or not.
    pub(crate) fn end(&self, run: &Run, is_sampled: bool) {
        let job = ("job", run.firing.job.to_string());
        let outcome = ("outcome", word(&run.outcome).to_owned());
        // Without a worker it never started, and was never late.
        if run.worker_tid != 0 {
            let late_s = run.lateness_ns().max(0) as f64 / 1e9;
            let trace = || vec![("trace_id", run.firing.trace.to_string())];
            let lateness = self.lateness.get_or_create(&vec![job.clone()]);
            lateness.observe(late_s, is_sampled.then(trace), None);
        }
        self.runs.get_or_create(&vec![job, outcome]).inc();
    }

    /// The file was read again, and taken or not.
    pub(crate) fn reload(&self, taken: bool) {
        let result = if taken { "taken" } else { "refused" };
        self.reloads.get_or_create(&vec![("result", result.to_owned())]).inc();
    }

    /// How a job stands, and what has been left out of it.
    pub(crate) fn job(&self, name: &str, status: &JobStatus, skipped: &SkipCounts) {
        let job = ("job", name.to_owned());
        self.busy.get_or_create(&vec![job.clone()]).set(status.busy as i64);
        for (why, count) in reasons(skipped).into_iter().filter(|(_, count)| *count > 0) {
            let labels = vec![job.clone(), ("why", why.to_owned())];
            set(&self.skips.get_or_create(&labels), count);
        }
    }

    /// How the pool stands.
    pub(crate) fn pool(&self, jobs: usize, pool: &PoolStatus) {
        self.jobs.set(jobs as i64);
        self.queued.set(pool.queued as i64);
        self.capacity.set(pool.capacity as i64);
        self.running.set(pool.running as i64);
        set(&self.store_errors, pool.store_errors);
    }

    /// A job is no more.
    pub(crate) fn forget(&self, name: &str) {
        let job = ("job", name.to_owned());
        self.lateness.remove(&vec![job.clone()]);
        self.busy.remove(&vec![job.clone()]);
        for outcome in OUTCOMES {
            self.runs.remove(&vec![job.clone(), ("outcome", outcome.to_owned())]);
        }
        for (why, _) in reasons(&SkipCounts::default()) {
            self.skips.remove(&vec![job.clone(), ("why", why.to_owned())]);
        }
    }

    /// As OpenMetrics has it.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Counts elsewhere are taken over as they are.
fn set(counter: &Counter, value: u64) {
    let counter: &AtomicU64 = counter.inner();
    counter.store(value, Ordering::Relaxed);
}

/// An outcome as a word.
pub(crate) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => OUTCOMES[0],
        Outcome::Failed(_) => OUTCOMES[1],
        Outcome::TimedOut => OUTCOMES[2],
        Outcome::Panicked(_) => OUTCOMES[3],
        Outcome::Cancelled => OUTCOMES[4],
        Outcome::Refused => OUTCOMES[5],
        Outcome::Rejected(_) => OUTCOMES[6],
    }
}

/// The reasons by their names.
pub(crate) fn reasons(skipped: &SkipCounts) -> [(&'static str, u64); 5] {
    let SkipCounts { misfire, overlap, paused, forward, suspend } = *skipped;
    [
        ("misfire", misfire),
        ("overlap", overlap),
        ("paused", paused),
        ("forward", forward),
        ("suspend", suspend),
    ]
}

#[cfg(test)]
mod tests;
