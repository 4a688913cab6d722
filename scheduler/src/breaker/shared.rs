//! A breaker with a name, for any thread: what it decides it tells a witness.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::gate::Gate;
use super::log::{Event, Record};
use super::machine::{Ended, Forced, Machine, Permit, Rejected};
use super::record::{Rule, Snapshot, State, Turn};
use super::rules::{Rules, Share};
use crate::job::Job;
use crate::run::TraceId;
use crate::{Error, Mono};

/// Is told of each decision, in their order: so it is told under the breaker's lock, and must neither
/// wait nor call the breaker.
pub type Witness = Arc<dyn Fn(&Record) + Send + Sync>;

/// A breaker that a job has for itself, or that jobs share which depend on the same.
///
/// ```
/// use std::time::Duration;
/// use cronx_scheduler::Mono;
/// use cronx_scheduler::breaker::{Breaker, Ended, Rules};
///
/// let breaker = Breaker::new("ledger", Rules::PAPER_CH1)?;
/// let mut log = Vec::new();
/// let call = breaker.ask(Mono(0), None, &mut log).expect("it is closed");
/// call.end(Ended::Succeeded, Duration::from_millis(3), Mono(3_000_000), &mut log);
/// assert!(log.is_empty(), "it decided nothing");
/// # Ok::<(), cronx_scheduler::Error>(())
/// ```
pub struct Breaker {
    name: Arc<str>,
    rules: Rules,
    gate: Gate,
    witness: Option<Witness>,
    /// What is started when it opens.
    remedy: Mutex<Option<Job>>,
    rejected: AtomicU64,
    openings: AtomicU64,
}

/// A breaker at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub state: State,
    /// Why it last opened, was forced, or was let go.
    pub why: Rule,
    /// The end of the wait, if it is open.
    pub until: Option<Mono>,
    /// What it decides by.
    pub window: Snapshot,
    /// Calls that it rejected, or would have.
    pub rejected: u64,
    /// How often it opened.
    pub openings: u64,
}

/// A call that was let through. Dropped before its end, it counts as cancelled.
#[must_use = "a breaker wants to know how a call ended"]
pub struct Call<'a> {
    breaker: &'a Breaker,
    trace: Option<TraceId>,
    /// Nothing, once it was told; or if a shadow let it through.
    permit: Option<Permit>,
}

impl Breaker {
    /// One that is closed, and that nobody watches.
    pub fn new(name: impl Into<Arc<str>>, rules: Rules) -> Result<Arc<Self>, Error> {
        Self::of(name.into(), rules, None)
    }

    /// One that is closed, and tells a witness what it decides.
    pub fn watched(
        name: impl Into<Arc<str>>,
        rules: Rules,
        witness: Witness,
    ) -> Result<Arc<Self>, Error> {
        Self::of(name.into(), rules, Some(witness))
    }

    fn of(name: Arc<str>, rules: Rules, witness: Option<Witness>) -> Result<Arc<Self>, Error> {
        rules.check()?;
        Ok(Arc::new(Self {
            name,
            rules,
            gate: Gate::new(Machine::new(rules)),
            witness,
            remedy: Mutex::default(),
            rejected: AtomicU64::new(0),
            openings: AtomicU64::new(0),
        }))
    }

    /// As rejections and records have it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The job that is started each time it opens; once for each opening, as
    /// [`trigger_now`](Job::trigger_now) does it, by the job's own policy and under its own breakers. A
    /// shadow starts none.
    pub fn set_remedy(&self, job: Option<Job>) {
        *self.remedy.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    /// Whether a call may go. What was decided is added to `log`, here and in what follows: a rejection,
    /// and each turn.
    // The healthy case is some instructions, of which its caller knows what becomes: so it stands there, here
    // and at the end of a call.
    #[inline]
    pub fn ask(
        &self,
        now: Mono,
        trace: Option<TraceId>,
        log: &mut Vec<Record>,
    ) -> Result<Call<'_>, Rejected> {
        match self.gate.is_passed() {
            Some(permit) => Ok(Call { breaker: self, trace, permit: Some(permit) }),
            None => self.decide_on_call(now, trace, log),
        }
    }

