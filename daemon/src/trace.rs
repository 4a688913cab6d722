//! What happened, as traces: a span for each firing, and in it one for each attempt, with what breakers
//! decided as its events. All of it follows from the record of a run, so nothing is kept between them: a
//! firing whose job is cancelled before it is tried once more leaves the spans of its attempts alone.
//!
//! A trace is never a label of a metric: there are as many as there are firings. The metrics' exemplars
//! have it.

mod context;
mod export;
mod span;

use std::sync::Arc;

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
        if !run.again {
            exporter.take(span::firing(run, now, self.parent.as_ref()));
        }
    }

    /// What became of the spans; nothing, if nobody asked for any.
    pub(crate) fn counts(&self) -> Option<Counts> {
        self.exporter.as_ref().map(Exporter::counts)
    }

    /// Waits a little for what is still to be sent.
    pub(crate) async fn flush(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.flush().await;
        }
    }
}
