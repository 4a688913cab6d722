//! When a job is due: a set of instants, before anything is said of what becomes of them.
//!
//! ```
//! use cronx_scheduler::{Spec, Utc};
//!
//! let spec = Spec::parse("30 9 * * MON-FRI")?.in_zone("Europe/Berlin")?;
//! let first = spec.after(Utc(0)).unwrap();
//! assert_eq!(first.to_string(), "1970-01-01T08:30:00Z");
//! assert_eq!(spec.before(first), None.or(spec.before(Utc(0))));
//! # Ok::<(), cronx_scheduler::Error>(())
//! ```

mod fields;
mod intern;
mod lanes;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

pub use lanes::{Mapped, Outcome};
pub use span::parse as parse_span;

use crate::{Error, Utc};

/// What only fires when it is told to.
const NEVER: &str = "@never";
/// By the time that passes, whatever the clock on the wall does.
const ELAPSED: Dst = Dst { gap: Gap::Skip, fold: Fold::Both };
/// No span between firings is shorter.
const SHORTEST: Duration = Duration::from_millis(1);

/// A civil time that the clocks of a zone leap over, for example 02:30 when it goes from 02:00 to
/// 03:00.
///
/// ```text
///               01:30   02:00=03:00  03:30   04:00
///  wall clock  ---+---------|----------+-------+-->    '30 * * * *'
///  Skip           #                    #
///  Shift          #                    #               02:30 becomes 03:30, which is due anyway
///
///  wall clock  ---+---------|----------+-------+-->    '30 2 * * *'
///  Skip
///  Shift                               #               as late as if nobody had touched the clock
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gap {
    /// It never comes.
    Skip,
    /// It comes as long after the gap's beginning as it would have without the gap.
    Shift,
}

/// A civil time that comes twice, for example 02:30 when the clock goes from 03:00 back to 02:00.
///
/// ```text
///               02:00   02:30  03:00=02:00  02:30   03:00
///  wall clock  ---|-------+---------|---------+-------|-->    '30 2 * * *'
///  First                  #
///  Last                                       #
///  Both                   #                   #
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fold {
    /// It is due the first time.
    First,
    /// It is due the second time.
    Last,
    /// It is due both times.
    Both,
}

/// What daylight saving time does to a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dst {
    /// Times that do not exist.
    pub gap: Gap,
    /// Times that exist twice.
    pub fold: Fold,
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct Spec {
    kind: Kind,
    dst: Dst,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A pattern is 5.6 KB, and of a few thousand jobs most have one of a few dozen.
    Cron { cron: Arc<Cron>, zone: TimeZone },
    /// Multiples of it since 1970, so that a restart changes nothing; of 0, never.
    Every { period_ns: i64 },
}

