//! `cronx --version`: what this build is, and with `--verbose` what a bug report wants to know.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use cronx_collector::{ABI_VERSION, probes};
use cronx_recording::SCHEMA;

/// Prints it.
pub fn run(verbose: bool) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "cronx {}", env!("CARGO_PKG_VERSION"))?;
    if verbose {
        writeln!(out, "records: abi {ABI_VERSION}; report: {SCHEMA}")?;
        let built = probes::MANIFEST.lines().filter(|line| !line.starts_with('#'));
        writeln!(out, "probes:")?;
        for line in built {
            writeln!(out, "  {line}")?;
        }
        let kernel = std::fs::read_to_string("/proc/version").unwrap_or_default();
        writeln!(out, "kernel: {}", kernel.trim())?;
    }
    Ok(ExitCode::SUCCESS)
}
