//! When a breaker opens, how long it waits, and what closes it.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::adaptive::Adaptive;
use crate::Error;

/// A share of calls, in millionths: 0 is none of them, 1,000,000 is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(u32);

impl Share {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(1_000_000);

    /// So many of a hundred; more than all is all.
    pub const fn percent(percent: u32) -> Self {
        if percent > 100 { Self::ALL } else { Self(percent * 10_000) }
    }

    /// Of 1; what is no share is the nearest one, and what is no number is none.
    pub fn from_ratio(ratio: f64) -> Self {
        Self((ratio.clamp(0.0, 1.0) * 1e6).round() as u32)
    }

    /// Of 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// So many millionths; more than all is all.
    pub fn from_millionths(millionths: u32) -> Self {
        Self(millionths.min(1_000_000))
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// `part` of `whole`, rounded down; `None` of nothing.
    pub fn of(part: u32, whole: u32) -> Option<Self> {
        let millionths = (u64::from(part) * 1_000_000).checked_div(u64::from(whole))?;
        Some(Self(millionths.min(1_000_000) as u32))
    }
}

impl fmt::Display for Share {
    /// As a percentage: `12.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1e4)
    }
}

/// Which calls a share is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The last so many, 1 to 1024.
    Calls(u32),
    /// Those that ended within so long. It moves on by a twentieth of itself, so that it is up to a
    /// twentieth shorter than it says.
    Time(Duration),
}

/// The share of failures at which it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// At this share it opens.
    Fixed(Share),
    /// Above what is usual it opens.
    Adaptive(Adaptive),
}

/// A call that takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slow {
    /// Longer than this is slow.
    pub after: Duration,
    /// What a slow call is that succeeded.
    pub is: SlowIs,
}

/// What a slow call is that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlowIs {
    /// A failure, by every rule.
    Failure,
    /// No failure; at this share of slow calls in the window, failed ones too, it opens.
    Counted(Share),
}

/// How long it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wait {
    /// After a closed one opened.
    pub first: Duration,
    /// It doubles each time that a half-open one opens again, up to this.
    pub most: Duration,
}

/// What is let through when the wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probes {
    /// So many successes close it.
    pub successes: u32,
    /// Of at most so many probes.
    pub most: u32,
    /// So many may be out at once.
    pub at_once: u32,
    /// One that takes longer has failed.
    pub timeout: Duration,
    /// One that has waited for probes for longer, without a pause, opens again.
    pub within: Duration,
}

/// All of it.
///
/// ```
/// use cronx_scheduler::breaker::Rules;
///
/// Rules::PAPER_CH1.check()?;
/// Rules { minimum: 0, ..Rules::default() }.check().unwrap_err();
/// # Ok::<(), cronx_scheduler::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// So many failures in a row open it.
    pub consecutive: Option<NonZeroU32>,
    /// The calls that shares are of.
    pub window: Window,
    /// A share of fewer calls is not asked for.
    pub minimum: u32,
    /// The share of failures that opens it.
    pub failures: Option<Limit>,
    /// What is slow, if anything is.
    pub slow: Option<Slow>,
    /// How long it is open.
    pub wait: Wait,
    /// What closes it.
    pub probes: Probes,
    /// It says what it would have done, and does nothing.
    pub shadow: bool,
}

/// No window has more calls.
const CALLS_MOST: u32 = 1024;
/// Nor is one that goes by time longer: two centuries are less than what a clock can say.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 200);

impl Rules {
    /// Three failures in a row; a call of more than 500 ms is one. The source names two times without
    /// saying which begins where: here they are the first and the longest wait, 60 s and 300 s. One probe.
    pub const PAPER_CH1: Self = Self {
        consecutive: NonZeroU32::new(3),
        window: Window::Calls(3),
        minimum: 3,
        failures: None,
        slow: Some(Slow { after: Duration::from_millis(500), is: SlowIs::Failure }),
        wait: Wait { first: Duration::from_mins(1), most: Duration::from_mins(5) },
        probes: Probes {
            successes: 1,
            most: 1,
            at_once: 1,
            timeout: Duration::from_mins(1),
            within: Duration::from_mins(1),
        },
        shadow: false,
    };

