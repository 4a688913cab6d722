//! The developer's verbs: `cargo xtask demo`, `test`, `vm`, `fuzz`, `score`, `ci`, `ebpf`, `tidy`,
//! `bench`.
//!
//! Each verb is a file. A verb says every command that it runs, so that a person can run it too,
//! and what it may install it installs only if it is missing. No verb knows how cronx works
//! inside: it runs the command and reads its files, as a user would.

mod apt;
mod bench;
mod ci;
mod demo;
mod ebpf;
mod fuzz;
mod process;
mod score;
mod test;
mod tidy;
mod toolchain;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The developer's verbs of cronx.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Record a real load beside a real neighbour, and see whom the report blames.
    Demo,
    /// Run every test; say which live ones were skipped, and why.
    Test {
        /// A live test that is skipped is a failure; so it is where CI=true.
        #[arg(long)]
        demand: bool,
    },
    /// Throw mutated bytes at the readers of bytes that are not ours.
    Fuzz {
        /// The one to run; all, if not given.
        target: Option<String>,
        /// For how long, each.
        #[arg(long, default_value_t = fuzz::SECONDS)]
        seconds: u64,
    },
    /// Run the live tests on other kernels, emulated.
    Vm {
        /// The kernels: 5.10, 6.1, 6.12, 6.18, newest; all, if none is named.
        kernels: Vec<String>,
        /// Only the tests with this in their names; may be given more than once.
        #[arg(long = "test", value_name = "NAME")]
        tests: Vec<String>,
        /// Only the oldest and the newest, and the tests that no busy machine is too slow for.
        #[arg(long, conflicts_with_all = ["kernels", "tests"])]
        short: bool,
        /// Boot nothing; write what the offsets' test needs of the kernels' types.
        #[arg(long)]
        btf: bool,
    },
    /// Say how often blame is right, beside actors that know and rules of thumb that guess.
    Score {
        /// Only what is quick.
        #[arg(long)]
        short: bool,
        /// The cases; all, if none is named.
        cases: Vec<String>,
    },
    /// Everything that a change has to pass.
    Ci,
    /// Build the kernel programs into probes-ebpf/prebuilt.
    Ebpf {
        /// Prove that the committed object is what its sources give.
        #[arg(long, conflicts_with = "install")]
        check: bool,
        /// Install the toolchain for kernel programs, as far as it is missing.
        #[arg(long)]
        install: bool,
        /// Build the object that logs, for `--features debug-log`.
        #[arg(long, conflicts_with_all = ["check", "install"])]
        log: bool,
    },
    /// Check the walls and the sizes that the compiler does not.
    Tidy,
    /// Measure, beside rivals.
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Demo => demo::run(),
        Verb::Test { demand } => test::run(demand),
        Verb::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Verb::Vm { kernels, btf: true, .. } => vm::write_btf(&kernels),
        Verb::Vm { short: true, .. } => vm::short(),
        Verb::Vm { kernels, tests, .. } => vm::run(&kernels, &tests),
        Verb::Score { short, cases } => score::run(short, &cases),
        Verb::Ci => ci::run(),
        Verb::Ebpf { check: true, .. } => ebpf::check(),
        Verb::Ebpf { install: true, .. } => ebpf::install(),
        Verb::Ebpf { log: true, .. } => ebpf::build_logging(),
        Verb::Ebpf { .. } => ebpf::build(),
        Verb::Tidy => tidy::run(),
        Verb::Bench { what } => bench::run(&what),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
