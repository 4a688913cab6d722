//! `cronx gate ab`: base and candidate, recorded in turns until it is clear.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use cronx_collector::privileges::{self, User};
use cronx_flamegraph::units::duration;
use cronx_gate::Verdict;
use cronx_gate::ab::{Sequence, Side, order};
use cronx_gate::evidence::Evidence;
use cronx_gate::flaw::Limits;
use cronx_gate::quantity::{Metric, Quantity};
use cronx_gate::verdict::Check;
use cronx_recording::{Report, Untrusted};
use nix::sys::signal::Signal;

use super::apart::{self, Ended};
use super::tell::{self, Sides};
use super::{grown, limits, margins, quantity, status};
use crate::cli::gate::Ab;
use crate::cli::{Analysis, Place, Record, Spans, Whom};
use crate::output::Output;
use crate::record;

/// Records pair after pair, compares, and tells.
pub(super) fn run(args: &Ab) -> Result<ExitCode> {
    let (user, quantity) = (privileges::invoking_user()?, quantity(&args.deciding)?);
    privileges::demand()?;
    let place = args.output.clone().unwrap_or_else(record::by_time);
    make_folder(&place, user.as_ref())?;
    let limits = limits(&args.deciding);
    let most = args.pairs as usize;
    let sequence = Sequence::new(quantity.clone(), most, margins(&args.deciding), limits)?;
    let mut series = Series { args, place, quantity, limits, sides: Sides::default() };
    let check = match series.play(sequence)? {
        Ok(check) => check,
        Err(signal) => return Ok(apart::ended_by(signal)),
    };
    // What is left to do is to write, as whoever shall own it.
    if user.is_some() {
        privileges::drop_to(user.as_ref(), &[])?;
    }
    let verdict = grown(Verdict::of(vec![check]), &series.sides);
    tell::all(&args.telling, &verdict, &series.sides, Some((&series.place, true)))?;
    Ok(status(&args.deciding, verdict.decision))
}

/// The folder of all recordings, by the user's own hand.
fn make_folder(place: &Path, user: Option<&User>) -> Result<()> {
    let create = || -> Result<()> {
        let mut output = Output::create(place, false)?;
        output.demand_writable()?;
        output.keep();
        Ok(())
    };
    if user.is_none() {
        return create();
    }
    let made = apart::run(|_| {
        privileges::drop_to(user, &[])?;
        create()?;
        Ok(0)
    })?;
    match made {
        Ended::Done(0, _) => Ok(()),
        _ => bail!("nothing was recorded"),
    }
}

/// A comparison under way.
struct Series<'a> {
    args: &'a Ab,
    place: PathBuf,
    quantity: Quantity,
    limits: Limits,
    sides: Sides,
}

impl Series<'_> {
    /// The check, or the signal by which somebody asked us to end.
    ///
    /// The first pair warms up what comes after it: caches, the governor, the probes themselves.
    fn play(&mut self, mut sequence: Sequence) -> Result<Result<Check, Signal>> {
        let seed = self.args.seed.unwrap_or_else(draw);
        self.say(&format!("orders are drawn from seed {seed}"));
        for number in 0.. {
            let mut pair = [None, None];
            for side in order(seed, number) {
                match self.record(side, number)? {
                    Ok(report) => pair[side as usize] = Some(report),
                    Err(signal) => return Ok(Err(signal)),
                }
            }
            let [Some(base), Some(candidate)] = pair else { bail!("a pair has two sides") };
            if number == 0 {
                continue;
            }
            let of = |side, report: &Report| self.evidence(side, number, report);
            let evidence = (of(Side::Base, &base)?, of(Side::Candidate, &candidate)?);
            self.sides.base.push(base);
            self.sides.candidate.push(candidate);
            if let Some(check) = sequence.push(&evidence.0, &evidence.1) {
                return Ok(Ok(check));
            }
        }
        bail!("there are no more numbers")
    }

    fn record(&self, side: Side, number: usize) -> Result<Result<Report, Signal>> {
        let args = self.record_args(side, number);
        let ended = apart::run(|pipe| {
            let Some(recorded) = record::make(&args)? else { return Ok(record::ABORTED) };
            recorded.report.write(pipe)?;
            Ok(0)
        })?;
        match ended {
            Ended::Asked(signal) => Ok(Err(signal)),
            Ended::Done(0, written) => {
                let report = Report::read(written.as_slice());
                let report = report.with_context(|| format!("{} says nonsense", side.name()))?;
                self.tell(side, number, &report);
                Ok(Ok(report))
            }
            Ended::Done(record::ABORTED, _) => Ok(Err(Signal::SIGINT)),
            Ended::Done(..) => bail!("the {} could not be recorded", side.name()),
        }
    }

    fn record_args(&self, side: Side, number: usize) -> Record {
        let command = match side {
            Side::Base => &self.args.base,
            Side::Candidate => &self.args.candidate,
        };
        let shell = ["sh", "-c", command].map(OsString::from);
        Record {
            whom: Whom { pid: Vec::new(), comm: Vec::new(), cgroup: None, all: false },
            probing: self.args.probing.clone(),
            floor: None,
            spans: self.spans(),
            analysis: Analysis { objective: None, process: None, thread: None },
            place: Place {
                output: Some(self.place.join(name(side, number))),
                force: false,
                quiet: true,
                json: false,
            },
            command: shell.to_vec(),
        }
    }

    /// Who does not ask for lateness does not pay for it.
    fn spans(&self) -> Spans {
        if self.quantity.metric == Metric::Lateness { Spans::All } else { Spans::None }
    }

    fn evidence(&self, side: Side, number: usize, report: &Report) -> Result<Evidence> {
        Ok(Evidence::of(report, name(side, number), &self.quantity, &self.limits)?)
    }

    fn tell(&self, side: Side, number: usize, report: &Report) {
        let value = match self.evidence(side, number, report) {
            Ok(evidence) => duration(evidence.at(self.quantity.quantile)),
            Err(_) => "nothing".to_owned(),
        };
        let warm = if number == 0 { ", to warm up" } else { "" };
        let quantity = Untrusted::from(self.quantity.to_string());
        self.say(&format!("{}: {} {value}{warm}", name(side, number), quantity.terminal()));
    }

    fn say(&self, line: &str) {
        if !self.args.telling.quiet {
            eprintln!("cronx: {line}");
        }
    }
}

/// `03-base`; the pair 00 is the one that warms up.
fn name(side: Side, number: usize) -> String {
    format!("{number:02}-{}", side.name())
}

/// Any number will do, as long as it is said.
fn draw() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_nanos() as u64 % 1_000_000
}