impl Spec {
    /// Reads 5, 6 (with seconds) or 7 fields (with years), names (`MON`, `JAN`, `@daily`), `L`, `W` and
    /// `#`, or `@every 250ms`, or `@never`. Its zone is UTC until [`in_zone`](Self::in_zone) says otherwise.
    ///
    /// What DST does is what is usual until [`dst`](Self::dst) says otherwise: a pattern that is due
    /// every hour, or every few, goes by elapsed time (`Skip`, `Both`); one of certain hours is due
    /// once a day (`Shift`, `First`).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if let Some(span) = text.strip_prefix("@every") {
            return every(text, span);
        }
        if text == NEVER {
            return Ok(Self { kind: Kind::Every { period_ns: 0 }, dst: ELAPSED });
        }
        let cron = intern::pattern(text)?;
        let dst = if fields::has_any_hour(text) {
            ELAPSED
        } else {
            Dst { gap: Gap::Shift, fold: Fold::First }
        };
        Ok(Self { kind: Kind::Cron { cron, zone: TimeZone::UTC }, dst })
    }

    /// In the civil time of this zone of the IANA database (the machine's, or else the one inside).
    /// A span such as `@every 1h` is the same in all of them.
    pub fn in_zone(mut self, name: &str) -> Result<Self, Error> {
        let found = TimeZone::get(name);
        let unknown =
            |error: jiff::Error| Error::Zone { name: name.to_owned(), reason: error.to_string() };
        let its = found.map_err(unknown)?;
        if let Kind::Cron { zone, .. } = &mut self.kind {
            *zone = its;
        }
        Ok(self)
    }

    /// With this done about DST.
    pub fn dst(mut self, dst: Dst) -> Self {
        self.dst = dst;
        self
    }

    /// What is done about DST.
    pub fn dst_policy(&self) -> Dst {
        self.dst
    }

    /// What it was read from, without the zone.
    pub fn pattern(&self) -> String {
        match &self.kind {
            Kind::Cron { cron, .. } => cron.as_str().to_owned(),
            Kind::Every { period_ns: 0 } => NEVER.to_owned(),
            Kind::Every { period_ns } => {
                format!("@every {:?}", Duration::from_nanos(*period_ns as u64))
            }
        }
    }

    /// Whether it was written as one that has no instants: a job of it fires when it is told to.
    pub fn is_never(&self) -> bool {
        matches!(self.kind, Kind::Every { period_ns: 0 })
    }

    /// The first instant after this one; `None` if none is left before 2262.
    pub fn after(&self, utc: Utc) -> Option<Utc> {
        match &self.kind {
            Kind::Cron { cron, zone } => lanes::after(cron, zone, self.dst, utc),
            Kind::Every { period_ns: 0 } => None,
            Kind::Every { period_ns } => {
                let number = utc.0.div_euclid(*period_ns).checked_add(1)?;
                number.checked_mul(*period_ns).map(Utc)
            }
        }
    }

    /// The last instant before this one; `None` if there is none after 1677.
    pub fn before(&self, utc: Utc) -> Option<Utc> {
        match &self.kind {
            Kind::Cron { cron, zone } => lanes::before(cron, zone, self.dst, utc),
            Kind::Every { period_ns: 0 } => None,
            Kind::Every { period_ns } => {
                let number = utc.0.checked_sub(1)?.div_euclid(*period_ns);
                number.checked_mul(*period_ns).map(Utc)
            }
        }
    }

    /// How many instants lie after `from` and not after `through`, counted up to `most`.
    pub fn count(&self, from: Utc, through: Utc, most: u64) -> u64 {
        if let Kind::Every { period_ns: period_ns @ 1.. } = self.kind {
            let periods = through.0.div_euclid(period_ns) - from.0.div_euclid(period_ns);
            return (periods.max(0) as u64).min(most);
        }
        let within = |utc: &Utc| *utc <= through;
        let instants = std::iter::successors(self.after(from).filter(within), |&utc| {
            self.after(utc).filter(within)
        });
        instants.take(most as usize).count() as u64
    }

    /// The civil times that match after this instant, in order, and what becomes of each. Empty for
    /// `@every`, which knows no civil time.
    pub fn mapped(&self, utc: Utc) -> impl Iterator<Item = Mapped> + '_ {
        let cron = match &self.kind {
            Kind::Cron { cron, zone } => Some((cron, zone)),
            Kind::Every { .. } => None,
        };
        cron.into_iter().flat_map(move |(cron, zone)| lanes::mapped(cron, zone, self.dst, utc))
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern())?;
        let Kind::Cron { zone, .. } = &self.kind else { return Ok(()) };
        let name = zone.iana_name().filter(|name| *name != "UTC");
        name.map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

fn every(text: &str, span: &str) -> Result<Spec, Error> {
    let refused = |reason: String| Error::Spec { text: text.to_owned(), reason };
    let span = span.strip_prefix(char::is_whitespace).unwrap_or_default();
    let period = span::parse(span).map_err(refused)?;
    if period < SHORTEST {
        return Err(refused(format!("'{span}' is shorter than {SHORTEST:?}")));
    }
    let period_ns = i64::try_from(period.as_nanos())
        .map_err(|_| refused(format!("'{span}' is longer than 292 years")))?;
    Ok(Spec { kind: Kind::Every { period_ns }, dst: ELAPSED })
}

#[cfg(test)]
mod tests;
