use expect_test::{Expect, expect};

use crate::fixture::tiles;

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(text));
}

#[test]
fn placement_then_the_slice_beneath() {
    check(
        "100 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn a_wait_over_several_slices() {
    check(
        "50 cpu0 slice a 10
         80 cpu0 slice b 50
         100 cpu0 wait victim 20..20 a 80 preempted",
        expect![[r#"
            victim 80: foreign:a@0=30 foreign:b@0=30 foreign:a@0=20
        "#]],
    );
}

#[test]
fn adjacent_slices_of_one_task_are_one_tile() {
    check(
        "50 cpu0 slice a 10
         100 cpu0 wait victim 20..20 a 50 preempted",
        expect![[r#"
            victim 80: foreign:a@0=80
        "#]],
    );
}

#[test]
fn idle_has_no_culprit() {
    check(
        "100 cpu0 wait victim 60..70 idle 40",
        expect![[r#"
            victim 40: idle_exit@0=40
        "#]],
    );
}

#[test]
fn uncovered_time_is_unknown() {
    check(
        "50 cpu0 slice a 30
         100 cpu0 wait victim 20..20 b 60 fork",
        expect![[r#"
            victim 80: unknown@0=10 foreign:a@0=20 unknown@0=10 foreign:b@0=40
        "#]],
    );
}

#[test]
fn a_slice_without_a_beginning_is_no_evidence() {
    check(
        "100 cpu0 wait victim 60..70 hog 0",
        expect![[r#"
        victim 40: placement=10 unknown@0=30
    "#]],
    );
}

#[test]
fn interrupts_come_out_of_the_slice_beneath() {
    check(
        "60 cpu0 irq 24 since 50
         80 cpu0 vector 236 since 70
         95 cpu0 softirq 3 since 85
         100 cpu0 wait victim 40..40 hog 10",
        expect![[r#"
            victim 60: foreign:hog@0=10 irq:irq 24@0=10 foreign:hog@0=10 irq:local_timer@0=10 foreign:hog@0=5 softirq:NET_RX@0=10 foreign:hog@0=5
        "#]],
    );
}

#[test]
fn hard_inside_soft_wins() {
    check(
        "70 cpu0 vector 253 since 60
         90 cpu0 softirq 3 since 50
         100 cpu0 wait victim 40..40 hog 10",
        expect![[r#"
            victim 60: foreign:hog@0=10 softirq:NET_RX@0=10 irq:reschedule@0=10 softirq:NET_RX@0=20 foreign:hog@0=10
        "#]],
    );
}

#[test]
fn an_interrupt_is_evidence_of_itself_where_the_slice_is_not_known() {
    check(
        "60 cpu0 irq 24 since 50
         100 cpu0 wait victim 40..40 hog 80",
        expect![[r#"
            victim 60: unknown@0=10 irq:irq 24@0=10 unknown@0=20 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn interrupts_are_clipped_to_the_wait() {
    check(
        "60 cpu0 irq 24 since 30
         100 cpu0 wait victim 40..40 hog 10",
        expect![[r#"
            victim 60: irq:irq 24@0=20 foreign:hog@0=40
        "#]],
    );
}

#[test]
fn the_queue_part_follows_the_moves() {
    check(
        "50 cpu0 move victim 0>1
         70 cpu1 move victim 1>2
         80 cpu0 slice a 10
         80 cpu1 slice b 10
         100 cpu2 wait victim 30..40 c 10 first=0 moves=2",
        expect![[r#"
            victim 70: placement=10 foreign:a@0=10 foreign:b@1=20 foreign:c@2=30
        "#]],
    );
}

#[test]
fn fewer_moves_than_counted() {
    check(
        "50 cpu0 move victim 0>2
         80 cpu0 slice a 10
         100 cpu2 wait victim 30..40 c 10 first=0 moves=2",
        expect![[r#"
            victim 70: placement=10 unknown=60
            moves_missing 1
        "#]],
    );
}

#[test]
fn moves_that_do_not_connect() {
    check(
        "50 cpu0 move victim 0>1
         70 cpu1 move victim 3>2
         100 cpu2 wait victim 30..40 c 10 first=0 moves=2",
        expect![[r#"
            victim 70: placement=10 unknown=60
            moves_missing 1
        "#]],
    );
}

#[test]
fn no_move_but_another_queue() {
    check(
        "100 cpu2 wait victim 30..40 c 10 first=0",
        expect![[r#"
        victim 70: placement=10 unknown=60
        moves_missing 1
    "#]],
    );
}

#[test]
fn a_move_that_nobody_counted() {
    check(
        "50 cpu0 move victim 0>0
         100 cpu0 wait victim 30..40 c 10",
        expect![[r#"
            victim 70: placement=10 unknown=60
            moves_missing 1
        "#]],
    );
}

#[test]
fn a_queue_whose_cpu_told_nothing() {
    check(
        "50 cpu0 move victim 7>0
         100 cpu0 wait victim 30..40 c 10 first=7 moves=1",
        expect![[r#"
            victim 70: placement=10 unknown@7=10 foreign:c@0=50
        "#]],
    );
}

#[test]
fn nobody_waits_while_running() {
    check(
        "50 cpu0 slice victim 45
         100 cpu0 wait victim 30..40 c 50",
        expect![[r#"
            victim 70: placement=10 unknown@0=10 foreign:c@0=50
            victim_ran 1
        "#]],
    );
}

#[test]
fn only_a_wakeup_is_placed() {
    check(
        "100 cpu0 wait victim 30..40 c 10 fork",
        expect![[r#"
            victim 70: unknown=10 foreign:c@0=60
            queued_late 1
        "#]],
    );
}

#[test]
fn contradicting_slices_are_nobodys() {
    check(
        "50 cpu0 slice a 10 contradicts
         100 cpu0 wait victim 30..30 c 50 preempted",
        expect![[r#"
            victim 70: unknown@0=20 foreign:c@0=50
            occupant_contradicts 1
        "#]],
    );
    check(
        "100 cpu0 wait victim 30..30 c 10 preempted contradicts",
        expect![[r#"
            victim 70: unknown@0=70
            occupant_contradicts 1
        "#]],
    );
}

#[test]
fn a_wait_of_no_length_has_no_tiles() {
    check(
        "100 cpu0 wait victim 100..100 c 10",
        expect![[r#"
        victim 0:
    "#]],
    );
}
