//! The wheel beside a `BTreeMap` that does the same by the book.

use std::collections::BTreeMap;
use std::env;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::allocations;

/// What is said to both.
#[derive(Debug, Clone)]
enum Step {
    /// So far ahead; negative is past.
    Insert { ahead_ns: i64, priority: u8 },
    /// One of all that ever were.
    Cancel { which: usize },
    /// So far on.
    Advance { by_ns: u64 },
    /// To where the wheel asks for it.
    Next,
}

/// As likely in nanoseconds as in years.
fn any_scale() -> impl Strategy<Value = u64> {
    (0_u32..63, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any_scale(), 0_u8..4)
            .prop_map(|(ahead, priority)| Step::Insert { ahead_ns: ahead as i64, priority }),
        1 => (0_i64..1_000_000_000)
            .prop_map(|late| Step::Insert { ahead_ns: -late, priority: 0 }),
        // Many in one slot, so that it takes several steps to empty.
        4 => (20_000_000_000_i64..20_000_100_000, 0_u8..2)
            .prop_map(|(ahead_ns, priority)| Step::Insert { ahead_ns, priority }),
        5 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        2 => (0_u64..10_000_000_000).prop_map(|by_ns| Step::Advance { by_ns }),
        1 => any_scale().prop_map(|by_ns| Step::Advance { by_ns }),
        4 => Just(Step::Next),
    ]
}

/// Both, and every name that was ever given.
struct Pair {
    now_ns: u64,
    wheel: Wheel,
    book: BTreeMap<(u64, u8, u32), Key>,
    names: Vec<(Key, (u64, u8, u32))>,
}

impl Pair {
    fn new(now_ns: u64) -> Self {
        Self { now_ns, wheel: Wheel::new(now_ns), book: BTreeMap::new(), names: Vec::new() }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Insert { ahead_ns, priority } => self.insert(ahead_ns, priority),
            Step::Cancel { which } => self.cancel(which),
            Step::Advance { by_ns } => self.advance(self.now_ns.saturating_add(by_ns)),
            Step::Next => self.next(),
        }
        assert_eq!(self.wheel.len(), self.book.len());
        self.next_due_is_not_late();
    }

    fn insert(&mut self, ahead_ns: i64, priority: u8) {
        let due_ns = self.now_ns.saturating_add_signed(ahead_ns);
        let tag = self.names.len() as u32;
        let key = self.wheel.insert(due_ns, priority, tag);
        self.book.insert((due_ns, priority, tag), key);
        self.names.push((key, (due_ns, priority, tag)));
    }

    fn cancel(&mut self, which: usize) {
        if let Some(&(key, entry)) = self.names.get(which % self.names.len().max(1)) {
            let there = self.book.remove(&entry).is_some();
            assert_eq!(self.wheel.cancel(key), there, "{entry:?}");
        }
    }

    fn advance(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        let mut due = Vec::new();
        // All at once, or a few at a time: it is the same.
        match self.names.len() % 4 {
            0 => self.wheel.advance(now_ns, &mut due),
            few => while self.wheel.advance_by(few, now_ns, &mut due) {},
        }
        let later = self.book.split_off(&(now_ns.saturating_add(1), 0, 0));
        let mut expected = std::mem::replace(&mut self.book, later);
        if now_ns == u64::MAX {
            expected.append(&mut self.book);
        }
        let got = due.iter().map(|due| ((due.due_ns, due.priority, due.tag), due.key));
        assert_eq!(got.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
    }

    /// As a shard does: wakes that only bring timers nearer are few, then the first is exactly due.
    fn next(&mut self) {
        let Some(first_ns) = self.book.keys().next().map(|entry| entry.0) else { return };
        let before = self.book.len();
        for _ in 0..before / CASCADE + 3 * LEVELS {
            let at_ns = self.wheel.next_due().expect("it has timers").max(self.now_ns);
            assert!(at_ns <= first_ns.max(self.now_ns));
            self.advance(at_ns);
            if self.book.len() < before {
                return;
            }
        }
        panic!("too many wakes before the first timer is due");
    }

    fn next_due_is_not_late(&self) {
        let first_ns = self.book.keys().next().map(|entry| entry.0);
        match (self.wheel.next_due(), first_ns) {
            (Some(next_ns), Some(first_ns)) => assert!(next_ns <= first_ns),
            (next, first) => assert_eq!(next, first),
        }
    }
}

