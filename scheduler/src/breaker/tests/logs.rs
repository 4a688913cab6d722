//! A log says enough: whatever happens to a breaker, its records decide the same again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One thing that happens to a breaker.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Ends(Ended, u32),
    /// A call is dropped by whoever made it.
    Drops,
    /// A call comes back only after the next that happens.
    Stays(Ended),
    Advances(u64),
    Forces(Option<Forced>),
    Looks,
}

fn happens() -> impl Strategy<Value = Happens> {
    let ended = prop::sample::select(Ended::ALL.to_vec());
    let forced = prop::sample::select(vec![None, Some(Forced::Open), Some(Forced::Closed)]);
    prop_oneof![
        8 => (ended.clone(), 0..3_u32).prop_map(|(ended, took)| Happens::Ends(ended, took)),
        1 => Just(Happens::Drops),
        2 => ended.prop_map(Happens::Stays),
        3 => (1..6_u64).prop_map(Happens::Advances),
        1 => forced.prop_map(Happens::Forces),
        1 => Just(Happens::Looks),
    ]
}

fn watched(rules: Rules) -> (Arc<Breaker>, Arc<Mutex<Vec<Record>>>) {
    let log: Arc<Mutex<Vec<Record>>> = Arc::default();
    let writes = Arc::clone(&log);
    let witness = Arc::new(move |record: &Record| writes.lock().unwrap().push(record.clone()));
    (Breaker::watched("a", rules, witness).unwrap(), log)
}

fn lives(rules: Rules, all: &[Happens]) -> Vec<Record> {
    let (breaker, log) = watched(rules);
    let (mut seconds, mut decisions, mut away) = (0, Vec::new(), None);
    for step in all {
        let now = at(seconds);
        match *step {
            Happens::Ends(ended, took) => {
                if let Ok(call) = breaker.ask(now, None, &mut decisions) {
                    call.end(ended, took * SECOND, now, &mut decisions);
                }
            }
            Happens::Drops => drop(breaker.ask(now, None, &mut decisions)),
            Happens::Stays(ended) => {
                let asked = breaker.ask(now, None, &mut decisions).ok();
                let back = std::mem::replace(&mut away, asked.map(|call| (call, ended)));
                if let Some((call, ended)) = back {
                    call.end(ended, SECOND, now, &mut decisions);
                }
            }
            Happens::Advances(by) => seconds += by,
            Happens::Forces(forced) => breaker.force(forced, now),
            Happens::Looks => _ = breaker.standing(now),
        }
    }
    drop(away);
    let log = log.lock().unwrap();
    log.clone()
}

proptest! {
    #[test]
    fn a_log_decides_the_same_again(all in vec(happens(), 0..300), shadow: bool, which in 0..3_usize) {
        let adaptive = Adaptive { samples: 2, half_life: 3, ..Adaptive::default() };
        let failures = Some(Limit::Adaptive(adaptive));
        let slow = Some(Slow { after: SECOND, is: SlowIs::Failure });
        let mut rules = [small(), Rules { slow, ..small() }, Rules { failures, ..small() }][which];
        rules.shadow = shadow;
        let records = lives(rules, &all);
        let turns = records.iter().filter(|record| matches!(record.event, Event::Turned(_)));
        prop_assert_eq!(replay(rules, &records), Ok(turns.count()));
    }

    /// What is left of it does too, from its first closing on.
    #[test]
    fn a_log_without_its_beginning_does_from_a_closing_on(
        all in vec(happens(), 0..300),
        gone in 0..300_usize,
        timed: bool,
    ) {
        let window = if timed { Window::Time(SECOND) } else { small().window };
        let rules = Rules { window, ..small() };
        let records = lives(rules, &all);
        let rest = &records[gone.min(records.len())..];
        let closes = |record: &Record| {
            matches!(record.event, Event::Turned(Turn { to: State::Closed, .. }))
        };
        let first = rest.iter().position(closes).map_or(rest.len(), |number| number + 1);
        let turns = rest[first..].iter().filter(|record| matches!(record.event, Event::Turned(_)));
        prop_assert_eq!(replay_rest(rules, rest), Ok((first, turns.count())));
    }
}

#[test]
fn what_was_learned_is_not_in_the_rest_of_a_log() {
    let failures = Some(Limit::Adaptive(Adaptive::default()));
    let rules = Rules { failures, ..small() };
    let records = lives(rules, &[Happens::Forces(Some(Forced::Open)), Happens::Forces(None)]);
    assert_eq!((records.len(), replay_rest(rules, &records)), (4, Ok((4, 0))));
    assert_eq!(replay_rest(small(), &records), Ok((4, 0)));
    assert_eq!(replay(rules, &records), Ok(2));
}

#[test]
fn a_log_that_was_changed_is_found_out() {
    let fails = [Happens::Ends(Failed, 0); 3];
    let good = lives(small(), &fails);
    assert_eq!(replay(small(), &good), Ok(1));
    for gone in 0..good.len() {
        let mut records = good.clone();
        records.remove(gone);
        let is_last = gone == good.len() - 1;
        assert_eq!(replay(small(), &records).is_err(), !is_last, "without record {gone}");
    }
}

/// Threads that all call it at once: there is an order in which one alone would have had the same answers,
/// and the log has it. What was not written down made no difference.
#[test]
fn what_threads_do_to_it_is_what_one_could_have_done() {
    for rules in [small(), Rules { window: Window::Time(SECOND), ..small() }] {
        let (breaker, log) = watched(rules);
        let clock = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (breaker, clock) = (&breaker, &clock);
                scope.spawn(move || {
                    for step in 0..5_000 {
                        call_at_random(breaker, clock, crate::hash::mix(thread << 32 | step));
                    }
                });
            }
        });
        let log = log.lock().unwrap();
        let turns = log.iter().filter(|record| matches!(record.event, Event::Turned(_))).count();
        assert!(turns > 100, "{turns}");
        assert_eq!(replay(rules, &*log), Ok(turns));
    }
}

/// Most calls succeed, so that it is settled in between; time passes, and sometimes a lot.
fn call_at_random(breaker: &Breaker, clock: &AtomicU64, random: u64) {
    let pause = if random.is_multiple_of(50) { 2_000_000_000 } else { random % 1000 };
    let now = Mono(clock.fetch_add(pause, Ordering::Relaxed));
    let mut decisions = Vec::new();
    let Ok(call) = breaker.ask(now, None, &mut decisions) else { return };
    let ended = if (random >> 16).is_multiple_of(10) { Failed } else { Succeeded };
    call.end(ended, Duration::ZERO, now, &mut decisions);
}
