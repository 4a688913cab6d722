//! A threshold that follows what is usual for a job: `clamp(mean + k sigma, floor, ceiling)`.
//!
//! The calls of a closed breaker are cut into samples of as many as its minimum is; a sample's value is
//! its share of failures, `x`. Two numbers remember the past, an exponentially weighted mean and variance
//! (West, 1979) whose weight `a` halves what was over `half_life` samples:
//!
//! ```text
//!  d = x - mean      mean += a d      variance = (1 - a) (variance + a d d)
//!  T = clamp(mean + shift + k sqrt(max(variance, mean (1 - mean) / n)), floor, ceiling)
//! ```
//! The second term under the root is what luck alone makes of a sample of `n` calls. At first `a` is one
//! over the number of samples, which makes them a plain average; and until there are enough, `T` is the
//! ceiling. Half-lives are counted in samples and not in time, so that a pause teaches nothing, and a
//! job that seldom runs has a past too.
//!
//! # Why it is stable
//!
//! *Only what is healthy is learned*: a sample is, if the breaker was closed through all of it and `x <= T`.
//!
//! 1. **Bounded.** `floor <= T <= ceiling`, whatever was learned. A share above the ceiling always trips
//!    and one below the floor never does. So the loop is open outside of that band: no history makes
//!    a breaker blind, and none makes it nervous.
//! 2. **It does not learn from an outage.** The samples of an outage are above `T`, and are left out; an
//!    open breaker has none. `mean` and `variance` do not change, so `T` does not: when the
//!    outage is over, it is what it was. A threshold that is the average of all it sees has this the wrong
//!    way round: in a long outage it goes to 1, and nothing trips any more.
//! 3. **It converges.** For samples about a constant share `p` within the band, the error of `mean` shrinks
//!    by `1 - a` with each: one real pole between 0 and 1. There is no overshoot and no oscillation,
//!    since both numbers are convex combinations of what was learned, with what they were.
//! 4. **A spike moves it little.** One above `T` moves it not at all. One that is just healthy moves the
//!    mean by `a k sigma` at most, and sigma by the factor `sqrt((1 - a) (1 + a k k))`: for a half-life of 50
//!    samples and `k = 3` by 0.04 sigma and 5 %. (Where the floor is what decides, by `a (floor - mean)`.)
//! 5. **There is no chatter at the edge.** Between a trip and the next there is a wait, a successful trial, and
//!    a new window that has to reach its minimum; the level need not have a hysteresis of its own.
//!
//! What that costs: a share that jumps above `T` and stays there is taken for an outage for as long as it
//! lasts, and opens the breaker again and again. Whether it is the new health, a person says, by the floor.
//! One that creeps is followed, by `a k sigma` a sample, and up to the ceiling.
//!
//! # A feed from outside
//!
//! What a whole fleet sees may widen or narrow the threshold: `shift` goes towards `fed - mean`, by no more
//! than `per_minute` for the time between two answers, and never beyond `reach`. It is a slow outer loop around
//! a fast one, and bounded: so it cannot make the inner one unstable. An answer older than `stale` changes
//! nothing, and no answer changes nothing: what the feed said last stays.

use std::time::Duration;

use super::rules::{Share, bounded, lasts};
use crate::{Error, Mono};

/// How a threshold follows what is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adaptive {
    /// It is never less: so many failures are always borne.
    pub floor: Share,
    /// It is never more, and is this until enough is known.
    pub ceiling: Share,
    /// So many standard deviations above the mean.
    pub sigmas: u32,
    /// A sample counts half after so many more.
    pub half_life: u32,
    /// So many samples are enough.
    pub samples: u32,
    /// How much others have to say.
    pub feed: Option<Feed>,
}

/// How much a feed has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feed {
    /// An answer that is older changes nothing.
    pub stale: Duration,
    /// It shifts the threshold by no more than this, up or down.
    pub reach: Share,
    /// And by no more than this in a minute.
    pub per_minute: Share,
}

impl Default for Adaptive {
    /// Between a twentieth and a half, three standard deviations above the mean.
    fn default() -> Self {
        Self {
            floor: Share::percent(5),
            ceiling: Share::percent(50),
            sigmas: 3,
            half_life: 50,
            samples: 10,
            feed: None,
        }
    }
}

