//! Days, and where each one's events are.

use std::fmt;

use cronx_scheduler::Utc;

use super::{Event, Position, line};

/// Nanoseconds.
const LENGTH: i64 = 86_400_000_000_000;

/// A day of UTC, by its number since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// That of an instant.
    pub fn of(at: Utc) -> Self {
        Self(at.0.div_euclid(LENGTH))
    }

    /// Its first instant.
    pub fn begins(self) -> Utc {
        Utc(self.0.saturating_mul(LENGTH))
    }

    /// The first instant after it.
    pub fn ends(self) -> Utc {
        Self(self.0 + 1).begins()
    }
}

impl fmt::Display for Day {
    /// Such as `2025-11-28`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.begins().to_string().split('T').next().unwrap_or_default())
    }
}

/// What a day's events were when the last of them had been appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// How many.
    pub count: u64,
    /// The first one; 0 of none.
    pub first: Position,
    /// The last one; 0 of none.
    pub last: Position,
    /// BLAKE3 of their lines, one after another, each with its end of line.
    pub digest: [u8; 32],
}

/// Sums events up, in their order.
#[derive(Default)]
pub(super) struct Summing {
    count: u64,
    first: Position,
    last: Position,
    hasher: blake3::Hasher,
}

impl Summing {
    pub(super) fn add(&mut self, event: &Event) {
        self.add_line(event.position, &line(event));
    }

    pub(super) fn add_line(&mut self, position: Position, line: &str) {
        if self.count == 0 {
            self.first = position;
        }
        self.count += 1;
        self.last = position;
        self.hasher.update(line.as_bytes()).update(b"\n");
    }

    pub(super) fn seal(&self) -> Seal {
        let Self { count, first, last, hasher } = self;
        let digest = *hasher.finalize().as_bytes();
        Seal { count: *count, first: *first, last: *last, digest }
    }
}

/// Where a day's events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// In the store, and more may come.
    Hot,
    /// In the store, and nothing there changes any more.
    Warm(Seal),
    /// In the archive alone.
    Cold(Seal),
}

/// A day that has, or had, a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub day: Day,
    /// Where its events are.
    pub tier: Tier,
    /// Since when, by the store's clock.
    pub since: Utc,
    /// Whether it was cold, and has been brought back.
    pub is_restored: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_meet() {
        for (at, day) in [(-1, -1), (0, 0), (LENGTH - 1, 0), (LENGTH, 1)] {
            assert_eq!(Day::of(Utc(at)), Day(day), "{at}");
        }
        let day = Day(20_420);
        assert_eq!((day.to_string().as_str(), day.ends()), ("2025-11-28", Day(20_421).begins()));
    }
}
