//! The command line of `cronx gate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use cronx_gate::ab::PAIRS;
use cronx_gate::evidence::Unit;

use super::{Probing, duration};

/// `cronx gate`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 pass; 1 regression; 2 the command line or an input cannot be \
    used; 3 inconclusive, which --inconclusive turns into one of the others."
)]
pub struct Gate {
    /// Record base and candidate in turns, and compare them.
    #[command(subcommand)]
    pub form: Option<Form>,
    /// What must hold of the recordings: METRIC.QUANTILE < TIME, such as 'wake_to_run.p99 < 2ms' or
    /// 'run_queue{process="nginx"}.p99.9 < 5ms'; may be given more than once.
    #[arg(long, value_name = "EXPR", conflicts_with_all = ["baseline", "candidate"])]
    pub budget: Vec<String>,
    /// Recordings to compare with; six at least.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "candidate")]
    pub baseline: Vec<PathBuf>,
    /// Recordings that may be worse; six at least.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "baseline")]
    pub candidate: Vec<PathBuf>,
    /// What foreign logs count in [default: ns in .hlog, ms in .hgrm]
    #[arg(long, value_enum)]
    pub unit: Option<LogUnit>,
    /// How to decide.
    #[command(flatten)]
    pub deciding: Deciding,
    /// What to say, and where.
    #[command(flatten)]
    pub telling: Telling,
    /// Output folder: the verdict, and of a regression the differential flamegraph.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace what is in a folder that is not empty.
    #[arg(long)]
    pub force: bool,
    /// Recordings for the budget: report.json, capture.cronx, a recording's folder, or a latency log
    /// (.hlog, .hgrm) of a load generator.
    #[arg(value_name = "FILE", requires = "budget")]
    pub files: Vec<PathBuf>,
}

/// A form of the gate that records.
#[derive(Debug, Subcommand)]
pub enum Form {
    /// Record base and candidate in turns on this machine until it is clear, and compare them.
    Ab(Ab),
}

/// `cronx gate ab`.
#[derive(Debug, Args)]
pub struct Ab {
    /// What there was, as a shell command.
    #[arg(long, value_name = "COMMAND")]
    pub base: String,
    /// What may be worse, as a shell command.
    #[arg(long, value_name = "COMMAND")]
    pub candidate: String,
    /// The most pairs that count.
    #[arg(long, value_name = "N", default_value_t = PAIRS.1 as u64,
          value_parser = clap::value_parser!(u64).range(PAIRS.0 as u64..=PAIRS.1 as u64))]
    pub pairs: u64,
    /// What the order of each pair is drawn from; drawn itself, if not given.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How to record each of them.
    #[command(flatten)]
    pub probing: Probing,
    /// How to decide.
    #[command(flatten)]
    pub deciding: Deciding,
    /// What to say, and where.
    #[command(flatten)]
    pub telling: Telling,
    /// Output folder, for every recording too; absent or empty [default: cronx-DATE-TIME]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// How to decide.
#[derive(Debug, Args)]
pub struct Deciding {
    /// What to compare [default: wake_to_run.p99, with --self-caused self_caused.p99]
    #[arg(long, value_name = "METRIC.QUANTILE")]
    pub metric: Option<String>,
    /// Only what the load caused itself; where others disturbed it, nothing is decided.
    #[arg(long)]
    pub self_caused: bool,
    /// A growth that is surely above this is a regression.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    pub regression_margin: f64,
    /// A growth that is surely below this is a pass.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    pub pass_margin: f64,
    /// How often each bound may be wrong, at each look.
    #[arg(long, value_name = "SHARE", default_value = "0.0125", value_parser = alpha)]
    pub alpha: f64,
    /// A growth of less than this is none.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub floor: Option<Duration>,
    /// The most evidence that may be lost.
    #[arg(long, value_name = "PERCENT", default_value = "0.1%", value_parser = percent)]
    pub max_loss: f64,
    /// The most of the CPUs' time that the hypervisor may take.
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = percent)]
    pub max_steal: f64,
    /// The most of the tail that a cgroup out of quota may be.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    pub max_throttled: f64,
    /// With --self-caused, the most of the tail that may be the doing of others.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    pub max_foreign: f64,
    /// The most that the base itself may change from first to last.
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = percent)]
    pub max_drift: f64,
    /// What an inconclusive verdict counts as, in place of status 3.
    #[arg(long, value_name = "AS", value_enum)]
    pub inconclusive: Option<CountsAs>,
}

/// What to say, and where.
#[derive(Debug, Args)]
pub struct Telling {
    /// Print the verdict as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors.
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
    /// Append the verdict as Markdown to this file.
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY", hide_env_values = true)]
    pub summary: Option<PathBuf>,
    /// Print annotations for GitHub on stderr; also where GITHUB_ACTIONS=true.
    #[arg(long)]
    pub annotations: bool,
}

/// In place of status 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CountsAs {
    /// Status 0.
    Pass,
    /// Status 1.
    Fail,
}

/// What a foreign log counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogUnit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
}

impl From<LogUnit> for Unit {
    fn from(unit: LogUnit) -> Self {
        match unit {
            LogUnit::Ns => Self::Nanoseconds,
            LogUnit::Us => Self::Microseconds,
            LogUnit::Ms => Self::Milliseconds,
        }
    }
}

/// `5%`, as a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    let share = number.unwrap_or(f64::NAN) / 100.0;
    let valid = (0.0..=100.0).contains(&share);
    valid.then_some(share).ok_or_else(|| "a percentage from 0% to 10000%".to_owned())
}

fn alpha(text: &str) -> Result<f64, String> {
    let alpha = text.parse::<f64>().unwrap_or(f64::NAN);
    let valid = (1e-6..0.5).contains(&alpha);
    valid.then_some(alpha).ok_or_else(|| "a share from 0.000001 to below 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_shares() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("0.1 %"), Ok(0.001));
        assert_eq!(percent("50"), Ok(0.5));
        for bad in ["", "%", "-1%", "NaN", "inf", "5x", "20000%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
        assert_eq!(alpha("0.0125"), Ok(0.0125));
        assert!(["0", "0.5", "1", "NaN", "x"].iter().all(|bad| alpha(bad).is_err()));
    }
}
