use std::sync::Arc;

use std::time::Duration;

use cronx_scheduler::breaker::Share;
use expect_test::{Expect, expect};

use super::*;
use crate::Jobs;

const GOOD: &str = "[job.a]\nschedule = '@every 5s'\ncommand = ['true']\n";

/// A job whose breaker has these keys, in the fourth line.
fn with(keys: &str) -> String {
    format!("{GOOD}breaker = {{ {keys} }}\n")
}

fn rules(keys: &str) -> Rules {
    let jobs = Jobs::parse(&with(keys)).unwrap();
    jobs.plans["a"].breaker.as_ref().unwrap().rules
}

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&Jobs::parse(text).unwrap_err().to_string());
}

#[test]
fn a_preset_is_what_it_is_without_more() {
    assert_eq!(rules(""), Rules::default());
    assert_eq!(rules("preset = 'paper-ch1'"), Rules::PAPER_CH1);
    assert_eq!(rules("preset = 'paper-ch3'"), Rules::PAPER_CH3);
    let shadow = Rules { shadow: true, ..Rules::PAPER_CH3 };
    assert_eq!(rules("preset = 'paper-ch3', shadow = true"), shadow);
}

#[test]
fn what_is_otherwise() {
    let all = rules(
        "consecutive = 0, window = { time = '1m' }, minimum = 3, failures = { share = '12.5%' }, \
         slow = { after = '2s', is = { share = '30%' } }, wait = { first = '1s', most = '9s' }, \
         probes = { successes = 2, most = 4, at-once = 1, timeout = '3s', within = '8s' }",
    );
    let second = Duration::from_secs(1);
    let expected = Rules {
        consecutive: None,
        window: Window::Time(60 * second),
        minimum: 3,
        failures: Some(Limit::Fixed(Share::from_ratio(0.125))),
        slow: Some(Slow { after: 2 * second, is: SlowIs::Counted(Share::percent(30)) }),
        wait: Wait { first: second, most: 9 * second },
        probes: Probes {
            successes: 2,
            most: 4,
            at_once: 1,
            timeout: 3 * second,
            within: 8 * second,
        },
        shadow: false,
    };
    assert_eq!(all, expected);
    let adaptive = rules("failures = { adaptive = { floor = '1%', half-life = 20 } }").failures;
    let floor = Share::percent(1);
    let expected = Adaptive { floor, half_life: 20, ..Adaptive::default() };
    assert_eq!(adaptive, Some(Limit::Adaptive(expected)));
    assert_eq!(rules("failures = 'never'").failures, None);
    let query = "http://127.0.0.1:9090/api/v1/query?query=errors";
    let fed = rules(&format!(
        "failures = {{ adaptive = {{ feed = {{ query = '{query}', stale = '2m' }} }} }}"
    ));
    let feed = Some(Feed { stale: 120 * second, ..Feed::default() });
    assert_eq!(fed.failures, Some(Limit::Adaptive(Adaptive { feed, ..Adaptive::default() })));
}

#[test]
fn what_is_given_fits_what_is_not() {
    assert_eq!(rules("window = { calls = 5 }").minimum, 5);
    assert_eq!(rules("wait = { first = '1h' }").wait.most, Duration::from_hours(1));
    assert_eq!(rules("probes = { successes = 3 }").probes.most, 3);
}

#[test]
fn rules_that_cannot_be() {
    refused(
        &with("consecutive = 0, failures = 'never'"),
        expect![
            "line 4, [job.a] breaker: of this breaker, the number of rules that can open it is 0, and must be at least 1"
        ],
    );
    refused(
        &with("window = { calls = 0 }"),
        expect![
            "line 4, [job.a] breaker: of this breaker, the window's calls is 0, and must be 1 to 1024"
        ],
    );
    refused(
        &with("failures = { share = '150%' }"),
        expect![[r#"line 4, [job.a] breaker: '150%' is no share: a share is "0%" to "100%""#]],
    );
    refused(
        &with("preset = 'paper'"),
        expect![
            "line 4, [job.a] breaker: unknown variant `paper`, expected `paper-ch1` or `paper-ch3`"
        ],
    );
    refused(
        &with("failures = { adaptive = { feed = { query = 'prometheus' } } }"),
        expect![
            "line 4, [job.a] breaker: 'prometheus' is no http://HOST:PORT/api/v1/query?query=..."
        ],
    );
    refused(
        &with("opens = 3"),
        expect![
            "line 4, [job.a] breaker: unknown field `opens`, expected one of `preset`, `consecutive`, `window`, `minimum`, `failures`, `slow`, `wait`, `probes`, `shadow`, `on-open`"
        ],
    );
}

#[test]
fn names_that_name_nothing() {
    refused(
        &format!("{GOOD}depends-on = ['ledger']\n"),
        expect!["line 4, [job.a] depends-on: there is no [breaker.ledger]"],
    );
    refused(
        &format!("{GOOD}[breaker.'job:a']\n"),
        expect![
            "line 4, [breaker.'job:a']: a breaker's name has 1 to 128 bytes, and does not begin with 'job:'"
        ],
    );
    refused(
        &with("on-open = 'heal'"),
        expect!["line 4, [job.a] breaker: there is no [job.heal] to start"],
    );
}

#[test]
fn a_remedy_is_behind_a_breaker_that_starts_none() {
    let heal = "[job.heal]\nschedule = '@never'\ncommand = ['true']\n";
    refused(
        &(with("on-open = 'heal'") + heal),
        expect![
            "line 4, [job.a] breaker: a job that heals has a breaker of its own, and 'heal' has none"
        ],
    );
    let circle = format!("{heal}breaker = {{ on-open = 'a' }}\n");
    refused(
        &(with("on-open = 'heal'") + &circle),
        expect!["line 4, [job.a] breaker: 'heal' heals, and what it is behind starts another job"],
    );
    let good = with("on-open = 'heal'") + heal + "breaker = {}\n";
    let jobs = Jobs::parse(&good).unwrap();
    let breaker = jobs.plans["a"].breaker.as_ref().unwrap();
    assert_eq!(breaker.on_open.as_deref(), Some("heal"));
}

#[test]
fn a_dependency_is_shared_by_name() {
    let text = format!("{GOOD}depends-on = ['ledger']\n[breaker.ledger]\npreset = 'paper-ch1'\n");
    let jobs = Jobs::parse(&text).unwrap();
    assert_eq!(jobs.breakers["ledger"].rules, Rules::PAPER_CH1);
    let names: Vec<_> = jobs.plans["a"].breakers("a").collect();
    assert_eq!(names, [Arc::<str>::from("ledger")]);
    assert_ne!(jobs.plans["a"], Jobs::parse(GOOD).unwrap().plans["a"]);
}
