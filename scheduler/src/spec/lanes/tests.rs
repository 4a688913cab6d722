//! The lanes beside a walk over every minute, around every transition of every zone.

use std::collections::{BTreeSet, HashSet};
use std::env;

use jiff::tz::TimeZoneDatabase;

use super::*;
use crate::spec::fields;

const HOUR_S: i64 = 3600;

/// A pattern, and the same as a rule that is not croner's.
struct Pattern {
    text: &'static str,
    matches: fn(&DateTime) -> bool,
}

const PATTERNS: [Pattern; 6] = [
    Pattern { text: "*/15 * * * *", matches: |t| t.minute() % 15 == 0 },
    Pattern { text: "30 2 * * *", matches: |t| (t.hour(), t.minute()) == (2, 30) },
    Pattern { text: "7,37 0-4 * * *", matches: |t| t.hour() <= 4 && matches!(t.minute(), 7 | 37) },
    Pattern { text: "0 0 * * *", matches: |t| (t.hour(), t.minute()) == (0, 0) },
    Pattern {
        text: "59 23 L * *",
        matches: |t| (t.hour(), t.minute()) == (23, 59) && t.date() == t.date().last_of_month(),
    },
    Pattern {
        text: "0 */2 * * SUN#L",
        matches: |t| {
            let last = t.date().last_of_month().day() - t.day() < 7;
            t.hour() % 2 == 0 && t.minute() == 0 && last && t.weekday().to_sunday_zero_offset() == 0
        },
    },
];

const POLICIES: [Dst; 6] = [
    Dst { gap: Gap::Skip, fold: Fold::First },
    Dst { gap: Gap::Skip, fold: Fold::Last },
    Dst { gap: Gap::Skip, fold: Fold::Both },
    Dst { gap: Gap::Shift, fold: Fold::First },
    Dst { gap: Gap::Shift, fold: Fold::Last },
    Dst { gap: Gap::Shift, fold: Fold::Both },
];

/// Every offset that a zone goes from and to between 2000 and 2060, with the instant.
fn transitions(zone: &TimeZone) -> Vec<(i64, i64, i64)> {
    let from = Timestamp::from_second(946_684_800).unwrap();
    let until = Timestamp::from_second(2_871_763_200).unwrap();
    let offset =
        |second| i64::from(zone.to_offset(Timestamp::from_second(second).unwrap()).seconds());
    let all = zone.following(from).map(|transition| transition.timestamp());
    let within = all.take_while(|timestamp| *timestamp < until).map(Timestamp::as_second);
    within.map(|at_s| (at_s, offset(at_s - 1), offset(at_s))).collect()
}

/// The civil minutes that match, each with what becomes of it by definition.
fn by_definition(
    pattern: &Pattern,
    zone: &TimeZone,
    dst: Dst,
    (from_s, to_s): (i64, i64),
) -> BTreeSet<Utc> {
    let mut due = BTreeSet::new();
    // No offset is more than a day; the civil minutes of a longer stretch hold all that is due in it.
    let minutes = (from_s - 26 * HOUR_S).div_euclid(60)..(to_s + 26 * HOUR_S).div_euclid(60);
    for minute in minutes {
        let civil = civil(minute * 60).unwrap();
        if (pattern.matches)(&civil) {
            due.extend(Outcome::of(civil, zone, dst).unwrap().instants());
        }
    }
    let within = Utc(from_s * SECOND_NS)..Utc(to_s * SECOND_NS);
    due.range(within).copied().collect()
}

/// The same by asking what comes next, and by asking what came before.
fn by_lanes(
    cron: &Cron,
    zone: &TimeZone,
    dst: Dst,
    (from_s, to_s): (i64, i64),
) -> [BTreeSet<Utc>; 2] {
    let (from, to) = (Utc(from_s * SECOND_NS), Utc(to_s * SECOND_NS));
    let next = |&utc: &Utc| after(cron, zone, dst, utc).filter(|&utc| utc < to);
    let previous = |&utc: &Utc| before(cron, zone, dst, utc).filter(|&utc| utc >= from);
    let forward = std::iter::successors(next(&Utc(from.0 - 1)), next).collect();
    let backward = std::iter::successors(previous(&to), previous).collect();
    [forward, backward]
}

fn check(pattern: &Pattern, name: &str, dst: Dst, zone: &TimeZone, at: (i64, i64, i64)) {
    let (at_s, before_s, after_s) = at;
    let moved_s = (after_s - before_s).abs();
    let window = (at_s - moved_s - 3 * HOUR_S, at_s + moved_s + 3 * HOUR_S);
    let cron = fields::parse(pattern.text).unwrap();
    let expected = by_definition(pattern, zone, dst, window);
    for got in by_lanes(&cron, zone, dst, window) {
        assert_eq!(got, expected, "{} {name} {dst:?} around {at_s}", pattern.text);
    }
}

/// All zones, around every transition from 2000 to 2060. In the short form each transition has one pattern
/// and one policy, in turn; `CRONX_ZONES=full` asks for all of both.
#[test]
fn every_zone_is_right_around_every_transition() {
    let full = env::var("CRONX_ZONES").is_ok_and(|value| value == "full");
    let database = TimeZoneDatabase::bundled();
    // Many names are of one zone.
    let mut seen = HashSet::new();
    let (mut zones, mut checked) = (0, 0);
    for name in database.available() {
        let zone = database.get(name.as_str()).unwrap();
        let transitions = transitions(&zone);
        if !seen.insert(transitions.clone()) {
            continue;
        }
        zones += 1;
        for (turn, at) in transitions.into_iter().enumerate() {
            let pairs = PATTERNS.iter().flat_map(|p| POLICIES.map(|dst| (p, dst)));
            // 7 is coprime to 36: in 36 transitions every pair has its turn.
            let offset = (zones + turn) * 7 % 36;
            let (skip, take) = if full { (0, 36) } else { (offset, 1) };
            for (pattern, dst) in pairs.skip(skip).take(take) {
                check(pattern, name.as_str(), dst, &zone, at);
                checked += 1;
            }
        }
    }
    assert!(zones > 100 && checked > 5_000, "{zones} zones, {checked} checked");
}
