//! The command line.

pub mod gate;
pub mod ledger;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cronx_collector::probes::Object;
use cronx_collector::spans::Wanted;
use cronx_collector::targets::ThreadName;
use cronx_scheduler::{Fold, Gap};

/// Stack samples a second and CPU.
const SAMPLE_HZ: u32 = 199;
/// Each CPU's ring, KiB.
const RING_KIB: u32 = 8192;

/// Why did the P99 miss?
#[derive(Debug, Parser)]
#[command(name = "cronx", about = "Why did the P99 miss?", max_term_width = 100)]
#[command(disable_version_flag = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print the version; with --verbose also the formats, the probes and the kernel.
    #[arg(short = 'V', long)]
    pub version: bool,
    /// More of it.
    #[arg(long, requires = "version")]
    pub verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Measure how long the threads of a load wait for a CPU, and say for whom.
    Record(Record),
    /// Make the report of a capture again; needs no privilege.
    Report(Report),
    /// Say what changed from one recording to another, and whose blame it is.
    Diff(Diff),
    /// Say whether a quantile is good enough, with a status that a build can trust.
    Gate(Box<gate::Gate>),
    /// Run a file of jobs, each when it is due.
    Run(Run),
    /// Say when a schedule is due, and what daylight saving time does to it.
    Explain(Explain),
    /// Look into the ledger of a daemon, which may go on meanwhile.
    Ledger(ledger::Ledger),
    /// Say what this machine can and cannot do, and how to mend it.
    Doctor(Doctor),
}

/// `cronx record`.
#[derive(Debug, Args)]
#[command(after_help = "The load runs as the user who called sudo. Exit status: the load's own; \
    128+N if signal N ended it; 125 if cronx failed; 126 if the command cannot be executed; \
    127 if it does not exist.")]
pub struct Record {
    /// Whom to record.
    #[command(flatten)]
    pub whom: Whom,
    /// How to record.
    #[command(flatten)]
    pub probing: Probing,
    /// Count waits shorter than this, and record none of them; 0 records every wait
    /// [default: 0; with --all the objective, or 1ms]
    #[arg(long, value_name = "TIME", value_parser = duration_or_none)]
    pub floor: Option<Duration>,
    /// The firings to explain, of programs that announce them: all, late ones alone (which costs the
    /// punctual ones nothing), or none; without none also the spans of any program
    #[arg(long, value_name = "WHICH", default_value = "all")]
    pub spans: Spans,
    /// What to report.
    #[command(flatten)]
    pub analysis: Analysis,
    /// Where to put it.
    #[command(flatten)]
    pub place: Place,
    /// The load: a command and its arguments. Where somebody else is to be recorded, it only says
    /// for how long.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// How to record, whoever it is.
#[derive(Debug, Clone, Args)]
pub struct Probing {
    /// Close the window after this time (such as 500ms, 30s, 5m); a load still running is ended.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Stack samples a second and CPU while somebody waits; 0 for none.
    #[arg(long, value_name = "HZ", default_value_t = SAMPLE_HZ,
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub sample_hz: u32,
    /// Ring buffer of each CPU in KiB; rounded up to a power of two.
    #[arg(long, value_name = "KIB", default_value_t = RING_KIB,
          value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    pub ring: u32,
    /// The probes to use, and no others [default: the best that the kernel takes]
    #[arg(long, value_name = "OBJECT", value_parser = object)]
    pub probes: Option<Object>,
}

/// Which firings to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spans {
    /// All of them.
    All,
    /// Those beyond their scheduler's objective.
    Late,
    /// None, and no spans.
    None,
}

impl Spans {
    /// As the collector has it.
    pub fn wanted(self) -> Option<Wanted> {
        match self {
            Self::All => Some(Wanted::All),
            Self::Late => Some(Wanted::Late),
            Self::None => None,
        }
    }
}

/// Whom to record: the load, if nobody else is named.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Whom {
    /// Processes, with the descendants they make from now on.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Threads of this name, whenever they have it; may be given more than once.
    #[arg(long, value_name = "NAME", value_parser = ThreadName::new)]
    pub comm: Vec<ThreadName>,
    /// Threads in this cgroup or below it, whenever they are there: a folder of the cgroup file
    /// system, or a path from its root.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Every thread of the machine.
    #[arg(long)]
    pub all: bool,
}

/// `cronx report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A capture.cronx that `cronx record` made.
    pub capture: PathBuf,
    /// What to report.
    #[command(flatten)]
    pub analysis: Analysis,
    /// Write the pictures and figures into this folder, as `record` does; without it, only print.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace a recording in a folder that is not empty.
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to report.
#[derive(Debug, Args)]
pub struct Analysis {
    /// A wait longer than this is a miss (such as 500us, 2ms).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub objective: Option<Duration>,
    /// Only waits of processes of this name.
    #[arg(long, value_name = "NAME")]
    pub process: Option<String>,
    /// Only waits of threads of this name.
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
}

