//! Interrupts: the first ends the load and finishes the report, the second ends all.

use std::fs;
use std::process::Stdio;

use cronx_recording::{Capture, LoadEnd, Report};

use crate::bench::{Neighbour, can_run, record, wait_until};

fn interrupt(pid: u32) {
    // SAFETY: a signal to our own child, which is not waited for yet.
    assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGINT) }, 0);
}

/// A recording of a load that does `first`, says that it runs, and does `then`.
fn start(folder: &std::path::Path, first: &str, then: &str) -> Neighbour {
    let mut command = record();
    command.arg("-o").arg(folder.join("out")).args(["--", "sh", "-c"]);
    command.arg(format!("{first}; touch {}; {then}", folder.join("runs").display()));
    let recording = Neighbour::start(command.stdin(Stdio::null()).stderr(Stdio::null()));
    wait_until("the load runs", || folder.join("runs").exists());
    recording
}

#[test]
fn the_first_ends_the_load_and_finishes_the_report() {
    if !can_run("the_first_ends_the_load_and_finishes_the_report", &["sh", "sleep"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut recording = start(folder.path(), "true", "exec sleep 60");
    interrupt(recording.0.id());
    assert_eq!(recording.0.wait().unwrap().code(), Some(128 + libc::SIGINT));
    let report = fs::File::open(folder.path().join("out/report.json")).unwrap();
    let report = Report::read(report).unwrap();
    assert_eq!(report.provenance.load, Some(LoadEnd::Signaled(libc::SIGINT)));
}

#[test]
fn the_second_ends_all() {
    if !can_run("the_second_ends_all", &["sh", "sleep"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("asked");
    let trap = format!("trap 'touch {}' INT", asked.display());
    let mut recording = start(folder.path(), &trap, "while :; do sleep 0.05; done");
    interrupt(recording.0.id());
    wait_until("the load was asked", || asked.exists());
    interrupt(recording.0.id());
    assert_eq!(recording.0.wait().unwrap().code(), Some(130));
    let capture = fs::File::open(folder.path().join("out/capture.cronx")).unwrap();
    let capture = Capture::read(capture).unwrap();
    assert!(capture.torn.is_some());
    assert!(capture.records.iter().any(|cpu| cpu.iter().count() > 0), "what was recorded is kept");
}
