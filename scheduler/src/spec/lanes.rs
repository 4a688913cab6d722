//! From civil time to UTC and back: a pattern is civil, a firing is not.
//!
//! Between two transitions a zone has one offset, and what is due there is what matches on one lane,
//! a stretch of UTC with an offset. A transition trims the lane or lays a second one beside it:
//!
//! ```text
//!  fold, First     ... offset 2 ...=====|----.===== offset 1 ...    the second pass is left out
//!  fold, Last      ... offset 2 ===.----|========== offset 1 ...    the first is
//!  gap, Skip       ... offset 1 ========|========== offset 2 ...
//!  gap, Shift      ... offset 1 ========|========== offset 2 ...
//!                                       |=====. offset 1            the gap, by the old offset
//! ```
//! The search itself is croner's, on civil time alone: it never sees a zone.

use croner::Cron;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::{Dst, Fold, Gap};
use crate::Utc;

const SECOND_NS: i64 = 1_000_000_000;
/// The first and the last whole second that [`Utc`] can name.
const SECONDS: (i64, i64) = (i64::MIN / SECOND_NS, i64::MAX / SECOND_NS);

/// A stretch of UTC `[from_s, to_s)` with one offset.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the unit stands in the name")]
struct Lane {
    from_s: i64,
    to_s: i64,
    offset_s: i64,
}

/// The time between two transitions, with the offsets before, in and after it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the unit stands in the name")]
struct Segment {
    from_s: i64,
    to_s: i64,
    before_s: i64,
    offset_s: i64,
    after_s: i64,
}

/// What a search on a lane came to.
enum Found {
    At(i64),
    /// There are matches, but not on this lane.
    Elsewhere,
    /// There is none in that direction at all.
    Never,
}

pub(super) fn after(cron: &Cron, zone: &TimeZone, dst: Dst, utc: Utc) -> Option<Utc> {
    let mut at_s = (utc.0.div_euclid(SECOND_NS) + 1).max(SECONDS.0);
    while at_s <= SECONDS.1 {
        let segment = Segment::at(zone, at_s)?;
        let found = segment.lanes(dst).map(|lane| lane.first(cron, at_s));
        if let Some(first_s) = found.iter().filter_map(Found::second).min() {
            return (first_s <= SECONDS.1).then_some(Utc(first_s * SECOND_NS));
        }
        // What has no match ahead can have one again only where civil time goes back.
        let over = found.iter().all(|found| matches!(found, Found::Never));
        if over && segment.after_s >= segment.offset_s {
            return None;
        }
        at_s = segment.to_s;
    }
    None
}

pub(super) fn before(cron: &Cron, zone: &TimeZone, dst: Dst, utc: Utc) -> Option<Utc> {
    // The last whole second that is before.
    let mut at_s = (utc.0 - i64::from(utc.0 > i64::MIN)).div_euclid(SECOND_NS).min(SECONDS.1);
    while at_s >= SECONDS.0 {
        let segment = Segment::at(zone, at_s)?;
        let found = segment.lanes(dst).map(|lane| lane.last(cron, at_s));
        if let Some(last_s) = found.iter().filter_map(Found::second).max() {
            return (last_s >= SECONDS.0).then_some(Utc(last_s * SECOND_NS));
        }
        let over = found.iter().all(|found| matches!(found, Found::Never));
        if over && segment.before_s <= segment.offset_s {
            return None;
        }
        at_s = segment.from_s - 1;
    }
    None
}

impl Found {
    fn second(&self) -> Option<i64> {
        match self {
            Self::At(second) => Some(*second),
            Self::Elsewhere | Self::Never => None,
        }
    }
}

impl Segment {
    /// The one that this second lies in.
    fn at(zone: &TimeZone, at_s: i64) -> Option<Self> {
        let at = Timestamp::from_second(at_s).ok()?;
        let next = Timestamp::from_second(at_s + 1).ok()?;
        let offset = |second: i64| {
            let timestamp = Timestamp::from_second(second).unwrap_or(at);
            i64::from(zone.to_offset(timestamp).seconds())
        };
        let from_s = zone.preceding(next).next().map(|from| from.timestamp().as_second());
        let to_s = zone.following(at).next().map(|to| to.timestamp().as_second());
        let offset_s = offset(at_s);
        Some(Self {
            from_s: from_s.unwrap_or(SECONDS.0 - 1),
            to_s: to_s.unwrap_or(SECONDS.1 + 1),
            before_s: from_s.map_or(offset_s, |from_s| offset(from_s - 1)),
            offset_s,
            after_s: to_s.map_or(offset_s, offset),
        })
    }

