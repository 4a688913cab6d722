//! Code that was made at run time has the name that its process gave it, and nobody else did.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        Self { _process: process, map }.ready()
    }

    /// In namespaces of its own, where its number is 1 and `/tmp` is this folder.
    fn start_contained(tmp: &Path) -> Self {
        fs::copy(actor().get_program(), tmp.join("actor")).unwrap();
        let script = "mount --bind \"$0\" /tmp && exec /tmp/actor jit --cpu 0 --seconds 60";
        let mut command = Command::new("unshare");
        command.args(["-m", "-p", "-f", "sh", "-c", script]).arg(tmp);
        Self { _process: Neighbour::start(&mut command), map: tmp.join("perf-1.map") }.ready()
    }

    fn ready(self) -> Self {
        wait_until("the map is written", || {
            fs::read_to_string(&self.map).is_ok_and(|text| text.ends_with('\n'))
        });
        self
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
    let recording = Recording::of_crowd("timer");
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
        is_named()
    });
}

#[test]
fn a_map_is_found_where_its_process_put_it() {
    if !can_run("a_map_is_found_where_its_process_put_it", &["unshare", "mount"]) {
        return;
    }
    steady(|| {
        let tmp = tempfile::tempdir().unwrap();
        let _renderer = Renderer::start_contained(tmp.path());
        is_named()
    });
}

fn is_named() -> Result<(), String> {
    let (_, stacks) = record()?;
    let named = stacks.iter().any(|line| line.contains("render_page at /srv/app.js:12"));
    named.then_some(()).ok_or_else(|| format!("not named: {stacks:#?}"))
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
