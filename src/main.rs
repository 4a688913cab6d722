//! `cronx`: why did the P99 miss?
//!
//! One file per verb. Only here is anything printed, and only here does anything exit.

mod cli;
#[cfg(feature = "debug-log")]
mod debug_log;
mod diff;
mod doctor;
mod explain;
mod gate;
mod input;
mod ledger;
mod output;
mod progress;
mod record;
mod report;
mod run;
mod screen;
mod terminal;
mod version;

use std::process::ExitCode;

use clap::Parser;
use cronx_recording::Untrusted;

/// `cronx record` speaks with the load's status, so its own failures need one that loads do not use.
const RECORD_FAILED: u8 = 125;
/// The command line or an input cannot be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    #[cfg(feature = "debug-log")]
    debug_log::to_stderr();
    let failed = if std::env::args_os().nth(1).is_some_and(|verb| verb == "record") {
        RECORD_FAILED
    } else {
        UNUSABLE
    };
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { failed } else { 0 };
            let _ = error.print();
            return ExitCode::from(status);
        }
    };
    let done = match &cli.verb {
        Some(cli::Verb::Record(args)) => record::run(args),
        Some(cli::Verb::Report(args)) => report::run(args),
        Some(cli::Verb::Run(args)) => run::run(args),
        Some(cli::Verb::Explain(args)) => explain::run(args),
        Some(cli::Verb::Diff(args)) => diff::run(args),
        Some(cli::Verb::Gate(args)) => gate::run(args),
        Some(cli::Verb::Ledger(args)) => ledger::run(args),
        Some(cli::Verb::Doctor(args)) => doctor::run(args),
        None => version::run(cli.verbose),
    };
    done.unwrap_or_else(|error| {
        // Whoever read our output has seen enough.
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        complain(&error);
        ExitCode::from(record::status_of(&error).unwrap_or(failed))
    })
}

/// In one line; whoever's name is in it, it is text.
fn complain(error: &anyhow::Error) {
    let sentence = Untrusted::from(format!("{error:#}"));
    eprintln!("cronx: {}", sentence.terminal());
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
