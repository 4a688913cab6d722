//! The same histories through a store and through the model: each answer must be the same, and so must be
//! what can be read after each step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cronx_ledger::Error;
use cronx_ledger::journal::{
    Appended, Consumer, Day, DeadLetter, Dropped, Event, Move, Position, Tier as Told, line,
};
use cronx_scheduler::Utc;

use super::Stage;
use super::history::{CONSUMERS, History, Step};
use super::model::{Kept, Model, Tier};

const LENGTH: usize = 120;

/// A history, as far as it was told.
struct Telling<'a> {
    stage: &'a dyn Stage,
    now: Arc<AtomicI64>,
    model: Model,
    /// The model's positions, and where the store has those events.
    theirs: BTreeMap<i64, Position>,
    /// What was dropped, as it was.
    archive: BTreeMap<Day, Vec<Event>>,
}

fn consumer(name: &str) -> Consumer {
    Consumer::new(name).unwrap()
}

/// For a store that is empty; how many days were dropped.
pub async fn conforms(stage: &dyn Stage, now: &Arc<AtomicI64>, seed: u64) -> usize {
    let mut telling = Telling {
        stage,
        now: Arc::clone(now),
        model: Model::default(),
        theirs: BTreeMap::from([(0, Position(0))]),
        archive: BTreeMap::new(),
    };
    let mut history = History::new(seed);
    for number in 0..LENGTH {
        let step = history.next(&telling.model);
        let place = format!("seed {seed}, step {number}: {step:?}");
        if let Err(error) = telling.tell(step, &place).await {
            panic!("{place}: {error}");
        }
        let most = 1 + history.random.below(9) as usize;
        telling.same(most, &place).await.unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    telling.archive.len()
}

impl Telling<'_> {
    async fn tell(&mut self, step: Step, place: &str) -> Result<(), Error> {
        let journal = self.stage.journal();
        match step {
            Step::Append { drafts, commits } => {
                let mut model = self.model.clone();
                let ours: Vec<_> = drafts.iter().map(|draft| model.append(draft)).collect();
                let theirs = self.stage.append(drafts, commits).await?;
                self.learn(&ours, &theirs, commits, place);
                if commits {
                    self.model = model;
                }
            }
            Step::Pass(time) => {
                self.model.now = self.model.now + time;
                self.now.store(self.model.now.0, Ordering::SeqCst);
            }
            Step::Join(name) => {
                let offset = *self.model.offsets.entry(name).or_insert(0);
                assert_eq!(journal.join(consumer(name)).await?, self.theirs[&offset], "{place}");
            }
            Step::Leave(name) => {
                self.model.offsets.remove(name);
                self.model.dead.retain(|(of, _), _| *of != name);
                journal.leave(consumer(name)).await?;
            }
            Step::Advance { consumer, reads, dead, is_elsewhere } => {
                self.advance(consumer, reads, &dead, is_elsewhere, place).await?;
            }
            Step::Revive(name) => {
                let first = self.model.dead.keys().find(|(of, _)| *of == name).copied();
                if let Some((_, position)) = first {
                    self.model.dead.remove(&(name, position));
                    journal.revive(consumer(name), self.theirs[&position]).await?;
                }
            }
            Step::Seal(day) => {
                self.model.seal(day);
                let seal = journal.seal(day).await?;
                assert_eq!(journal.seal(day).await?, seal, "{place}: again");
                self.sealed(day, place).await?;
            }
            Step::Drop(day, stragglers) => self.drop_day(day, stragglers, place).await?,
            Step::Restore(day) => self.restore(day, place).await?,
            Step::ForgetIds(before) => {
                let gone = self.model.forget_ids(before);
                assert_eq!(journal.forget_ids(before).await?, gone, "{place}");
            }
        }
        Ok(())
    }

    fn learn(&mut self, ours: &[Appended], theirs: &[Appended], commits: bool, place: &str) {
        assert_eq!(ours.len(), theirs.len(), "{place}");
        let mut known = self.theirs.clone();
        for (ours, theirs) in ours.iter().zip(theirs) {
            let expected = match *ours {
                Appended::Now { position, version } => {
                    let Appended::Now { position: their, .. } = theirs else {
                        panic!("{place}: {theirs:?} and not {ours:?}");
                    };
                    assert!(known.values().all(|before| before < their), "{place}: positions grow");
                    known.insert(position.0, *their);
                    Appended::Now { position: *their, version }
                }
                Appended::Before { position, version } => {
                    Appended::Before { position: known[&position.0], version }
                }
                other => other,
            };
            assert_eq!(*theirs, expected, "{place}");
        }
        if commits {
            self.theirs = known;
        }
    }

    async fn advance(
        &mut self,
        name: &'static str,
        reads: usize,
        dead: &[usize],
        is_elsewhere: bool,
        place: &str,
    ) -> Result<(), Error> {
        let Some(&offset) = self.model.offsets.get(name) else { return Ok(()) };
        let page = self.stage.journal().read(self.theirs[&offset], reads.max(1)).await?;
        let ours: Vec<i64> = self.model.after(offset).take(page.len()).map(|(p, _)| p).collect();
        let Some(&to) = ours.last() else { return Ok(()) };
        let from = if is_elsewhere { Position(i64::MAX) } else { self.theirs[&offset] };
        let dead: Vec<usize> = dead.iter().copied().filter(|place| *place < page.len()).collect();
        let letter = |place: &usize| DeadLetter {
            event: page[*place].clone(),
            reason: format!("refused {place}"),
        };
        let step = Move {
            consumer: consumer(name),
            from,
            to: self.theirs[&to],
            dead: dead.iter().map(letter).collect(),
        };
        let moved = self.stage.journal().advance(step).await?;
        assert_eq!(moved, !is_elsewhere, "{place}");
        if moved {
            self.model.offsets.insert(name, to);
            for place in dead {
                let reason = format!("refused {place}");
                self.model.dead.entry((name, ours[place])).or_insert(reason);
            }
        }
        Ok(())
    }

    async fn drop_day(&mut self, day: Day, stragglers: bool, place: &str) -> Result<(), Error> {
        let journal = self.stage.journal();
        let events = journal.page(day, Position(0), 10_000).await?;
        let expected = match self.model.drop_day(day, stragglers) {
            Some(stragglers) => Dropped::Gone { stragglers },
            None => Dropped::Held,
        };
        assert_eq!(journal.drop_day(day, stragglers).await?, expected, "{place}");
        if expected != Dropped::Held {
            self.archive.insert(day, events);
            let again = journal.drop_day(day, stragglers).await?;
            assert_eq!(again, Dropped::Gone { stragglers: 0 }, "{place}: again");
        }
        Ok(())
    }

    async fn restore(&mut self, day: Day, place: &str) -> Result<(), Error> {
        let journal = self.stage.journal();
        let events = self.archive[&day].clone();
        // One that is given up leaves nothing; nor does one that lacks something.
        journal.begin_restore(day).await?;
        journal.restore(day, events[1..].to_vec()).await?;
        assert!(journal.end_restore(day).await.is_err(), "{place}");
        journal.begin_restore(day).await?;
        for part in events.chunks(3) {
            journal.restore(day, part.to_vec()).await?;
        }
        journal.end_restore(day).await?;
        self.model.days.insert(day, Tier::Warm);
        assert_eq!(journal.page(day, Position(0), 10_000).await?, events, "{place}");
        self.sealed(day, place).await
    }

    /// Its seal is that of what can be read.
    async fn sealed(&self, day: Day, place: &str) -> Result<(), Error> {
        let journal = self.stage.journal();
        let days = journal.days().await?;
        let standing = days.iter().find(|standing| standing.day == day).unwrap();
        let Told::Warm(seal) = standing.tier else { panic!("{place}: {standing:?}") };
        let events = journal.page(day, Position(0), 10_000).await?;
        let lines: String = events.iter().map(|event| line(event) + "\n").collect();
        assert_eq!(seal.digest, *blake3::hash(lines.as_bytes()).as_bytes(), "{place}");
        let ends = (events.first().unwrap().position, events.last().unwrap().position);
        assert_eq!((seal.count, seal.first, seal.last), (events.len() as u64, ends.0, ends.1));
        Ok(())
    }

    fn event(&self, position: i64, kept: &Kept) -> Event {
        let draft = kept.draft.clone();
        Event {
            position: self.theirs[&position],
            id: draft.id,
            aggregate: draft.aggregate,
            version: kept.version,
            who: draft.who,
            what: draft.what,
            trace: draft.trace,
            at: kept.at,
            payload: draft.payload,
        }
    }

    /// All that can be seen, in pages.
    async fn same(&self, most: usize, place: &str) -> Result<(), Error> {
        let journal = self.stage.journal();
        let mut found = Vec::new();
        loop {
            let after = found.last().map_or(Position(0), |event: &Event| event.position);
            let page = journal.read(after, most).await?;
            assert!(page.len() <= most, "{place}");
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        let ours: Vec<_> = self.model.after(0).map(|(p, kept)| self.event(p, kept)).collect();
        assert_eq!(found, ours, "{place}");
        let offsets = journal.consumers().await?;
        let ours = self.model.offsets.iter();
        let ours: Vec<_> = ours.map(|(name, p)| (consumer(name), self.theirs[p])).collect();
        assert_eq!(offsets.into_iter().collect::<BTreeMap<_, _>>(), ours.into_iter().collect());
        for name in CONSUMERS {
            self.same_for(name, place).await?;
        }
        let days = journal.days().await?;
        let told = |tier| match tier {
            Told::Hot => Tier::Hot,
            Told::Warm(_) => Tier::Warm,
            Told::Cold(_) => Tier::Cold,
        };
        // Days may have tables before they have events.
        let days: BTreeMap<Day, Tier> = days.into_iter().map(|s| (s.day, told(s.tier))).collect();
        for (day, tier) in &self.model.days {
            assert_eq!(days.get(day), Some(tier), "{place}: {day}");
        }
        Ok(())
    }

    async fn same_for(&self, name: &'static str, place: &str) -> Result<(), Error> {
        let journal = self.stage.journal();
        let ours = self.model.dead.iter().filter(|((of, _), _)| *of == name);
        let letter = |((_, position), reason): (&(_, i64), &String)| DeadLetter {
            event: self.event(*position, &self.model.events[*position as usize - 1]),
            reason: reason.clone(),
        };
        let ours: Vec<_> = ours.map(letter).collect();
        let dead = journal.dead(consumer(name), None, Position(0), 10_000).await?;
        assert_eq!(dead, ours, "{place}");
        let all = ["bill/1", "bill/2", "order/ü", "a", "none"].map(str::to_owned);
        let parked = journal.parked(consumer(name), all.to_vec()).await?;
        assert_eq!(
            parked.into_iter().collect::<std::collections::BTreeSet<_>>(),
            self.model.parked(name)
        );
        let Some(offset) = self.model.offsets.get(name) else { return Ok(()) };
        let backlog = journal.backlog(consumer(name)).await?;
        let ours: Vec<Utc> = self.model.after(*offset).map(|(_, kept)| kept.at).collect();
        assert_eq!(backlog.oldest, ours.first().copied(), "{place}");
        assert!(backlog.positions >= ours.len() as u64, "{place}");
        Ok(())
    }
}
