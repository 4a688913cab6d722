use expect_test::{Expect, expect};

use crate::fixture::tiles;

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(&format!(
        "window 0..1000
         cgroup 8 /a
         cgroup 9 /a/b
         cgroup 7 /other
         10 cpu0 task victim cgroup=9
         {text}"
    )));
}

#[test]
fn throttled_to_the_refill_then_queued() {
    check(
        "80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=60 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn which_of_several_refills_let_it_go_nobody_knows() {
    check(
        "50 cpu1 refill 9
         60 cpu1 refill 8
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=30 unknown@0=20 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn what_may_have_been_a_refill_before_the_first_ends_what_is_certain() {
    check(
        "40 cpu1 refill 99
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=20 unknown@0=30 foreign:hog@0=30
        "#]],
    );
    check(
        "30 cpu1 slice a 10
         lost cpu1 1
         40 cpu1 slice b 35
         70 cpu0 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=10 unknown@0=40 foreign:hog@0=30
            missing 1
        "#]],
    );
}

#[test]
fn a_refill_above_counts_and_one_elsewhere_does_not() {
    check(
        "50 cpu1 refill 8
         80 cpu1 refill 7
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=30 foreign:hog@0=50
        "#]],
    );
}

#[test]
fn without_paths_the_same_cgroup_counts() {
    check(
        "50 cpu1 refill 99
         80 cpu1 refill 98
         90 cpu0 task victim cgroup=99
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=30 unknown@0=30 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn refills_outside_the_wait_do_not_count() {
    check(
        "10 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled
         110 cpu1 refill 9",
        expect![[r#"
            victim 80: unknown@0=80
            throttled_without_refill 1
        "#]],
    );
}

#[test]
fn a_refill_at_either_end() {
    check(
        "20 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: foreign:hog@0=80
        "#]],
    );
    check(
        "100 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=80
        "#]],
    );
}

#[test]
fn interrupts_come_first_and_tasks_after() {
    check(
        "40 cpu0 irq 24 since 30
         80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=10 irq:irq 24@0=10 throttled@0=40 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn woken_into_a_throttled_cgroup() {
    check(
        "80 cpu1 refill 9
         100 cpu0 wait victim 20..30 idle 10 throttled",
        expect![[r#"
            victim 80: throttled=10 throttled@0=50 idle_exit@0=20
        "#]],
    );
}

#[test]
fn the_cpu_need_not_tell_who_ran_meanwhile() {
    check(
        "80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 70 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=60 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn idle_when_quota_returns_is_leaving_idle() {
    check(
        "60 cpu0 slice hog 10
         80 cpu1 refill 9
         100 cpu0 wait victim 20..20 idle 60 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=60 idle_exit@0=20
        "#]],
    );
}

#[test]
fn an_unknown_cgroup_takes_any_refill() {
    check(
        "90 cpu0 task victim cgroup=0
         80 cpu1 refill 7
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=60 foreign:hog@0=20
            throttled_in_no_cgroup 1
        "#]],
    );
}

#[test]
fn a_victim_that_nobody_told_of_takes_none() {
    check(
        "80 cpu1 refill 9
         100 cpu0 wait ?victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            tid 3 80: unknown@0=80
            throttled_without_refill 1
        "#]],
    );
}

#[test]
fn what_any_cpu_lost_may_have_been_a_refill() {
    check(
        "50 cpu0 refill 9
         60 cpu1 slice a 10
         lost cpu1 1
         70 cpu1 slice b 65
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=30 unknown@0=20 foreign:hog@0=30
            missing 1
        "#]],
    );
}

#[test]
fn out_of_doubt_nobody_knows_which_idle_slice_is_the_first() {
    check(
        "40 cpu0 slice hog 10
         50 cpu1 refill 9
         60 cpu1 slice a 10
         lost cpu1 1
         70 cpu1 slice b 65
         100 cpu0 wait victim 20..20 idle 40 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=30 unknown@0=50
            missing 1
        "#]],
    );
}

#[test]
fn a_refill_of_no_cgroup() {
    check(
        "50 cpu1 refill 0",
        expect![[r#"
        refill_of_no_cgroup 1
    "#]],
    );
}

#[test]
fn whether_a_refill_let_go_who_still_waits_is_not_known() {
    let capture = crate::fixture::capture(
        "cgroup 9 /a
         10 cpu0 task victim cgroup=9
         500 cpu1 refill 9
         1010 cpu0 open victim 20..20 preempted throttled
         end cpu0 hog 10",
    );
    let waits = crate::tiles(&capture, &crate::Options::default());
    let said: Vec<_> = waits[0].tiles.iter().map(|t| (t.class.name(), t.to_ns)).collect();
    assert_eq!(said, [("throttled", 500), ("unknown", 1_000)]);
}
