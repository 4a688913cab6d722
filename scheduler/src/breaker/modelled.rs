//! The gate once more, on loom's lock and atomics: every interleaving and every reordering that the
//! memory model allows.

#![expect(clippy::duplicate_mod, reason = "the same source on other atomics is the point")]

#[path = "gate.rs"]
mod gate;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::{Ended, Machine, Permit, Probes, Rules, State, Turn, Wait, Window};
use crate::Mono;
use gate::Gate;

/// As wide as two threads can fill.
fn rules() -> Rules {
    let wait = Duration::from_nanos(10);
    Rules {
        consecutive: NonZeroU32::new(2),
        window: Window::Calls(1),
        minimum: 1,
        failures: None,
        slow: None,
        wait: Wait { first: wait, most: wait },
        probes: Probes { successes: 1, most: 1, at_once: 1, timeout: wait, within: wait },
        shadow: false,
    }
}

impl Gate {
    fn ask(&self, now: Mono) -> Option<Permit> {
        let asked = || self.decide(|machine| machine.ask(now, &mut Vec::new()).ok());
        self.is_passed().or_else(asked)
    }

    /// What it turned.
    fn tell(&self, permit: Permit, ended: Ended, now: Mono) -> Vec<Turn> {
        let mut turns = Vec::new();
        if ended != Ended::Succeeded || !self.is_settled_for(permit) {
            self.decide(|machine| machine.tell(permit, ended, Duration::ZERO, now, &mut turns));
        }
        turns
    }

    fn state(&self) -> State {
        self.decide(|machine| machine.state())
    }
}

fn two<R: 'static>(gate: &Arc<Gate>, does: fn(&Gate) -> R) -> [R; 2] {
    let run = || {
        let gate = Arc::clone(gate);
        thread::spawn(move || does(&gate))
    };
    [run(), run()].map(|thread| thread.join().unwrap())
}

#[test]
fn two_failures_of_two_threads_open_it_once() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(Machine::new(rules())));
        let turns = two(&gate, |gate| {
            let permit = gate.ask(Mono(0)).unwrap();
            gate.tell(permit, Ended::Failed, Mono(0)).len()
        });
        assert_eq!(turns.iter().sum::<usize>(), 1);
        assert_eq!((gate.state(), gate.is_passed()), (State::Open, None));
    });
}

#[test]
fn one_place_is_given_to_one() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(Machine::new(rules())));
        for _ in 0..2 {
            let permit = gate.ask(Mono(0)).unwrap();
            gate.tell(permit, Ended::Failed, Mono(0));
        }
        let probes = two(&gate, |gate| gate.ask(Mono(10)).is_some());
        assert!(probes[0] != probes[1], "{probes:?}");
    });
}

/// A success that is not written and a failure: whatever comes first, what is left is right.
#[test]
fn a_success_that_changes_nothing_hides_no_failure() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(Machine::new(rules())));
        let permit = gate.ask(Mono(0)).unwrap();
        gate.tell(permit, Ended::Succeeded, Mono(0));
        assert!(gate.is_settled_for(permit));
        let other = Arc::clone(&gate);
        let fails = thread::spawn(move || {
            let permit = other.ask(Mono(1)).unwrap();
            other.tell(permit, Ended::Failed, Mono(1));
        });
        let permit = gate.ask(Mono(1)).unwrap();
        gate.tell(permit, Ended::Succeeded, Mono(1));
        fails.join().unwrap();
        let in_row = gate.decide(|machine| machine.snapshot().in_row);
        // The success came before, or it came behind and was written.
        assert!(in_row <= 1);
        assert_eq!(gate.is_settled_for(permit), in_row == 0);
    });
}

/// What passed before it opened counts for nothing behind it.
#[test]
fn a_late_end_decides_no_trial() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(Machine::new(rules())));
        let late = gate.ask(Mono(0)).unwrap();
        for _ in 0..2 {
            let permit = gate.ask(Mono(0)).unwrap();
            gate.tell(permit, Ended::Failed, Mono(0));
        }
        let other = Arc::clone(&gate);
        let probe = thread::spawn(move || other.ask(Mono(10)).is_some());
        assert!(gate.tell(late, Ended::Failed, Mono(10)).is_empty());
        assert!(probe.join().unwrap());
        assert_eq!(gate.state(), State::HalfOpen);
    });
}
