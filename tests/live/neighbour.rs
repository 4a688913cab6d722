//! A noisy neighbour is named, and so is the function it was in.

use crate::bench::{Neighbour, Recording, actor, can_run, steady};

/// Threads that sleep for random times, and a neighbour that spins on the same CPU.
#[test]
fn the_neighbour_and_its_function_are_named() {
    if !can_run("the_neighbour_and_its_function_are_named", &["stress-ng"]) {
        return;
    }
    steady(|| {
        let mut hog = actor();
        hog.args(["hog", "--cpu", "0", "--seconds", "60", "--name", "compactor"]);
        let _hog = Neighbour::start(&mut hog);
        let load = ["stress-ng", "-q", "--nanosleep", "1", "--taskset", "0", "-t", "3"];
        let recording = Recording::make(&[&["--"], &load[..]].concat());
        let tail = recording.report.tail.as_ref().ok_or("too few waits for a tail")?;
        let first = tail.culprits.first().ok_or("nobody is blamed")?;
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
