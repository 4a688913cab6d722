use expect_test::{Expect, expect};

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn utc(text: &str) -> Utc {
    Utc(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64)
}

/// The first instants after the beginning of 2026.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, zone: &str, count: usize, expected: Expect) {
    let spec = Spec::parse(text).unwrap().in_zone(zone).unwrap();
    let mut at = utc("2026-01-01T00:00:00Z");
    let mut lines = String::new();
    for _ in 0..count {
        at = spec.after(at).unwrap();
        lines += &at.to_string();
        lines += "\n";
    }
    expected.assert_eq(&lines);
}

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&Spec::parse(text).unwrap_err().to_string());
}

#[test]
fn five_six_and_seven_fields() {
    check("30 9 * * *", "UTC", 1, expect![["2026-01-01T09:30:00Z\n"]]);
    check("5 30 9 * * *", "UTC", 1, expect![["2026-01-01T09:30:05Z\n"]]);
    check("5 30 9 * * * 2030", "UTC", 1, expect![["2030-01-01T09:30:05Z\n"]]);
}

#[test]
fn names_and_the_last_and_the_nth() {
    check("0 9 * feb MON-FRI", "UTC", 1, expect![["2026-02-02T09:00:00Z\n"]]);
    check("0 9 L * *", "UTC", 2, expect![["2026-01-31T09:00:00Z\n2026-02-28T09:00:00Z\n"]]);
    check("0 9 15W * *", "UTC", 2, expect![["2026-01-15T09:00:00Z\n2026-02-16T09:00:00Z\n"]]);
    check("0 9 * * FRI#2", "UTC", 1, expect![["2026-01-09T09:00:00Z\n"]]);
    check("@daily", "Asia/Tokyo", 1, expect![["2026-01-01T15:00:00Z\n"]]);
}

#[test]
fn a_span_is_its_multiples_since_1970() {
    check("@every 250ms", "UTC", 2, expect![["2026-01-01T00:00:00.25Z\n2026-01-01T00:00:00.5Z\n"]]);
    let spec = Spec::parse("@every 7s").unwrap();
    let at = utc("2026-01-01T00:00:00Z");
    let next = spec.after(at).unwrap();
    assert_eq!(next.0 % 7_000_000_000, 0);
    assert_eq!(spec.before(next), Some(Utc(next.0 - 7_000_000_000)));
    assert_eq!(spec.count(at, at + DAY, u64::MAX), 12_342);
    assert_eq!(spec.count(at + DAY, at, u64::MAX), 0);
    assert_eq!(spec.after(Utc::MAX), None);
    assert_eq!(spec.before(Utc::MIN), None);
}

#[test]
fn what_is_due_at_certain_hours_is_due_once_a_day() {
    let in_march = |text: &str| {
        let spec = Spec::parse(text).unwrap().in_zone("Europe/Berlin").unwrap();
        spec.count(utc("2026-03-28T23:00:00Z"), utc("2026-03-29T22:00:00Z"), 100)
    };
    assert_eq!((in_march("30 2 * * *"), in_march("30 * * * *")), (1, 23));
    let in_october = |text: &str| {
        let spec = Spec::parse(text).unwrap().in_zone("Europe/Berlin").unwrap();
        spec.count(utc("2026-10-24T22:00:00Z"), utc("2026-10-25T23:00:00Z"), 100)
    };
    assert_eq!((in_october("30 2 * * *"), in_october("30 * * * *")), (1, 25));
}

#[test]
fn a_day_that_a_zone_left_out() {
    let spec = Spec::parse("0 12 * * *").unwrap().in_zone("Pacific/Apia").unwrap();
    let skip = Dst { gap: Gap::Skip, fold: Fold::First };
    let due = |spec: &Spec| {
        let mapped = spec.mapped(utc("2011-12-29T12:00:00Z"));
        mapped
            .take(3)
            .map(|mapped| format!("{} {:?}", mapped.civil, mapped.outcome))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        due(&spec),
        [
            "2011-12-29T12:00:00 Due(Utc(1325196000000000000))",
            "2011-12-30T12:00:00 Shifted(Utc(1325282400000000000))",
            "2011-12-31T12:00:00 Due(Utc(1325282400000000000))",
        ]
    );
    assert_eq!(due(&spec.dst(skip))[1], "2011-12-30T12:00:00 Skipped");
}

