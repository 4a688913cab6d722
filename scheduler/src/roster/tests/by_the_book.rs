//! Every combination of the algebra, through one day in which everything happens, beside a model that has
//! the whole list of instants and looks at it once a minute.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::policy::{Back, Leap};
use crate::spec::{Dst, Fold, Gap};

/// What happens in a minute.
#[derive(Clone, Copy)]
enum Event {
    /// The process is stopped for so many minutes.
    Stall(u32),
    /// The clock is put forward or back by so many minutes.
    Step(i64),
    /// The machine sleeps for so many minutes.
    Suspend(u32),
}

/// The minutes of the script, and what comes then; it begins two hours before a transition.
const SCRIPT: [(u32, Event); 5] = [
    (400, Event::Stall(95)),
    (500, Event::Step(60)),
    (600, Event::Step(-60)),
    (700, Event::Suspend(360)),
    (800, Event::Stall(45)),
];
const MINUTES: u32 = 1000;

/// What came of it: which instants started, and when; how many were left out, and why.
#[derive(Debug, PartialEq, Eq, Default)]
struct Day {
    started: Vec<(Utc, Mono)>,
    skipped: BTreeMap<String, u64>,
}

#[derive(Clone, Copy)]
struct Combination {
    policy: Policy,
    dst: Dst,
    takes: Duration,
    from: Utc,
}

impl Combination {
    fn spec(&self) -> Spec {
        Spec::parse("*/20 * * * *").unwrap().in_zone("Europe/Berlin").unwrap().dst(self.dst)
    }
}

/// The roster's day.
fn by_roster(combination: &Combination) -> Day {
    let Combination { policy, takes, from, .. } = *combination;
    let mut table = Table::new(from);
    table.takes = takes;
    let options = JobOptions { policy, ..JobOptions::default() };
    table.add(recurring(combination.spec(), options));
    for minute in 0..MINUTES {
        table.stall(MINUTE);
        for (_, event) in SCRIPT.iter().filter(|(at, _)| *at == minute) {
            match *event {
                Event::Stall(minutes) => table.stall(minutes * MINUTE),
                Event::Step(minutes) => table.step(minutes * 60_000_000_000),
                Event::Suspend(minutes) => table.suspend(minutes * MINUTE),
            }
        }
        table.wake();
    }
    let started = table.started.iter().map(|s| (s.firing.nominal, s.at)).collect();
    let mut day = Day { started, ..Day::default() };
    for skipped in &table.skipped {
        *day.skipped.entry(format!("{:?}", skipped.why)).or_default() += skipped.count;
    }
    // One that takes another's place among those that wait is counted by its job alone.
    let core = table.roster.entries.get(0).map(|entry| Arc::clone(&entry.core)).unwrap();
    let overlap = core.skipped().overlap;
    if overlap > 0 {
        day.skipped.insert("Overlap".to_owned(), overlap);
    }
    day
}

/// The same by lists.
struct Book {
    policy: Policy,
    instants: Vec<Utc>,
    cursor: Utc,
    running: Vec<Mono>,
    waiting: VecDeque<Utc>,
    stopping: bool,
    day: Day,
}

impl Book {
    fn skip(&mut self, through: Utc, why: &str) {
        let count = self.instants.iter().filter(|&&i| i > self.cursor && i <= through).count();
        if count > 0 {
            *self.day.skipped.entry(why.to_owned()).or_default() += count as u64;
        }
        self.cursor = self.cursor.max(through);
    }

    fn missed(&self, now: Utc) -> Vec<Utc> {
        self.instants.iter().copied().filter(|&i| i > self.cursor && i <= now).collect()
    }

    fn end_runs(&mut self, now: Mono, takes: Duration) {
        let stopping = std::mem::take(&mut self.stopping);
        let before = self.running.len();
        self.running.retain(|&until| until > now && !stopping);
        for _ in self.running.len()..before {
            let allowed = self.policy.overlap == Overlap::Allow;
            let free = self.running.len() < self.policy.limit as usize || allowed;
            let next = if free { self.waiting.pop_front() } else { None };
            if let Some(nominal) = next {
                self.begin(nominal, now, takes);
            }
        }
    }

    fn begin(&mut self, nominal: Utc, now: Mono, takes: Duration) {
        self.day.started.push((nominal, now));
        self.running.push(now + takes);
    }

    fn misfires(&mut self, now: Utc) {
        let on_time = now - self.policy.grace;
        let misfires: Vec<Utc> =
            self.missed(now).into_iter().filter(|&instant| instant < on_time).collect();
        if misfires.is_empty() {
            return;
        }
        let keep = match self.policy.misfire {
            Misfire::Skip => 0,
            Misfire::FireOnce => {
                if let [.., before, _] = self.missed(now)[..] {
                    self.skip(before, "Misfire");
                }
                return;
            }
            Misfire::FireAll { cap } => cap as usize,
            Misfire::Within { grace } => {
                misfires.iter().filter(|&&instant| instant >= now - grace).count()
            }
        };
        let dropped = misfires.len().saturating_sub(keep);
        if let Some(&last) = misfires[..dropped].last() {
            self.skip(last, "Misfire");
        }
    }

