//! What may stand in the file: its keys, and the types of their values.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use cronx_scheduler::breaker::Share;
use cronx_scheduler::{Back, Fold, Gap, Leap, Misfire, Overlap, RealTime, parse_span};
use hyper::Uri;
use serde::Deserialize;
use toml::Spanned;

use super::breaker::RawBreaker;
use super::saga::RawSaga;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default)]
    pub(super) daemon: Settings,
    #[serde(default)]
    pub(super) job: BTreeMap<String, Spanned<RawJob>>,
    #[serde(default)]
    pub(super) breaker: BTreeMap<String, Spanned<RawBreaker>>,
}

/// What the daemon itself is to be, `[daemon]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table")]
pub struct Settings {
    /// Where `/status` and `/metrics` are; a port of 0 is any that is free.
    pub listen: SocketAddr,
    /// How long a drain waits for runs.
    pub drain: Span,
    /// How long a command that is told to end has for it.
    pub kill_after: Span,
    /// How long a daemon may be unheard of, by a ledger on a server, before others have its jobs.
    pub lease: Lease,
    /// How long the ledger has firings that are done, and sagas that are over; of daemons that share one, the
    /// shortest counts.
    pub retention: Retention,
    /// As in [`cronx_scheduler::Options`], and so are the next ones.
    pub shards: Option<Count<64>>,
    /// Threads that start commands and make calls.
    pub workers: Option<Count<1024>>,
    /// Runs at once.
    pub running: Option<Count<65_536>>,
    /// Firings that wait for a worker.
    pub queue: Option<Count<16_777_216>>,
    /// What a step of priority is worth.
    pub aging: Option<Span>,
    /// How long before an instant a shard burns its core.
    pub spin: Option<Span>,
    /// What is wished for of the kernel.
    pub realtime: Wishes,
    /// Where breakers' decisions are written, a line of JSON each; added to what is there.
    pub decisions: Option<PathBuf>,
    /// How long that file may become; then it is the older one, and the one that was is gone.
    pub decisions_most: Bytes,
    /// Where spans go; without it there are none.
    pub telemetry: Option<Telemetry>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9310),
            drain: Span(Duration::from_secs(30)),
            kill_after: Span(Duration::from_secs(5)),
            lease: Lease(Duration::from_secs(10)),
            retention: Retention(Duration::from_hours(30 * 24)),
            shards: None,
            workers: None,
            running: None,
            queue: None,
            aging: None,
            spin: None,
            realtime: Wishes::default(),
            decisions: None,
            decisions_most: Bytes(64 << 20),
            telemetry: None,
        }
    }
}

/// `[daemon.telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with an endpoint")]
pub struct Telemetry {
    /// An OTLP receiver.
    pub endpoint: Endpoint,
    /// The share of firings that leave spans.
    #[serde(default = "all")]
    pub sample: Percent,
    /// Spans that wait to be sent; what comes beyond is dropped and counted.
    #[serde(default = "some")]
    pub queue: Count<65_536>,
    /// What this daemon is called there.
    #[serde(default = "name")]
    pub service: String,
}

fn all() -> Percent {
    Percent(Share::ALL)
}

fn some() -> Count<65_536> {
    Count(2048)
}

fn name() -> String {
    "cronx".to_owned()
}

/// `[daemon.realtime]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table")]
pub struct Wishes {
    cores: Vec<usize>,
    fifo: Option<Count<80>>,
    lock_memory: bool,
}

impl From<&Wishes> for RealTime {
    fn from(wishes: &Wishes) -> Self {
        Self {
            cores: wishes.cores.clone(),
            fifo: wishes.fifo.map(|priority| priority.0 as u8),
            lock_memory: wishes.lock_memory,
        }
    }
}

/// `[job.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table, [job.NAME]")]
pub(super) struct RawJob {
    pub(super) schedule: Spanned<String>,
    pub(super) zone: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) dst: RawDst,
    pub(super) command: Option<Spanned<Vec<String>>>,
    pub(super) env: Option<Spanned<BTreeMap<String, String>>>,
    pub(super) cwd: Option<Spanned<PathBuf>>,
    pub(super) output: Option<Spanned<Output>>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) http: Option<Spanned<RawHttp>>,
    pub(super) saga: Option<Spanned<RawSaga>>,
    pub(super) timeout: Option<Spanned<Span>>,
    pub(super) grace: Option<Span>,
    pub(super) misfire: Option<RawMisfire>,
    pub(super) overlap: Option<RawOverlap>,
    pub(super) limit: Option<Spanned<NonZeroU32>>,
    pub(super) forward: Option<RawLeap>,
    pub(super) back: Option<RawBack>,
    pub(super) suspend: Option<RawLeap>,
    pub(super) priority: Option<u8>,
    pub(super) jitter: Option<Span>,
    pub(super) retry: Option<Spanned<RawRetry>>,
    pub(super) breaker: Option<Spanned<RawBreaker>>,
    #[serde(default)]
    pub(super) depends_on: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of gap and fold")]
