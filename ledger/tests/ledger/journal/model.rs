//! What a journal is: lists in memory. Its positions count what was committed.

use std::collections::{BTreeMap, BTreeSet};

use cronx_ledger::journal::{Appended, Day, Draft, EventId, Position};
use cronx_scheduler::Utc;

#[derive(Debug, Clone)]
pub struct Kept {
    pub draft: Draft,
    pub version: u64,
    pub at: Utc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Hot,
    Warm,
    Cold,
}

#[derive(Default, Clone)]
pub struct Model {
    pub now: Utc,
    /// Nothing is appended before.
    floor: Utc,
    /// The first has position 1.
    pub events: Vec<Kept>,
    pub ids: BTreeMap<EventId, usize>,
    /// Those whose ids are remembered.
    pub offsets: BTreeMap<&'static str, i64>,
    pub dead: BTreeMap<(&'static str, i64), String>,
    pub days: BTreeMap<Day, Tier>,
}

impl Model {
    pub fn head(&self, aggregate: &str) -> u64 {
        let of = self.events.iter().filter(|kept| kept.draft.aggregate == aggregate);
        of.map(|kept| kept.version).max().unwrap_or(0)
    }

    pub fn append(&mut self, draft: &Draft) -> Appended {
        if let Some(before) = self.ids.get(&draft.id) {
            let kept = &self.events[*before];
            if kept.draft != *draft {
                return Appended::Mismatch;
            }
            let position = Position(*before as i64 + 1);
            return Appended::Before { position, version: kept.version };
        }
        let head = self.head(&draft.aggregate);
        if draft.version.is_some_and(|version| version != head + 1) {
            return Appended::Conflict { head };
        }
        let at = self.now.max(self.floor);
        self.ids.insert(draft.id, self.events.len());
        self.events.push(Kept { draft: draft.clone(), version: head + 1, at });
        self.days.entry(Day::of(at)).or_insert(Tier::Hot);
        Appended::Now { position: Position(self.events.len() as i64), version: head + 1 }
    }

    /// Those that can be read: position and event.
    pub fn after(&self, position: i64) -> impl Iterator<Item = (i64, &Kept)> {
        let numbered = (1..).zip(&self.events).skip(position.max(0) as usize);
        numbered.filter(|(_, kept)| self.days[&Day::of(kept.at)] != Tier::Cold)
    }

    pub fn of_day(&self, day: Day) -> Vec<(i64, &Kept)> {
        (1..).zip(&self.events).filter(|(_, kept)| Day::of(kept.at) == day).collect()
    }

    pub fn seal(&mut self, day: Day) {
        let tier = self.days.get_mut(&day).expect("it was chosen from them");
        if *tier == Tier::Hot {
            *tier = Tier::Warm;
            self.floor = self.floor.max(day.ends());
        }
    }

    /// How many stragglers; `None` if it stays.
    pub fn drop_day(&mut self, day: Day, stragglers: bool) -> Option<u64> {
        if self.days[&day] == Tier::Cold {
            return Some(0);
        }
        let of_day: Vec<i64> = self.of_day(day).iter().map(|(position, _)| *position).collect();
        let last = of_day.last().copied().unwrap_or(0);
        let late: Vec<_> = self.offsets.iter().filter(|(_, offset)| **offset < last).collect();
        if !late.is_empty() && !stragglers {
            return None;
        }
        let mut count = 0;
        for (consumer, offset) in late {
            for position in of_day.iter().filter(|position| *position > offset) {
                let reason = "not had when its day was dropped".to_owned();
                if !self.dead.contains_key(&(*consumer, *position)) {
                    count += 1;
                    self.dead.insert((consumer, *position), reason);
                }
            }
        }
        self.days.insert(day, Tier::Cold);
        Some(count)
    }

    pub fn parked(&self, consumer: &str) -> BTreeSet<String> {
        let own = self.dead.keys().filter(|(of, _)| *of == consumer);
        own.map(|(_, position)| self.events[*position as usize - 1].draft.aggregate.clone())
            .collect()
    }

    /// What was appended before is not known by its id any more.
    pub fn forget_ids(&mut self, before: Utc) -> u64 {
        let known = self.ids.len();
        let events = &self.events;
        self.ids.retain(|_, place| events[*place].at >= before);
        (known - self.ids.len()) as u64
    }
}