    fn fire(&mut self, utc: Utc, now: Mono, takes: Duration) {
        self.misfires(utc);
        for nominal in self.missed(utc) {
            let free = self.running.len() < self.policy.limit as usize && self.waiting.is_empty();
            let room = match self.policy.overlap {
                Overlap::BufferOne => 1,
                Overlap::BufferAll { cap } => cap as usize,
                _ => 0,
            };
            if free || self.policy.overlap == Overlap::Allow {
                self.begin(nominal, now, takes);
            } else if self.policy.overlap == Overlap::CancelOther {
                let replaced = self.waiting.drain(..).count() as u64;
                if replaced > 0 {
                    *self.day.skipped.entry("Overlap".to_owned()).or_default() += replaced;
                }
                self.waiting.push_back(nominal);
                self.stopping = true;
            } else if self.waiting.len() < room {
                self.waiting.push_back(nominal);
            } else {
                self.skip(nominal, "Overlap");
            }
            self.cursor = self.cursor.max(nominal);
        }
    }
}

fn by_the_book(combination: &Combination) -> Day {
    let Combination { policy, takes, from, .. } = *combination;
    let spec = combination.spec();
    let mapped = spec.mapped(from - Duration::from_hours(5)).take(200);
    let mut instants: Vec<Utc> = mapped.flat_map(|mapped| mapped.outcome.instants()).collect();
    instants.sort_unstable();
    instants.dedup();
    let (day, running, waiting) = (Day::default(), Vec::new(), VecDeque::new());
    let mut book = Book { policy, instants, cursor: from, running, waiting, stopping: false, day };
    let (mut utc, mut mono) = (from, Mono(0));
    for minute in 0..MINUTES {
        (utc, mono) = (utc + MINUTE, mono + MINUTE);
        let event = SCRIPT.iter().find(|(at, _)| *at == minute).map(|(_, event)| *event);
        if let Some(Event::Stall(minutes)) = event {
            (utc, mono) = (utc + minutes * MINUTE, mono + minutes * MINUTE);
        }
        book.end_runs(mono, takes);
        match event {
            Some(Event::Step(minutes)) => {
                utc = Utc(utc.0 + minutes * 60_000_000_000);
                if minutes > 0 && policy.forward == Leap::Forget {
                    book.skip(utc, "Forward");
                }
                if minutes < 0 && policy.back == Back::Repeat {
                    book.cursor = book.cursor.min(utc);
                }
            }
            Some(Event::Suspend(minutes)) => {
                utc = utc + minutes * MINUTE;
                if policy.suspend == Leap::Forget {
                    book.skip(utc, "Suspend");
                }
            }
            _ => {}
        }
        book.fire(utc, mono, takes);
    }
    book.day
}

fn policies() -> impl Iterator<Item = Policy> {
    let misfires = [
        Misfire::Skip,
        Misfire::FireOnce,
        Misfire::FireAll { cap: 3 },
        Misfire::Within { grace: 70 * MINUTE },
    ];
    let overlaps = [
        Overlap::Allow,
        Overlap::Skip,
        Overlap::BufferOne,
        Overlap::BufferAll { cap: 2 },
        Overlap::CancelOther,
    ];
    let leaps = [Leap::Misfire, Leap::Forget];
    let backs = [Back::Wait, Back::Repeat];
    let parts = misfires.into_iter().flat_map(move |misfire| {
        overlaps.into_iter().flat_map(move |overlap| {
            leaps.into_iter().flat_map(move |forward| {
                backs.into_iter().flat_map(move |back| {
                    leaps.map(|suspend| (misfire, overlap, forward, back, suspend))
                })
            })
        })
    });
    parts.flat_map(|(misfire, overlap, forward, back, suspend)| {
        [1, 2].map(|limit| Policy {
            grace: 5 * MINUTE,
            misfire,
            limit,
            overlap,
            forward,
            back,
            suspend,
        })
    })
}

fn dsts() -> impl Iterator<Item = Dst> {
    let folds = [Fold::First, Fold::Last, Fold::Both];
    [Gap::Skip, Gap::Shift].into_iter().flat_map(move |gap| folds.map(|fold| Dst { gap, fold }))
}

/// Two hours before Berlin's clock goes forward, and before it goes back.
const DAYS: [Utc; 2] = [Utc(1_774_738_800_000_000_000), Utc(1_792_882_800_000_000_000)];

#[test]
fn every_combination_does_what_the_book_says() {
    let mut combinations = 0;
    for policy in policies() {
        for dst in dsts() {
            for from in DAYS {
                // Runs that are over before the next is due, and runs that are not.
                for takes in [MINUTE, 35 * MINUTE] {
                    let combination = Combination { policy, dst, takes, from };
                    let (got, expected) = (by_roster(&combination), by_the_book(&combination));
                    assert_eq!(got, expected, "{policy:?} {dst:?} {takes:?} {from}");
                    combinations += 1;
                }
            }
        }
    }
    assert_eq!(combinations, 4 * 5 * 2 * 2 * 2 * 2 * 6 * 2 * 2);
}
