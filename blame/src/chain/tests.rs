use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::fixture::capture;
use crate::{Options, analyse};

/// The chain of the wait of the thread called `a`, which is filtered for.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    let options = Options { thread: Some("a".to_owned()), ..Options::default() };
    let report = analyse(&capture(text), &options);
    let mut out = String::new();
    for link in &report.worst[0].chain {
        let who = [link.class.name(), link.culprit.name.raw()].join(" ");
        let (thread, waited_ns) = (link.thread.raw(), link.waited_ns);
        writeln!(out, "{thread} {waited_ns}: {who} {} then {}", link.owed_ns, link.ran_ns).unwrap();
    }
    expected.assert_eq(&out);
}

#[test]
fn a_waits_on_b_who_waited_behind_c() {
    check(
        "60 cpu0 wait b 20..20 hog 10 preempted
         100 cpu1 wait a 70..70 other 10 by=b",
        expect![[r#"
            b 40: foreign hog 40 then 10
        "#]],
    );
}

#[test]
fn to_the_root() {
    check(
        "60 cpu0 wait c 20..20 hog 10 preempted
         80 cpu0 wait b 70..70 c 60 by=c
         100 cpu1 wait a 90..90 other 10 by=b",
        expect![[r#"
            b 10: foreign c 10 then 10
            c 40: foreign hog 40 then 10
        "#]],
    );
}

#[test]
fn the_longest_part_is_named() {
    check(
        "30 cpu0 slice hog 10
         60 cpu0 wait b 20..20 rival 30 preempted
         100 cpu1 wait a 70..70 other 10 by=b",
        expect![[r#"
            b 40: foreign rival 30 then 10
        "#]],
    );
}

#[test]
fn an_interrupt_is_the_end_of_it() {
    check(
        "60 cpu0 wait b 20..20 hog 10 preempted
         100 cpu1 wait a 70..70 other 10 by=b irq=vector:236",
        expect![[r#""#]],
    );
}

#[test]
fn a_waker_that_did_not_wait() {
    check("100 cpu1 wait a 70..70 other 10 by=b", expect![[r#""#]]);
    check("100 cpu1 wait a 70..70 other 10 preempted", expect![[r#""#]]);
}

#[test]
fn only_its_last_wait_before() {
    check(
        "30 cpu0 wait b 20..20 hog 10 preempted
         60 cpu0 wait b 58..58 hog 40 preempted
         90 cpu0 wait b 80..80 hog 70 preempted
         100 cpu1 wait a 70..70 other 10 by=b",
        expect![[r#"
            b 2: foreign hog 2 then 10
        "#]],
    );
}

#[test]
fn a_run_that_was_broken_is_no_link() {
    check(
        "60 cpu0 wait b 20..20 hog 10 preempted
         65 cpu0 unopened b
         100 cpu1 wait a 70..70 other 10 by=b",
        expect![[r#""#]],
    );
    check(
        "60 cpu0 wait b 20..20 hog 10 preempted
         65 cpu0 slice b 60
         100 cpu1 wait a 70..70 other 10 by=b",
        expect![[r#""#]],
    );
}

#[test]
fn a_record_may_be_lost_from_between() {
    check(
        "60 cpu0 wait b 20..20 hog 10 preempted
         lost cpu0 1
         68 cpu0 slice b 60
         100 cpu1 wait a 70..70 other 10 by=b",
        expect![[r#""#]],
    );
}

#[test]
fn short_waits_without_records_want_a_slice_as_proof() {
    let scene = "floor 5
         60 cpu0 wait b 20..20 hog 10 preempted
         100 cpu1 wait a 70..70 other 10 by=b";
    check(scene, expect![[r#""#]]);
    check(
        &format!("{scene}\n 90 cpu0 slice b 60"),
        expect![[r#"
        b 40: foreign hog 40 then 10
    "#]],
    );
}

#[test]
fn a_chain_has_an_end() {
    let mut text = String::from("window 0..100000\n");
    for n in 0..20_u64 {
        let (open, at, by) = (n * 100 + 50, n * 100 + 100, n.saturating_sub(1));
        writeln!(text, "{at} cpu0 wait t{n} {open}..{open} hog {} by=t{by}", at - 90).unwrap();
    }
    text += "2100 cpu1 wait a 2050..2050 other 10 by=t19";
    let options = Options { thread: Some("a".to_owned()), ..Options::default() };
    assert_eq!(analyse(&capture(&text), &options).worst[0].chain.len(), 8);
}
