//! `cronx ledger`, and where a ledger is.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The variable with its address.
pub const LEDGER: &str = "CRONX_LEDGER";

/// Where the ledger is.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The ledger: sqlite:PATH; postgres://, mysql:// or redis://USER:PASSWORD@HOST:PORT/DATABASE, where one
    /// daemon has the jobs and others wait for its end; or memory:, which forgets all when the daemon ends.
    /// Others can read a command line: a password is better in the variable [default: a file in the state
    /// folder]
    #[arg(long, value_name = "URL", env = LEDGER, hide_env_values = true, conflicts_with = "state")]
    pub ledger: Option<String>,
    /// The folder for the ledger's file; nobody else may be able to write there [default: one for each file
    /// of jobs, in /var/lib/cronx for root and in ~/.local/state/cronx for others]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// `cronx ledger`.
#[derive(Debug, Args)]
pub struct Ledger {
    /// What to look at.
    #[command(subcommand)]
    pub look: Look,
}

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// How far each job is, and how many of its firings are in flight, failed and done.
    Status(Which),
    /// The firings that changed last.
    Runs(Runs),
    /// Read all of it, and say what cannot be; exit status 1 if there is something.
    Verify(Which),
}

/// Which ledger.
#[derive(Debug, Args)]
pub struct Which {
    /// That of this file of jobs.
    #[arg(value_name = "JOBS.toml", required_unless_present_any = ["ledger", "state"])]
    pub jobs: Option<PathBuf>,
    /// Or by its place.
    #[command(flatten)]
    pub place: Where,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cronx ledger runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// Which ledger.
    #[command(flatten)]
    pub which: Which,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub count: u16,
}
