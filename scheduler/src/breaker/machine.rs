//! The state machine: calls ask, and tell how they ended; it says whether they pass, and how it turned.

use std::time::Duration;

use super::adaptive::Baseline;
use super::record::{Rule, Snapshot, State, Turn};
use super::rules::{Limit, Rules, Share, SlowIs};
use super::window::{Counts, Tally};
use crate::Mono;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// As it should.
    Succeeded,
    /// It says that it failed.
    Failed,
    /// It panicked.
    Panicked,
    /// It took longer than it may.
    TimedOut,
    /// It was told to stop, or nobody waited for it: that says nothing of it.
    Cancelled,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Succeeded, Self::Failed, Self::Panicked, Self::TimedOut, Self::Cancelled];

    /// The one of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ended| ended.word() == word)
    }

    /// In a word, as logs have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a person holds a breaker at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forced {
    /// All pass, and none is counted.
    Closed,
    /// None passes.
    Open,
}

/// A call may go. It is told by this how that went; once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permit {
    /// How often the breaker had turned.
    generation: u64,
    /// The number of a probe.
    probe: Option<u32>,
}

/// A call may not go, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rejected {
    /// What the breaker is: open, or half-open with every place taken.
    pub state: State,
    /// Why it opened.
    pub rule: Rule,
    /// When a call may be a probe; nothing, if that depends on others.
    pub until: Option<Mono>,
}

impl Permit {
    /// Of a closed breaker that has turned so often.
    #[inline]
    pub(super) fn usual(generation: u64) -> Self {
        Self { generation, probe: None }
    }

    /// Whether it decides what becomes of the breaker.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// As a log has it: how often the breaker had turned, and the number of a probe.
    pub fn parts(&self) -> (u64, Option<u32>) {
        (self.generation, self.probe)
    }

    /// Of a log.
    pub fn from_parts(generation: u64, probe: Option<u32>) -> Self {
        Self { generation, probe }
    }
}

/// A breaker that is told what time it is. Its clone goes its own way.
///
/// ```
/// use std::time::Duration;
/// use cronx_scheduler::Mono;
/// use cronx_scheduler::breaker::{Ended, Machine, Rules, State};
///
/// let mut machine = Machine::new(Rules::PAPER_CH1);
/// let mut turns = Vec::new();
/// for _ in 0..3 {
///     let permit = machine.ask(Mono(0), &mut turns).unwrap();
///     machine.tell(permit, Ended::Failed, Duration::ZERO, Mono(0), &mut turns);
/// }
/// assert_eq!((turns[0].from, turns[0].to), (State::Closed, State::Open));
/// assert_eq!(machine.ask(Mono(1), &mut turns).unwrap_err().until, Some(Mono(60_000_000_000)));
/// ```
#[derive(Debug, Clone)]
pub struct Machine {
    rules: Rules,
    state: Inner,
    /// How often it has turned.
    generation: u64,
    tally: Tally,
    /// Failures since the last success.
    in_row: u32,
    baseline: Option<Baseline>,
    /// Openings since it was closed.
    openings: u32,
    /// Why it opened last.
    why: Rule,
    /// The latest instant that it was told.
    now: Mono,
}

#[derive(Debug, Clone)]
enum Inner {
    Closed,
    Open { until: Mono },
    HalfOpen(Trial),
    Forced(Forced),
}

/// What probes have shown so far.
#[derive(Debug, Clone)]
struct Trial {
    /// Since when there is always a probe out.
    since: Mono,
    /// The next one's.
    number: u32,
    /// Probes that passed and were not cancelled.
    begun: u32,
    succeeded: u32,
    /// Those that are out, and when they have failed.
    out: Vec<(u32, Mono)>,
}

