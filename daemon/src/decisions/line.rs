//! A decision as a line, and a line as a decision. A time is twice in it: `at_ns` is CLOCK_MONOTONIC, what
//! breakers go by; `utc` is when it was written, for people.

use cronx_scheduler::breaker::{Event, Forced, Record, Rejected, Rules, Snapshot, Turn};
use cronx_scheduler::{Mono, Reading, Run};
use serde_json::{Value, json};

use super::Place;
use crate::metrics::word;

/// A breaker begins.
pub(super) fn begun(breaker: &str, life: u64, rules: &Rules, now: Reading) -> Value {
    json!({
        "event": "begun",
        "breaker": breaker,
        "life": life,
        "at_ns": now.mono.0,
        "utc": now.utc.to_string(),
        "rules": format!("{rules:?}"),
    })
}

/// A job that heals has run.
pub(super) fn healed(run: &Run, now: Reading) -> Value {
    json!({
        "event": "healed",
        "job": &*run.firing.job,
        "at_ns": run.finished.0,
        "utc": now.utc.to_string(),
        "nominal": run.firing.nominal.to_string(),
        "attempt": run.firing.attempt,
        "outcome": word(&run.outcome),
        "trace": run.firing.trace.to_string(),
    })
}

/// A decision, and which it is since its breaker began.
pub(super) fn of(record: &Record, place: Place, now: Reading) -> Value {
    let mut line = event(&record.event);
    line["life"] = place.life.into();
    line["record"] = place.number.into();
    line["breaker"] = (&*record.breaker).into();
    line["shadow"] = record.shadow.into();
    line["at_ns"] = record.at.0.into();
    line["utc"] = now.utc.to_string().into();
    line["trace"] = record.trace.map(|trace| trace.to_string()).into();
    line
}

fn event(event: &Event) -> Value {
    match event {
        Event::Probed(permit) => json!({ "event": "probed", "permit": permit.parts() }),
        Event::Rejected(Rejected { state, rule, until }) => json!({
            "event": "rejected",
            "state": state.word(),
            "rule": rule.word(),
            "until_ns": until.map(ns),
        }),
        Event::Told { permit, ended, took, counted } => json!({
            "event": "told",
            "permit": permit.parts(),
            "ended": ended.word(),
            "took_ns": took.as_nanos() as u64,
            "counted": counted,
        }),
        Event::Looked => json!({ "event": "looked" }),
        Event::Forced(forced) => json!({ "event": "forced", "to": forced.map(forced_word) }),
        Event::Heard { taken, failed, counted } => json!({
            "event": "heard",
            "taken_ns": taken.0,
            "failed_millionths": failed.millionths(),
            "counted": counted,
        }),
        Event::Turned(turn) => turned(turn),
        Event::Remedy { job, refused } => {
            json!({ "event": "remedy", "job": &**job, "refused": refused })
        }
    }
}

fn turned(turn: &Turn) -> Value {
    json!({
        "event": "turned",
        "number": turn.number,
        "turned_ns": turn.at.0,
        "from": turn.from.word(),
        "to": turn.to.word(),
        "rule": turn.rule.word(),
        "until_ns": turn.until.map(ns),
        "window": window(&turn.window),
    })
}

/// What a decision was made of.
pub(crate) fn window(window: &Snapshot) -> Value {
    json!({
        "calls": window.calls,
        "failures": window.failures,
        "slow": window.slow,
        "in_row": window.in_row,
        "threshold_millionths": window.threshold.map(cronx_scheduler::breaker::Share::millionths),
        "probes": window.probes,
        "succeeded": window.succeeded,
    })
}

fn ns(mono: Mono) -> u64 {
    mono.0
}

fn forced_word(forced: Forced) -> &'static str {
    match forced {
        Forced::Closed => "closed",
        Forced::Open => "open",
    }
}
