//! A breaker as the file has it: a preset, and what is otherwise.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::breaker::{Adaptive, Feed, Limit, Probes, Rules, Slow, SlowIs, Wait, Window};
use hyper::Uri;
use serde::Deserialize;
use toml::Spanned;

use super::raw::{Percent, Raw, RawJob, Span};
use super::refusal::Fault;

/// What a breaker is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerPlan {
    /// What it goes by.
    pub rules: Rules,
    /// The job that is started each time it opens.
    pub on_open: Option<Arc<str>>,
    /// Who else is asked what is usual.
    pub feed: Option<FeedPlan>,
}

/// A query of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPlan {
    /// All of it.
    pub(crate) uri: Uri,
    /// How often.
    pub(crate) every: Duration,
}

/// `[breaker.NAME]`, and `breaker` of a job.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table of rules")]
pub(super) struct RawBreaker {
    preset: Option<Preset>,
    /// 0 is never.
    consecutive: Option<u32>,
    window: Option<RawWindow>,
    minimum: Option<u32>,
    failures: Option<RawLimit>,
    slow: Option<RawSlow>,
    wait: Option<RawWait>,
    probes: RawProbes,
    shadow: bool,
    pub(super) on_open: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    PaperCh1,
    PaperCh3,
}

/// A table of one, such as `{ calls = 20 }`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawWindow {
    Calls(u32),
    Time(Span),
}

/// A word, or a table of one, such as `{ share = "50%" }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawLimit {
    Never,
    Share(Percent),
    Adaptive(RawAdaptive),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
