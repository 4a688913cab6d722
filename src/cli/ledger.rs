//! `cronx ledger`, and where a ledger is.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

/// The variable with its address.
pub const LEDGER: &str = "CRONX_LEDGER";

/// Where the ledger is.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The ledger: sqlite:PATH; postgres://, mysql:// or redis://USER:PASSWORD@HOST:PORT/DATABASE, where each
    /// of many daemons has its share of the jobs, if all have the same file; or memory:, which forgets all when the daemon ends.
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
    /// The sagas that changed last, or one of them whole; and what an operator decides about it. Exit status 1
    /// if there is no such saga, or it cannot be decided so.
    Saga(Saga),
    /// Take old days of a journal to an archive, read them back, and drop what every consumer has had; exit
    /// status 1 if a day could not be.
    Archive(Archive),
    /// Print events of a journal and its archive, each as a line of JSON.
    Replay(Replay),
}

/// Which journal.
#[derive(Debug, Args)]
pub struct OfJournal {
    /// The database that has it: sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE. Others can read
    /// a command line: a password is better in the variable
    #[arg(long, value_name = "URL", env = "CRONX_JOURNAL", hide_env_values = true)]
    pub journal: String,
}

/// `cronx ledger archive`.
#[derive(Debug, Args)]
pub struct Archive {
    /// Which journal.
    #[command(flatten)]
    pub journal: OfJournal,
    /// The folder of the archive, which is made where there is none.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Days after its end that a day may be appended to.
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = days())]
    pub hot: u32,
    /// Days after its end that a day is in the database.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = days())]
    pub warm: u32,
    /// Days after its end that a day waits for consumers; what they have not had by then becomes their dead
    /// letters.
    #[arg(long, value_name = "DAYS", default_value_t = 120, value_parser = days())]
    pub patience: u32,
    /// Do nothing but bring this day back into the database, for as long as a day is hot.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub restore: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=36_500)
}

/// `cronx ledger replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Which journal.
    #[command(flatten)]
    pub journal: OfJournal,
    /// The folder of its archive, for days that are there alone.
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// Events of this instant or later, such as 2025-11-28T14:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<jiff::Timestamp>,
    /// Events before this instant.
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<jiff::Timestamp>,
    /// Events of this aggregate alone.
    #[arg(long, value_name = "NAME")]
    pub aggregate: Option<String>,
    /// A consumer's dead letters instead, each with its reason.
    #[arg(long, value_name = "CONSUMER", conflicts_with = "archive")]
    pub dead: Option<String>,
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

/// `cronx ledger saga`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("verb").args(["retry", "done", "skip", "compensate"]).requires("id"))]
pub struct Saga {
    /// Which ledger.
    #[command(flatten)]
    pub which: Which,
    /// Those in this state alone.
    #[arg(long, value_name = "STATE", value_parser = STATES, conflicts_with = "id")]
    pub only: Option<String>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "id",
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub count: u16,
    /// This one, whole: its steps, their keys, what was tried when, and what there is to decide.
    #[arg(long, value_name = "SAGA")]
    pub id: Option<String>,
    /// Have it tried again where it stopped, with all its attempts.
    #[arg(long)]
    pub retry: bool,
    /// The step at which it stopped is done, or undone, by other means: go on.
    #[arg(long, value_name = "STEP", requires = "reason")]
    pub done: Option<String>,
    /// Leave that step out: go on.
    #[arg(long, value_name = "STEP", requires = "reason")]
    pub skip: Option<String>,
    /// Undo what was done; where the pivot's outcome is unknown, it did not happen.
    #[arg(long, requires = "reason")]
    pub compensate: bool,
    /// Why, for whoever reads it later.
    #[arg(long, value_name = "WHY", requires = "verb")]
    pub reason: Option<String>,
}

const STATES: [&str; 7] = [
    "pending",
    "executing",
    "retrying",
    "compensating",
    "completed",
    "compensated",
    "needs_operator",
];
