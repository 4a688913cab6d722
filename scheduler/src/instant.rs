//! The two clocks, as two types: one that timers sleep by, and one that people read.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant of CLOCK_MONOTONIC, nanoseconds: what a timer is due at, and what a profiler stamps
/// with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

/// An instant of UTC, nanoseconds since 1970 (1677 to 2262): what a firing is named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Utc(pub i64);

impl Mono {
    /// How long after `earlier`; nothing, if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Utc {
    /// The last instant that has a name.
    pub const MAX: Self = Self(i64::MAX);
    /// The first one.
    pub const MIN: Self = Self(i64::MIN);

    /// How long after `earlier`; nothing, if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Mono {
    type Output = Self;

    /// Ends at the end of time.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

impl Add<Duration> for Utc {
    type Output = Self;

    /// Ends at the end of time.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(nanoseconds(duration)))
    }
}

impl Sub<Duration> for Utc {
    type Output = Self;

    /// Ends at the beginning of time.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(nanoseconds(duration)))
    }
}

impl From<SystemTime> for Utc {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(0) + after,
            Err(before) => Self(0) - before.duration(),
        }
    }
}

impl From<Utc> for SystemTime {
    fn from(utc: Utc) -> Self {
        let distance = Duration::from_nanos(utc.0.unsigned_abs());
        if utc.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

impl fmt::Display for Utc {
    /// As RFC 3339 has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_ends_at_the_ends_of_time() {
        assert_eq!(Utc::MAX + Duration::from_secs(1), Utc::MAX);
        assert_eq!(Utc::MIN - Duration::MAX, Utc::MIN);
        assert_eq!(Mono(1) + Duration::MAX, Mono(u64::MAX));
        assert_eq!(Utc(1).since(Utc(5)), Duration::ZERO);
        assert_eq!(Utc::MAX.since(Utc::MIN), Duration::from_nanos(i64::MAX as u64));
    }

    #[test]
    fn the_systems_time_and_back() {
        for utc in [Utc(0), Utc(-1), Utc(1_700_000_000_123_456_789), Utc::MAX, Utc::MIN] {
            assert_eq!(Utc::from(SystemTime::from(utc)), utc);
        }
        assert_eq!(Utc(1_000_000).to_string(), "1970-01-01T00:00:00.001Z");
    }
}
