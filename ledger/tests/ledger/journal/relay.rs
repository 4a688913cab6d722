//! The relay: sinks that fail, refuse and come back, and relays that end.

mod peers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use std::sync::atomic::Ordering;

use cronx_ledger::journal::relay::{Answer, Options, Relay, Sink, Turn};
use cronx_ledger::journal::sqlite::Sqlite;
use cronx_ledger::journal::{Consumer, Event, Journal, Position};
use cronx_ledger::{Error, Pending};

use super::sqlite::File;
use super::{Stage, draft};
use crate::random::Random;

/// What a sink was sent and took, and how it behaves.
struct Inner {
    had: Vec<Event>,
    is_down: bool,
    /// Behaves badly, by these numbers.
    wild: Option<Random>,
    /// Never takes these.
    refuses: Vec<u128>,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<Inner>>);

impl Fake {
    fn new(wild: Option<Random>) -> Self {
        let (had, refuses) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Inner { had, is_down: false, wild, refuses })))
    }

    fn with<T>(&self, with: impl FnOnce(&mut Inner) -> T) -> T {
        with(&mut self.0.lock().unwrap())
    }
}

impl Inner {
    fn answer(&mut self, event: &Event) -> Answer {
        if self.refuses.contains(&event.id.0) {
            return Answer::Refused("not this one".to_owned());
        }
        match self.wild.as_mut().map_or(9, |random| random.below(10)) {
            0 => return Answer::Later("busy".to_owned()),
            // It has it, and its answer is lost.
            1 => {
                self.had.push(event.clone());
                return Answer::Later("no answer".to_owned());
            }
            _ => {}
        }
        self.had.push(event.clone());
        Answer::Taken
    }

    fn send(&mut self, events: &[&Event]) -> Result<Vec<Answer>, Error> {
        let aggregates: std::collections::BTreeSet<_> =
            events.iter().map(|event| &event.aggregate).collect();
        assert_eq!(aggregates.len(), events.len(), "two of one aggregate at once");
        let down = || Error::Unavailable {
            what: "send to",
            place: "the sink".to_owned(),
            reason: "it is down".to_owned(),
        };
        if self.is_down || self.wild.as_mut().is_some_and(|random| random.one_in(8)) {
            return Err(down());
        }
        let answers = events.iter().map(|event| self.answer(event)).collect();
        let is_lost = self.wild.as_mut().is_some_and(|random| random.one_in(8));
        if is_lost { Err(down()) } else { Ok(answers) }
    }
}

impl Sink for Fake {
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>> {
        Box::pin(std::future::ready(self.with(|inner| inner.send(events))))
    }
}

fn consumer() -> Consumer {
    Consumer::new("sink").unwrap()
}

/// One more life of a relay, with a connection of its own.
fn relay(file: &File, sink: &Fake, batch: usize, seed: u64) -> Relay<Fake> {
    let journal = Arc::new(Sqlite::open(&file.path, file.clock.clone()).unwrap());
    let mut random = Random::new(seed);
    let options = Options { batch, ..Options::default() };
    Relay::new(journal, consumer(), sink.clone(), options, move || random.next())
}

/// Of each aggregate the versions as they came first, which must be in order and without a gap.
pub fn in_order<'a>(had: impl IntoIterator<Item = &'a Event>) -> BTreeMap<String, u64> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for event in had {
        let known = last.entry(event.aggregate.clone()).or_insert(0);
        assert!(event.version <= *known + 1, "{} has {known}, then {event:?}", event.aggregate);
        *known = event.version.max(*known);
    }
    last
}

#[tokio::test]
async fn a_sink_that_is_down_for_an_hour_costs_only_lag() {
    let (file, sink) = (File::new(), Fake::new(None));
    let mut relay = relay(&file, &sink, 100, 3);
    let figures = relay.figures();
    let hour = Duration::from_hours(1).as_nanos() as i64;
    let (mut appended, mut failures, mut oldest) = (0, 0, Duration::ZERO);
    sink.with(|sink| sink.is_down = true);
    while file.now.load(Ordering::SeqCst) < hour {
        appended += 1;
        let aggregate = format!("a{}", appended % 3);
        file.append(vec![draft(appended, &aggregate, None)], true).await.unwrap();
        let Turn::Failed { wait, reason } = relay.turn().await else { panic!("it is down") };
        assert!(reason.contains("it is down"), "{reason}");
        assert!(wait <= Duration::from_mins(1));
        failures += 1;
        oldest = oldest.max(figures.lag_age());
        file.now.fetch_add(wait.as_nanos() as i64 + 1, Ordering::SeqCst);
    }
    // It asks now and then, and not more often for longer.
    assert!((60..400).contains(&failures), "{failures}");
    assert!(oldest >= Duration::from_mins(58), "{oldest:?}");
    assert_eq!(figures.lag_positions(), appended as u64);
    sink.with(|sink| sink.is_down = false);
    while relay.turn().await != Turn::Idle {}
    assert_eq!(sink.with(|sink| sink.had.len()), appended as usize);
    sink.with(|sink| in_order(&sink.had));
    assert_eq!((figures.lag_positions(), figures.lag_age()), (0, Duration::ZERO));
    let named: BTreeMap<_, _> = figures.named().into();
    assert_eq!(named["relay_failures"] as i32, failures);
    assert_eq!(named["relay_sent"] as u128, appended);
}