    fn decide_on_call(
        &self,
        now: Mono,
        trace: Option<TraceId>,
        log: &mut Vec<Record>,
    ) -> Result<Call<'_>, Rejected> {
        let call = |permit| Call { breaker: self, trace, permit };
        let asked = self.decide(trace, log, |machine, turns| {
            let asked = machine.ask(now, turns);
            let event = match asked {
                Ok(permit) => permit.is_probe().then_some(Event::Probed(permit)),
                Err(rejected) => Some(Event::Rejected(rejected)),
            };
            (asked, event)
        });
        match asked {
            Ok(permit) => Ok(call(Some(permit))),
            Err(rejected) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                if self.rules.shadow { Ok(call(None)) } else { Err(rejected) }
            }
        }
    }

    /// Whether it makes no difference to be told of that.
    #[inline]
    fn is_as_usual(&self, permit: Permit, ended: Ended, took: Duration) -> bool {
        let slow = self.rules.slow.is_some_and(|slow| took > slow.after);
        ended == Ended::Succeeded && !slow && self.gate.is_settled_for(permit)
    }

    fn tell(
        &self,
        (permit, trace): (Permit, Option<TraceId>),
        ended: Ended,
        took: Duration,
        now: Mono,
        log: &mut Vec<Record>,
    ) {
        self.decide(trace, log, |machine, turns| {
            let counted = machine.tell(permit, ended, took, now, turns);
            ((), Some(Event::Told { permit, ended, took, counted }))
        });
    }

    /// Holds it open or closed, or lets it go.
    pub fn force(&self, forced: Option<Forced>, now: Mono) {
        self.decide(None, &mut Vec::new(), |machine, turns| {
            machine.force(forced, now, turns);
            ((), Some(Event::Forced(forced)))
        });
    }

    /// A feed says that this share of calls failed elsewhere, at the instant `taken`. `false` if that
    /// changes nothing.
    pub fn hear(&self, taken: Mono, failed: Share, now: Mono) -> bool {
        self.decide(None, &mut Vec::new(), |machine, _| {
            let counted = machine.hear(taken, failed, now);
            (counted, Some(Event::Heard { taken, failed, counted }))
        })
    }

    /// How it stands.
    pub fn standing(&self, now: Mono) -> Standing {
        let (state, why, until, window) = self.decide(None, &mut Vec::new(), |machine, turns| {
            let state = machine.look(now, turns);
            let event = (!turns.is_empty()).then_some(Event::Looked);
            ((state, machine.why(), machine.until(), machine.snapshot()), event)
        });
        let [rejected, openings] =
            [&self.rejected, &self.openings].map(|count| count.load(Ordering::Relaxed));
        Standing { state, why, until, window, rejected, openings }
    }

    /// Lets the machine decide, tells what that was, and starts the remedy if it opened.
    fn decide<R>(
        &self,
        trace: Option<TraceId>,
        log: &mut Vec<Record>,
        f: impl FnOnce(&mut Machine, &mut Vec<Turn>) -> (R, Option<Event>),
    ) -> R {
        let mut turns = Vec::new();
        let decided = self.gate.decide(|machine| {
            let (decided, event) = f(machine, &mut turns);
            let events = event.into_iter().chain(turns.iter().copied().map(Event::Turned));
            for event in events {
                self.write(machine.now(), trace, event, log);
            }
            decided
        });
        let opened = turns.iter().filter(|turn| turn.to == State::Open).count();
        if opened > 0 {
            self.openings.fetch_add(opened as u64, Ordering::Relaxed);
            self.heal(turns[turns.len() - 1].at, trace, log);
        }
        decided
    }

    fn write(&self, at: Mono, trace: Option<TraceId>, event: Event, log: &mut Vec<Record>) {
        let is_decision = !matches!(event, Event::Told { .. } | Event::Probed(_));
        if self.witness.is_none() && !is_decision {
            return;
        }
        let breaker = Arc::clone(&self.name);
        let record = Record { breaker, shadow: self.rules.shadow, at, trace, event };
        if let Some(witness) = &self.witness {
            witness(&record);
        }
        if is_decision {
            log.push(record);
        }
    }

    /// Starts the remedy, if there is one.
    fn heal(&self, at: Mono, trace: Option<TraceId>, log: &mut Vec<Record>) {
        let remedy = self.remedy.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(remedy) = remedy.filter(|_| !self.rules.shadow) {
            let refused = remedy.trigger_now().err().map(|error| error.to_string());
            let event = Event::Remedy { job: remedy.name().into(), refused };
            self.write(at, trace, event, log);
        }
    }
}

impl Call<'_> {
    /// It ended so, took so long, and it is now.
    #[inline]
    pub fn end(mut self, ended: Ended, took: Duration, now: Mono, log: &mut Vec<Record>) {
        let permit = self.permit.take();
        if let Some(permit) = permit.filter(|&it| !self.breaker.is_as_usual(it, ended, took)) {
            self.breaker.tell((permit, self.trace), ended, took, now, log);
        }
    }
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            // The machine knows how late it is at least.
            let (told, now) = ((permit, self.trace), Mono(0));
            self.breaker.tell(told, Ended::Cancelled, Duration::ZERO, now, &mut Vec::new());
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("breaker", &self.breaker.name).finish_non_exhaustive()
    }
}
