//! What there is to tell: events, for whoever prints.

use std::net::SocketAddr;
use std::sync::Arc;

use cronx_scheduler::breaker::{Event as Decision, Record};
use cronx_scheduler::{Outcome, Run};

use crate::set::Changes;

/// Is told of every event, by any thread.
pub type Log = Arc<dyn Fn(&Event) + Send + Sync>;

/// Something happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The jobs are on time from now, and this address answers.
    Ready {
        /// With the port that the kernel chose, if none was asked for.
        listen: SocketAddr,
        /// How many.
        jobs: usize,
    },
    /// A job's command wrote a line, without its end.
    Line {
        /// The job's name.
        job: &'a str,
        /// As far as it is UTF-8.
        line: &'a str,
    },
    /// A run ended otherwise than it should.
    Failed(&'a Run),
    /// The file was read again, and this is now so.
    Reloaded(&'a Changes),
    /// The file was read again and cannot be used: nothing has changed.
    Refused(&'a str),
    /// A breaker turned, or started its remedy.
    Decided(&'a Record),
    /// Something else that a person should know.
    Note(&'a str),
}

impl Event<'_> {
    /// A line about it. It has names and texts from outside: a sink wants its encoder.
    pub fn text(&self) -> String {
        match self {
            Self::Ready { listen, jobs } => {
                format!("{}; http://{listen}/status and /metrics", count(*jobs, "job"))
            }
            Self::Line { job, line } => format!("{job}: {line}"),
            Self::Failed(run) => failed(run),
            Self::Reloaded(changes) => format!("reloaded: {changes}"),
            Self::Refused(why) => format!("not reloaded, the jobs are as they were: {why}"),
            Self::Decided(record) => decided(record),
            Self::Note(text) => (*text).to_owned(),
        }
    }
}

fn failed(run: &Run) -> String {
    let how = match &run.outcome {
        Outcome::Succeeded => "succeeded".to_owned(),
        Outcome::Failed(why) => format!("failed: {why}"),
        Outcome::TimedOut => "took longer than its timeout, and was ended".to_owned(),
        Outcome::Panicked(why) => format!("panicked: {why}"),
        Outcome::Cancelled => "was cancelled".to_owned(),
        Outcome::Refused => "was refused by the store".to_owned(),
        Outcome::Rejected(rejection) => format!("did not begin: {rejection}"),
    };
    let firing = &run.firing;
    format!("{}: the run of {}, attempt {}, {how}", firing.job, firing.nominal, firing.attempt)
}

fn decided(record: &Record) -> String {
    let name = &record.breaker;
    let would = if record.shadow { " in its shadow" } else { "" };
    let what = match &record.event {
        Decision::Turned(turn) => {
            let (from, to, rule) = (turn.from.word(), turn.to.word(), turn.rule.word());
            let window = &turn.window;
            let (calls, failures, in_row) = (window.calls, window.failures, window.in_row);
            let counted = format!("{failures} of {calls} failed, {in_row} in a row");
            format!("was {from} and is {to}{would}: {rule} ({counted})")
        }
        Decision::Remedy { job, refused: None } => format!("starts '{job}'"),
        Decision::Remedy { job, refused: Some(why) } => format!("cannot start '{job}': {why}"),
        other => format!("{other:?}"),
    };
    format!("the breaker '{name}' {what}")
}

/// `1 job`, `2 jobs`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
