//! The machine beside a model that knows no sums: every sequence up to a length, and long ones at random.

mod logs;
mod model;
mod sequences;

use std::num::NonZeroU32;
use std::time::Duration;

use super::Ended::{Cancelled, Failed, Panicked, Succeeded, TimedOut};
use super::*;
use crate::Mono;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

/// A machine, and all that it has turned.
struct Tried {
    machine: Machine,
    turns: Vec<Turn>,
}

impl Tried {
    fn new(rules: Rules) -> Self {
        rules.check().unwrap();
        Self { machine: Machine::new(rules), turns: Vec::new() }
    }

    fn ask(&mut self, seconds: u64) -> Result<Permit, Rejected> {
        self.machine.ask(at(seconds), &mut self.turns)
    }

    fn tell(&mut self, permit: Permit, ended: Ended, seconds: u64) -> bool {
        self.machine.tell(permit, ended, Duration::ZERO, at(seconds), &mut self.turns)
    }

    /// A call that takes no time; `false` if it may not go.
    fn call(&mut self, ended: Ended, seconds: u64) -> bool {
        self.call_of(ended, Duration::ZERO, seconds)
    }

    fn call_of(&mut self, ended: Ended, took: Duration, seconds: u64) -> bool {
        let Ok(permit) = self.ask(seconds) else { return false };
        self.machine.tell(permit, ended, took, at(seconds), &mut self.turns);
        true
    }

    /// The rules of its turns, as words.
    fn why(&self) -> Vec<&'static str> {
        self.turns.iter().map(|turn| turn.rule.word()).collect()
    }
}

#[test]
fn the_papers_first_chapter() {
    let mut tried = Tried::new(Rules::PAPER_CH1);
    assert!(tried.call(Failed, 0) && tried.call(Panicked, 1));
    assert!(tried.call_of(Succeeded, Duration::from_millis(501), 2), "too slow is a failure");
    assert!(!tried.call(Succeeded, 61), "it is open for 60 s");
    let probe = tried.ask(62).unwrap();
    assert!(probe.is_probe() && tried.ask(62).is_err(), "there is one probe");
    assert!(tried.tell(probe, Succeeded, 63) && tried.call(Succeeded, 63));
    assert_eq!(tried.why(), ["consecutive", "wait-over", "probes-succeeded"]);
    assert_eq!(tried.machine.snapshot().in_row, 0);
}

#[test]
fn the_wait_doubles_up_to_its_longest() {
    let mut tried = Tried::new(Rules::PAPER_CH1);
    let mut now = 0;
    (0..3).for_each(|_| assert!(tried.call(Failed, 0)));
    let waits: Vec<u64> = (0..5)
        .map(|_| {
            let until = tried.machine.until().unwrap().0 / 1_000_000_000;
            assert!(!tried.call(Failed, until - 1) && tried.call(Failed, until));
            until - std::mem::replace(&mut now, until)
        })
        .collect();
    assert_eq!(waits, [60, 120, 240, 300, 300]);
}

#[test]
fn the_papers_third_chapter() {
    let mut tried = Tried::new(Rules::PAPER_CH3);
    (0..9).for_each(|call| assert!(tried.call(if call < 6 { Failed } else { Succeeded }, call)));
    assert!(tried.turns.is_empty(), "the window is not full");
    tried.call(Succeeded, 9);
    assert_eq!((tried.why(), tried.turns[0].window.failures), (vec!["failure-rate"], 6));
    assert!(!tried.call(Succeeded, 68));
    let probes: Vec<Permit> = (0..5).map(|_| tried.ask(69).unwrap()).collect();
    assert!(tried.ask(69).is_err(), "five probes are the most");
    for probe in &probes[..3] {
        assert!(tried.tell(*probe, Succeeded, 70));
    }
    assert_eq!(tried.machine.state(), State::Closed);
    assert!(!tried.tell(probes[3], Failed, 71), "it belongs to what is over");
    assert_eq!(tried.machine.snapshot().calls, 0);
}