impl Machine {
    /// Closed, and without a past. Rules that cannot be kept are for [`Rules::check`] to find.
    pub fn new(rules: Rules) -> Self {
        let baseline = match rules.failures {
            Some(Limit::Adaptive(adaptive)) => Some(Baseline::new(adaptive, rules.minimum)),
            Some(Limit::Fixed(_)) | None => None,
        };
        Self {
            rules,
            state: Inner::Closed,
            generation: 0,
            tally: Tally::new(rules.window),
            in_row: 0,
            baseline,
            openings: 0,
            why: Rule::Released,
            now: Mono(0),
        }
    }

    /// As it is when it has closed, which it does knowing nothing but what is usual; so `None` if it had
    /// learned that, or if that turn is another.
    pub(super) fn closed(rules: Rules, turn: &Turn) -> Option<Self> {
        let new = Self { generation: turn.number, now: turn.at, ..Self::new(rules) };
        (turn.to == State::Closed && new.baseline.is_none()).then_some(new)
    }

    /// Whether a call may go. What that turns is added to `turns`, here and in what follows.
    pub fn ask(&mut self, now: Mono, turns: &mut Vec<Turn>) -> Result<Permit, Rejected> {
        self.pass(now, turns);
        if let Inner::Open { until } = self.state
            && until <= self.now
        {
            self.try_out(turns);
        }
        let usual = Permit::usual(self.generation);
        match &mut self.state {
            Inner::Closed | Inner::Forced(Forced::Closed) => Ok(usual),
            Inner::HalfOpen(trial) => {
                let probe = trial.admit(self.now, &self.rules);
                probe.map(|probe| Permit { probe: Some(probe), ..usual }).ok_or(self.rejected())
            }
            Inner::Open { .. } | Inner::Forced(Forced::Open) => Err(self.rejected()),
        }
    }

    /// A call that was let through has ended, and took so long. `false` if it does not count: it was
    /// cancelled, or belongs to a state that is over.
    pub fn tell(
        &mut self,
        permit: Permit,
        ended: Ended,
        took: Duration,
        now: Mono,
        turns: &mut Vec<Turn>,
    ) -> bool {
        self.pass(now, turns);
        if permit.generation != self.generation {
            return false;
        }
        let call = self.judge(ended, took);
        match &mut self.state {
            Inner::Closed => call.is_some_and(|call| self.count(call, turns)),
            Inner::HalfOpen(trial) => {
                trial.settle(permit.probe, call).is_some_and(|()| self.decide(call, turns))
            }
            Inner::Open { .. } | Inner::Forced(_) => false,
        }
    }

    /// Lets the time pass, and says what it is.
    pub fn look(&mut self, now: Mono, turns: &mut Vec<Turn>) -> State {
        self.pass(now, turns);
        self.state()
    }

    /// Holds it open or closed, or lets it go.
    pub fn force(&mut self, forced: Option<Forced>, now: Mono, turns: &mut Vec<Turn>) {
        self.pass(now, turns);
        match (forced, &self.state) {
            (Some(forced), _) => self.turn(self.now, Inner::Forced(forced), Rule::Forced, turns),
            (None, Inner::Forced(_)) => self.close(Rule::Released, turns),
            (None, _) => {}
        }
    }

    /// A feed from outside says that this share of calls failed, at the instant `taken`. `false` if that
    /// changes nothing.
    pub fn hear(&mut self, taken: Mono, failed: Share, now: Mono) -> bool {
        self.now = self.now.max(now);
        self.baseline.as_mut().is_some_and(|baseline| baseline.hear(self.now, taken, failed))
    }

    /// What it is, as far as it has been told the time.
    pub fn state(&self) -> State {
        match self.state {
            Inner::Closed => State::Closed,
            Inner::Open { .. } => State::Open,
            Inner::HalfOpen(_) => State::HalfOpen,
            Inner::Forced(Forced::Closed) => State::ForcedClosed,
            Inner::Forced(Forced::Open) => State::ForcedOpen,
        }
    }