    /// Half of the last ten calls; 60 s; three successes of at most five probes.
    pub const PAPER_CH3: Self = Self {
        consecutive: None,
        window: Window::Calls(10),
        minimum: 10,
        failures: Some(Limit::Fixed(Share::percent(50))),
        slow: None,
        wait: Wait { first: Duration::from_mins(1), most: Duration::from_mins(1) },
        probes: Probes {
            successes: 3,
            most: 5,
            at_once: 5,
            timeout: Duration::from_mins(1),
            within: Duration::from_mins(1),
        },
        shadow: false,
    };

    /// Whether they can be kept, and if not, which cannot.
    pub fn check(&self) -> Result<(), Error> {
        let counts = matches!(self.slow, Some(Slow { is: SlowIs::Counted(_), .. }));
        let rules = u64::from(self.consecutive.is_some())
            + u64::from(self.failures.is_some())
            + u64::from(counts);
        bounded("the number of rules that can open it", rules, 1..=3, "at least 1")?;
        self.check_window()?;
        self.check_shares()?;
        self.wait.check()?;
        self.probes.check()
    }

    fn check_window(&self) -> Result<(), Error> {
        let most = match self.window {
            Window::Calls(calls) => {
                let range = 1..=u64::from(CALLS_MOST);
                bounded("the window's calls", calls.into(), range, "1 to 1024")?;
                u64::from(calls)
            }
            Window::Time(span) => {
                lasts("the window", span, Duration::from_millis(1), "from 1 ms to 200 years")?;
                u64::from(u32::MAX)
            }
        };
        let bound = "at least 1, and no more than the window has";
        bounded("the minimum of calls", self.minimum.into(), 1..=most, bound)
    }

    fn check_shares(&self) -> Result<(), Error> {
        match self.failures {
            Some(Limit::Fixed(share)) => is_share("the share of failures, in millionths", share)?,
            Some(Limit::Adaptive(adaptive)) => adaptive.check()?,
            None => {}
        }
        if let Some(Slow { is: SlowIs::Counted(share), .. }) = self.slow {
            is_share("the share of slow calls, in millionths", share)?;
        }
        Ok(())
    }
}

impl Default for Rules {
    /// Five failures in a row, or half of the last twenty calls where there are ten; 30 s, up to 5 min;
    /// one probe.
    fn default() -> Self {
        Self {
            consecutive: NonZeroU32::new(5),
            window: Window::Calls(20),
            minimum: 10,
            failures: Some(Limit::Fixed(Share::percent(50))),
            slow: None,
            wait: Wait { first: Duration::from_secs(30), most: Duration::from_mins(5) },
            probes: Self::PAPER_CH1.probes,
            shadow: false,
        }
    }
}

impl Wait {
    fn check(&self) -> Result<(), Error> {
        let bound = "longer than nothing, and no longer than the longest wait";
        lasts("the wait", self.first, Duration::from_nanos(1), bound)?;
        let fits = self.first <= self.most && self.most <= LONGEST;
        fits.then_some(()).ok_or_else(|| out("the wait in ns", nanoseconds(self.first), bound))
    }
}

impl Probes {
    fn check(&self) -> Result<(), Error> {
        let Self { successes, most, at_once, timeout, within } = *self;
        let calls = u64::from(CALLS_MOST);
        bounded("the most of probes", most.into(), 1..=calls, "1 to 1024")?;
        let bound = "at least 1, and no more than there are probes";
        bounded("the successes that close it", successes.into(), 1..=most.into(), bound)?;
        bounded("the probes at once", at_once.into(), 1..=most.into(), bound)?;
        let shortest = Duration::from_nanos(1);
        lasts("the probe's timeout", timeout, shortest, "longer than nothing")?;
        lasts("the half-open time", within, shortest, "longer than nothing")
    }
}

fn is_share(what: &'static str, share: Share) -> Result<(), Error> {
    bounded(what, share.0.into(), 1..=1_000_000, "above 0, and at most 1000000")
}

pub(super) fn bounded(
    what: &'static str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
    bound: &'static str,
) -> Result<(), Error> {
    if range.contains(&value) { Ok(()) } else { Err(out(what, value, bound)) }
}

pub(super) fn lasts(
    what: &'static str,
    span: Duration,
    shortest: Duration,
    bound: &'static str,
) -> Result<(), Error> {
    let fits = (shortest..=LONGEST).contains(&span);
    if fits { Ok(()) } else { Err(out(what, nanoseconds(span), bound)) }
}

fn out(what: &'static str, value: u64, bound: &'static str) -> Error {
    Error::OutOfBounds { what, value, bound }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
