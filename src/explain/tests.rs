use clap::Parser;
use expect_test::{Expect, expect};

use super::*;

fn explained(words: &str) -> Explained {
    parsed(words).unwrap()
}

fn parsed(words: &str) -> Result<Explained> {
    let words = ["cronx", "explain"].into_iter().chain(words.split_whitespace());
    let cli::Cli { verb: Some(cli::Verb::Explain(args)), .. } = cli::Cli::parse_from(words) else {
        panic!("it is another verb");
    };
    Explained::new(&args)
}

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(words: &str, expected: Expect) {
    expected.assert_eq(&explained(words).as_text());
}

#[test]
fn a_leap_forward() {
    check(
        "--tz Europe/Berlin --from 2026-03-27T12:00:00Z --count 3 30 2 * * *",
        expect![[r#"
        30 2 * * * in Europe/Berlin

        2026-03-28T02:30:00 +01          2026-03-28T01:30:00Z
        2026-03-29T03:30:00 +02          2026-03-29T01:30:00Z
        2026-03-30T02:30:00 +02          2026-03-30T00:30:00Z

        not as the others (--gap shift, --fold first)
        2026-03-29T02:30:00              shifted to 2026-03-29T03:30:00 +02: the clock leaps over it
        2026-10-25T02:30:00              comes twice: due the first time, 2026-10-25T00:30:00Z
        2027-03-28T02:30:00              shifted to 2027-03-28T03:30:00 +02: the clock leaps over it
    "#]],
    );
    check(
        "--tz Europe/Berlin --from 2026-03-27T12:00:00Z --count 3 --gap skip 30 2 * * *",
        expect![[r#"
            30 2 * * * in Europe/Berlin

            2026-03-28T02:30:00 +01          2026-03-28T01:30:00Z
            2026-03-30T02:30:00 +02          2026-03-30T00:30:00Z
            2026-03-31T02:30:00 +02          2026-03-31T00:30:00Z

            not as the others (--gap skip, --fold first)
            2026-03-29T02:30:00              skipped: the clock leaps over it
            2026-10-25T02:30:00              comes twice: due the first time, 2026-10-25T00:30:00Z
            2027-03-28T02:30:00              skipped: the clock leaps over it
        "#]],
    );
}

#[test]
fn an_hour_twice() {
    check(
        "--tz America/New_York --from 2026-11-01T05:00:00Z --count 4 --fold last */30 * * * *",
        expect![[r#"
            */30 * * * * in America/New_York

            2026-11-01T01:00:00 -05          2026-11-01T06:00:00Z
            2026-11-01T01:30:00 -05          2026-11-01T06:30:00Z
            2026-11-01T02:00:00 -05          2026-11-01T07:00:00Z
            2026-11-01T02:30:00 -05          2026-11-01T07:30:00Z

            not as the others (--gap skip, --fold last)
            2026-11-01T01:00:00              comes twice: due the second time, 2026-11-01T06:00:00Z
            2026-11-01T01:30:00              comes twice: due the second time, 2026-11-01T06:30:00Z
            2027-03-14T02:00:00              skipped: the clock leaps over it
            2027-03-14T02:30:00              skipped: the clock leaps over it
        "#]],
    );
}

#[test]
fn a_span_knows_no_zone() {
    check(
        "--tz Asia/Tokyo --from 2026-11-01T05:00:00.1Z --count 2 @every 250ms",
        expect![[r#"
        @every 250ms in Asia/Tokyo

        2026-11-01T14:00:00.25 +09       2026-11-01T05:00:00.25Z
        2026-11-01T14:00:00.5 +09        2026-11-01T05:00:00.5Z
    "#]],
    );
}

#[test]
fn a_program_reads_the_same() {
    let json =
        explained("--tz Europe/Berlin --from 2026-10-24T12:00:00Z --count 2 30 2 * * *").as_json();
    assert_eq!(json["schema"], "cronx.explain/1");
    assert_eq!(json["firings"][0], "2026-10-25T00:30:00Z");
    assert_eq!(json["exceptions"][0]["outcome"], "first");
    assert_eq!(json["exceptions"][0]["civil"], "2026-10-25T02:30:00");
}

#[test]
fn what_cannot_be_used_is_said_in_one_line() {
    let refused = |words: &str| format!("{:#}", parsed(words).err().unwrap());
    assert_eq!(refused("0 25 * * *"), "'0 25 * * *': field 2 (hour) '25': Number out of bounds");
    assert_eq!(
        refused("0 0 30 2 * --from 2026-01-01T00:00:00Z"),
        "'0 0 30 2 *' never fires after 2026-01-01T00:00:00Z"
    );
    let zone = refused("@daily --tz Mars/Olympus");
    assert!(zone.starts_with("there is no time zone 'Mars/Olympus': ") && !zone.contains('\n'));
}
