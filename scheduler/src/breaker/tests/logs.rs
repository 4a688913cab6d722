//! A log says enough: whatever happens to a breaker, its records decide the same again.

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

fn lives(rules: Rules, all: &[Happens]) -> Vec<Record> {
    let log: Arc<Mutex<Vec<Record>>> = Arc::default();
    let writes = Arc::clone(&log);
    let witness = Arc::new(move |record: &Record| writes.lock().unwrap().push(record.clone()));
    let breaker = Breaker::watched("a", rules, witness).unwrap();
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