/// `CRONX_WHEEL_STEPS=100000000` asks for more; a failure prints its seed and its shortest steps.
#[test]
fn the_wheel_does_what_a_map_does() {
    let steps = env::var("CRONX_WHEEL_STEPS").ok().and_then(|text| text.parse().ok());
    let each = 2_000;
    let cases = (steps.unwrap_or(2_000_000_u32) / each).max(1);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let start = prop_oneof![Just(0), any_scale()];
    let steps = prop::collection::vec(step(), each as usize);
    let run = TestRunner::new(config).run(&(start, steps), |(start_ns, steps)| {
        let mut pair = Pair::new(start_ns);
        for step in &steps {
            pair.take(step);
        }
        pair.advance(u64::MAX);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn every_distance_has_the_finest_ring_that_reaches_it() {
    for now_ns in [0, 1, (1 << 26) - 1, (1 << 40) + 12_345, u64::MAX / 3] {
        for bits in 0..64 {
            for nudge in -1..=1_i64 {
                let due_ns = now_ns.saturating_add(1_u64 << bits).saturating_add_signed(nudge);
                let reaches = |level: usize| {
                    (due_ns >> shift(level)).saturating_sub(now_ns >> shift(level)) < SLOTS
                };
                let current = due_ns >> FINEST <= now_ns >> FINEST;
                let expected = (!current).then(|| (0..LEVELS).find(|&l| reaches(l)).unwrap());
                assert_eq!(level_of(due_ns, now_ns), expected, "{now_ns} {due_ns}");
            }
        }
    }
}

#[test]
fn a_full_slot_is_brought_nearer_in_steps() {
    let mut wheel = Wheel::new(0);
    let count = 10 * CASCADE;
    for tag in 0..count {
        wheel.insert(60_000_000_000 + tag as u64, 0, tag as u32);
    }
    let (mut due, mut steps) = (Vec::new(), 0);
    while wheel.next_due().unwrap() < 60_000_000_000 {
        wheel.advance(wheel.next_due().unwrap(), &mut due);
        steps += 1;
    }
    assert!(due.is_empty() && steps > count / CASCADE, "{steps}");
    wheel.advance(60_000_000_000 + count as u64, &mut due);
    assert_eq!(due.len(), count);
}

#[test]
fn what_is_cancelled_in_the_current_slot_does_not_pile_up() {
    let mut wheel = Wheel::new(0);
    wheel.insert(1_000, 0, 0);
    for tag in 0..100_000 {
        let key = wheel.insert(2_000, 0, tag);
        assert!(wheel.cancel(key));
    }
    assert!(wheel.current.len() <= 2 * SWEEP + 2, "{}", wheel.current.len());
}

#[test]
fn no_timer_is_an_allocation() {
    let mut wheel = Wheel::new(0);
    let mut due = Vec::with_capacity(20_000);
    wheel.reserve(20_000);
    let churn = |wheel: &mut Wheel, due: &mut Vec<Due>, from_ns: u64| {
        for tag in 0..20_000_u32 {
            let key = wheel.insert(from_ns + u64::from(tag) * 1_000_003, 0, tag);
            if tag % 3 == 0 {
                wheel.cancel(key);
            }
        }
        wheel.advance(from_ns + (1 << 40), due);
        due.clear();
    };
    // The first round makes room in the current slot's order.
    churn(&mut wheel, &mut due, 0);
    let calls = allocations::calls();
    churn(&mut wheel, &mut due, 1 << 40);
    assert_eq!(allocations::calls(), calls);
}

#[test]
fn a_timer_is_at_most_96_bytes() {
    let held = allocations::held();
    let mut wheel = Wheel::new(0);
    let count = 1_000_000;
    for tag in 0..count {
        wheel.insert(u64::from(tag) * 100_000, 0, tag);
    }
    let each = (allocations::held() - held) / count as isize;
    assert!(each <= 96, "{each} bytes");
}

#[test]
fn a_name_of_the_past_names_nothing() {
    let mut wheel = Wheel::new(0);
    let mut due = Vec::new();
    let first = wheel.insert(10, 0, 0);
    wheel.advance(10, &mut due);
    let second = wheel.insert(1 << 30, 0, 1);
    assert_eq!(first.index, second.index);
    assert!(!wheel.cancel(first));
    assert!(wheel.cancel(second));
}
