//! Hot, warm and cold: nothing is lost on the way, and nothing is in two places.

#[cfg(feature = "sqlite")]
mod crash;
#[cfg(feature = "sqlite")]
mod disk;
#[cfg(feature = "sqlite")]
mod foreign;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cronx_ledger::journal::archive::Archive;
use cronx_ledger::journal::keep::{Done, Policy, keep};
use cronx_ledger::journal::{
    Consumer, Day, Draft, Event, Move, Payload, Position, Tables, Tier, line,
};
use cronx_scheduler::Utc;

use super::{Stage, draft};
use crate::random::Random;

const DAY: Duration = Duration::from_hours(24);
const DAYS: i64 = 120;
/// Days that one consumer is behind.
const LAG: i64 = 10;

/// A history in which so many events happen in 120 days.
struct Story<'a> {
    stage: &'a dyn Stage,
    now: &'a AtomicI64,
    archive: Archive,
    policy: Policy,
    random: Random,
    appended: u64,
    /// Of each event, what it must be wherever it is found.
    digests: Vec<u64>,
}

/// Which event it is, and what it says.
fn told(event: &Event) -> (usize, u64) {
    let digest = blake3::hash(line(event).as_bytes());
    let (first, _) = digest.as_bytes().split_first_chunk().unwrap();
    (event.id.0 as usize - 1, u64::from_le_bytes(*first))
}

fn consumer(name: &str) -> Consumer {
    Consumer::new(name).unwrap()
}

impl Story<'_> {
    fn tables(&self) -> &dyn Tables {
        self.stage.journal()
    }

    fn draft(&mut self) -> Draft {
        self.appended += 1;
        let random = &mut self.random;
        let aggregate = format!("bill/{}", random.below(5000));
        let payload =
            format!("{{\"cents\":{},\"note\":\"{:x}\"}}", random.below(99_999), random.next());
        let payload = Payload::parse(&payload).unwrap();
        Draft { payload, ..draft(self.appended.into(), &aggregate, None) }
    }

    /// Those of a day, spread over it.
    async fn day(&mut self, count: u64) {
        for _ in 0..count / 500 {
            let drafts: Vec<_> = (0..500).map(|_| self.draft()).collect();
            self.stage.append(drafts, true).await.unwrap();
            self.now.fetch_add(DAY.as_nanos() as i64 * 500 / count as i64, Ordering::SeqCst);
        }
    }

    /// A consumer reads what was appended before that, and goes on.
    async fn consume(&mut self, name: &str, before: Utc) -> u64 {
        let consumer = consumer(name);
        let mut from = self.tables().join(consumer.clone()).await.unwrap();
        let mut had = 0;
        loop {
            let mut page = self.tables().read(from, 2000).await.unwrap();
            page.retain(|event| event.at < before);
            let Some(last) = page.last() else { return had };
            let to = last.position;
            had += page.len() as u64;
            for event in &page {
                let (place, digest) = told(event);
                if self.digests.len() <= place {
                    self.digests.resize(place + 1, 0);
                }
                let known = std::mem::replace(&mut self.digests[place], digest);
                assert!(known == 0 || known == digest, "{event:?} was another");
            }
            let step = Move { consumer: consumer.clone(), from, to, dead: Vec::new() };
            assert!(self.tables().advance(step).await.unwrap());
            from = to;
        }
    }

    async fn keep(&self) -> u64 {
        let mut stragglers = 0;
        for (day, done) in keep(self.tables(), &self.archive, &self.policy).await.unwrap() {
            match done {
                Done::Failed(error) => panic!("{day}: {error}"),
                Done::Dropped { stragglers: more } => stragglers += more,
                Done::Sealed(_) | Done::Held => {}
            }
        }
        stragglers
    }

    /// Finds each event in one tier alone; how many there are in hot, warm and cold.
    async fn census(&self) -> [u64; 3] {
        let (mut found, mut counts) = (vec![false; self.appended as usize], [0; 3]);
        let mut note = |event: &Event, tier: usize| {
            let (place, digest) = told(event);
            assert!(!std::mem::replace(&mut found[place], true), "{event:?} is there twice");
            assert_eq!(self.digests[place], digest, "{event:?} is another");
            counts[tier] += 1;
        };
        let mut in_store = 0;
        for standing in self.tables().days().await.unwrap() {
            let tier = match standing.tier {
                Tier::Hot => 0,
                Tier::Warm(_) => 1,
                Tier::Cold(seal) => {
                    let events = self.archive.events(standing.day, &seal, async |events| {
                        for event in &events {
                            note(event, 2);
                        }
                        Ok(())
                    });
                    events.await.unwrap();
                    continue;
                }
            };
            assert_eq!(self.archive.manifest(standing.day).await.unwrap(), None);
            for event in all(self.tables(), standing.day).await {
                in_store += 1;
                note(&event, tier);
            }
        }
        assert!(found.into_iter().all(|found| found));
        // Consumers see the same as the census.
        let (mut after, mut read) = (Position(0), 0);
        while let Some(last) = {
            let page = self.tables().read(after, 5000).await.unwrap();
            read += page.len() as u64;
            page.last().map(|event| event.position)
        } {
            after = last;
        }
        assert_eq!(read, in_store);
        counts
    }
}

