//! Code that was made at run time has the name that its process gave it, and nobody else did.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use crate::bench::{Neighbour, Recording, actor, can_run, steady, wait_until};

/// An ordinary account that every system has: `nobody`.
const STRANGER: u32 = 65534;

/// A process that spins in code it made, and the map in which it names that.
struct Renderer {
    _process: Neighbour,
    map: PathBuf,
}

impl Renderer {
    fn start() -> Self {
        let mut command = actor();
        let process = Neighbour::start(command.args(["jit", "--cpu", "0", "--seconds", "60"]));
        let map = PathBuf::from(format!("/tmp/perf-{}.map", process.0.id()));
        wait_until("the map is written", || {
            fs::read_to_string(&map).is_ok_and(|text| text.ends_with('\n'))
        });
        Self { _process: process, map }
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        // A test that failed may have left nothing to remove.
        let _ = fs::remove_file(&self.map);
    }
}

/// Records threads that wait behind it, and gives the stacks in which it ran.
fn record() -> Result<(Recording, Vec<String>), String> {
    let mut load = actor();
    load.args(["timers", "--threads", "3", "--cpu", "0", "--period-us", "1500"]);
    load.args(["--work-us", "900", "--seconds", "3"]);
    let mut words = vec!["--".into(), load.get_program().to_owned()];
    words.extend(load.get_args().map(ToOwned::to_owned));
    let recording = Recording::make(&words);
    let folded = recording.text("blame.folded");
    let stacks: Vec<_> =
        folded.lines().filter(|line| line.contains(";renderer;")).map(str::to_owned).collect();
    if stacks.is_empty() {
        Err(format!("no stack of it: {folded}"))
    } else {
        Ok((recording, stacks))
    }
}

#[test]
fn code_made_at_run_time_is_named_by_its_map() {
    if !can_run("code_made_at_run_time_is_named_by_its_map", &[]) {
        return;
    }
    steady(|| {
        let _renderer = Renderer::start();
        let (_, stacks) = record()?;
        let named = stacks.iter().any(|line| line.contains("render_page at /srv/app.js:12"));
        named.then_some(()).ok_or_else(|| format!("not named: {stacks:#?}"))
    });
}

#[test]
fn a_map_of_another_user_is_not_believed() {
    if !can_run("a_map_of_another_user_is_not_believed", &[]) {
        return;
    }
    steady(|| {
        let renderer = Renderer::start();
        chown(&renderer.map, Some(STRANGER), None).unwrap();
        let (recording, stacks) = record()?;
        assert!(!stacks.iter().any(|line| line.contains("render_page")), "{stacks:#?}");
        let degraded = &recording.report.health.degraded;
        let told = degraded.iter().any(|sentence| sentence.starts_with("symbol files not read"));
        told.then_some(()).ok_or_else(|| format!("nothing is said of it: {degraded:?}"))
    });
}