#[test]
fn a_probe_that_hangs_has_failed_when_its_time_was_over() {
    let mut tried = Tried::new(Rules::PAPER_CH1);
    (0..3).for_each(|_| assert!(tried.call(Failed, 0)));
    let probe = tried.ask(60).unwrap();
    // It was open again from 120 to 240, and nobody looked.
    let next = tried.ask(1000).unwrap();
    assert!(next.is_probe() && !tried.tell(probe, Succeeded, 1000));
    assert_eq!(tried.why(), ["consecutive", "wait-over", "probe-timeout", "wait-over"]);
    assert_eq!((tried.turns[2].at, tried.turns[2].until), (at(120), Some(at(240))));
}

#[test]
fn probes_that_follow_each_other_do_not_hold_it_half_open() {
    let mut rules = Rules::PAPER_CH3;
    rules.probes.within = 90 * SECOND;
    let mut tried = Tried::new(rules);
    (0..10).for_each(|_| assert!(tried.call(Failed, 0)));
    let first = tried.ask(60).unwrap();
    let second = tried.ask(100).unwrap();
    // Cancelled: nobody knows more than before.
    assert!(!tried.tell(first, Cancelled, 110) && tried.ask(140).is_ok());
    assert!(!tried.tell(second, Cancelled, 145));
    assert_eq!(tried.machine.look(at(149), &mut tried.turns), State::HalfOpen);
    assert_eq!(tried.machine.look(at(150), &mut tried.turns), State::Open);
    assert_eq!(tried.why().last(), Some(&"half-open-timeout"));
}

#[test]
fn a_job_that_seldom_runs_can_close_it() {
    let mut tried = Tried::new(Rules::PAPER_CH3);
    (0..10).for_each(|_| assert!(tried.call(Failed, 0)));
    (1..4).for_each(|hour| assert!(tried.call(Succeeded, hour * 3600)));
    assert_eq!(tried.machine.state(), State::Closed);
}

#[test]
fn slow_probes_are_no_successes_and_are_used_up() {
    let slow = Some(Slow { after: SECOND, is: SlowIs::Counted(Share::percent(50)) });
    let mut tried = Tried::new(Rules { slow, ..Rules::PAPER_CH3 });
    (0..10).for_each(|_| assert!(tried.call_of(Succeeded, 2 * SECOND, 0)));
    assert_eq!(tried.why(), ["slow-rate"]);
    (0..3).for_each(|_| assert!(tried.call_of(Succeeded, 2 * SECOND, 60)));
    assert_eq!(tried.why(), ["slow-rate", "wait-over", "probes-spent"]);
}

#[test]
fn a_window_of_time_forgets() {
    let window = Window::Time(20 * SECOND);
    let failures = Some(Limit::Fixed(Share::percent(50)));
    let rules = Rules { window, minimum: 4, failures, consecutive: None, ..Rules::default() };
    let mut tried = Tried::new(rules);
    (0..3).for_each(|_| assert!(tried.call(Failed, 0)));
    (20..23).for_each(|second| assert!(tried.call(Failed, second)));
    assert!(tried.turns.is_empty(), "those of the first second are forgotten");
    tried.call(TimedOut, 23);
    assert_eq!((tried.why(), tried.turns[0].window.calls), (vec!["failure-rate"], 4));
}

#[test]
fn a_person_holds_it_and_lets_it_go() {
    let mut tried = Tried::new(Rules::PAPER_CH1);
    tried.machine.force(Some(Forced::Open), at(0), &mut tried.turns);
    assert_eq!(tried.ask(3600).unwrap_err().rule, Rule::Forced);
    tried.machine.force(Some(Forced::Closed), at(1), &mut tried.turns);
    (0..9).for_each(|_| assert!(tried.call(Failed, 3601)));
    tried.machine.force(None, at(2), &mut tried.turns);
    tried.machine.force(None, at(2), &mut tried.turns);
    assert_eq!(tried.why(), ["forced", "forced", "released"]);
    (0..3).for_each(|_| assert!(tried.call(Failed, 3602)));
    assert_eq!(tried.machine.state(), State::Open);
}

