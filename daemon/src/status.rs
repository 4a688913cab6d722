//! How it stands, as JSON. What a command is given stays out of it: an argument may be a secret.

use cronx_scheduler::{Clock, Outcome, Phase, Run, Status, SystemClock, Utc, Wish, WishAnswer};
use serde_json::{Map, Value, json};

use crate::breakers::Seen;
use crate::decisions::window;
use crate::metrics::{reasons, word};
use crate::set::{Set, View};
use crate::trace::Counts;

/// The whole of it.
pub(crate) fn json(set: &Set, file: &Value) -> Value {
    let scheduler = set.scheduler();
    json!({
        "schema": "cronx.status/1",
        "phase": if scheduler.is_some() { "running" } else { "draining" },
        "file": file,
        "ledger": set.shards().map(|(count, ours)| json!({ "shards": count, "ours": ours })),
        "scheduler": scheduler.as_ref().map(engine),
        "jobs": set.views().iter().map(job).collect::<Vec<_>>(),
        "breakers": set.breakers.seen().iter().map(breaker).collect::<Vec<_>>(),
        "decisions_dropped": set.breakers.decisions.dropped(),
        "spans": set.traces.counts().map(spans),
    })
}

fn engine(status: &Status) -> Value {
    let shard = |shard: &cronx_scheduler::ShardStatus| {
        json!({
            "tid": shard.tid,
            "jobs": shard.jobs,
            "busy": shard.busy,
            "wishes": shard.wishes.iter().map(wish).collect::<Vec<_>>(),
        })
    };
    json!({
        "queued": status.pool.queued,
        "queue_capacity": status.pool.capacity,
        "running": status.pool.running,
        "running_most": status.pool.most,
        "store_errors": status.pool.store_errors,
        "wishes": status.wishes.iter().map(wish).collect::<Vec<_>>(),
        "shards": status.shards.iter().map(shard).collect::<Vec<_>>(),
        "machine": {
            "isolated": status.machine.isolated,
            "throttling_us": status.machine.throttling.map(|(runtime, period)| [runtime, period]),
            "rttime_us": status.machine.rttime_us,
            "interrupts": status.machine.interrupts,
        },
    })
}

fn spans(counts: Counts) -> Value {
    let Counts { sent, dropped, failed } = counts;
    json!({ "sent": sent, "dropped": dropped, "failed": failed })
}

fn breaker(seen: &Seen) -> Value {
    let standing = &seen.standing;
    let now = SystemClock.mono();
    json!({
        "name": &*seen.name,
        "state": standing.state.word(),
        "why": standing.why.word(),
        "waits_ns": standing.until.map(|until| until.since(now).as_nanos() as u64),
        "window": window(&standing.window),
        "rejected": standing.rejected,
        "openings": standing.openings,
        "shadow": seen.plan.rules.shadow,
        "on_open": seen.plan.on_open.as_deref(),
        "feed": seen.fed.map(|(heard, failed)| json!({ "heard": heard, "failed": failed })),
    })
}

fn wish(wish: &Wish) -> Value {
    let refused = match &wish.answer {
        WishAnswer::Granted => None,
        WishAnswer::Refused(why) => Some(why),
    };
    json!({ "what": wish.what, "granted": refused.is_none(), "refused": refused })
}

fn job(view: &View) -> Value {
    let status = &view.status;
    let ended = &status.ended;
    let lateness = view.job.lateness_us();
    let skipped: Map<String, Value> =
        reasons(&view.skipped).iter().map(|&(why, count)| (why.to_owned(), count.into())).collect();
    json!({
        "name": &*view.name,
        "schedule": view.plan.spec.to_string(),
        "phase": phase(status.phase),
        "next": status.next.map(text),
        "busy": status.busy,
        "waiting": status.waiting,
        "ended": {
            "succeeded": ended.succeeded,
            "failed": ended.failed,
            "timed_out": ended.timed_out,
            "panicked": ended.panicked,
            "cancelled": ended.cancelled,
            "refused": ended.refused,
            "rejected": ended.rejected,
        },
        "skipped": skipped,
        "lateness_us": {
            "count": lateness.len(),
            "p50": lateness.value_at_quantile(0.5),
            "p99": lateness.value_at_quantile(0.99),
            "max": lateness.max(),
        },
        "last": view.last.as_ref().map(last),
    })
}

fn last(run: &Run) -> Value {
    let why = match &run.outcome {
        Outcome::Failed(why) | Outcome::Panicked(why) => Some(why.clone()),
        Outcome::Rejected(rejection) => Some(rejection.to_string()),
        _ => None,
    };
    json!({
        "nominal": text(run.firing.nominal),
        "attempt": run.firing.attempt,
        "outcome": word(&run.outcome),
        "why": why,
        "trace": run.firing.trace.to_string(),
        "lateness_ns": run.lateness_ns(),
        "took_ns": run.finished.since(run.started).as_nanos() as u64,
    })
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Active => "active",
        Phase::Paused => "paused",
        Phase::Ended => "ended",
        Phase::Cancelled => "cancelled",
        Phase::Left => "left",
    }
}

fn text(utc: Utc) -> Value {
    utc.to_string().into()
}
