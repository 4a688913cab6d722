//! What a breaker was asked and told, and what it decided: enough of it to decide the same again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::machine::{Ended, Forced, Machine, Permit, Rejected};
use super::record::Turn;
use super::rules::{Rules, Share};
use crate::Mono;
use crate::run::TraceId;

/// A line of the decision log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub breaker: Arc<str>,
    /// Whether it only says what it would have done.
    pub shadow: bool,
    /// When, as the breaker has it.
    pub at: Mono,
    /// Of the firing that asked or told; nothing, if none did.
    pub trace: Option<TraceId>,
    /// What.
    pub event: Event,
}

/// What happened to a breaker. What is told of a call is told first, and then what that turned.
///
/// A call that passes a closed breaker is not told of, nor the success that changes nothing: without
/// them everything else is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A call may go, as a probe.
    Probed(Permit),
    /// A call may not go.
    Rejected(Rejected),
    /// A call ended.
    Told {
        /// What it had been given.
        permit: Permit,
        /// How it ended.
        ended: Ended,
        /// How long it took.
        took: Duration,
        /// Whether it counts.
        counted: bool,
    },
    /// Somebody looked, and a deadline was behind.
    Looked,
    /// A person held it, or let it go.
    Forced(Option<Forced>),
    /// A feed said what is usual elsewhere.
    Heard {
        /// The instant that it is of.
        taken: Mono,
        /// The share of failures.
        failed: Share,
        /// Whether that changed anything.
        counted: bool,
    },
    /// It turned.
    Turned(Turn),
    /// Its remedy was told to start, once for this opening; or could not be told, and why.
    Remedy {
        /// The job.
        job: Arc<str>,
        /// What its scheduler said.
        refused: Option<String>,
    },
}

/// A log that its rules do not explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {number}: {why}")]
pub struct Differs {
    /// Which, from 0.
    pub number: usize,
    /// What is decided instead.
    pub why: String,
}

/// Feeds the records of one breaker to a new one of these rules, and holds its decisions against them.
/// Gives how many turns there were. A log may end anywhere, also before a turn that its last record made.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use cronx_scheduler::Mono;
/// use cronx_scheduler::breaker::{Breaker, Ended, Record, Rules, replay};
///
/// let log: Arc<Mutex<Vec<Record>>> = Arc::default();
/// let writes = Arc::clone(&log);
/// let witness = Arc::new(move |record: &Record| writes.lock().unwrap().push(record.clone()));
/// let breaker = Breaker::watched("ledger", Rules::PAPER_CH1, witness)?;
/// for second in 0..3 {
///     let now = Mono(second * 1_000_000_000);
///     let call = breaker.ask(now, None, &mut Vec::new()).unwrap();
///     call.end(Ended::Failed, Duration::ZERO, now, &mut Vec::new());
/// }
/// assert_eq!(replay(Rules::PAPER_CH1, &*log.lock().unwrap()), Ok(1));
/// assert!(replay(Rules::PAPER_CH3, &*log.lock().unwrap()).is_err());
/// # Ok::<(), cronx_scheduler::Error>(())
/// ```
pub fn replay<'a>(
    rules: Rules,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<usize, Differs> {
    decided(Machine::new(rules), records.into_iter().enumerate())
}

/// The same of a log whose beginning is gone: from the first closing on, since a breaker that closes
/// knows nothing of what was. Gives how many records are left out, which are all if it never closes or
/// has learned what is usual, and how many turns there were in the others.
pub fn replay_rest(rules: Rules, records: &[Record]) -> Result<(usize, usize), Differs> {
    let closed = |(number, record): (usize, &Record)| match &record.event {
        Event::Turned(turn) => Some((number + 1, Machine::closed(rules, turn)?)),
        _ => None,
    };
    match records.iter().enumerate().find_map(closed) {
        Some((first, machine)) => {
            let rest = records.iter().enumerate().skip(first);
            decided(machine, rest).map(|turns| (first, turns))
        }
        None => Ok((records.len(), 0)),
    }
}

fn decided<'a>(
    mut machine: Machine,
    records: impl IntoIterator<Item = (usize, &'a Record)>,
) -> Result<usize, Differs> {
    let (mut due, mut turned) = (VecDeque::new(), 0);
    for (number, record) in records {
        let differs = |why: String| Differs { number, why };
        match &record.event {
            Event::Turned(turn) => {
                let expected = due.pop_front();
                if expected != Some(*turn) {
                    return Err(differs(format!("it turns {expected:?}")));
                }
                turned += 1;
            }
            Event::Remedy { .. } => {}
            event if due.is_empty() => {
                let mut turns = Vec::new();
                feed(&mut machine, record.at, event, &mut turns).map_err(differs)?;
                due.extend(turns);
            }
            _ => return Err(differs(format!("before it, it turns {:?}", due.front()))),
        }
    }
    // Whoever wrote it may have come to an end before it was said how that turned out.
    Ok(turned)
}

/// What was asked or told, once more; an error if the answer is another.
fn feed(
    machine: &mut Machine,
    at: Mono,
    event: &Event,
    turns: &mut Vec<Turn>,
) -> Result<(), String> {
    let same = match *event {
        Event::Probed(permit) => machine.ask(at, turns) == Ok(permit),
        Event::Rejected(rejected) => machine.ask(at, turns) == Err(rejected),
        Event::Told { permit, ended, took, counted } => {
            machine.tell(permit, ended, took, at, turns) == counted
        }
        Event::Heard { taken, failed, counted } => machine.hear(taken, failed, at) == counted,
        Event::Looked => {
            machine.look(at, turns);
            true
        }
        Event::Forced(forced) => {
            machine.force(forced, at, turns);
            true
        }
        Event::Turned(_) | Event::Remedy { .. } => true,
    };
    same.then_some(()).ok_or_else(|| format!("{event:?} is answered otherwise"))
}
