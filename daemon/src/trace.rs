//! What happened, as traces: a span for each firing, and in it one for each attempt, with what breakers
//! decided as its events. All of it follows from the records of runs.
//!
//! A trace is never a label of a metric: there are as many as there are firings. The metrics' exemplars
//! have it.

mod context;
mod export;
mod span;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use cronx_scheduler::breaker::Share;
use cronx_scheduler::{Clock, Run, SystemClock, TraceId};
use opentelemetry::trace::SpanContext;

pub(crate) use export::{Counts, Exporter};

use crate::file::Telemetry;
use crate::log::Log;

/// Says which firings leave spans, and where these go.
pub(crate) struct Traces {
    /// As nothing is sampled without an exporter, none is then.
    sample: Share,
    /// What this process is a part of, as whoever started it says.
    parent: Option<SpanContext>,
    exporter: Option<Exporter>,
    /// The last attempts of firings that are to be tried again: none of these has left its span yet.
    open: Mutex<HashMap<TraceId, Run>>,
}

impl Traces {
    /// As the file says; without a word there, nothing is sampled and nothing exported. Its runtime is the one
    /// that it is called in.
    pub(crate) fn start(settings: Option<&Telemetry>, log: &Log) -> Result<Arc<Self>> {
        let parent = std::env::var("TRACEPARENT").ok();
        Ok(Arc::new(Self {
            sample: settings.map_or(Share::NONE, |settings| settings.sample.0),
            parent: parent.and_then(|text| context::parse(&text)),
            exporter: settings.map(|settings| Exporter::start(settings, log)).transpose()?,
            open: Mutex::default(),
        }))
    }

    /// Whether a firing leaves spans: decided by its trace alone, so that everybody decides the same.
    pub(crate) fn is_sampled(&self, trace: TraceId) -> bool {
        context::is_sampled(self.sample, trace)
    }

    /// What an attempt gives to what it starts or calls.
    pub(crate) fn parent_of(&self, trace: TraceId, attempt: u32) -> String {
        context::text(trace, trace.span(Some(attempt)), self.is_sampled(trace))
    }

    /// An attempt has ended; after the last one, so has its firing.
    pub(crate) fn note(&self, run: &Run) {
        let Some(exporter) = self.exporter.as_ref().filter(|_| self.is_sampled(run.firing.trace))
        else {
            return;
        };
        let now = SystemClock.read();
        exporter.take(span::attempt(run, now));
        let mut open = self.open();
        if run.again {
            open.insert(run.firing.trace, run.clone());
            return;
        }
        open.remove(&run.firing.trace);
        drop(open);
        exporter.take(span::firing(run, now, self.parent.as_ref()));
    }

    /// Firings that were to be tried again end here as they last did: who tries them now is another
    /// process, and that is another trace.
    fn give_up(&self, exporter: &Exporter) {
        let (open, now) = (std::mem::take(&mut *self.open()), SystemClock.read());
        let firings = open.values().map(|run| span::firing(run, now, self.parent.as_ref()));
        firings.for_each(|firing| exporter.take(firing));
    }

    fn open(&self) -> MutexGuard<'_, HashMap<TraceId, Run>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the spans; nothing, if nobody asked for any.
    pub(crate) fn counts(&self) -> Option<Counts> {
        self.exporter.as_ref().map(Exporter::counts)
    }

    /// Waits a little for what is still to be sent.
    pub(crate) async fn flush(&self) {
        if let Some(exporter) = &self.exporter {
            self.give_up(exporter);
            exporter.flush().await;
        }
    }
}