struct RawAdaptive {
    floor: Option<Percent>,
    ceiling: Option<Percent>,
    sigmas: Option<u32>,
    half_life: Option<u32>,
    samples: Option<u32>,
    feed: Option<RawFeed>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table with a query")]
struct RawFeed {
    query: Query,
    every: Option<Span>,
    stale: Option<Span>,
    reach: Option<Percent>,
    per_minute: Option<Percent>,
}

/// `http://HOST:PORT/api/v1/query?query=...`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Query(Uri);

impl TryFrom<String> for Query {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty())
        });
        uri.map(Self)
            .ok_or_else(|| format!("'{text}' is no http://HOST:PORT/api/v1/query?query=..."))
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with after and is")]
struct RawSlow {
    after: Span,
    is: RawSlowIs,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawSlowIs {
    Failure,
    Share(Percent),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of first and most")]
struct RawWait {
    first: Span,
    most: Option<Span>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table")]
struct RawProbes {
    successes: Option<u32>,
    most: Option<u32>,
    at_once: Option<u32>,
    timeout: Option<Span>,
    within: Option<Span>,
}

/// How often a feed is asked that is not told, and never more often than this.
const EVERY: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_millis(100);

/// What the table says, checked by those whose words it uses.
pub(super) fn breaker(raw: &Spanned<RawBreaker>) -> Result<BreakerPlan, Fault> {
    let rules = rules(raw.get_ref());
    let wrong = |error: cronx_scheduler::Error| {
        Fault::new(Some(raw.span().start), format!("of this breaker, {error}"))
    };
    rules.check().map_err(wrong)?;
    let on_open = raw.get_ref().on_open.as_ref();
    let on_open = on_open.map(|job| job.get_ref().as_str().into());
    let feed = match &raw.get_ref().failures {
        Some(RawLimit::Adaptive(RawAdaptive { feed: Some(feed), .. })) => Some(FeedPlan {
            uri: feed.query.0.clone(),
            every: feed.every.map_or(EVERY, |every| every.0).max(SOON),
        }),
        _ => None,
    };
    Ok(BreakerPlan { rules, on_open, feed })
}

fn rules(raw: &RawBreaker) -> Rules {
    let usual = match raw.preset {
        Some(Preset::PaperCh1) => Rules::PAPER_CH1,
        Some(Preset::PaperCh3) => Rules::PAPER_CH3,
        None => Rules::default(),
    };
    let window = raw.window.map_or(usual.window, Window::from);
    // Of a window that is smaller than the usual minimum, all of it is the minimum.
    let room = match window {
        Window::Calls(calls) => calls,
        Window::Time(_) => u32::MAX,
    };
    Rules {
        consecutive: raw.consecutive.map_or(usual.consecutive, NonZeroU32::new),
        window,
        minimum: raw.minimum.unwrap_or(usual.minimum.min(room)),
        failures: raw.failures.as_ref().map_or(usual.failures, limit),
        slow: raw.slow.map_or(usual.slow, |slow| Some(Slow::from(slow))),
        wait: raw.wait.map_or(usual.wait, |wait| Wait {
            first: wait.first.0,
            most: wait.most.map_or(usual.wait.most.max(wait.first.0), |most| most.0),
        }),
        probes: probes(&raw.probes, &usual.probes),
        shadow: raw.shadow,
    }
}

fn probes(raw: &RawProbes, usual: &Probes) -> Probes {
    let successes = raw.successes.unwrap_or(usual.successes);
    let most = raw.most.unwrap_or(usual.most.max(successes));
    Probes {
        successes,
        most,
        at_once: raw.at_once.unwrap_or(usual.at_once.min(most)),
        timeout: raw.timeout.map_or(usual.timeout, |timeout| timeout.0),
        within: raw.within.map_or(usual.within, |within| within.0),
    }
}

fn limit(raw: &RawLimit) -> Option<Limit> {
    let usual = Adaptive::default();
    match raw {
        RawLimit::Never => None,
        RawLimit::Share(share) => Some(Limit::Fixed(share.0)),
        RawLimit::Adaptive(raw) => Some(Limit::Adaptive(Adaptive {
            floor: raw.floor.map_or(usual.floor, |share| share.0),
            ceiling: raw.ceiling.map_or(usual.ceiling, |share| share.0),
            sigmas: raw.sigmas.unwrap_or(usual.sigmas),
            half_life: raw.half_life.unwrap_or(usual.half_life),
            samples: raw.samples.unwrap_or(usual.samples),
            feed: raw.feed.as_ref().map(feed),
        })),
    }
}

fn feed(raw: &RawFeed) -> Feed {
    let usual = Feed::default();
    Feed {
        stale: raw.stale.map_or(usual.stale, |stale| stale.0),
        reach: raw.reach.map_or(usual.reach, |reach| reach.0),
        per_minute: raw.per_minute.map_or(usual.per_minute, |share| share.0),
    }
}

impl From<RawWindow> for Window {
    fn from(raw: RawWindow) -> Self {
        match raw {
            RawWindow::Calls(calls) => Self::Calls(calls),
            RawWindow::Time(span) => Self::Time(span.0),
        }
    }
}

impl From<RawSlow> for Slow {
    fn from(raw: RawSlow) -> Self {
        let is = match raw.is {
            RawSlowIs::Failure => SlowIs::Failure,
            RawSlowIs::Share(share) => SlowIs::Counted(share.0),
        };
        Self { after: raw.after.0, is }
    }
}

/// What is said of a breaker's name where it is that of a job's own.
pub(crate) const OWN: &str = "job:";

/// What names name is there, and a remedy can be trusted to start.
pub(super) fn check(raw: &Raw) -> Result<(), Fault> {
    for (name, breaker) in &raw.breaker {
        if name.is_empty() || name.len() > super::plan::NAME_MOST || name.starts_with(OWN) {
            let why = "a breaker's name has 1 to 128 bytes, and does not begin with 'job:'";
            return Err(Fault::new(Some(breaker.span().start), why));
        }
    }
    for name in raw.job.values().flat_map(|job| &job.get_ref().depends_on) {
        if !raw.breaker.contains_key(name.get_ref()) {
            let why = format!("there is no [breaker.{}]", name.get_ref());
            return Err(Fault::new(Some(name.span().start), why));
        }
    }
    let own = raw.job.values().filter_map(|job| job.get_ref().breaker.as_ref());
    let remedies = raw.breaker.values().chain(own).filter_map(|raw| raw.get_ref().on_open.as_ref());
    for remedy in remedies {
        let wrong = |why| Fault::new(Some(remedy.span().start), why);
        remedy_is_safe(&raw.job, &raw.breaker, remedy.get_ref()).map_err(wrong)?;
    }
    Ok(())
}

/// A remedy has a breaker, or it would be started for ever where it does not help; and that has none,
/// or two could start each other.
fn remedy_is_safe(
    jobs: &BTreeMap<String, Spanned<RawJob>>,
    breakers: &BTreeMap<String, Spanned<RawBreaker>>,
    remedy: &str,
) -> Result<(), String> {
    let Some(job) = jobs.get(remedy).map(Spanned::get_ref) else {
        return Err(format!("there is no [job.{remedy}] to start"));
    };
    let shared = job.depends_on.iter().filter_map(|name| breakers.get(name.get_ref()));
    let behind: Vec<_> = job.breaker.iter().chain(shared).collect();
    if behind.is_empty() {
        return Err(format!("a job that heals has a breaker of its own, and '{remedy}' has none"));
    }
    if behind.iter().any(|breaker| breaker.get_ref().on_open.is_some()) {
        return Err(format!("'{remedy}' heals, and what it is behind starts another job"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
