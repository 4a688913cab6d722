//! What happens to a journal, drawn from a seed.

use std::time::Duration;

use cronx_ledger::journal::{Day, Draft};
use cronx_scheduler::{TraceId, Utc};

use super::draft;
use super::model::{Model, Tier};
use crate::random::Random;

pub const CONSUMERS: [&str; 3] = ["nats", "kafka", "file"];
const AGGREGATES: [&str; 4] = ["bill/1", "bill/2", "order/ü", "a"];

#[derive(Debug, Clone)]
pub enum Step {
    Append {
        drafts: Vec<Draft>,
        commits: bool,
    },
    Pass(Duration),
    Join(&'static str),
    Leave(&'static str),
    /// It has read so many, and of those these are dead.
    Advance {
        consumer: &'static str,
        reads: usize,
        dead: Vec<usize>,
        is_elsewhere: bool,
    },
    Revive(&'static str),
    Seal(Day),
    Drop(Day, bool),
    Restore(Day),
    ForgetIds(Utc),
}

pub struct History {
    pub random: Random,
    /// Makes ids of its own.
    seed: u64,
    count: u64,
}

impl History {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), seed, count: 0 }
    }

    pub fn next(&mut self, model: &Model) -> Step {
        let random = &mut self.random;
        let consumer = CONSUMERS[random.below(3) as usize];
        match random.below(15) {
            0..=5 => {
                let many = 1 + random.below(3);
                let commits = !random.one_in(5);
                let mut seen = model.clone();
                let mut drafts = Vec::new();
                for _ in 0..many {
                    let draft = self.draft(&seen);
                    // The next one knows what this one did.
                    seen.append(&draft);
                    drafts.push(draft);
                }
                Step::Append { drafts, commits }
            }
            6 | 14 => Step::Pass(Duration::from_secs(random.below(100_000))),
            7 => Step::Join(consumer),
            8 if random.one_in(6) => Step::Leave(consumer),
            8 => Step::Revive(consumer),
            9 | 10 => {
                let reads = random.below(6) as usize;
                let dead = (0..reads).filter(|_| random.one_in(4)).collect();
                Step::Advance { consumer, reads, dead, is_elsewhere: random.one_in(6) }
            }
            _ => self.day(model).unwrap_or(Step::Pass(Duration::from_hours(20))),
        }
    }

    fn draft(&mut self, model: &Model) -> Draft {
        let random = &mut self.random;
        if random.one_in(5)
            && let Some(place) = random.place(model.events.len())
        {
            // A retry, or another event by the same id.
            let mut again = model.events[place].draft.clone();
            if random.one_in(3) {
                "whoever".clone_into(&mut again.who);
            }
            return again;
        }
        let aggregate = AGGREGATES[random.below(4) as usize];
        let head = model.head(aggregate);
        let version = match random.below(6) {
            0..=2 => None,
            3 | 4 => Some(head + 1),
            _ => Some(random.below(head + 4)),
        };
        self.count += 1;
        let id = u128::from(self.seed) << 64 | u128::from(self.count);
        let trace = random.one_in(2).then(|| TraceId(id + 1));
        Draft { trace, ..draft(id, aggregate, version) }
    }

    fn day(&mut self, model: &Model) -> Option<Step> {
        let days: Vec<Day> = model.days.keys().copied().collect();
        let day = days[self.random.place(days.len())?];
        Some(match model.days[&day] {
            Tier::Hot if day.ends() <= model.now => Step::Seal(day),
            Tier::Hot => Step::ForgetIds(model.now - Duration::from_hours(30)),
            Tier::Warm => Step::Drop(day, self.random.one_in(2)),
            Tier::Cold => Step::Restore(day),
        })
    }
}
