//! Every sequence of calls, times and persons up to a length, from where it matters; longer ones by lot.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Model, Pass, Turned};
use super::*;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A call that ends at once, if it may go.
    Call(Ended),
    /// The same, and it was slow.
    Slow,
    /// A call that stays away.
    Leave,
    /// The one that is away longest comes back.
    Return(Ended),
    Advance(u64),
    Force(Option<Forced>),
}

use Step::{Advance, Call, Force, Leave, Return};

const STEPS: [Step; 15] = [
    Call(Succeeded),
    Call(Failed),
    Call(TimedOut),
    Call(Cancelled),
    Step::Slow,
    Leave,
    Return(Succeeded),
    Return(Failed),
    Return(Cancelled),
    Advance(1),
    Advance(2),
    Advance(4),
    Force(Some(Forced::Open)),
    Force(Some(Forced::Closed)),
    Force(None),
];

/// The machine and the model, side by side.
#[derive(Clone)]
struct Pair {
    machine: Machine,
    model: Model,
    /// Calls that are away.
    away: VecDeque<(Permit, Pass)>,
    seconds: u64,
    turned: usize,
}

impl Pair {
    fn new(rules: Rules) -> Self {
        let (machine, model) = (Machine::new(rules), Model::new(rules));
        Self { machine, model, away: VecDeque::new(), seconds: 0, turned: 0 }
    }

    fn after(rules: Rules, steps: &[Step]) -> Self {
        let mut pair = Self::new(rules);
        for step in steps {
            pair.step(*step);
        }
        pair
    }

    /// Does it to both, and holds them against each other.
    fn step(&mut self, step: Step) {
        let mut turns = Vec::new();
        match step {
            Call(ended) => self.call(ended, Duration::ZERO, &mut turns),
            Step::Slow => self.call(Succeeded, 2 * SECOND, &mut turns),
            Leave => {
                let passes = self.ask(&mut turns);
                self.away.extend(passes);
            }
            Return(ended) => {
                if let Some(passes) = self.away.pop_front() {
                    self.tell(passes, ended, Duration::ZERO, &mut turns);
                }
            }
            Advance(seconds) => {
                self.seconds += seconds;
                self.machine.look(at(self.seconds), &mut turns);
                self.model.pass(at(self.seconds));
            }
            Force(forced) => {
                self.machine.force(forced, at(self.seconds), &mut turns);
                self.model.force(forced, at(self.seconds));
            }
        }
        self.compare(&turns);
    }

    fn call(&mut self, ended: Ended, took: Duration, turns: &mut Vec<Turn>) {
        if let Some(passes) = self.ask(turns) {
            self.tell(passes, ended, took, turns);
        }
    }

    fn ask(&mut self, turns: &mut Vec<Turn>) -> Option<(Permit, Pass)> {
        let now = at(self.seconds);
        let (asked, modelled) = (self.machine.ask(now, turns), self.model.ask(now));
        assert_eq!(asked.is_ok(), modelled.is_some(), "{:?}", self.model);
        if let Err(rejected) = asked {
            let Rejected { state, rule, until } = rejected;
            let expected = (self.model.state(), self.model.why(), self.model.until());
            assert_eq!((state, rule, until), expected);
        }
        let (permit, pass) = (asked.ok()?, modelled?);
        assert_eq!(permit.is_probe(), pass.1.is_some());
        Some((permit, pass))
    }

    fn tell(
        &mut self,
        (permit, pass): (Permit, Pass),
        ended: Ended,
        took: Duration,
        turns: &mut Vec<Turn>,
    ) {
        let now = at(self.seconds);
        let counted = self.machine.tell(permit, ended, took, now, turns);
        assert_eq!(counted, self.model.tell(pass, ended, took, now), "{:?}", self.model);
    }

    fn compare(&mut self, turns: &[Turn]) {
        let same = |turn: &Turn, turned: &Turned| {
            let Turn { at, from, to, rule, window, until, .. } = *turn;
            *turned == Turned { at, from, to, rule, window, until }
        };
        let modelled = &self.model.turns[self.turned..];
        let alike = turns.len() == modelled.len()
            && turns.iter().zip(modelled).all(|(turn, turned)| same(turn, turned));
        assert!(alike, "{turns:?}\n{modelled:?}");
        self.turned = self.model.turns.len();
        assert_eq!(self.machine.snapshot(), self.model.window(at(self.seconds)));
        self.is_bounded();
    }

    /// What holds of any breaker, whatever its rules.
    fn is_bounded(&self) {
        let open = self.machine.state() == State::Open;
        assert_eq!(self.machine.until().is_some(), open);
        assert!(self.machine.until().is_none_or(|until| until <= at(self.seconds + 6)));
    }
}

/// As the paper's two, by time, and by slow calls; each small.
fn rule_sets() -> [Rules; 4] {
    let slow = |is| Some(Slow { after: SECOND, is });
    let row = Rules { failures: None, slow: slow(SlowIs::Failure), ..small() };
    let one = Probes { successes: 1, most: 1, at_once: 1, ..small().probes };
    let time = Window::Time(20 * SECOND / 5);
    [
        Rules { probes: one, ..row },
        Rules { consecutive: None, ..small() },
        Rules { window: time, minimum: 2, ..small() },
        Rules { consecutive: None, slow: slow(SlowIs::Counted(Share::percent(60))), ..small() },
    ]
}

/// Where a sequence begins: closed, open, half-open with a probe out, and after a second opening.
fn beginnings(rules: Rules) -> [Pair; 4] {
    let open = [Call(Failed); 3];
    let half_open = [&open[..], &[Advance(4), Leave]].concat();
    let again = [&half_open[..], &[Return(Failed), Advance(4), Advance(2), Leave]].concat();
    [&[][..], &open, &half_open, &again].map(|steps| Pair::after(rules, steps))
}

fn every(pair: &Pair, length: u32) {
    if length == 0 {
        return;
    }
    for step in STEPS {
        let mut next = pair.clone();
        next.step(step);
        every(&next, length - 1);
    }
}

/// `CRONX_BREAKER_LENGTH=7` for longer ones.
#[test]
fn every_sequence_is_as_the_model_says() {
    let asked = std::env::var("CRONX_BREAKER_LENGTH").ok();
    let length = asked.map_or(5, |length| length.parse().unwrap());
    for rules in rule_sets() {
        rules.check().unwrap();
        for beginning in beginnings(rules) {
            every(&beginning, length);
        }
    }
}

proptest! {
    #[test]
    fn long_sequences_are_as_the_model_says(
        rules in 0..4_usize,
        steps in vec(prop::sample::select(&STEPS[..]), 0..200),
    ) {
        let mut pair = Pair::new(rule_sets()[rules]);
        for step in steps {
            pair.step(step);
        }
    }
}
