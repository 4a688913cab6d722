//! From the journal to a sink: at least once, and in order within each aggregate.
//!
//! An event that was taken may be sent again, when the relay ended before it could write that down: each has
//! an id, by which a sink or its readers know it again. Left out what is there already, an aggregate's events
//! stand at the sink in the order of their versions: the next one is sent when the one before was taken.
//!
//! **A sink that is down** costs nothing but lag, which is a figure: see [`Figures`]. It is asked again after
//! a random time up to `first * 2^n`, and at most `most`.
//!
//! **An event that a sink refuses for good** becomes a dead letter with the sink's reason, and so do the
//! later events of its aggregate, until somebody calls [`Relay::revive`]: the sink never has a later one
//! without the one before, and other aggregates do not wait.

mod figures;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use figures::Figures;
pub use file::Lines;
pub use http::{Body, Http};
#[cfg(feature = "kafka")]
pub use kafka::Kafka;
#[cfg(feature = "nats")]
pub use nats::Nats;

use super::{Consumer, DeadLetter, Event, Move, Position, Tables};
use crate::Error;
use crate::store::Pending;

/// Bytes of a sink's reason.
const REASON_MOST: usize = 4096;

/// What a sink says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has it, or had it before.
    Taken,
    /// It will never take it, for this reason.
    Refused(String),
    /// Not now, for this reason.
    Later(String),
}

/// Where events go.
pub trait Sink: Send {
    /// Sends events, in order; an answer for each, or an error if the sink as a whole cannot be had. Without
    /// [`keeps_order`](Self::keeps_order) no two of them are of one aggregate.
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>>;

    /// Whether it takes an event only if it took all before it.
    fn keeps_order(&self) -> bool {
        false
    }
}

/// How it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Events read at once.
    pub batch: usize,
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait there is.
    pub most: Duration,
    /// The time between two looks while there is nothing.
    pub poll: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let (first, most) = (Duration::from_secs(1), Duration::from_mins(1));
        Self { batch: 500, first, most, poll: Duration::from_millis(100) }
    }
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// So many events are behind it, dead letters among them.
    Moved(usize),
    /// There was nothing.
    Idle,
    /// The sink, or the journal, could not be had; to be tried again after this.
    Failed {
        /// In its words.
        reason: String,
        /// How long to wait.
        wait: Duration,
    },
}

/// A consumer that sends on what it reads. One process at a time may be it.
pub struct Relay<S> {
    journal: Arc<dyn Tables>,
    consumer: Consumer,
    sink: S,
    options: Options,
    draw: Box<dyn FnMut() -> u64 + Send>,
    at: Option<Position>,
    /// Events after `at` that the sink has.
    taken: BTreeSet<Position>,
    failures: u32,
    figures: Arc<Figures>,
}

/// What is decided of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Open,
    Taken,
    Dead(String),
}

impl<S: Sink> Relay<S> {
    /// `draw` gives any number each time, of which waits are made.
    pub fn new(
        journal: Arc<dyn Tables>,
        consumer: Consumer,
        sink: S,
        options: Options,
        draw: impl FnMut() -> u64 + Send + 'static,
    ) -> Self {
        Self {
            journal,
            consumer,
            sink,
            options,
            draw: Box::new(draw),
            at: None,
            taken: BTreeSet::new(),
            failures: 0,
            figures: Arc::default(),
        }
    }

