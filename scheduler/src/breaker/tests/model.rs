//! A breaker as the rules read: it keeps every call and every probe, and counts them anew each time.

use std::time::Duration;

use crate::Mono;
use crate::breaker::{Ended, Forced, Limit, Rule, Rules, Share, SlowIs, Snapshot, State, Window};

/// A call that ended while it was closed.
#[derive(Debug, Clone, Copy)]
struct Call {
    at: Mono,
    failed: bool,
    slow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Out { since: Mono },
    Good,
    Bad,
    Slow,
    Cancelled,
}

/// A permit: of which turn, and the probe's place.
pub(super) type Pass = (usize, Option<usize>);

/// A turn, all but its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turned {
    pub(super) at: Mono,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) rule: Rule,
    pub(super) window: Snapshot,
    pub(super) until: Option<Mono>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    rules: Rules,
    calls: Vec<Call>,
    probes: Vec<Probe>,
    /// Since when there is always a probe out.
    waits_since: Mono,
    pub(super) turns: Vec<Turned>,
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, calls: vec![], probes: vec![], waits_since: Mono(0), turns: vec![] }
    }

    pub(super) fn state(&self) -> State {
        self.turns.last().map_or(State::Closed, |turn| turn.to)
    }

    pub(super) fn until(&self) -> Option<Mono> {
        self.turns.last().and_then(|turn| turn.until)
    }

    /// Why it opened.
    pub(super) fn why(&self) -> Rule {
        let opening = |rule: &Rule| !matches!(rule, Rule::WaitOver | Rule::ProbesSucceeded);
        self.turns.iter().map(|turn| turn.rule).rfind(opening).unwrap_or(Rule::Released)
    }

    pub(super) fn ask(&mut self, now: Mono) -> Option<Pass> {
        self.pass(now);
        if self.state() == State::Open && self.until() <= Some(now) {
            self.turn(now, State::HalfOpen, Rule::WaitOver, None);
            self.probes.clear();
        }
        match self.state() {
            State::Closed | State::ForcedClosed => Some((self.turns.len(), None)),
            State::Open | State::ForcedOpen => None,
            State::HalfOpen => {
                let probes = self.rules.probes;
                let full = self.begun() >= probes.most || self.out() >= probes.at_once as usize;
                if full {
                    return None;
                }
                if self.out() == 0 {
                    self.waits_since = now;
                }
                self.probes.push(Probe::Out { since: now });
                Some((self.turns.len(), Some(self.probes.len() - 1)))
            }
        }
    }

    pub(super) fn tell(&mut self, pass: Pass, ended: Ended, took: Duration, now: Mono) -> bool {
        self.pass(now);
        if pass.0 != self.turns.len() || ended == Ended::Cancelled {
            if let (true, Some(place)) = (pass.0 == self.turns.len(), pass.1) {
                self.probes[place] = Probe::Cancelled;
            }
            return false;
        }
        let slow = self.rules.slow.is_some_and(|slow| took > slow.after);
        let slow_fails = self.rules.slow.is_some_and(|slow| slow.is == SlowIs::Failure);
        let failed = ended != Ended::Succeeded || slow && slow_fails;
        match (self.state(), pass.1) {
            (State::Closed, _) => self.count(Call { at: now, failed, slow }),
            (State::HalfOpen, Some(place)) => {
                self.probes[place] = match (failed, slow) {
                    (true, _) => Probe::Bad,
                    (false, true) => Probe::Slow,
                    (false, false) => Probe::Good,
                };
                self.judge(failed, now);
            }
            _ => return false,
        }
        true
    }

    fn count(&mut self, call: Call) {
        self.calls.push(call);
        let Snapshot { calls, failures, slow, in_row, .. } = self.window(call.at);
        let is = |part: u32, share: Share| {
            calls >= self.rules.minimum
                && u64::from(part) * 1_000_000 >= u64::from(share.millionths()) * u64::from(calls)
        };
        let in_a_row = self.rules.consecutive.is_some_and(|most| in_row >= most.get());
        let failing =
            matches!(self.rules.failures, Some(Limit::Fixed(share)) if is(failures, share));
        let slowing = self
            .rules
            .slow
            .is_some_and(|rule| matches!(rule.is, SlowIs::Counted(share) if is(slow, share)));
        let tripped = [
            (in_a_row, Rule::Consecutive),
            (failing, Rule::FailureRate),
            (slowing, Rule::SlowRate),
        ];
        if let Some((_, rule)) = tripped.into_iter().find(|(trips, _)| *trips) {
            self.open(call.at, rule);
        }
    }

    fn judge(&mut self, failed: bool, now: Mono) {
        let probes = self.rules.probes;
        let good = self.good();
        if failed {
            self.open(now, Rule::ProbeFailed);
        } else if good >= probes.successes {
            self.turn(now, State::Closed, Rule::ProbesSucceeded, None);
            self.calls.clear();
        } else {
            let spent = self.probes.iter().filter(|probe| **probe == Probe::Slow).count() as u32;
            if probes.most - spent < probes.successes {
                self.open(now, Rule::ProbesSpent);
            }
        }
    }

    pub(super) fn force(&mut self, forced: Option<Forced>, now: Mono) {
        self.pass(now);
        let held = matches!(self.state(), State::ForcedClosed | State::ForcedOpen);
        match forced {
            Some(Forced::Open) => self.turn(now, State::ForcedOpen, Rule::Forced, None),
            Some(Forced::Closed) => self.turn(now, State::ForcedClosed, Rule::Forced, None),
            None if held => {
                self.turn(now, State::Closed, Rule::Released, None);
                self.calls.clear();
            }
            None => {}
        }
    }

    /// Deadlines that are behind.
    pub(super) fn pass(&mut self, now: Mono) {
        if self.state() != State::HalfOpen || self.out() == 0 {
            return;
        }
        let since = |probe: &Probe| match probe {
            Probe::Out { since } => Some(*since),
            _ => None,
        };
        let oldest = self.probes.iter().filter_map(since).min().unwrap();
        let probe = oldest + self.rules.probes.timeout;
        let all = self.waits_since + self.rules.probes.within;
        if probe.min(all) <= now {
            let rule = if all < probe { Rule::HalfOpenTimeout } else { Rule::ProbeTimeout };
            self.open(probe.min(all), rule);
        }
    }

    fn open(&mut self, at: Mono, rule: Rule) {
        let closed = |turn: &Turned| turn.to == State::Closed;
        let since = self.turns.iter().rposition(closed).map_or(0, |place| place + 1);
        let opened = |turn: &&Turned| turn.to == State::Open;
        let openings = self.turns[since..].iter().filter(opened).count() as u32;
        let wait = (self.rules.wait.first * 2_u32.pow(openings)).min(self.rules.wait.most);
        self.turn(at, State::Open, rule, Some(at + wait));
    }

    fn turn(&mut self, at: Mono, to: State, rule: Rule, until: Option<Mono>) {
        // What is counted goes by the latest instant, which a deadline may be behind.
        let latest = self.calls.last().map_or(at, |call| call.at.max(at));
        let (from, window) = (self.state(), self.window(latest));
        self.turns.push(Turned { at, from, to, rule, window, until });
    }

    fn good(&self) -> u32 {
        self.probes.iter().filter(|probe| **probe == Probe::Good).count() as u32
    }

    fn out(&self) -> usize {
        self.probes.iter().filter(|probe| matches!(probe, Probe::Out { .. })).count()
    }

    fn begun(&self) -> u32 {
        self.probes.iter().filter(|probe| **probe != Probe::Cancelled).count() as u32
    }

    pub(super) fn window(&self, now: Mono) -> Snapshot {
        let within: Vec<&Call> = match self.rules.window {
            Window::Calls(most) => self.calls.iter().rev().take(most as usize).collect(),
            Window::Time(span) => {
                let slice = |at: Mono| u128::from(at.0) / (span.as_nanos() / 20);
                self.calls.iter().filter(|call| slice(call.at) + 20 > slice(now)).collect()
            }
        };
        let count = |is: fn(&&&Call) -> bool| within.iter().filter(is).count() as u32;
        let half_open = self.state() == State::HalfOpen;
        Snapshot {
            calls: within.len() as u32,
            failures: count(|call| call.failed),
            slow: count(|call| call.slow),
            in_row: self.calls.iter().rev().take_while(|call| call.failed).count() as u32,
            threshold: match self.rules.failures {
                Some(Limit::Fixed(share)) => Some(share),
                _ => None,
            },
            probes: if half_open { self.begun() } else { 0 },
            succeeded: if half_open { self.good() } else { 0 },
        }
    }
}
