//! Whom a recording is about, as the command line says it.

use std::time::Duration;

use anyhow::{Result, bail};
use cronx_collector::launch::Held;
use cronx_collector::targets::Targets;
use cronx_collector::{Error, Folder};
use cronx_recording::{Target, Untrusted};

use crate::cli::{Record, Whom};

/// The kernel side's buckets end a little above.
const FLOOR_MAX: Duration = Duration::from_mins(1);

/// Refuses what would record nobody, or count what is too long to be counted.
pub(super) fn demand(args: &Record) -> Result<()> {
    let Whom { pid, comm, cgroup, all } = &args.whom;
    if args.command.is_empty() && pid.is_empty() && comm.is_empty() && cgroup.is_none() && !all {
        bail!(
            "nothing to record: give a command after --, or whom with --pid, --comm, --cgroup or \
             --all"
        );
    }
    if args.floor.is_some_and(|floor| floor > FLOOR_MAX) {
        bail!("waits longer than {FLOOR_MAX:?} are always recorded: give --floor less than that");
    }
    Ok(())
}

/// Those who are recorded in place of the load, if any are named.
pub(super) fn others(whom: &Whom) -> Result<Option<Targets>, Error> {
    let Whom { pid, comm, cgroup, all } = whom;
    if let Some(path) = cgroup {
        return Folder::find(path).map(Targets::Cgroup).map(Some);
    }
    if !comm.is_empty() {
        return Ok(Some(Targets::Named(comm.clone())));
    }
    if *all {
        return Ok(Some(Targets::All));
    }
    if pid.is_empty() { Ok(None) } else { Targets::processes(pid).map(Some) }
}

/// The others, or the load.
pub(super) fn targets(others: Option<Targets>, held: Option<&Held>) -> Targets {
    others.unwrap_or_else(|| Targets::Processes(held.map(Held::pid).into_iter().collect()))
}

/// The same in words, for the Capture.
pub(super) fn target(args: &Record) -> Target {
    let Whom { pid, comm, cgroup, all } = &args.whom;
    if let Some(path) = cgroup {
        return Target::Cgroup { path: Untrusted::from(path.to_string_lossy().into_owned()) };
    }
    if !comm.is_empty() {
        let names = comm.iter().map(|name| Untrusted::from_kernel(&name.bytes())).collect();
        return Target::Threads { names };
    }
    if *all {
        return Target::All;
    }
    if !pid.is_empty() {
        return Target::Processes { pids: pid.clone() };
    }
    let argv = args.command.iter().map(|arg| Untrusted::from(arg.to_string_lossy().into_owned()));
    Target::Command { argv: argv.collect() }
}
