use expect_test::{Expect, expect};

use crate::fixture::tiles;

/// A clock of 10 ns.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(&format!("hz 100000000\n {text}")));
}

/// A gap of 100 ns, of which 90 are missing; the wait covers it.
const GAP: &str = "
    105 cpu0 sample hog
    205 cpu0 sample hog
    300 cpu0 wait victim 100..100 hog 10 preempted";

#[test]
fn where_clock_and_count_agree() {
    check(
        &format!("steal cpu0 0..1000 200 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=15 steal@0=90 foreign:hog@0=95
    "#]],
    );
}

#[test]
fn never_more_than_the_count() {
    check(
        &format!("steal cpu0 0..1000 60 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=45 steal@0=60 foreign:hog@0=95
    "#]],
    );
    check(
        &format!("steal cpu0 0..1000 44 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=200
    "#]],
    );
}

#[test]
fn a_count_of_another_time_or_cpu_is_of_no_account() {
    check(
        &format!("steal cpu0 205..1000 200 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=200
    "#]],
    );
    check(
        &format!("steal cpu1 0..1000 200 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=200
    "#]],
    );
    check(
        &format!("steal cpu0 150..1000 200 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=50 steal@0=55 foreign:hog@0=95
    "#]],
    );
}

#[test]
fn counts_add_up() {
    check(
        &format!("steal cpu0 0..150 40\n steal cpu0 150..1000 40 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=25 steal@0=80 foreign:hog@0=95
    "#]],
    );
}

#[test]
fn a_count_is_given_out_once() {
    check(
        "steal cpu0 0..1000 60
         105 cpu0 sample hog
         155 cpu0 sample hog
         205 cpu0 sample hog
         300 cpu0 wait victim 100..100 hog 10 preempted",
        expect![[r#"
            victim 200: foreign:hog@0=15 steal@0=40 foreign:hog@0=30 steal@0=20 foreign:hog@0=95
        "#]],
    );
}

#[test]
fn a_clock_that_ticks_in_time_is_none() {
    check(
        "steal cpu0 0..1000 200
         105 cpu0 sample hog
         130 cpu0 sample hog
         300 cpu0 wait victim 100..100 hog 10 preempted",
        expect![[r#"
            victim 200: foreign:hog@0=200
        "#]],
    );
}

#[test]
fn without_a_clock_or_a_count_nothing_is_claimed() {
    check(
        GAP,
        expect![[r#"
        victim 200: foreign:hog@0=200
    "#]],
    );
    check(
        &format!("hz 0\n steal cpu0 0..1000 200 {GAP}"),
        expect![[r#"
        victim 200: foreign:hog@0=200
    "#]],
    );
}

#[test]
fn nobody_waited_for_a_part_of_it() {
    check(
        "steal cpu0 0..1000 200
         105 cpu0 sample hog
         205 cpu0 sample hog
         150 cpu0 wait early 100..100 hog 10 preempted
         300 cpu0 wait victim 160..160 hog 150 preempted",
        expect![[r#"
            victim 140: foreign:hog@0=140
            early 50: foreign:hog@0=50
        "#]],
    );
}

#[test]
fn two_may_wait_in_turn() {
    check(
        "steal cpu0 0..1000 200
         105 cpu0 sample hog
         170 cpu0 wait early 100..100 hog 10 preempted
         205 cpu0 sample hog
         300 cpu0 wait victim 160..160 hog 170 preempted",
        expect![[r#"
            victim 140: steal@0=45 foreign:hog@0=95
            early 70: foreign:hog@0=15 steal@0=55
        "#]],
    );
}

#[test]
fn idle_has_no_clock() {
    check(
        "steal cpu0 0..1000 200
         105 cpu0 sample hog
         120 cpu0 slice hog 10
         180 cpu0 slice idle 120
         205 cpu0 sample hog
         300 cpu0 wait victim 100..100 hog 180 preempted",
        expect![[r#"
            victim 200: foreign:hog@0=20 idle@0=60 foreign:hog@0=120
        "#]],
    );
}

#[test]
fn a_gap_in_doubt_is_unknown() {
    check(
        "steal cpu0 0..1000 200
         105 cpu0 sample hog
         120 cpu0 slice hog 10
         lost cpu0 1
         180 cpu0 slice hog 120
         205 cpu0 sample hog
         300 cpu0 wait victim 100..100 hog 180 preempted",
        expect![[r#"
            victim 200: foreign:hog@0=5 unknown@0=100 foreign:hog@0=95
            missing 1
        "#]],
    );
}

#[test]
fn stolen_time_is_no_interrupts() {
    check(
        &format!("steal cpu0 0..1000 200\n 210 cpu0 vector 236 since 190 {GAP}"),
        expect![[r#"
            victim 200: foreign:hog@0=15 steal@0=90 irq:local_timer@0=5 foreign:hog@0=90
        "#]],
    );
}
