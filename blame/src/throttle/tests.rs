use expect_test::{Expect, expect};

use crate::fixture::tiles;

const CAST: &str = "window 0..1000
         cgroup 8 /a
         cgroup 9 /a/b
         cgroup 6 /a/c
         cgroup 7 /other
         10 cpu0 task victim cgroup=9
         10 cpu0 task own cgroup=9
         10 cpu0 task sibling cgroup=6
         10 cpu0 task hog cgroup=7
         10 cpu0 task fiend cgroup=7";

/// On a kernel that stops threads.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn thread(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(&format!("{CAST}\nquota thread\n{text}")));
}

/// On a kernel that stops queues.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn queue(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(&format!("{CAST}\nquota queue\n{text}")));
}

#[test]
fn throttled_to_the_refill_then_queued() {
    let text = "80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=60 foreign:hog@0=20
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=60 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn a_refill_that_did_not_reach_the_queue_let_nobody_go() {
    let text = "50 cpu1 refill 9
         60 cpu1 refill 8
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled";
    thread(
        text,
        expect![[r#"
            victim 80: throttled@0=50 foreign:hog@0=30
        "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=50 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn who_ran_between_two_refills_tells_queues_and_leaves_threads_in_doubt() {
    let text = "55 cpu0 slice hog 10
         60 cpu0 slice own 55
         50 cpu1 refill 9
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 60 preempted throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=30 unknown@0=20 foreign:hog@0=30
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=30 foreign:hog@0=5 cgroup:own@0=5 throttled@0=10 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn a_queue_stops_in_mid_wait_and_a_thread_does_not() {
    let text = "40 cpu0 slice own 10
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 40 preempted";
    thread(
        text,
        expect![[r#"
        victim 80: cgroup:own@0=20 foreign:hog@0=60
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: cgroup:own@0=20 throttled@0=30 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn quota_is_used_up_by_whoever_is_in_the_cgroup_or_below_it_and_has_no_other() {
    queue(
        "40 cpu0 slice sibling 10
         70 cpu1 refill 8
         100 cpu0 wait victim 20..20 hog 40 preempted",
        expect![[r#"
            victim 80: foreign:sibling@0=20 throttled@0=30 foreign:hog@0=30
        "#]],
    );
    queue(
        "40 cpu0 slice sibling 10
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 40 preempted",
        expect![[r#"
            victim 80: throttled@0=50 foreign:hog@0=30
        "#]],
    );
    queue(
        "20 cpu0 task fifo cgroup=9 prio=50
         30 cpu0 slice own 10
         40 cpu0 slice fifo 30
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 40 preempted",
        expect![[r#"
            victim 80: cgroup:own@0=10 throttled@0=40 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn who_is_not_known_may_have_been_one_of_the_cgroup() {
    queue(
        "40 cpu0 slice own 10
         60 cpu0 slice hog 50
         80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 60 preempted",
        expect![[r#"
            victim 80: cgroup:own@0=20 unknown@0=10 throttled@0=30 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn a_real_time_thread_has_no_such_quota() {
    queue(
        "10 cpu0 task fifo cgroup=9 prio=50
         40 cpu0 slice own 10
         80 cpu1 refill 9
         100 cpu0 wait fifo 20..20 hog 40 preempted",
        expect![[r#"
            fifo 80: cgroup:own@0=20 foreign:hog@0=60
        "#]],
    );
}

#[test]
fn on_another_queue_a_refill_says_nothing() {
    let text = "50 cpu1 refill 9 queue=1
         80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=60 foreign:hog@0=20
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=60 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn moved_while_out_of_quota() {
    let text = "50 cpu0 move victim 0>1 throttled
         60 cpu0 slice hog 10
         80 cpu1 refill 9 queue=1
         100 cpu1 wait victim 20..20 fiend 10 preempted throttled first=0 moves=1";
    thread(
        text,
        expect![[r#"
            victim 80: throttled@0=30 throttled@1=30 foreign:fiend@1=20
        "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=30 throttled@1=30 foreign:fiend@1=20
        "#]],
    );
}

#[test]
fn moved_to_where_there_is_quota() {
    let text = "50 cpu0 move victim 0>1 throttled
         60 cpu0 slice hog 10
         100 cpu1 wait victim 20..20 fiend 10 preempted throttled first=0 moves=1";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=30 foreign:fiend@1=50
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=30 foreign:fiend@1=50
        "#]],
    );
}

#[test]
fn moved_out_of_a_queue_that_stopped_in_mid_wait() {
    queue(
        "40 cpu0 slice own 10
         50 cpu0 move victim 0>1 throttled
         60 cpu0 slice hog 40
         100 cpu1 wait victim 20..20 fiend 10 preempted first=0 moves=1",
        expect![[r#"
            victim 80: cgroup:own@0=20 throttled@0=10 foreign:fiend@1=50
        "#]],
    );
    queue(
        "30 cpu0 slice own 10
         40 cpu0 slice sibling 30
         50 cpu0 move victim 0>1 throttled
         60 cpu0 slice hog 40
         100 cpu1 wait victim 20..20 fiend 10 preempted first=0 moves=1",
        expect![[r#"
            victim 80: cgroup:own@0=10 unknown@0=10 throttled@0=10 foreign:fiend@1=50
        "#]],
    );
}

#[test]
fn what_may_have_been_a_refill_ends_what_is_certain() {
    let text = "40 cpu1 refill 99
         70 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=50 foreign:hog@0=30
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=50 foreign:hog@0=30
        "#]],
    );
    let text = "30 cpu1 slice a 10
         lost cpu1 1
         40 cpu1 slice b 35
         70 cpu0 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=10 unknown@0=40 foreign:hog@0=30
        missing 1
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=10 unknown@0=10 throttled@0=30 foreign:hog@0=30
            missing 1
        "#]],
    );
}

#[test]
fn what_was_lost_may_have_been_a_refill_of_a_queue_that_stopped_in_mid_wait() {
    queue(
        "30 cpu1 slice a 10
         lost cpu1 1
         40 cpu1 slice b 35
         100 cpu0 wait victim 20..20 hog 10 preempted",
        expect![[r#"
            victim 80: unknown@0=20 foreign:hog@0=60
            missing 1
        "#]],
    );
}

#[test]
fn what_was_lost_after_the_refill_may_have_been_another() {
    let text = "50 cpu0 refill 9
         60 cpu1 slice a 10
         lost cpu1 1
         70 cpu1 slice b 65
         100 cpu0 wait victim 20..20 hog 10 preempted throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled@0=30 unknown@0=20 foreign:hog@0=30
        missing 1
    "#]],
    );
    queue(
        text,
        expect![[r#"
            victim 80: throttled@0=30 unknown@0=20 foreign:hog@0=30
            missing 1
        "#]],
    );
}

#[test]
fn a_refill_above_counts_and_one_elsewhere_does_not() {
    thread(
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
    thread(
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
    let text = "10 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled
         110 cpu1 refill 9";
    thread(
        text,
        expect![[r#"
        victim 80: unknown@0=80
        throttled_without_refill 1
    "#]],
    );
    queue(
        text,
        expect![[r#"
        victim 80: unknown@0=80
        throttled_without_refill 1
    "#]],
    );
}

#[test]
fn where_no_refill_can_be_seen_nobody_knows() {
    expect![[r#"
        victim 80: unknown@0=80
        throttled_without_refill 1
    "#]]
    .assert_eq(&tiles(&format!(
        "{CAST}
         100 cpu0 wait victim 20..20 hog 10 preempted throttled"
    )));
}

#[test]
fn a_refill_at_either_end() {
    thread(
        "20 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: foreign:hog@0=80
        "#]],
    );
    thread(
        "100 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=80
        "#]],
    );
}

#[test]
fn interrupts_come_first_and_tasks_after() {
    thread(
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
    let text = "80 cpu1 refill 9
         100 cpu0 wait victim 20..30 idle 10 throttled";
    thread(
        text,
        expect![[r#"
        victim 80: throttled=10 throttled@0=50 idle_exit@0=20
    "#]],
    );
    queue(
        text,
        expect![[r#"
        victim 80: throttled=10 throttled@0=50 idle_exit@0=20
    "#]],
    );
}

#[test]
fn the_cpu_need_not_tell_who_ran_meanwhile() {
    thread(
        "80 cpu1 refill 9
         100 cpu0 wait victim 20..20 hog 70 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=60 foreign:hog@0=20
        "#]],
    );
}

#[test]
fn idle_when_quota_returns_is_leaving_idle() {
    thread(
        "60 cpu0 slice hog 10
         80 cpu1 refill 9
         100 cpu0 wait victim 20..20 idle 60 preempted throttled",
        expect![[r#"
            victim 80: throttled@0=60 idle_exit@0=20
        "#]],
    );
}

#[test]
fn out_of_doubt_nobody_knows_which_idle_slice_is_the_first() {
    thread(
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
fn an_unknown_cgroup_takes_any_refill() {
    thread(
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
fn a_victim_that_nobody_told_of_takes_any_too() {
    thread(
        "80 cpu1 refill 9
         100 cpu0 wait ?victim 20..20 hog 10 preempted throttled",
        expect![[r#"
            tid 6 80: throttled@0=60 unknown:hog@0=20
        "#]],
    );
}

#[test]
fn a_refill_of_no_cgroup() {
    thread(
        "50 cpu1 refill 0",
        expect![[r#"
        refill_of_no_cgroup 1
    "#]],
    );
}

/// Of a wait that was open at the stop.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn open(quota: &str, text: &str, expected: Expect) {
    let scene = format!("{CAST}\nquota {quota}\n{text}\nend cpu0 hog 10");
    let waits = crate::tiles(&crate::fixture::capture(&scene), &crate::Options::default());
    let said = waits[0].tiles.iter().map(|t| format!("{}..{} ", t.class.name(), t.to_ns));
    expected.assert_eq(&said.collect::<String>());
}

#[test]
fn out_of_quota_to_the_end() {
    let text = "500 cpu1 refill 9
         1010 cpu0 open victim 20..20 preempted throttled still";
    open("thread", text, expect!["throttled..1000 "]);
    open("queue", text, expect!["throttled..1000 "]);
}

#[test]
fn let_go_before_the_end() {
    let text = "500 cpu1 refill 9
         1010 cpu0 open victim 20..20 preempted throttled";
    open("thread", text, expect!["throttled..500 foreign..1000 "]);
    open("queue", text, expect!["throttled..500 foreign..1000 "]);
}

#[test]
fn what_was_lost_before_the_end_may_have_been_a_refill() {
    let text = "600 cpu1 slice fiend 590
         lost cpu1 1
         700 cpu1 slice fiend 650
         1010 cpu0 open victim 20..20 preempted throttled";
    open("thread", text, expect!["throttled..600 unknown..700 foreign..1000 "]);
    open("queue", text, expect!["throttled..600 unknown..700 foreign..1000 "]);
}

#[test]
fn let_go_after_the_end() {
    let text = "1005 cpu1 refill 9
         1010 cpu0 open victim 20..20 preempted throttled";
    open("thread", text, expect!["throttled..1000 "]);
    open("queue", text, expect!["throttled..1000 "]);
}

#[test]
fn out_of_quota_at_the_end_in_mid_wait() {
    open(
        "queue",
        "30 cpu0 slice own 10
         40 cpu0 slice sibling 30
         1010 cpu0 open victim 20..20 preempted still",
        expect!["cgroup..30 unknown..40 throttled..1000 "],
    );
}