impl Default for Feed {
    /// Answers of the last minute, up to a twentieth, by a hundredth in a minute.
    fn default() -> Self {
        Self {
            stale: Duration::from_mins(1),
            reach: Share::percent(5),
            per_minute: Share::percent(1),
        }
    }
}

impl Adaptive {
    pub(super) fn check(&self) -> Result<(), Error> {
        let (floor, ceiling) = (self.floor.millionths().into(), self.ceiling.millionths().into());
        let bound = "above 0, and at most 1000000";
        bounded("the ceiling, in millionths", ceiling, 1..=1_000_000, bound)?;
        let bound = "above 0, and no more than the ceiling";
        bounded("the floor, in millionths", floor, 1..=ceiling, bound)?;
        bounded("the half-life in samples", self.half_life.into(), 1..=1_000_000, "1 to 1000000")?;
        bounded("the samples that are enough", self.samples.into(), 1..=1_000_000, "1 to 1000000")?;
        bounded("the standard deviations", self.sigmas.into(), 1..=100, "1 to 100")?;
        let stale = self.feed.map_or(Duration::MAX, |feed| feed.stale);
        if self.feed.is_none() {
            return Ok(());
        }
        lasts("the time until a feed is stale", stale, Duration::from_millis(1), "at least 1 ms")
    }
}

/// What is usual, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Baseline {
    rules: Adaptive,
    /// Calls of a sample.
    size: u32,
    mean: f64,
    variance: f64,
    learned: u32,
    /// Of the sample that has begun.
    calls: u32,
    failures: u32,
    shift: f64,
    heard: Option<Mono>,
}

impl Baseline {
    pub(super) fn new(rules: Adaptive, size: u32) -> Self {
        Self {
            rules,
            size: size.max(1),
            mean: 0.0,
            variance: 0.0,
            learned: 0,
            calls: 0,
            failures: 0,
            shift: 0.0,
            heard: None,
        }
    }

    /// Above this it is no longer usual.
    pub(super) fn threshold(&self) -> Share {
        let Adaptive { floor, ceiling, sigmas, samples, .. } = self.rules;
        if self.learned < samples {
            return ceiling;
        }
        let luck = self.mean * (1.0 - self.mean) / f64::from(self.size);
        let sigma = self.variance.max(luck).sqrt();
        let usual = self.mean + self.shift + f64::from(sigmas) * sigma;
        Share::from_ratio(usual).clamp(floor, ceiling)
    }

    /// A call of a closed breaker that did not open it.
    pub(super) fn count(&mut self, failed: bool) {
        self.calls += 1;
        self.failures += u32::from(failed);
        if self.calls < self.size {
            return;
        }
        let sample = Share::of(self.failures, self.calls).unwrap_or_default();
        if sample <= self.threshold() {
            self.learn(sample.ratio());
        }
        self.forget_sample();
    }

    /// What has begun is no sample: the breaker was not closed through all of it.
    pub(super) fn forget_sample(&mut self) {
        (self.calls, self.failures) = (0, 0);
    }

    fn learn(&mut self, sample: f64) {
        self.learned = self.learned.saturating_add(1);
        let steady = 1.0 - (-1.0 / f64::from(self.rules.half_life)).exp2();
        let weight = steady.max(1.0 / f64::from(self.learned));
        let distance = sample - self.mean;
        self.mean += weight * distance;
        self.variance = (1.0 - weight) * (self.variance + weight * distance * distance);
    }

    /// A feed said `rate`, of the instant `taken`. `false` if that changes nothing.
    pub(super) fn hear(&mut self, now: Mono, taken: Mono, rate: Share) -> bool {
        let Some(feed) = self.rules.feed.filter(|feed| now.since(taken) <= feed.stale) else {
            return false;
        };
        let Some(last) = self.heard.replace(now) else { return false };
        let minutes = now.since(last).min(feed.stale).as_secs_f64() / 60.0;
        let step = feed.per_minute.ratio() * minutes;
        let reach = feed.reach.ratio();
        let wanted = (rate.ratio() - self.mean).clamp(-reach, reach);
        self.shift += (wanted - self.shift).clamp(-step, step);
        true
    }
}

#[cfg(test)]
mod tests;