    /// Its figures, which change as it goes on.
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Goes on for ever; dropped, it ends wherever it is.
    pub async fn run(&mut self, mut told: impl FnMut(&Turn)) {
        loop {
            let turn = self.turn().await;
            told(&turn);
            match turn {
                Turn::Moved(_) => {}
                Turn::Idle => tokio::time::sleep(self.options.poll).await,
                Turn::Failed { wait, .. } => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Sends what there is, as much as is read at once.
    pub async fn turn(&mut self) -> Turn {
        let done = self.go_on().await;
        let (moved, reason) = match done {
            Ok((moved, None)) => (moved, None),
            Ok((moved, Some(reason))) => (moved, Some(reason)),
            Err(error) => (0, Some(error.to_string())),
        };
        self.measure().await;
        if moved > 0 {
            self.failures = 0;
        }
        match reason {
            Some(reason) => {
                self.failures += 1;
                self.figures.fail();
                let wait = backoff(&self.options, self.failures, (self.draw)());
                Turn::Failed { reason, wait }
            }
            None if moved > 0 => Turn::Moved(moved),
            None => {
                self.failures = 0;
                Turn::Idle
            }
        }
    }

    async fn measure(&mut self) {
        let lag = async {
            let backlog = self.journal.backlog(self.consumer.clone()).await?;
            let now = self.journal.now().await?;
            Ok::<_, Error>((backlog.positions, backlog.oldest.map(|oldest| now.since(oldest))))
        };
        // Where it cannot be had the last one stands; that the journal is away is said by the turn.
        if let Ok((positions, age)) = lag.await {
            self.figures.lag(positions, age.unwrap_or_default());
        }
    }

    /// How many events are behind it, and what kept it from more.
    async fn go_on(&mut self) -> Result<(usize, Option<String>), Error> {
        let from = match self.at {
            Some(at) => at,
            None => self.journal.join(self.consumer.clone()).await?,
        };
        self.at = Some(from);
        let page = self.journal.read(from, self.options.batch).await?;
        if page.is_empty() {
            return Ok((0, None));
        }
        let mut fates = self.known(&page).await?;
        let failure = self.send(&page, &mut fates).await;
        self.taken.extend(
            page.iter().zip(&fates).filter(|(_, f)| **f == Fate::Taken).map(|(e, _)| e.position),
        );
        let moved = fates.iter().take_while(|fate| **fate != Fate::Open).count();
        if moved > 0 {
            self.settle(from, &page[..moved], &fates[..moved]).await?;
        }
        Ok((moved, failure))
    }

    /// What is known before anything is sent.
    async fn known(&mut self, page: &[Event]) -> Result<Vec<Fate>, Error> {
        let aggregates: BTreeSet<_> = page.iter().map(|event| event.aggregate.clone()).collect();
        let aggregates = aggregates.into_iter().collect();
        let parked = self.journal.parked(self.consumer.clone(), aggregates).await?;
        let fate = |event: &Event| {
            if self.taken.contains(&event.position) {
                Fate::Taken
            } else if parked.contains(&event.aggregate) {
                Fate::Dead("an earlier one of its aggregate is a dead letter".to_owned())
            } else {
                Fate::Open
            }
        };
        Ok(page.iter().map(fate).collect())
    }

    /// Wave by wave, until all is decided or the sink does not go on; then why.
    async fn send(&mut self, page: &[Event], fates: &mut [Fate]) -> Option<String> {
        loop {
            let wave = wave(page, fates, self.sink.keeps_order());
            if wave.is_empty() {
                return None;
            }
            let events: Vec<&Event> = wave.iter().map(|place| &page[*place]).collect();
            let answers = match self.sink.send(&events).await {
                Ok(answers) => answers,
                Err(error) => return Some(error.to_string()),
            };
            if answers.len() != events.len() {
                return Some(format!("{} answers to {} events", answers.len(), events.len()));
            }
            let mut failure = None;
            for (place, answer) in wave.into_iter().zip(answers) {
                match answer {
                    Answer::Taken => fates[place] = Fate::Taken,
                    Answer::Refused(reason) => bury(page, fates, place, reason),
                    Answer::Later(reason) => failure = failure.or(Some(reason)),
                }
            }
            if failure.is_some() {
                return failure;
            }
        }
    }

    /// Writes down how far it is, and what could not be had, in one transaction.
    async fn settle(
        &mut self,
        from: Position,
        page: &[Event],
        fates: &[Fate],
    ) -> Result<(), Error> {
        let letter = |(event, fate): (&Event, &Fate)| match fate {
            Fate::Dead(reason) => Some(DeadLetter { event: event.clone(), reason: kept(reason) }),
            _ => None,
        };
        let dead: Vec<_> = page.iter().zip(fates).filter_map(letter).collect();
        let to = page.last().map_or(from, |event| event.position);
        let (buried, consumer) = (dead.len(), self.consumer.clone());
        let moved = self.journal.advance(Move { consumer, from, to, dead }).await;
        // Whether it was written down is not known after an error: it is asked for.
        self.at = None;
        if !moved? {
            self.taken.clear();
            let place = self.journal.place().to_owned();
            return Err(Error::InUse { place: format!("{} in {place}", self.consumer) });
        }
        self.at = Some(to);
        self.taken = self.taken.split_off(&Position(to.0 + 1));
        self.figures.count(page.len() - buried, buried);
        Ok(())
    }

    /// Sends dead letters, of one aggregate or of all, in order; how many the sink has now. An aggregate
    /// whose dead letter is refused again keeps it and those after it; one without any is relayed again.
    pub async fn revive(&mut self, aggregate: Option<&str>) -> Result<u64, Error> {
        let (mut revived, mut after, mut refused) = (0, Position(0), BTreeSet::new());
        loop {
            let (consumer, aggregate) = (self.consumer.clone(), aggregate.map(str::to_owned));
            let page = self.journal.dead(consumer, aggregate, after, self.options.batch).await?;
            let Some(last) = page.last() else { return Ok(revived) };
            after = last.event.position;
            for letter in &page {
                if refused.contains(&letter.event.aggregate) {
                    continue;
                }
                match self.sink.send(&[&letter.event]).await?.as_slice() {
                    [Answer::Taken] => {
                        let consumer = self.consumer.clone();
                        self.journal.revive(consumer, letter.event.position).await?;
                        revived += 1;
                    }
                    _ => _ = refused.insert(letter.event.aggregate.clone()),
                }
            }
        }
    }
}

/// What may be sent at once: of each aggregate the first that is open, or all if the sink keeps their order.
fn wave(page: &[Event], fates: &[Fate], keeps_order: bool) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let open = (0..page.len()).filter(|place| fates[*place] == Fate::Open);
    open.filter(|place| keeps_order || seen.insert(page[*place].aggregate.as_str())).collect()
}

/// It is a dead letter, and so is what comes after it in its aggregate.
fn bury(page: &[Event], fates: &mut [Fate], place: usize, reason: String) {
    let position = page[place].position;
    for later in place + 1..page.len() {
        if page[later].aggregate == page[place].aggregate && fates[later] == Fate::Open {
            fates[later] = Fate::Dead(format!("it comes after {position}, which was refused"));
        }
    }
    fates[place] = Fate::Dead(reason);
}

/// A reason as every store takes it, and not much of it: a sink may say anything.
fn kept(reason: &str) -> String {
    let mut kept = reason.replace('\0', "\u{fffd}");
    kept.truncate(kept.floor_char_boundary(REASON_MOST));
    kept
}

/// Full jitter: any time up to twice as much as after the failure before.
fn backoff(options: &Options, failures: u32, draw: u64) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let most = options.first.saturating_mul(doubled.max(1)).min(options.most);
    let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(draw % most.saturating_add(1))
}

/// Bodies of sinks: each event's line.
fn lines(events: &[&Event]) -> String {
    events.iter().map(|event| super::line(event) + "\n").collect()
}

#[cfg(test)]
mod tests;
