//! A noisy neighbour is named, and so is the function it was in.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use cronx_recording::Class;

use crate::bench::{Neighbour, Recording, actor, can_run, note, steady};

/// Threads that sleep and wake, and a neighbour that spins on the same CPU.
fn beside_a_hog() -> Recording {
    let mut hog = actor();
    hog.args(["hog", "--cpu", "0", "--seconds", "120", "--name", "compactor"]);
    let _hog = Neighbour::start(&mut hog);
    Recording::of_crowd("timer")
}

#[test]
fn the_neighbour_and_its_function_are_named() {
    if !can_run("the_neighbour_and_its_function_are_named", &[]) {
        return;
    }
    steady(|| {
        let recording = beside_a_hog();
        let tail = recording.report.tail.as_ref().ok_or("too few waits for a tail")?;
        // Ourselves apart: on an emulated CPU the profiler's own part can be the larger.
        let mut others = tail.culprits.iter().filter(|blame| blame.class != Class::Profiler);
        let first = others.next().ok_or("nobody is blamed")?;
        if first.culprit.name.raw() != "compactor" {
            return Err(format!("{:?} is blamed first", first.culprit.name));
        }
        let folded = recording.text("blame.folded");
        let stacks = folded.lines().filter(|line| line.contains(";compactor;"));
        if !stacks.clone().any(|line| line.contains("compact_segments")) {
            return Err(format!("no stack of the neighbour's own code: {folded}"));
        }
        Ok(())
    });
}

/// The thread's name comes from the kernel; that of its function would come from a file of somebody
/// whom neither we nor the process have reason to believe.
#[test]
fn a_program_of_another_user_is_not_read_for_its_functions() {
    const STRANGER: u32 = 65533;
    if !can_run("a_program_of_another_user_is_not_read_for_its_functions", &[]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::copy(actor().get_program(), &program).unwrap();
    chown(&program, Some(STRANGER), None).unwrap();
    steady(|| {
        let mut hog = Command::new(&program);
        let _hog = Neighbour::start(hog.args(["hog", "--cpu", "0", "--seconds", "60"]));
        let recording = Recording::of_crowd("timer");
        let folded = recording.text("blame.folded");
        assert!(!folded.contains("compact_segments"), "{folded}");
        let told = recording.report.health.degraded.iter().any(|s| s.starts_with("symbol files"));
        let stack = folded.lines().any(|line| line.contains(";compactor;"));
        (stack && told).then_some(()).ok_or_else(|| format!("no stack of it: {folded}"))
    });
}

/// What this kernel lacks stands on the screen, a line each; `cargo xtask vm` lists it too.
#[test]
fn what_is_degraded_is_said() {
    if !can_run("what_is_degraded_is_said", &[]) {
        return;
    }
    let recording = Recording::make(&["--", actor().get_program().to_str().unwrap(), "--help"]);
    let output = &recording.output;
    let screen = [&output.stdout[..], &output.stderr].concat();
    let screen = String::from_utf8(screen).unwrap();
    let lines = screen.lines().filter(|line| line.contains("degraded: ")).count();
    assert_eq!(lines, recording.report.health.degraded.len(), "{screen}");
    for what in &recording.report.health.degraded {
        note("CRONX_DEGRADED", what);
    }
}
