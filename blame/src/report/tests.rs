use std::fmt::Write as _;

use cronx_recording::Report;

use crate::fixture::capture;
use crate::{Options, analyse};

/// 1,000 waits of 1 to 1,000 ns, the longer half on `hog`, the rest on `mild`.
fn thousand(objective_ns: Option<u64>) -> Report {
    let mut text = String::from("window 0..100000000\n");
    for n in 1..=1_000_u64 {
        let (at, who) = (n * 10_000, if n > 500 { "hog" } else { "mild" });
        let (open, since) = (at - n, at - 9_000);
        writeln!(text, "{at} cpu0 wait victim {open}..{open} {who} {since} preempted").unwrap();
    }
    analyse(&capture(&text), &Options { objective_ns, ..Options::default() })
}

#[test]
fn the_tail_is_what_is_at_or_above_p99() {
    let tail = thousand(None).tail.unwrap();
    assert_eq!((tail.threshold_ns, tail.waits), (990, 11));
    assert_eq!(tail.waited_ns, (990..=1_000).sum::<u64>());
    assert_eq!(tail.culprits.len(), 1);
    assert_eq!(tail.culprits[0].culprit.name.raw(), "hog");
    assert_eq!((tail.blame[0].waited_ns, tail.culprits[0].waited_ns), (10_945, 10_945));
}

#[test]
fn the_tail_above_an_objective() {
    let report = thousand(Some(995));
    let tail = report.tail.unwrap();
    assert_eq!((tail.threshold_ns, tail.waits), (996, 5));
    assert_eq!((report.misses, report.objective_ns), (Some(5), Some(995)));
    let none = thousand(Some(1_000));
    assert_eq!((none.tail.unwrap().waits, none.misses), (0, Some(0)));
}

#[test]
fn few_waits_have_no_tail() {
    let few = analyse(&capture("100 cpu0 wait v 60..70 hog 40"), &Options::default());
    assert!(few.tail.is_none() && few.misses.is_none());
}

#[test]
fn the_report_survives_its_json() {
    let report = thousand(Some(10));
    let mut json = Vec::new();
    report.write(&mut json).unwrap();
    assert_eq!(Report::read(json.as_slice()).unwrap(), report);
}