    /// All that is due in it lies on these.
    fn lanes(&self, dst: Dst) -> [Lane; 2] {
        let Self { mut from_s, mut to_s, offset_s, .. } = *self;
        let gap_s = (offset_s - self.before_s).max(0);
        let shifted_to_s = if dst.gap == Gap::Shift { from_s + gap_s } else { from_s };
        let shifted = Lane { from_s, to_s: shifted_to_s, offset_s: self.before_s };
        if dst.fold == Fold::First {
            from_s += (self.before_s - offset_s).max(0);
        }
        if dst.fold == Fold::Last {
            to_s -= (offset_s - self.after_s).max(0);
        }
        [Lane { from_s, to_s, offset_s }, shifted]
    }
}

impl Lane {
    fn first(&self, cron: &Cron, at_s: i64) -> Found {
        let from_s = at_s.max(self.from_s);
        self.search(from_s, |civil| cron.find_next_occurrence(civil, true).ok())
    }

    fn last(&self, cron: &Cron, at_s: i64) -> Found {
        let from_s = at_s.min(self.to_s - 1);
        self.search(from_s, |civil| cron.find_previous_occurrence(civil, true).ok())
    }

    fn search(&self, from_s: i64, find: impl Fn(&DateTime) -> Option<DateTime>) -> Found {
        if !(self.from_s..self.to_s).contains(&from_s) {
            return Found::Elsewhere;
        }
        let Some(civil) = civil(from_s + self.offset_s).and_then(|civil| find(&civil)) else {
            return Found::Never;
        };
        match second(civil).map(|second| second - self.offset_s) {
            Some(second) if (self.from_s..self.to_s).contains(&second) => Found::At(second),
            _ => Found::Elsewhere,
        }
    }
}

/// The civil time that a clock at UTC shows.
fn civil(second: i64) -> Option<DateTime> {
    Timestamp::from_second(second).ok().map(|timestamp| Offset::UTC.to_datetime(timestamp))
}

fn second(civil: DateTime) -> Option<i64> {
    Offset::UTC.to_timestamp(civil).ok().map(Timestamp::as_second)
}

/// A civil time that matches, and what becomes of it in the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// As a clock on the wall would show it: `2026-03-29T02:30:00`.
    pub civil: String,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It comes once, and is due then.
    Due(Utc),
    /// It never comes, and is left out.
    Skipped,
    /// It never comes, and is due as long after the gap's beginning as without the gap.
    Shifted(Utc),
    /// It comes twice, and is due the first time.
    First(Utc),
    /// It comes twice, and is due the second time.
    Last(Utc),
    /// It comes twice, and is due both times.
    Both(Utc, Utc),
}

impl Outcome {
    /// What `civil` is in the zone: the definition that the lanes are a fast way to.
    fn of(civil: DateTime, zone: &TimeZone, dst: Dst) -> Option<Self> {
        let second = second(civil)?;
        let by =
            |offset: Offset| (second - i64::from(offset.seconds())).checked_mul(SECOND_NS).map(Utc);
        Some(match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Self::Due(by(offset)?),
            AmbiguousOffset::Gap { before, .. } => match dst.gap {
                Gap::Skip => Self::Skipped,
                Gap::Shift => Self::Shifted(by(before)?),
            },
            AmbiguousOffset::Fold { before, after } => match dst.fold {
                Fold::First => Self::First(by(before)?),
                Fold::Last => Self::Last(by(after)?),
                Fold::Both => Self::Both(by(before)?, by(after)?),
            },
        })
    }

    /// The instants at which it is due.
    pub fn instants(self) -> impl Iterator<Item = Utc> {
        let (one, two) = match self {
            Self::Skipped => (None, None),
            Self::Due(at) | Self::Shifted(at) | Self::First(at) | Self::Last(at) => {
                (Some(at), None)
            }
            Self::Both(first, last) => (Some(first), Some(last)),
        };
        one.into_iter().chain(two)
    }
}

pub(super) fn mapped<'a>(
    cron: &'a Cron,
    zone: &'a TimeZone,
    dst: Dst,
    utc: Utc,
) -> impl Iterator<Item = Mapped> + 'a {
    let at = Timestamp::from_second(utc.0.div_euclid(SECOND_NS)).ok();
    let now = at.map(|at| zone.to_datetime(at));
    // What was shifted to a coming instant stands before the gap; no gap is longer than a day.
    let from = now.map(|now| now.saturating_sub(jiff::Span::new().days(1)));
    let next = |civil: &DateTime| cron.find_next_occurrence(civil, false).ok();
    let civil = std::iter::successors(from.as_ref().and_then(next), move |civil| next(civil));
    let mapped = civil.map_while(move |civil| Some((civil, Outcome::of(civil, zone, dst)?)));
    let is_to_come = move |(civil, outcome): &(DateTime, Outcome)| match outcome {
        Outcome::Skipped => Some(*civil) > now,
        outcome => outcome.instants().any(|instant| instant > utc),
    };
    mapped.filter(is_to_come).map(|(civil, outcome)| Mapped { civil: civil.to_string(), outcome })
}

#[cfg(test)]
mod tests;