/// Where to put it, and what to say.
#[derive(Debug, Args)]
pub struct Place {
    /// Output folder; absent or empty [default: cronx-DATE-TIME]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace a recording in a folder that is not empty.
    #[arg(long)]
    pub force: bool,
    /// Print nothing but errors.
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Record {
    /// A recording of a command with everything as it is if nothing is said.
    pub fn of(command: Vec<OsString>, objective: Option<Duration>, place: Place) -> Self {
        Self {
            whom: Whom { pid: Vec::new(), comm: Vec::new(), cgroup: None, all: false },
            probing: Probing { duration: None, sample_hz: SAMPLE_HZ, ring: RING_KIB, probes: None },
            floor: None,
            spans: Spans::All,
            analysis: Analysis { objective, process: None, thread: None },
            place,
            command,
        }
    }
}

/// `cronx diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// A recording: report.json, capture.cronx, or a recording's folder.
    pub before: PathBuf,
    /// A later one.
    pub now: PathBuf,
    /// Draw the differential flamegraph into this folder.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace a picture in a folder that is not empty.
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cronx explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "A pattern that is due every hour, or every few, goes by elapsed time, unless \
    told otherwise (--gap skip, --fold both); one of certain hours is due once a day (--gap shift, \
    --fold first)."
)]
pub struct Explain {
    /// 5 fields, 6 with seconds, 7 with years; or @daily and its like; or @every 250ms. Best in quotes.
    #[arg(required = true, value_name = "SPEC")]
    pub spec: Vec<String>,
    /// The time zone, as the IANA database names it [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// How many firings.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    /// Those after this instant, such as 2026-03-28T23:00:00Z [default: now]
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<jiff::Timestamp>,
    /// A time that the clock leaps over: skip it, or shift it by the leap.
    #[arg(long, value_name = "HOW", value_parser = gap)]
    pub gap: Option<Gap>,
    /// A time that comes twice: fire at the first, the last, or both.
    #[arg(long, value_name = "WHICH", value_parser = fold)]
    pub fold: Option<Fold>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cronx run`.
#[derive(Debug, Args)]
#[command(
    after_help = "SIGHUP reads the file again: a bad one is refused whole, and the jobs stay as \
    they are. SIGTERM or SIGINT starts nothing more, waits for what runs, and ends; a second one \
    does not wait. examples/jobs.toml shows all that a file may say."
)]
pub struct Run {
    /// The file of jobs.
    #[arg(value_name = "JOBS.toml")]
    pub jobs: PathBuf,
    /// Where to answer /status and /metrics; port 0 for any that is free [default: the file's, or
    /// 127.0.0.1:9310]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// What outlives the daemon.
    #[command(flatten)]
    pub ledger: ledger::Where,
    /// Only read the file, and say when each job is due next.
    #[arg(long)]
    pub check: bool,
    /// Decide once more what this log of decisions says, and the older one beside it, by the file's rules.
    #[arg(long, value_name = "DECISIONS", conflicts_with = "check")]
    pub replay: Option<PathBuf>,
    /// Record it, in a process of its own, and explain every late firing at the end.
    #[arg(long, conflicts_with_all = ["check", "replay"])]
    pub record: bool,
    /// A firing later than this is late [default: what the scheduler calls so, 10ms]
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "record")]
    pub objective: Option<Duration>,
    /// Where to put the recording; absent or empty [default: cronx-DATE-TIME]
    #[arg(short, long, value_name = "DIR", requires = "record")]
    pub output: Option<PathBuf>,
    /// Replace a recording in a folder that is not empty.
    #[arg(long, requires = "record")]
    pub force: bool,
}

/// `cronx doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn gap(name: &str) -> Result<Gap, String> {
    match name {
        "skip" => Ok(Gap::Skip),
        "shift" => Ok(Gap::Shift),
        _ => Err("it is skip or shift".to_owned()),
    }
}

fn fold(name: &str) -> Result<Fold, String> {
    match name {
        "first" => Ok(Fold::First),
        "last" => Ok(Fold::Last),
        "both" => Ok(Fold::Both),
        _ => Err("it is first, last or both".to_owned()),
    }
}

fn object(name: &str) -> Result<Object, String> {
    let known = [Object::TpBtf, Object::Legacy];
    known.into_iter().find(|object| object.name() == name).ok_or_else(|| {
        let names = known.map(Object::name).join(" or ");
        format!("there are only {names}")
    })
}

/// No load test takes longer.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// The same, or nothing at all.
fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}

/// Parses `500us`, `2ms`, `1.5s`, `5m`; a unit is demanded.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time is a number and a unit: ns, us, ms, s, m or h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
        _ => Err("a time must be longer than nothing and no longer than a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500us"), Ok(Duration::from_micros(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for bad in [
            "5000000000000000h",
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1e99h",
            "1.2.3s",
            "99999999999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
