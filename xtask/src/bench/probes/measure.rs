//! One run: a load under one observer.

use std::fs::File;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::held::Held;
use super::kernel::{self, ProgramTime};
use super::observer::Observer;
use super::stage::Stage;
use super::variants::{By, Variant};
use super::workload::Workload;
use crate::bench::steal;

/// What one run showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) variant: String,
    /// As the load itself says.
    pub(super) wall_ns: u64,
    pub(super) cpu_ns: Option<u64>,
    /// Hundredths of a second, of all CPUs.
    pub(super) stolen_ticks: u64,
    /// Of the observer's programs; nothing where programs are not timed.
    pub(super) programs: ProgramTime,
    /// Of cronx alone.
    pub(super) records: Option<Records>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Records {
    pub(super) read: u64,
    pub(super) lost: u64,
}

/// The observer attaches before the load begins, and is ended after it is done: the load's own time
/// has neither in it.
pub(super) fn run(workload: &Workload, variant: &Variant, stage: &Stage) -> Result<Run> {
    stage.clear()?;
    let mut load = Held::start(workload, stage)?;
    let observer = Observer::attach(variant, stage, load.pid())?;
    let programs = || observer.as_ref().map(|o| kernel::program_time(o.pid())).unwrap_or_default();
    let (programs_before, stolen_before) = (programs(), steal::stolen_ticks()?);
    let timing = load.run()?;
    let stolen_ticks = steal::stolen_ticks()? - stolen_before;
    let programs = programs().since(programs_before);
    let ended_well = observer.map_or(Ok(true), Observer::stop)?;
    let is_cronx = matches!(variant.by, By::Cronx(_));
    if is_cronx && !ended_well {
        bail!("{} failed to record {}", variant.name, workload.name);
    }
    Ok(Run {
        variant: variant.name.to_owned(),
        wall_ns: timing.wall_ns,
        cpu_ns: timing.cpu_ns,
        stolen_ticks,
        programs,
        records: is_cronx.then(|| records(stage)).transpose()?,
    })
}

fn records(stage: &Stage) -> Result<Records> {
    let path = stage.recording().join("report.json");
    let report = File::open(&path).with_context(|| format!("no {}", path.display()))?;
    let report: Value = serde_json::from_reader(std::io::BufReader::new(report))?;
    let count = |name: &str| report["health"][name].as_u64();
    let (read, lost) =
        count("records").zip(count("lost")).context("a report without its health")?;
    Ok(Records { read, lost })
}