#[test]
fn what_was_shifted_is_told_until_it_is_due() {
    let spec = Spec::parse("30 2 * * *").unwrap().in_zone("Europe/Berlin").unwrap();
    // 03:10 on the clock of the wall, 20 minutes before it is due.
    let mapped = spec.mapped(utc("2026-03-29T01:10:00Z")).next().unwrap();
    assert_eq!(mapped.civil, "2026-03-29T02:30:00");
    assert_eq!(mapped.outcome, Outcome::Shifted(utc("2026-03-29T01:30:00Z")));
}

#[test]
fn one_pattern_for_all_of_one_text() {
    let cron = |spec: &Spec| match &spec.kind {
        Kind::Cron { cron, .. } => Arc::as_ptr(cron),
        Kind::Every { .. } => std::ptr::null(),
    };
    let one = Spec::parse("17 3 * * 2").unwrap();
    let other = Spec::parse("17 3 * * 2").unwrap().in_zone("Asia/Tokyo").unwrap();
    assert_eq!(cron(&one), cron(&other));
    assert!(size_of::<Spec>() <= 32);
}

#[test]
fn a_pattern_without_instants_has_no_next() {
    let never = Spec::parse("0 0 30 2 *").unwrap();
    assert_eq!(never.after(utc("2026-01-01T00:00:00Z")), None);
    assert_eq!(never.before(utc("2026-01-01T00:00:00Z")), None);
    let past = Spec::parse("0 0 0 1 1 * 2020").unwrap().in_zone("Europe/Berlin").unwrap();
    assert_eq!(past.after(utc("2026-01-01T00:00:00Z")), None);
    assert_eq!(past.before(utc("2026-01-01T00:00:00Z")), Some(utc("2019-12-31T23:00:00Z")));
}

#[test]
fn what_cannot_be_read_says_which_field() {
    refused("", expect![["'': a pattern has 5, 6 or 7 fields, and this has 0"]]);
    refused("* * * *", expect![["'* * * *': a pattern has 5, 6 or 7 fields, and this has 4"]]);
    refused("0 25 * * *", expect!["'0 25 * * *': field 2 (hour) '25': Number out of bounds"]);
    refused(
        "0 0 * * MOON",
        expect![
            "'0 0 * * MOON': field 5 (day of week) 'MOON': CronPattern contains illegal character 'M' in part 'MOON'"
        ],
    );
    refused("1,,2 * * * *", expect![["'1,,2 * * * *': the list '1,,2' has an empty part"]]);
    refused(
        "@sometimes",
        expect![
            "'@sometimes': there is @yearly, @monthly, @weekly, @daily, @hourly, @never and @every SPAN"
        ],
    );
    refused("@every", expect![["'@every': a span is missing, such as 250ms or 1h30m"]]);
    refused("@every 0s", expect![["'@every 0s': '0s' is shorter than 1ms"]]);
    refused(
        "@every 300000d",
        expect![
            "'@every 300000d': '300000d' is no span: a span is numbers with ns, us, ms, s, m, h or d"
        ],
    );
    refused(
        "é é é é é",
        expect![
            "'é é é é é': field 1 (minute) 'é': CronPattern contains illegal character 'É' in part 'É'"
        ],
    );
    let zone = Spec::parse("0 0 * * *").unwrap().in_zone("Mars/Olympus").unwrap_err();
    assert!(zone.to_string().starts_with("there is no time zone 'Mars/Olympus': "));
}

#[test]
fn a_schedule_reads_as_it_was_written() {
    let spec = Spec::parse(" */5 * * * * ").unwrap();
    assert_eq!(spec.to_string(), "*/5 * * * *");
    assert_eq!(spec.in_zone("Asia/Tokyo").unwrap().to_string(), "*/5 * * * * Asia/Tokyo");
    assert_eq!(Spec::parse("@every 1500ms").unwrap().to_string(), "@every 1.5s");
    assert_eq!(Spec::parse("@never").unwrap().to_string(), "@never");
}

#[test]
fn never_has_no_instant() {
    let never = Spec::parse("@never").unwrap();
    assert!(never.is_never() && !Spec::parse("@every 1s").unwrap().is_never());
    assert_eq!((never.after(Utc::MIN), never.before(Utc::MAX)), (None, None));
    assert_eq!((never.count(Utc::MIN, Utc::MAX, 10), never.mapped(Utc(0)).count()), (0, 0));
}
