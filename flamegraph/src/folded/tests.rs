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
            fold("worker", Class::Foreign, "compactor", &["main", "merge"], 700),
            fold("worker", Class::Placement, "", &[], 20),
            fold("worker", Class::Softirq, "NET_RX", &[], 80),
        ],
        &expect![[r#"
            worker;foreign;compactor;main;merge 700
            worker;placement 20
            worker;softirq;NET_RX 80
        "#]],
    );
}

#[test]
fn hostile_names_keep_the_sum_and_the_frames() {
    check(
        vec![
            fold(CANARY, Class::Foreign, "a;b\n9", &["", " "], 1),
            fold("# note", Class::Foreign, "worker 7", &[], 2),
            fold("  ", Class::Foreign, "shell 1.5 ", &[], 4),
            fold("", Class::Foreign, "shell 1.5", &[], 8),
        ],
        &expect![[r"
            [unknown];foreign;shell_1.5 12
            \x1b]0:x\x07</script>::error::;foreign;a:b\x0a9;[unknown];[unknown] 1
            \x23 note;foreign;worker_7 2
        "]],
    );
}

#[test]
fn no_waits_no_lines() {
    check(vec![], &expect![""]);
}