    /// The end of the wait, if it is open.
    pub fn until(&self) -> Option<Mono> {
        match self.state {
            Inner::Open { until } => Some(until),
            Inner::Closed | Inner::HalfOpen(_) | Inner::Forced(_) => None,
        }
    }

    /// Why it last opened, was forced, or was let go.
    pub fn why(&self) -> Rule {
        self.why
    }

    /// The latest instant that it was told.
    pub fn now(&self) -> Mono {
        self.now
    }

    /// How often it has turned.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether calls pass and are counted.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, Inner::Closed)
    }

    /// Whether one more success would leave it as it is.
    pub(super) fn is_settled(&self) -> bool {
        self.is_closed() && self.baseline.is_none() && self.in_row == 0 && self.tally.is_settled()
    }

    /// What it decides by.
    pub fn snapshot(&mut self) -> Snapshot {
        let Counts { calls, failures, slow } = self.tally.sum(self.now);
        let (probes, succeeded) = match &self.state {
            Inner::HalfOpen(trial) => (trial.begun, trial.succeeded),
            Inner::Closed | Inner::Open { .. } | Inner::Forced(_) => (0, 0),
        };
        let (in_row, threshold) = (self.in_row, self.threshold());
        Snapshot { calls, failures, slow, in_row, threshold, probes, succeeded }
    }

    fn threshold(&self) -> Option<Share> {
        match (self.rules.failures?, &self.baseline) {
            (Limit::Adaptive(_), Some(baseline)) => Some(baseline.threshold()),
            (Limit::Adaptive(adaptive), None) => Some(adaptive.ceiling),
            (Limit::Fixed(share), _) => Some(share),
        }
    }

    fn rejected(&self) -> Rejected {
        Rejected { state: self.state(), rule: self.why, until: self.until() }
    }

    /// What a call was, if it was judged: the cell that it is counted in.
    fn judge(&self, ended: Ended, took: Duration) -> Option<Counts> {
        let slow = self.rules.slow.filter(|slow| took > slow.after);
        let failed = match ended {
            Ended::Succeeded => slow.is_some_and(|slow| slow.is == SlowIs::Failure),
            Ended::Failed | Ended::Panicked | Ended::TimedOut => true,
            Ended::Cancelled => return None,
        };
        Some(Counts::one(failed, slow.is_some()))
    }

    fn count(&mut self, call: Counts, turns: &mut Vec<Turn>) -> bool {
        let failed = call.failures > 0;
        self.tally.add(self.now, call);
        self.in_row = if failed { self.in_row.saturating_add(1) } else { 0 };
        match self.tripped() {
            Some(rule) => self.open(self.now, rule, turns),
            None => {
                if let Some(baseline) = &mut self.baseline {
                    baseline.count(failed);
                }
            }
        }
        true
    }

    /// The first rule that says to open.
    fn tripped(&mut self) -> Option<Rule> {
        if self.rules.consecutive.is_some_and(|most| self.in_row >= most.get()) {
            return Some(Rule::Consecutive);
        }
        let Counts { calls, failures, slow } = self.tally.sum(self.now);
        if calls < self.rules.minimum {
            return None;
        }
        let failed = Share::of(failures, calls)?;
        let too_many = match self.rules.failures {
            Some(Limit::Fixed(share)) => failed >= share,
            Some(Limit::Adaptive(_)) => self.threshold().is_some_and(|most| failed > most),
            None => false,
        };
        if too_many {
            return Some(Rule::FailureRate);
        }
        match self.rules.slow?.is {
            SlowIs::Counted(share) if Share::of(slow, calls)? >= share => Some(Rule::SlowRate),
            SlowIs::Counted(_) | SlowIs::Failure => None,
        }
    }

    /// A probe ended: is that enough, either way?
    fn decide(&mut self, call: Option<Counts>, turns: &mut Vec<Turn>) -> bool {
        let Inner::HalfOpen(trial) = &self.state else { return false };
        let Some(call) = call else { return false };
        if call.failures > 0 {
            self.open(self.now, Rule::ProbeFailed, turns);
        } else if trial.succeeded >= self.rules.probes.successes {
            self.close(Rule::ProbesSucceeded, turns);
        } else if trial.may_still_succeed(&self.rules) < self.rules.probes.successes {
            self.open(self.now, Rule::ProbesSpent, turns);
        }
        true
    }

    /// The time has come to this instant: deadlines of probes may be behind it.
    fn pass(&mut self, now: Mono, turns: &mut Vec<Turn>) {
        self.now = self.now.max(now);
        let Inner::HalfOpen(trial) = &self.state else { return };
        let Some((at, rule)) = trial.deadline(&self.rules) else { return };
        if at <= self.now {
            self.open(at, rule, turns);
        }
    }

    fn open(&mut self, at: Mono, rule: Rule, turns: &mut Vec<Turn>) {
        let doublings = self.openings.min(31);
        let wait = self.rules.wait.first.saturating_mul(1 << doublings).min(self.rules.wait.most);
        self.openings = self.openings.saturating_add(1);
        self.turn(at, Inner::Open { until: at + wait }, rule, turns);
    }

    fn try_out(&mut self, turns: &mut Vec<Turn>) {
        let trial = Trial { since: self.now, number: 0, begun: 0, succeeded: 0, out: Vec::new() };
        self.turn(self.now, Inner::HalfOpen(trial), Rule::WaitOver, turns);
    }

    /// It knows nothing then but what is usual.
    fn close(&mut self, rule: Rule, turns: &mut Vec<Turn>) {
        self.turn(self.now, Inner::Closed, rule, turns);
        self.tally.clear();
        (self.in_row, self.openings) = (0, 0);
    }

    fn turn(&mut self, at: Mono, to: Inner, rule: Rule, turns: &mut Vec<Turn>) {
        let (from, window) = (self.state(), self.snapshot());
        self.state = to;
        self.generation += 1;
        // That a wait or a trial is over does not say why it began.
        if !matches!(rule, Rule::WaitOver | Rule::ProbesSucceeded) {
            self.why = rule;
        }
        if let Some(baseline) = &mut self.baseline {
            baseline.forget_sample();
        }
        let (number, to, until) = (self.generation, self.state(), self.until());
        turns.push(Turn { number, at, from, to, rule, window, until });
    }
}

