//! What others say of a dependency: a query of Prometheus, whose answer shifts an adaptive threshold slowly. It
//! is not needed: no answer, a late one and one that is no share change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cronx_scheduler::breaker::{Breaker, Share};
use cronx_scheduler::{Clock, Mono, Reading, SystemClock};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::call;
use crate::file::FeedPlan;

/// An answer that takes longer is none.
const ANSWERING: Duration = Duration::from_secs(5);

/// Asks as long as it lives.
pub(crate) struct Feeding {
    task: AbortHandle,
    sums: Arc<Sums>,
}

/// Answers, and questions without one.
#[derive(Default)]
struct Sums {
    heard: AtomicU64,
    failed: AtomicU64,
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feeding {
    /// From the runtime that it is called in.
    pub(crate) fn start(plan: FeedPlan, breaker: Arc<Breaker>) -> Self {
        let sums = Arc::<Sums>::default();
        let task = Handle::current().spawn(feed(plan, breaker, Arc::clone(&sums)));
        Self { task: task.abort_handle(), sums }
    }

    /// Answers, and questions without one.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let Sums { heard, failed } = &*self.sums;
        (heard.load(Ordering::Relaxed), failed.load(Ordering::Relaxed))
    }
}

async fn feed(plan: FeedPlan, breaker: Arc<Breaker>, sums: Arc<Sums>) {
    let mut ticks = interval(plan.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = timeout(ANSWERING, call::get(&plan.uri)).await;
        let now = SystemClock.read();
        let said = answer.ok().and_then(Result::ok).and_then(|text| said(&text, now));
        let sum = if said.is_some() { &sums.heard } else { &sums.failed };
        sum.fetch_add(1, Ordering::Relaxed);
        if let Some((taken, failed)) = said {
            breaker.hear(taken, failed, now.mono);
        }
    }
}

/// The share that an answer has, and the instant that it is of: a scalar, or a vector of one.
fn said(text: &[u8], now: Reading) -> Option<(Mono, Share)> {
    let answer: Value = serde_json::from_slice(text).ok()?;
    let result = &answer["data"]["result"];
    let value = match answer["data"]["resultType"].as_str()? {
        "scalar" => result,
        "vector" if result.as_array()?.len() == 1 => &result[0]["value"],
        _ => return None,
    };
    let ratio: f64 = value[1].as_str()?.parse().ok()?;
    let taken_ns = (value[0].as_f64()? * 1e9) as i64;
    let ago_ns = now.utc.0.saturating_sub(taken_ns).max(0) as u64;
    let taken = Mono(now.mono.0.saturating_sub(ago_ns));
    (0.0..=1.0).contains(&ratio).then(|| (taken, Share::from_ratio(ratio)))
}

#[cfg(test)]
mod tests {
    use cronx_scheduler::Utc;

    use super::*;

    fn said_of(result: &str) -> Option<(Mono, Share)> {
        let now =
            Reading { mono: Mono(9_000_000_000), utc: Utc(1_700_000_003_000_000_000), boot_ns: 0 };
        said(format!("{{\"status\":\"success\",\"data\":{{{result}}}}}").as_bytes(), now)
    }

    #[test]
    fn an_answer_has_its_instant() {
        let expected = Some((Mono(6_000_000_000), Share::from_ratio(0.025)));
        let value = "[1700000000, \"0.025\"]";
        assert_eq!(said_of(&format!("\"resultType\":\"scalar\",\"result\":{value}")), expected);
        let vector =
            |values: &str| said_of(&format!("\"resultType\":\"vector\",\"result\":[{values}]"));
        let one = format!("{{\"metric\":{{}},\"value\":{value}}}");
        assert_eq!(vector(&one), expected);
        assert_eq!(vector(""), None);
        assert_eq!(vector(&format!("{one},{one}")), None);
    }

    #[test]
    fn what_is_no_share_is_no_answer() {
        for value in ["NaN", "1.5", "-1", "+Inf", ""] {
            let text = format!("\"resultType\":\"scalar\",\"result\":[1700000000, \"{value}\"]");
            assert_eq!(said_of(&text), None, "{value}");
        }
        let now = SystemClock.read();
        assert_eq!(said(b"<html>", now).or(said(b"{\"status\":\"error\"}", now)), None);
    }
}