pub(super) struct RawDst {
    pub(super) gap: Option<RawGap>,
    pub(super) fold: Option<RawFold>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with a url")]
pub(super) struct RawHttp {
    pub(super) url: Spanned<String>,
    pub(super) method: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) body: String,
    pub(super) expect: Option<Spanned<Vec<u16>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with attempts")]
pub(super) struct RawRetry {
    pub(super) attempts: NonZeroU32,
    pub(super) base: Option<Span>,
    pub(super) cap: Option<Span>,
    #[serde(default)]
    pub(super) rejected: bool,
}

/// What becomes of what a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Line by line into the daemon's log.
    Log,
    /// Nothing.
    Discard,
}

/// The scheduler's own, as words.
macro_rules! words {
    ($name:ident => $theirs:ident { $($variant:ident),+ }) => {
        #[derive(Debug, Clone, Copy, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum $name { $($variant),+ }

        impl From<$name> for $theirs {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

words!(RawGap => Gap { Skip, Shift });
words!(RawFold => Fold { First, Last, Both });
words!(RawLeap => Leap { Misfire, Forget });
words!(RawBack => Back { Wait, Repeat });

/// A word, or a table of one such as `{ fire-all = 3 }`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawMisfire {
    Skip,
    FireOnce,
    FireAll(NonZeroU32),
    Within(Span),
}

impl From<RawMisfire> for Misfire {
    fn from(word: RawMisfire) -> Self {
        match word {
            RawMisfire::Skip => Self::Skip,
            RawMisfire::FireOnce => Self::FireOnce,
            RawMisfire::FireAll(cap) => Self::FireAll { cap: cap.get() },
            RawMisfire::Within(grace) => Self::Within { grace: grace.0 },
        }
    }
}

/// A word, or a table of one such as `{ buffer-all = 3 }`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawOverlap {
    Allow,
    Skip,
    BufferOne,
    BufferAll(NonZeroU32),
    CancelOther,
}

impl From<RawOverlap> for Overlap {
    fn from(word: RawOverlap) -> Self {
        match word {
            RawOverlap::Allow => Self::Allow,
            RawOverlap::Skip => Self::Skip,
            RawOverlap::BufferOne => Self::BufferOne,
            RawOverlap::BufferAll(cap) => Self::BufferAll { cap: cap.get() },
            RawOverlap::CancelOther => Self::CancelOther,
        }
    }
}

/// A time with its unit, such as `"250ms"` or `"1h30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_span(&text).map(Self)
    }
}

/// A second to an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Lease(pub Duration);

impl TryFrom<String> for Lease {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span = parse_span(&text)?;
        let (least, most) = (Duration::from_secs(1), Duration::from_hours(1));
        if (least..=most).contains(&span) {
            return Ok(Self(span));
        }
        Err(format!("'{text}': a lease is from 1s to 1h"))
    }
}

/// An hour or longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Retention(pub Duration);

impl TryFrom<String> for Retention {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span = parse_span(&text)?;
        let is_long = span >= Duration::from_hours(1);
        is_long.then_some(Self(span)).ok_or_else(|| format!("'{text}': it is 1h or longer"))
    }
}

/// From 1 to so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct Count<const MOST: usize>(pub usize);

impl<const MOST: usize> TryFrom<usize> for Count<MOST> {
    type Error = String;

    fn try_from(count: usize) -> Result<Self, String> {
        let fits = (1..=MOST).contains(&count);
        fits.then_some(Self(count)).ok_or_else(|| format!("it is {count}, and must be 1 to {MOST}"))
    }
}

/// A number of bytes with its unit, such as `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Bytes(pub u64);

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
        let bytes = units.iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
        });
        let wrong =
            || format!("'{text}' is no size: a size is such as \"64MiB\", in KiB, MiB or GiB");
        bytes.map(Self).ok_or_else(wrong)
    }
}

/// A share as it is written: `"12.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Percent(pub Share);

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let percent = number.filter(|percent| (0.0..=100.0).contains(percent));
        let share = percent.map(|percent| Self(Share::from_ratio(percent / 100.0)));
        share.ok_or_else(|| format!("'{text}' is no share: a share is \"0%\" to \"100%\""))
    }
}

/// Where spans go: the URL of an OTLP receiver that speaks HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(pub Uri);

/// The path of a receiver that is named without one.
const TRACES: &str = "/v1/traces";

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no http://HOST:PORT of a receiver");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_plain =
            uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty());
        let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        let whole = format!("{}{TRACES}", text.trim_end_matches('/'));
        let uri = if is_bare { whole.parse().map_err(|_| wrong())? } else { uri };
        is_plain.then_some(Self(uri)).ok_or_else(wrong)
    }
}
