//! A run as spans: pure, but for the clocks' difference that it is given.

use std::time::SystemTime;

use cronx_scheduler::breaker::{Event as Decided, Record, Turn};
use cronx_scheduler::{Mono, Outcome, Reading, Run, Utc};
use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::metrics::word;

/// A reason that is longer is cut: a queue of spans has a bound only if a span has one.
const WHY_MOST: usize = 512;

/// One attempt: from when it was due to its end. What it started or called is under it.
pub(super) fn attempt(run: &Run, now: Reading) -> SpanData {
    let firing = &run.firing;
    let attributes = vec![
        KeyValue::new("cronx.attempt", i64::from(firing.attempt)),
        KeyValue::new("cronx.lateness_ns", run.lateness_ns()),
        KeyValue::new("cronx.worker_tid", i64::from(run.worker_tid)),
    ];
    SpanData {
        span_context: context(run, Some(firing.attempt)),
        parent_span_id: SpanId::from(firing.trace.span(None)),
        start_time: time(firing.due.min(run.dequeued), now),
        events: events(run, now),
        ..span("attempt", run, attributes, now)
    }
}

/// The whole of it: from its nominal instant to the end of its last attempt, which this is.
pub(super) fn firing(run: &Run, now: Reading, parent: Option<&SpanContext>) -> SpanData {
    let attributes = vec![
        KeyValue::new("cronx.attempts", i64::from(run.firing.attempt)),
        KeyValue::new("cronx.triggered", run.firing.trigger.is_some()),
    ];
    let mut links = SpanLinks::default();
    links.links.extend(parent.map(|parent| Link::new(parent.clone(), Vec::new(), 0)));
    let end_time = time(run.finished, now);
    SpanData {
        span_context: context(run, None),
        // A clock that was put forward makes an instant that has not been.
        start_time: SystemTime::from(run.firing.nominal).min(end_time),
        links,
        ..span("firing", run, attributes, now)
    }
}

fn span(name: &'static str, run: &Run, more: Vec<KeyValue>, now: Reading) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("cronx.job", run.firing.job.to_string()),
        KeyValue::new("cronx.nominal", run.firing.nominal.to_string()),
        KeyValue::new("cronx.outcome", word(&run.outcome)),
    ];
    attributes.extend(more);
    SpanData {
        span_context: SpanContext::empty_context(),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: time(run.dequeued, now),
        end_time: time(run.finished, now),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: status(&run.outcome),
        instrumentation_scope: InstrumentationScope::builder("cronx").build(),
    }
}

fn context(run: &Run, attempt: Option<u32>) -> SpanContext {
    let trace = run.firing.trace;
    let span = SpanId::from(trace.span(attempt));
    SpanContext::new(trace.0.into(), span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn status(outcome: &Outcome) -> Status {
    let error = |why: &str| Status::error(why.chars().take(WHY_MOST).collect::<String>());
    match outcome {
        Outcome::Succeeded => Status::Ok,
        Outcome::Failed(why) | Outcome::Panicked(why) => error(why),
        Outcome::TimedOut => error("it took longer than its timeout"),
        Outcome::Rejected(rejection) => error(&rejection.to_string()),
        Outcome::Cancelled | Outcome::Refused => Status::Unset,
    }
}

/// The way from the shard to user code, and what breakers decided.
fn events(run: &Run, now: Reading) -> SpanEvents {
    let at = |name, mono| Event::new(name, time(mono, now), Vec::new(), 0);
    let mut events = SpanEvents::default();
    events.events.extend([
        at("popped", run.firing.popped),
        at("enqueued", run.enqueued),
        at("dequeued", run.dequeued),
    ]);
    if run.worker_tid != 0 {
        events.events.push(at("started", run.started));
    }
    events.events.extend(run.decisions.iter().map(|record| decision(record, now)));
    events
}

fn decision(record: &Record, now: Reading) -> Event {
    let mut attributes = vec![
        KeyValue::new("cronx.breaker", record.breaker.to_string()),
        KeyValue::new("cronx.shadow", record.shadow),
    ];
    let (name, at) = match &record.event {
        Decided::Turned(turn) => {
            attributes.extend(turned(turn));
            ("breaker turned", turn.at)
        }
        Decided::Rejected(rejected) => {
            attributes.push(KeyValue::new("cronx.state", rejected.state.word()));
            attributes.push(KeyValue::new("cronx.rule", rejected.rule.word()));
            ("breaker rejected", record.at)
        }
        Decided::Remedy { job, refused } => {
            attributes.push(KeyValue::new("cronx.remedy", job.to_string()));
            attributes.push(KeyValue::new("cronx.started", refused.is_none()));
            ("breaker remedy", record.at)
        }
        _ => ("breaker", record.at),
    };
    Event::new(name, time(at, now), attributes, 0)
}

fn turned(turn: &Turn) -> [KeyValue; 6] {
    [
        KeyValue::new("cronx.from", turn.from.word()),
        KeyValue::new("cronx.to", turn.to.word()),
        KeyValue::new("cronx.rule", turn.rule.word()),
        KeyValue::new("cronx.window.calls", i64::from(turn.window.calls)),
        KeyValue::new("cronx.window.failures", i64::from(turn.window.failures)),
        KeyValue::new("cronx.window.in_row", i64::from(turn.window.in_row)),
    ]
}

/// An instant by the clock on the wall, as that stands now.
fn time(mono: Mono, now: Reading) -> SystemTime {
    let ago_ns = now.mono.0 as i64 - mono.0 as i64;
    Utc(now.utc.0.saturating_sub(ago_ns)).into()
}
