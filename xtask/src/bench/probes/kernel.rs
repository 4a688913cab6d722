//! What the kernel says of a process: its programs, its hooks, whether it sleeps.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

/// How often the programs of a process ran, and for how long. Counted only while somebody asks the
/// kernel to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProgramTime {
    pub(super) runs: u64,
    pub(super) run_ns: u64,
}

impl ProgramTime {
    pub(super) fn since(self, before: Self) -> Self {
        Self { runs: self.runs - before.runs, run_ns: self.run_ns - before.run_ns }
    }
}

/// All programs that the process has open, together.
pub(super) fn program_time(pid: u32) -> ProgramTime {
    sum(&descriptors(pid))
}

/// A program may be open more than once: its number tells.
fn sum(descriptors: &[String]) -> ProgramTime {
    let program = |text: &String| {
        let time =
            ProgramTime { runs: field(text, "run_cnt")?, run_ns: field(text, "run_time_ns")? };
        Some((field(text, "prog_id")?, time))
    };
    let programs: BTreeMap<u64, _> = descriptors.iter().filter_map(program).collect();
    programs.values().fold(ProgramTime::default(), |sum, time| ProgramTime {
        runs: sum.runs + time.runs,
        run_ns: sum.run_ns + time.run_ns,
    })
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line?.trim().parse().ok()
}

fn descriptors(pid: u32) -> Vec<String> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return Vec::new() };
    // One that was closed meanwhile is none.
    folder.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok()).collect()
}

/// Hooks that a process has open: links, or else perf events that programs hang on.
pub(super) fn hooks(pid: u32) -> usize {
    match links(&descriptors(pid)) {
        0 => perf_events(pid),
        links => links,
    }
}

fn links(descriptors: &[String]) -> usize {
    let is_link = |text: &&String| text.lines().any(|line| line.starts_with("link_type:"));
    descriptors.iter().filter(is_link).count()
}

fn perf_events(pid: u32) -> usize {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let names = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    names.filter(|name| name.as_os_str() == "anon_inode:[perf_event]").count()
}

/// Whether its first thread waits for something to happen.
pub(super) fn sleeps(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| state(&stat) == Some('S'))
}

/// The name before it is in brackets, and may hold any.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_counts_once_however_often_it_is_open() {
        let program = |id: u32, ns: u32| {
            format!("pos:\t0\nprog_type:\t26\nprog_id:\t{id}\nrun_time_ns:\t{ns}\nrun_cnt:\t2\n")
        };
        let link = "pos:\t0\nlink_type:\traw_tracepoint\nprog_id:\t7\n".to_owned();
        let all = [program(7, 30), link, program(8, 5), program(7, 30)];
        assert_eq!(links(&all), 1);
        assert_eq!(sum(&all), ProgramTime { runs: 4, run_ns: 35 });
        assert_eq!(sum(&[]), ProgramTime::default());
    }

    #[test]
    fn a_state_stands_behind_any_name() {
        assert_eq!(state("7 (a) R) S 1 7"), Some('S'));
        assert_eq!(state("7"), None);
    }
}