impl Trial {
    /// Lets one more through, if there is a place.
    fn admit(&mut self, now: Mono, rules: &Rules) -> Option<u32> {
        let probes = &rules.probes;
        if self.begun >= probes.most || self.out.len() >= probes.at_once as usize {
            return None;
        }
        if self.out.is_empty() {
            self.since = now;
        }
        let number = self.number;
        self.number = number.wrapping_add(1);
        self.begun += 1;
        self.out.push((number, now + probes.timeout));
        Some(number)
    }

    /// One that was out is back; nothing, if it was not.
    fn settle(&mut self, probe: Option<u32>, call: Option<Counts>) -> Option<()> {
        let place = self.out.iter().position(|(number, _)| Some(*number) == probe)?;
        self.out.remove(place);
        match call {
            None => self.begun -= 1,
            Some(call) => self.succeeded += u32::from(call.failures == 0 && call.slow == 0),
        }
        Some(())
    }

    /// How many successes there can be.
    fn may_still_succeed(&self, rules: &Rules) -> u32 {
        let to_come = rules.probes.most - self.begun;
        self.succeeded + self.out.len() as u32 + to_come
    }

    /// When it opens unless somebody tells, and why.
    fn deadline(&self, rules: &Rules) -> Option<(Mono, Rule)> {
        // The first that went has the first deadline.
        let (_, probe) = self.out.first()?;
        let (first, all) = ((*probe, Rule::ProbeTimeout), self.since + rules.probes.within);
        Some(if all < first.0 { (all, Rule::HalfOpenTimeout) } else { first })
    }
}
