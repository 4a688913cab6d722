//! A noisy neighbour is named, and so is the function it was in.

use crate::bench::{Neighbour, Recording, actor, can_run, steady};

/// The neighbour has the same core and five times the weight, so that the load's threads wait for
/// it long enough to be sampled.
#[test]
fn the_neighbour_and_its_function_are_named() {
    if !can_run("the_neighbour_and_its_function_are_named", &["cyclictest", "nice"]) {
        return;
    }
    steady(|| {
        let mut hog = actor();
        hog.args(["hog", "--cpu", "0", "--seconds", "60", "--name", "compactor"]);
        let _hog = Neighbour::start(&mut hog);
        let recording = Recording::make(&[
            "--",
            "nice",
            "-n",
            "7",
            "cyclictest",
            "--policy=other",
            "-q",
            "-t",
            "2",
            "-a",
            "0",
            "-i",
            "1500",
            "-D",
            "3",
        ]);
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