pub async fn all(tables: &dyn Tables, day: Day) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(Position(0), |event| event.position);
        let page = tables.page(day, after, 5000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// 120 days: one consumer is prompt, one ten days behind, and one stops after three.
pub async fn tell(stage: &dyn Stage, now: &AtomicI64, folder: &Path, count: u64) {
    let per_day = (count / DAYS as u64).div_ceil(500) * 500;
    let archive = Archive::folder(folder).unwrap();
    // Who has stopped is given up before the end.
    let policy = Policy { patience: 100, ..Policy::default() };
    let (random, digests) = (Random::new(17), Vec::new());
    let mut story = Story { stage, now, archive, policy, random, appended: 0, digests };
    let (mut prompt, mut lagging, mut stopped, mut stragglers) = (0, 0, 0, 0);
    for day in 0..DAYS {
        now.store(Day(day).begins().0, Ordering::SeqCst);
        story.day(per_day).await;
        prompt += story.consume("prompt", Utc::MAX).await;
        lagging += story.consume("lagging", Day(day - LAG + 1).begins()).await;
        if day < 3 {
            stopped += story.consume("stopped", Utc::MAX).await;
        }
        now.store(Day(day + 1).begins().0, Ordering::SeqCst);
        stragglers += story.keep().await;
    }
    assert_eq!(story.appended, per_day * DAYS as u64);
    assert_eq!(prompt, story.appended);
    assert_eq!(lagging, per_day * (DAYS - LAG) as u64);
    let [hot, warm, cold] = story.census().await;
    assert_eq!(hot, per_day * 7);
    // Three days were had by all after 90 days, and the others waited for 100.
    assert_eq!(cold, per_day * (DAYS - 100) as u64);
    assert_eq!(hot + warm + cold, story.appended);
    let dead = async |name| {
        let letters = story.tables().dead(consumer(name), None, Position(0), usize::MAX >> 1);
        letters.await.unwrap()
    };
    assert!(dead("lagging").await.is_empty() && dead("prompt").await.is_empty());
    let dead = dead("stopped").await;
    assert_eq!(dead.len() as u64, stragglers);
    assert_eq!(stopped + stragglers, cold, "what it had, and what it was given up for, are gone");
    for letter in &dead {
        let (place, digest) = told(&letter.event);
        assert_eq!(story.digests[place], digest);
    }
    restored(&story).await;
}

/// A cold day comes back as it was, and goes again.
async fn restored(story: &Story<'_>) {
    let day = Day(1);
    let standing = async || {
        let days = story.tables().days().await.unwrap();
        days.into_iter().find(|standing| standing.day == day).unwrap()
    };
    let Tier::Cold(seal) = standing().await.tier else { panic!("it is not cold") };
    story.archive.restore(story.tables(), day, &seal).await.unwrap();
    assert_eq!(standing().await.tier, Tier::Warm(seal));
    let events = all(story.tables(), day).await;
    let lines: String = events.iter().map(|event| line(event) + "\n").collect();
    assert_eq!(*blake3::hash(lines.as_bytes()).as_bytes(), seal.digest);
    assert_eq!(story.keep().await, 0);
    assert_eq!(standing().await.tier, Tier::Warm(seal), "it stays for some days");
    story.now.fetch_add(8 * DAY.as_nanos() as i64, Ordering::SeqCst);
    story.keep().await;
    assert_eq!(standing().await.tier, Tier::Cold(seal));
}

/// How many events a long history has; `CRONX_JOURNAL_EVENTS` asks for more, or fewer.
pub fn count(usual: u64) -> u64 {
    let asked = std::env::var("CRONX_JOURNAL_EVENTS").ok();
    asked.map_or(usual, |count| count.parse().expect("a number"))
}