#[test]
fn a_settled_machine_is_as_it_was_after_a_success() {
    let mut tried = Tried::new(Rules::PAPER_CH3);
    for call in 0..10 {
        assert!(!tried.machine.is_settled());
        tried.call(Succeeded, call);
    }
    assert!(tried.machine.is_settled());
    let before = format!("{:?}", tried.machine.snapshot());
    tried.call(Succeeded, 11);
    assert!(tried.machine.is_settled());
    assert_eq!(format!("{:?}", tried.machine.snapshot()), before);
    tried.call(Failed, 12);
    assert!(!tried.machine.is_settled());
}

#[test]
fn rules_that_cannot_be_kept_are_refused() {
    let refused = |change: fn(&mut Rules)| {
        let mut rules = Rules::default();
        change(&mut rules);
        rules.check().unwrap_err().to_string()
    };
    let none = refused(|rules| (rules.consecutive, rules.failures) = (None, None));
    assert_eq!(none, "the number of rules that can open it is 0, and must be at least 1");
    let wide = refused(|rules| rules.minimum = 21);
    assert_eq!(
        wide,
        "the minimum of calls is 21, and must be at least 1, and no more than the window has"
    );
    let never = refused(|rules| rules.failures = Some(Limit::Fixed(Share::NONE)));
    assert!(never.ends_with("must be above 0, and at most 1000000"), "{never}");
    let back = refused(|rules| rules.wait.most = SECOND);
    assert!(back.contains("no longer than the longest wait"), "{back}");
    let few = refused(|rules| rules.probes.successes = 2);
    assert!(few.contains("no more than there are probes"), "{few}");
    let floor = Adaptive { floor: Share::percent(60), ..Adaptive::default() };
    let rules = Rules { failures: Some(Limit::Adaptive(floor)), ..Rules::default() };
    assert!(rules.check().unwrap_err().to_string().contains("no more than the ceiling"));
    for good in [Rules::PAPER_CH1, Rules::PAPER_CH3, Rules::default()] {
        good.check().unwrap();
    }
}

/// In the loop, and not on its own: it trips on what is unusual, learns nothing of it, and is as before.
#[test]
fn an_adaptive_breaker_opens_on_what_is_unusual_and_returns() {
    let window = Window::Calls(100);
    let failures = Some(Limit::Adaptive(Adaptive::default()));
    let rules = Rules { consecutive: None, window, minimum: 100, failures, ..Rules::default() };
    let mut tried = Tried::new(rules);
    // Two of a hundred fail, for long.
    let healthy = |call: u64| if call.is_multiple_of(50) { Failed } else { Succeeded };
    (0..5000).for_each(|call| assert!(tried.call(healthy(call), 0)));
    let usual = tried.machine.snapshot().threshold.unwrap();
    assert!((Share::percent(5)..Share::percent(10)).contains(&usual), "{usual}");
    // A hundred times, all fail: each time a few calls are enough, and nothing is learned.
    for outage in 1..100 {
        let now = outage * 600;
        let failed = (0..=100).take_while(|_| tried.call(Failed, now)).count();
        assert!(failed <= 100, "{failed} calls until it opens");
        assert_eq!(tried.machine.state(), State::Open);
        assert!(tried.call(Succeeded, now + 300), "a probe");
        assert_eq!(tried.machine.snapshot().threshold, Some(usual));
    }
    (0..5000).for_each(|call| assert!(tried.call(healthy(call), 100_000)));
    assert_eq!(tried.machine.state(), State::Closed);
}

/// Small enough for every sequence to reach every state.
fn small() -> Rules {
    Rules {
        consecutive: NonZeroU32::new(2),
        window: Window::Calls(3),
        minimum: 3,
        failures: Some(Limit::Fixed(Share::percent(50))),
        slow: None,
        wait: Wait { first: 4 * SECOND, most: 6 * SECOND },
        probes: Probes {
            successes: 2,
            most: 3,
            at_once: 2,
            timeout: 2 * SECOND,
            within: 3 * SECOND,
        },
        shadow: false,
    }
}
