use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::fixture::report;

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    let report = report(text);
    let mut out = String::new();
    for fold in &report.folds {
        let stack: Vec<_> = fold.stack.iter().map(cronx_recording::Untrusted::raw).collect();
        let names = [fold.victim.raw(), fold.class.name(), fold.culprit.raw()].join(" ");
        writeln!(out, "{names} [{}] {}", stack.join(";"), fold.waited_ns).unwrap();
    }
    let sum: u64 = report.folds.iter().map(|fold| fold.waited_ns).sum();
    assert_eq!(sum, report.waited_ns);
    expected.assert_eq(&out);
}

#[test]
fn the_culprits_stacks_divide_its_time() {
    check(
        "70 cpu0 sample hog main,spin
         80 cpu0 sample hog main,spin
         90 cpu0 sample hog main,write k:sys_write,copy
         100 cpu0 wait victim 50..60 hog 40",
        expect![[r#"
            victim foreign hog [main;spin] 26
            victim foreign hog [main;write;sys_write_[k];copy_[k]] 14
            victim placement  [] 10
        "#]],
    );
}

#[test]
fn nothing_is_lost_to_rounding() {
    check(
        "70 cpu0 sample hog a
         80 cpu0 sample hog b
         90 cpu0 sample hog c
         100 cpu0 wait victim 60..60 hog 40",
        expect![[r#"
            victim foreign hog [a] 13
            victim foreign hog [b] 13
            victim foreign hog [c] 14
        "#]],
    );
}

#[test]
fn only_samples_of_the_culprit_inside_the_tile() {
    check(
        "55 cpu0 sample hog early
         70 cpu0 sample other alien
         80 cpu1 sample hog elsewhere
         100 cpu0 wait victim 60..60 hog 40
         100 cpu0 sample hog late",
        expect![[r#"
            victim foreign hog [] 40
        "#]],
    );
}

#[test]
fn a_frame_without_a_symbol() {
    check(
        "70 cpu0 sample hog main,? k:entry,?
         100 cpu0 wait victim 60..60 hog 40",
        expect![[r#"
            victim foreign hog [main;[unknown];entry_[k];[unknown]_[k]] 40
        "#]],
    );
}

#[test]
fn a_stack_belongs_to_the_victims_it_was_seen_for() {
    check(
        "70 cpu0 sample hog main
         100 cpu0 wait a 60..60 hog 40
         120 cpu0 wait b 110..110 hog 100",
        expect![[r#"
            a foreign hog [main] 40
            b foreign hog [] 10
        "#]],
    );
}

#[test]
fn a_sample_inside_an_interrupt_is_of_the_task_beneath() {
    check(
        "75 cpu0 sample hog main
         80 cpu0 irq 24 since 70
         100 cpu0 wait victim 60..60 hog 40",
        expect![[r#"
            victim irq irq 24 [] 10
            victim foreign hog [main] 30
        "#]],
    );
}
