use std::fmt::Write as _;

use crate::fixture::report;

#[test]
fn the_largest_come_first_and_the_rest_is_one_row() {
    let mut text = String::from("window 0..100000000\n");
    for n in 1..=300_u64 {
        let at = n * 1_000;
        writeln!(
            text,
            "{at} cpu0 wait victim {open}..{open} hog{n} {since} preempted",
            open = at - n,
            since = at - 900
        )
        .unwrap();
    }
    let report = report(&text);
    assert_eq!(report.culprits.len(), 257);
    assert_eq!(report.culprits[0].culprit.name.raw(), "hog300");
    assert_eq!(report.culprits[256].culprit.name.raw(), "(other)");
    // The 44 shortest: 1 + 2 + .. + 44.
    assert_eq!(report.culprits[256].waited_ns, 990);
    let sum: u64 = report.culprits.iter().map(|c| c.waited_ns).sum();
    assert_eq!((report.waited_ns, sum), (300 * 301 / 2, 300 * 301 / 2));
    assert_eq!(report.blame.len(), 1);
}

#[test]
fn a_culprits_tid_used_again_is_another_culprit() {
    let report = report(
        "100 cpu0 wait victim 60..60 old~9 40 preempted
         200 cpu0 wait victim 150..150 new~9 140 preempted",
    );
    let culprits = report.culprits.iter();
    let named: Vec<_> = culprits.map(|c| (c.culprit.name.raw(), c.culprit.tid)).collect();
    assert_eq!(named, [("new", 9), ("old", 9)]);
}
