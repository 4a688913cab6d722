use cronx_abi::CpuState;
use expect_test::{Expect, expect};

use crate::fixture::{capture, oddities, report, tiles};
use crate::{Options, analyse};

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(text));
}

#[test]
fn backward_slices_and_interrupts() {
    check(
        "100 cpu0 wait victim 20..20 hog 101",
        expect![[r#"
        victim 80: unknown@0=80
        backward_slice 1
    "#]],
    );
    check(
        "60 cpu0 irq 24 since 61
         100 cpu0 wait victim 20..20 hog 10",
        expect![[r#"
            victim 80: unknown@0=40 foreign:hog@0=40
            backward_interrupt 1
        "#]],
    );
}

#[test]
fn bytes_that_are_no_record() {
    let mut capture = capture("100 cpu0 wait victim 60..70 hog 40");
    capture.records[0].push(&[1, 2, 3]);
    capture.records[0].bytes.extend([200, 0, 0, 0, 1]);
    let report = analyse(&capture, &Options::default());
    assert_eq!(report.waits, 1);
    expect![[r#"
        cut_record 1
        short_record 1
    "#]]
    .assert_eq(&oddities(&report));
}

#[test]
fn a_cpu_that_no_record_can_name() {
    let mut capture = capture("100 cpu0 wait victim 60..70 hog 40");
    capture.records[0].cpu = 70_000;
    let report = analyse(&capture, &Options::default());
    assert_eq!((report.waits, report.health.anomalies["wrong_cpu"]), (0, 3));
}

#[test]
fn one_cpu_in_two_runs() {
    let mut capture = capture("50 cpu0 slice a 10\n 100 cpu0 wait victim 20..20 b 50");
    let whole = analyse(&capture, &Options::default());
    let mut second = capture.records[0].clone();
    let first: usize = capture.records[0].iter().take(2).map(|r| r.len() + 4).sum();
    second.bytes.drain(..first);
    capture.records[0].bytes.truncate(first);
    capture.records.push(second);
    assert_eq!(analyse(&capture, &Options::default()), whole);
}

#[test]
fn the_health_of_the_trailer() {
    let mut capture = capture("100 cpu0 wait victim 60..70 hog 40");
    capture.header.degraded.push("no samples".to_owned());
    let trailer = capture.trailer.as_mut().unwrap();
    trailer.recursion_misses.insert("sched_switch".to_owned(), 3);
    trailer.profiler_cpu_ns = 9;
    let state = CpuState { lost: 1, storage_failures: 2, impossible: 4, ..CpuState::default() };
    trailer.cpus.push(cronx_recording::CpuTrailer::from_state(9, &state));
    let health = analyse(&capture, &Options::default()).health;
    assert_eq!((health.records, health.lost, health.recursion_misses), (3, 1, 3));
    assert_eq!((health.storage_failures, health.profiler_cpu_ns), (2, 9));
    assert_eq!(health.anomalies["impossible_transition"], 4);
    assert_eq!(health.degraded, ["no samples"]);
}

#[test]
fn a_torn_capture_says_so() {
    let report = report("window 50..1000\n 100 cpu0 wait victim 60..70 hog 40\n torn");
    assert_eq!(report.health.torn.as_deref(), Some("it ends without a trailer"));
    assert_eq!(report.provenance.duration_ns, 50);
}
