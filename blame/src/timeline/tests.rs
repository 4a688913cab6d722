use cronx_abi::CpuState;
use cronx_recording::CpuTrailer;
use expect_test::{Expect, expect};

use super::{Span, seek};
use crate::fixture::tiles;
use crate::owners::Owner;

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(text));
}

#[test]
fn a_hole_taints_from_the_start_of_the_slice_in_progress() {
    check(
        "40 cpu0 slice a 10
         60 cpu0 irq 24 since 55
         lost cpu0 1
         70 cpu0 irq 24 since 65
         100 cpu0 wait victim 20..20 b 40",
        expect![[r#"
            victim 80: foreign:a@0=20 unknown@0=60
            missing 1
        "#]],
    );
}

#[test]
fn a_hole_that_ends_with_a_switch_ends_there() {
    check(
        "40 cpu0 slice a 10
         lost cpu0 1
         70 cpu0 slice b 40
         100 cpu0 wait victim 20..20 c 70",
        expect![[r#"
            victim 80: foreign:a@0=20 unknown@0=30 foreign:c@0=30
            missing 1
        "#]],
    );
}

#[test]
fn a_lost_slice_leaves_its_time_unknown() {
    check(
        "40 cpu0 slice a 10
         lost cpu0 1
         70 cpu0 slice b 60
         100 cpu0 wait victim 20..20 c 70",
        expect![[r#"
            victim 80: foreign:a@0=20 unknown@0=30 foreign:c@0=30
            missing 1
        "#]],
    );
}

#[test]
fn an_interrupt_may_have_been_lost_inside_another_softirqs_writing() {
    check(
        "40 cpu0 slice a 10
         lost cpu0 1
         50 cpu0 softirq 3 since 45
         3000 cpu0 wait victim 20..20 c 40
         window 0..5000",
        expect![[r#"
            victim 2980: foreign:a@0=20 unknown@0=1010 foreign:c@0=1950
            missing 1
        "#]],
    );
}

#[test]
fn a_hole_before_the_first_record() {
    check(
        "lost cpu0 1
         50 cpu0 slice a 10
         100 cpu0 wait victim 20..20 c 50",
        expect![[r#"
            victim 80: unknown@0=30 foreign:c@0=50
            missing 1
        "#]],
    );
}

#[test]
fn a_hole_after_the_last_record() {
    check(
        "900 cpu0 slice a 100
         950 cpu1 move victim 0>1
         980 cpu1 wait victim 800..800 c 100 preempted first=0 moves=1
         lost cpu0 1
         end cpu0 b 900",
        expect![[r#"
            victim 180: foreign:a@0=100 unknown@0=50 foreign:c@1=30
            missing 1
        "#]],
    );
}

#[test]
fn a_hole_on_another_cpu_does_not_matter() {
    check(
        "40 cpu1 slice a 10
         lost cpu1 5
         90 cpu1 slice b 40
         100 cpu0 wait victim 20..20 c 10",
        expect![[r#"
            victim 80: foreign:c@0=80
            missing 5
        "#]],
    );
}

#[test]
fn a_lost_move_leaves_the_queue_part_unknown() {
    check(
        "lost cpu1 1
         60 cpu1 slice a 10
         100 cpu0 wait victim 20..30 c 10 first=1 moves=1",
        expect![[r#"
            victim 80: unknown=80
            missing 1
            moves_missing 1
        "#]],
    );
}

#[test]
fn overlapping_slices_are_believed_where_they_do_not_overlap() {
    check(
        "60 cpu0 slice a 10
         100 cpu0 wait victim 20..20 b 40",
        expect![[r#"
            victim 80: foreign:a@0=20 unknown@0=20 foreign:b@0=40
            overlapping_slices 1
        "#]],
    );
}

#[test]
fn a_slice_inside_another() {
    check(
        "60 cpu0 slice a 40
         100 cpu0 wait victim 20..20 b 10",
        expect![[r#"
            victim 80: foreign:b@0=20 unknown@0=20 foreign:b@0=40
            overlapping_slices 1
        "#]],
    );
}

#[test]
fn overlapping_interrupts_of_one_layer() {
    check(
        "60 cpu0 irq 1 since 40
         70 cpu0 irq 2 since 50
         100 cpu0 wait victim 20..20 b 10",
        expect![[r#"
            victim 80: foreign:b@0=20 irq:irq 1@0=10 unknown@0=10 irq:irq 2@0=10 foreign:b@0=30
            overlapping_interrupts 1
        "#]],
    );
}

#[test]
fn an_interrupt_across_a_switch() {
    check(
        "50 cpu0 slice a 10
         60 cpu0 irq 1 since 40
         100 cpu0 wait victim 20..20 b 50",
        expect![[r#"
            victim 80: foreign:a@0=20 unknown@0=20 foreign:b@0=40
            interrupt_across_switch 1
        "#]],
    );
}

#[test]
fn a_half_seen_interrupt_inside_another_is_no_switch() {
    check(
        "60 cpu0 irq 1 since 50 contradicts
         70 cpu0 softirq 3 since 40
         100 cpu0 wait victim 20..20 b 10",
        expect![[r#"
            victim 80: foreign:b@0=20 softirq:NET_RX@0=10 unknown@0=10 softirq:NET_RX@0=10 foreign:b@0=30
            interrupt_half_seen 1
        "#]],
    );
}

#[test]
fn the_end_of_the_window_is_no_switch() {
    check(
        "950 cpu0 move victim 0>1
         980 cpu1 wait victim 920..920 c 100 preempted first=0 moves=1
         1010 cpu0 irq 1 since 940
         end cpu0 b 900",
        expect![[r#"
            victim 60: foreign:b@0=20 irq:irq 1@0=10 foreign:c@1=30
        "#]],
    );
}

#[test]
fn the_last_slice_comes_from_the_trailer() {
    check(
        "900 cpu0 slice a 100
         950 cpu0 move victim 0>1
         980 cpu1 wait victim 800..800 c 100 preempted first=0 moves=1
         end cpu0 b 900",
        expect![[r#"
            victim 180: foreign:a@0=100 foreign:b@0=50 foreign:c@1=30
        "#]],
    );
}

#[test]
fn whether_an_interrupt_went_on_to_the_end_nobody_knows() {
    check(
        "900 cpu0 slice a 100
         980 cpu0 move victim 0>1
         990 cpu1 wait victim 800..800 c 100 preempted first=0 moves=1
         end cpu0 b 900 interrupted 950",
        expect![[r#"
            victim 190: foreign:a@0=100 foreign:b@0=50 unknown@0=30 foreign:c@1=10
        "#]],
    );
    check(
        "window 0..940
         900 cpu0 slice a 100
         920 cpu0 move victim 0>1
         930 cpu1 wait victim 800..800 c 100 preempted first=0 moves=1
         end cpu0 b 900 interrupted 950",
        expect![[r#"
            victim 130: foreign:a@0=100 foreign:b@0=20 foreign:c@1=10
        "#]],
    );
}

#[test]
fn the_trailer_tells_of_interrupts_in_time_that_anybody_waited() {
    let state = CpuState { gate_ns: 30, soft_since_ns: 50, soft: 1, ..CpuState::default() };
    let since_ns = |state| CpuTrailer::from_state(0, &state).interrupted_since_ns;
    assert_eq!(since_ns(state), 50);
    assert_eq!(since_ns(CpuState { hard: 1, ..state }), 30);
    assert_eq!(since_ns(CpuState { soft_since_ns: 0, gate_ns: 0, ..state }), 0);
    assert_eq!(since_ns(CpuState::default()), 0);
}

#[test]
fn a_slice_that_a_record_tells_counts_more_than_the_trailer() {
    check(
        "window 0..90
         100 cpu0 slice a 10
         60 cpu0 move victim 0>1
         80 cpu1 wait victim 20..20 c 10 preempted first=0 moves=1
         end cpu0 b 10",
        expect![[r#"
            victim 60: foreign:a@0=40 foreign:c@1=20
        "#]],
    );
}

#[test]
fn a_cpu_whose_every_record_was_lost() {
    check(
        "60 cpu1 move victim 0>1
         80 cpu1 wait victim 20..20 c 10 preempted first=0 moves=1
         lost cpu0 3
         end cpu0 b 10",
        expect![[r#"
            victim 60: unknown@0=40 foreign:c@1=20
            missing 3
        "#]],
    );
}

#[test]
fn from_wherever_it_begins_a_search_ends_at_the_same_span() {
    let span = |n: u64| Span { from_ns: 10 * n, to_ns: 10 * n + 7, owner: Owner::IDLE };
    for len in 0..12 {
        let lane: Vec<_> = (0..len).map(span).collect();
        for (start, at_ns) in (0..14).flat_map(|start| (0..130).map(move |at_ns| (start, at_ns))) {
            let all = lane.partition_point(|span| span.to_ns <= at_ns);
            assert_eq!(seek(&lane, start, at_ns), all, "of {len} from {start} to {at_ns}");
        }
    }
}
