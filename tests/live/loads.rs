//! Real loads end with a report and their own status.

use crate::bench::{Recording, actor, can_run, cronx};

#[track_caller]
fn check(test: &str, load: &[&str], waits_at_least: u64) {
    if can_run(test, &load[..1]) {
        ends_with_a_report(load, waits_at_least);
    }
}

#[track_caller]
fn ends_with_a_report(load: &[&str], waits_at_least: u64) {
    let recording = Recording::make(&[&["--"], load].concat());
    assert_eq!(recording.output.status.code(), Some(0));
    assert!(recording.report.waits >= waits_at_least, "only {} waits", recording.report.waits);
    for name in ["blame.svg", "blame.folded", "latency.hlog", "latency.hgrm", "capture.cronx"] {
        assert!(recording.path(name).metadata().unwrap().len() > 0, "{name} is empty");
    }
}

#[test]
fn stress_ng() {
    check("stress_ng", &["stress-ng", "--cpu", "4", "--timer", "2", "-t", "5"], 1_000);
}

#[test]
fn hackbench() {
    check("hackbench", &["hackbench", "-l", "2000"], 10_000);
}

#[test]
fn sched_pipe() {
    check("sched_pipe", &["perf", "bench", "sched", "pipe", "-l", "100000"], 100_000);
}

/// The load that is there wherever the tests are.
#[test]
fn timers() {
    if can_run("timers", &[]) {
        let actor = actor();
        let actor = actor.get_program().to_str().unwrap();
        ends_with_a_report(&[actor, "timers", "--threads", "4", "--seconds", "2"], 100);
    }
}

#[test]
fn the_loads_own_status_is_passed_on() {
    if !can_run("the_loads_own_status_is_passed_on", &["sh"]) {
        return;
    }
    for (load, status) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 126", 126),
        ("exit 127", 127),
        ("kill -34 $$", 162),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
    ] {
        let recording = Recording::make(&["--", "sh", "-c", load]);
        assert_eq!(recording.output.status.code(), Some(status), "{load}");
    }
}

#[test]
fn a_window_closes_when_its_time_is_up() {
    if !can_run("a_window_closes_when_its_time_is_up", &["sleep"]) {
        return;
    }
    let recording = Recording::make(&["--duration", "300ms", "--", "sleep", "60"]);
    assert_eq!(recording.output.status.code(), Some(0));
    // The load did not end it.
    assert!(recording.report.provenance.duration_ns < 30_000_000_000);
}

#[test]
fn a_report_is_made_again_from_its_capture() {
    if !can_run("a_report_is_made_again_from_its_capture", &["sh"]) {
        return;
    }
    let recording = Recording::make(&["--", "sh", "-c", "for i in 1 2 3 4 5; do sleep 0.01; done"]);
    let again = cronx().args(["report", "--json"]).arg(recording.path("capture.cronx")).output();
    let again = again.unwrap();
    assert!(again.status.success());
    assert_eq!(String::from_utf8_lossy(&again.stdout), recording.text("report.json"));
}
