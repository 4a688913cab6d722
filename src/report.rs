//! `cronx report`: the analysis of a capture, again, without any privilege.

use std::fs::File;
use std::io::{BufReader, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use cronx_collector::privileges;
use cronx_recording::{Capture, Report};

use crate::cli::{self, Analysis};
use crate::output::{Output, REPORT};
use crate::{screen, terminal};

/// Reads, analyses, prints, and writes where asked.
pub fn run(args: &cli::Report) -> Result<ExitCode> {
    let capture = read(args)?;
    let report = cronx_blame::analyse(&capture, &options(&args.analysis));
    if let Some(path) = &args.output {
        let mut output = Output::create(path, args.force)?;
        output.demand_writable()?;
        output.replace(&REPORT)?;
        write_files(&report, &mut output)?;
        output.keep();
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        report.write(&mut out)?;
    } else {
        write!(out, "{}", screen::render(&report, &terminal::style(&out)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads it as the user who called sudo, who will own what is written, too; only to open it may
/// take root.
fn read(args: &cli::Report) -> Result<Capture> {
    let cannot = || format!("cannot read '{}'", args.capture.display());
    let file = File::open(&args.capture).with_context(cannot)?;
    if let Some(user) = privileges::invoking_user()? {
        privileges::drop_to(Some(&user), &[])?;
    }
    Capture::read(BufReader::new(file)).with_context(cannot)
}

/// The command line's wishes, as the analysis takes them.
pub fn options(analysis: &Analysis) -> cronx_blame::Options {
    cronx_blame::Options {
        objective_ns: analysis.objective.map(|objective| objective.as_nanos() as u64),
        process: analysis.process.clone(),
        thread: analysis.thread.clone(),
        ..cronx_blame::Options::default()
    }
}

/// Everything that is made of a report.
pub fn write_files(report: &Report, output: &mut Output) -> Result<()> {
    output.write("report.json", |file| report.write(file))?;
    output.write("blame.folded", |file| cronx_flamegraph::write_folded(report, file))?;
    output.write("blame.svg", |file| cronx_flamegraph::write_svg(report, file))?;
    output.write("latency.hgrm", |file| cronx_flamegraph::write_hgrm(report, file))?;
    output.write("latency.hlog", |file| cronx_flamegraph::write_hlog(report, file))?;
    let mut picture = Vec::new();
    if cronx_flamegraph::write_lateness_svg(report, &mut picture)? {
        output.write("lateness.svg", |file| file.write_all(&picture))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cronx_recording::Class;

    use super::*;

    /// A recording of the demo: threads that sleep, and a neighbour that spins on their CPU.
    const NEIGHBOUR: &[u8] = include_bytes!("../tests/captures/neighbour.cronx");

    #[test]
    fn the_committed_capture_names_its_neighbour() {
        let capture = Capture::read(NEIGHBOUR).unwrap();
        let report = cronx_blame::analyse(&capture, &cronx_blame::Options::default());
        let tail = report.tail.unwrap();
        let first = &tail.culprits[0];
        assert_eq!((first.class, first.culprit.name.raw()), (Class::Foreign, "compactor"));
        assert!(first.waited_ns * 10 > tail.waited_ns * 9);
        assert_eq!((report.waits, report.health.unbalanced, report.health.missing), (12_458, 0, 0));
        assert!(report.health.unknown_ns * 1_000 < report.waited_ns);
    }
}
