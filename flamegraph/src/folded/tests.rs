use cronx_recording::Class;
use expect_test::{Expect, expect};

use super::*;
use crate::fixture::{CANARY, fold, report};

fn check(folds: Vec<Fold>, expected: &Expect) {
    let report = report(folds);
    let mut out = Vec::new();
    write_folded(&report, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let numbers = text.lines().map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    assert_eq!(numbers.sum::<u64>(), report.waited_ns);
    expected.assert_eq(&text);
}

#[test]
fn victim_class_culprit_stack() {
    check(
        vec![
            fold("worker", Class::Task, "compactor", &["main", "merge"], 700),
            fold("worker", Class::Placement, "", &[], 20),
            fold("worker", Class::Softirq, "NET_RX", &[], 80),
        ],
        &expect![[r#"
            worker;placement 20
            worker;softirq;NET_RX 80
            worker;task;compactor;main;merge 700
        "#]],
    );
}

#[test]
fn hostile_names_keep_the_sum_and_the_frames() {
    check(
        vec![
            fold(CANARY, Class::Task, "a;b\n9", &["", " "], 1),
            fold("# note", Class::Task, "worker 7", &[], 2),
            fold("  ", Class::Task, "shell 1.5 ", &[], 4),
            fold("", Class::Task, "shell 1.5", &[], 8),
        ],
        &expect![[r"
            [unknown];task;shell_1.5 12
            \x1b]0:x\x07</script>::error::;task;a:b\x0a9;[unknown];[unknown] 1
            \x23 note;task;worker_7 2
        "]],
    );
}

#[test]
fn no_waits_no_lines() {
    check(vec![], &expect![""]);
}