/// Whatever the sink does and wherever relays end: all is there, and in order; what is refused and what comes
/// after it are dead letters.
#[tokio::test]
async fn nothing_is_lost_between_a_wild_sink_and_mortal_relays() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (file, sink) = (File::new(), Fake::new(Some(Random::new(seed + 1000))));
        let count = 40 + u128::from(random.below(40));
        for id in 1..=count {
            let aggregate = format!("a{}", random.below(5));
            file.append(vec![draft(id, &aggregate, None)], true).await.unwrap();
        }
        let refuses = [random.below(40).into(), random.below(40).into()];
        sink.with(|sink| sink.refuses = refuses.to_vec());
        let mut lives = 0;
        'lives: loop {
            let mut relay = relay(&file, &sink, 1 + random.below(9) as usize, seed);
            lives += 1;
            assert!(lives < 500, "seed {seed}: it does not get on");
            for _ in 0..=random.below(4) {
                if relay.turn().await == Turn::Idle {
                    break 'lives;
                }
            }
        }
        let all = file.journal.read(Position(0), 1000).await.unwrap();
        let dead = file.journal.dead(consumer(), None, Position(0), 1000).await.unwrap();
        // Those that are refused, and each that follows one.
        let first = |event: &Event| {
            let refused = all
                .iter()
                .find(|other| other.aggregate == event.aggregate && refuses.contains(&other.id.0));
            refused.is_some_and(|refused| refused.version <= event.version)
        };
        let expected: Vec<_> = all.iter().filter(|event| first(event)).cloned().collect();
        let found: Vec<_> = dead.into_iter().map(|letter| letter.event).collect();
        assert_eq!(found, expected, "seed {seed}");
        sink.with(|sink| {
            in_order(&sink.had);
            let has = |event: &Event| sink.had.iter().any(|had| had == event);
            assert!(all.iter().all(|event| has(event) != expected.contains(event)), "seed {seed}");
            (sink.wild, sink.refuses) = (None, Vec::new());
        });
        let mut relay = relay(&file, &sink, 4, seed);
        let revived = relay.revive(None).await.unwrap();
        assert_eq!(revived, expected.len() as u64, "seed {seed}");
        let last = sink.with(|sink| in_order(&sink.had));
        assert_eq!(last.values().sum::<u64>(), all.len() as u64, "seed {seed}");
        let dead = file.journal.dead(consumer(), None, Position(0), 1000).await.unwrap();
        assert_eq!(dead, []);
    }
}

#[tokio::test]
async fn one_that_is_refused_again_keeps_those_after_it() {
    let (file, sink) = (File::new(), Fake::new(None));
    sink.with(|sink| sink.refuses = vec![1]);
    for id in 1..=3 {
        file.append(vec![draft(id, "a", None)], true).await.unwrap();
    }
    let mut relay = relay(&file, &sink, 10, 1);
    assert_eq!(relay.turn().await, Turn::Moved(3));
    assert_eq!(relay.revive(Some("a")).await.unwrap(), 0);
    file.append(vec![draft(4, "a", None), draft(5, "b", None)], true).await.unwrap();
    assert_eq!(relay.turn().await, Turn::Moved(2));
    let dead = file.journal.dead(consumer(), None, Position(0), 10).await.unwrap();
    let reasons: Vec<_> = dead.iter().map(|letter| letter.reason.as_str()).collect();
    let expected = [
        "not this one",
        "it comes after 1, which was refused",
        "it comes after 1, which was refused",
        "an earlier one of its aggregate is a dead letter",
    ];
    assert_eq!(reasons, expected);
    assert_eq!(sink.with(|sink| sink.had.len()), 1);
}

#[tokio::test]
async fn two_relays_of_one_consumer_notice() {
    let (file, sink) = (File::new(), Fake::new(None));
    let (mut first, mut second) = (relay(&file, &sink, 10, 1), relay(&file, &sink, 10, 2));
    for id in 1..=2 {
        file.append(vec![draft(id, "a", None)], true).await.unwrap();
        assert_eq!(first.turn().await, Turn::Moved(1));
        if id == 1 {
            assert_eq!(second.turn().await, Turn::Idle);
        }
    }
    // The second believes to be at 1.
    let Turn::Failed { reason, .. } = second.turn().await else { panic!("it was moved") };
    assert!(reason.contains("is in use by another cronx"), "{reason}");
    assert_eq!(second.turn().await, Turn::Idle);
}
