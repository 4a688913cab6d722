//! `cronx diff`: what changed from one recording to another.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cronx_gate::growth;
use cronx_recording::Report;
use serde_json::json;

use crate::cli::Diff;
use crate::input::{self, Input};
use crate::output::Output;
use crate::{screen, terminal};

const PICTURE: &str = "diff.svg";

/// Reads both, prints, and draws where asked.
pub fn run(args: &Diff) -> Result<ExitCode> {
    let paths = vec![args.before.clone(), args.now.clone()];
    let inputs = input::read_all(&[&paths])?.concat();
    let reports = inputs.iter().map(|(path, input): &(_, Input)| {
        let cannot = || format!("cannot use '{}': a latency log has no blame", path.display());
        input.report().with_context(cannot)
    });
    let reports: Vec<&Report> = reports.collect::<Result<_>>()?;
    let (base, candidate) = (reports[0], reports[1]);
    if let Some(path) = &args.output {
        let mut output = Output::create(path, args.force)?;
        output.demand_writable()?;
        output.replace(&[PICTURE])?;
        output
            .write(PICTURE, |file| cronx_flamegraph::write_diff_svg(&[base], &[candidate], file))?;
        output.keep();
    }
    let grown = growth::by_culprit(&[base], &[candidate]);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!({ "schema": "cronx.diff/1", "culprits": grown }))?;
    } else {
        write!(out, "{}", screen::diff(base, candidate, &grown, &terminal::style(&out)))?;
    }
    Ok(ExitCode::SUCCESS)
}
