//! What is asked of a ledger, and what becomes of it: a function from what a store has to what it is to
//! have. A store reads, asks here, and writes, all in one transaction; it decides nothing.

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::{Course, Open, Utc};

use crate::claim::{self, Claim, Entry, Fence, Refusal, State, Verdict};
use crate::key::{JobId, Key, Named};

/// A question. Asked twice, it does what it did once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// For a key.
    Claim {
        /// Which.
        key: Key,
        /// By whom, and how.
        claim: Claim,
    },
    /// Its owner is alive.
    Renew {
        /// Which.
        key: Key,
        /// What it was granted by.
        fence: Fence,
        /// How long it is his from now.
        lease: Duration,
    },
    /// It is over.
    Complete {
        /// Which.
        key: Key,
        /// What it was granted by.
        fence: Fence,
        /// In its owner's words.
        result: Arc<str>,
    },
    /// It failed, and may be tried again; or it is given back.
    Fail {
        /// Which.
        key: Key,
        /// What it was granted by.
        fence: Fence,
        /// In its owner's words.
        why: Arc<str>,
    },
    /// A job goes on, or begins at that instant if it was never seen.
    Join {
        /// Which.
        job: JobId,
        /// What time it is for its scheduler.
        now: Utc,
        /// Who has it. What he has in flight himself is not open.
        owner: Arc<str>,
        /// What he must hold.
        guard: Option<Guard>,
    },
    /// A firing is to start: all after one instant and through another is decided by it.
    Begin {
        /// Of which job.
        job: JobId,
        /// The firing's.
        key: Key,
        /// By whom, and how.
        claim: Claim,
        /// From and to; nothing, if no schedule asked for it.
        decides: Option<(Utc, Utc)>,
        /// What he must hold.
        guard: Option<Guard>,
    },
    /// Firings were left out.
    Skip {
        /// Of which job.
        job: JobId,
        /// All after this instant,
        after: Utc,
        /// and through this one.
        through: Utc,
        /// What he must hold.
        guard: Option<Guard>,
    },
    /// A job is no more, and nothing of it is open.
    Forget {
        /// Which.
        job: JobId,
        /// Who has it. What he has in flight himself comes to its end.
        owner: Arc<str>,
        /// What he must hold.
        guard: Option<Guard>,
    },
}

/// Something else that must be his for what he asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Which key.
    pub key: Key,
    /// What it was granted by.
    pub fence: Fence,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// About a key.
    Verdict(Verdict),
    /// Where a job goes on.
    Joined {
        /// Through here all is decided.
        cursor: Utc,
        /// What was begun and has not come to its end, oldest first.
        open: Vec<Open>,
    },
    /// It is written down.
    Noted,
}

/// What must be read for it, and locked until it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants<'a> {
    /// The entry of this key.
    pub entry: Option<&'a Key>,
    /// Of this one too.
    pub guard: Option<&'a Key>,
    /// The course of this job.
    pub course: Option<&'a JobId>,
    /// All its entries that are in flight or failed.
    pub open: bool,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// By the store's clock.
    pub now: Utc,
    /// As it was wanted, and so the next ones.
    pub entry: Option<Entry>,
    /// See above.
    pub guard: Option<Entry>,
    /// See above.
    pub course: Option<Course>,
    /// See above.
    pub open: Vec<(Key, Entry)>,
}

/// What is to be written, and said when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What to say.
    pub reply: Reply,
    /// Entries as they are now.
    pub entries: Vec<(Key, Entry)>,
    /// The course, if it is another.
    pub course: Change,
}

/// What becomes of a course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It stays.
    None,
    /// It is so.
    Set(Course),
    /// It is none.
    Drop,
}

impl Act {
    /// What it is about.
    pub fn wants(&self) -> Wants<'_> {
        let (entry, course) = match self {
            Self::Claim { key, .. }
            | Self::Renew { key, .. }
            | Self::Complete { key, .. }
            | Self::Fail { key, .. } => (Some(key), None),
            Self::Begin { job, key, .. } => (Some(key), Some(job)),
            Self::Join { job, .. } | Self::Skip { job, .. } | Self::Forget { job, .. } => {
                (None, Some(job))
            }
        };
        let open = matches!(self, Self::Join { .. } | Self::Forget { .. });
        Wants { entry, guard: self.guard().map(|guard| &guard.key), course, open }
    }

    /// What must be his for it.
    pub(crate) fn guard(&self) -> Option<&Guard> {
        match self {
            Self::Join { guard, .. }
            | Self::Begin { guard, .. }
            | Self::Skip { guard, .. }
            | Self::Forget { guard, .. } => guard.as_ref(),
            _ => None,
        }
    }

    /// What becomes of it.
    pub fn on(&self, seen: &Seen) -> Outcome {
        let fenced = |guard: &Guard| !claim::holds(seen.guard.as_ref(), guard.fence);
        if self.guard().is_some_and(fenced) {
            return Outcome::only(Reply::Verdict(Verdict::Refused(Refusal::Fenced)));
        }
        let (entry, now) = (seen.entry.as_ref(), seen.now);
        match self {
            Self::Claim { key, claim } => Outcome::ruled(key, claim::claim(entry, claim, now)),
            Self::Renew { key, fence, lease } => {
                Outcome::ruled(key, claim::renew(entry, *fence, *lease, now))
            }
            Self::Complete { key, fence, result } => {
                Outcome::ruled(key, claim::complete(entry, *fence, result, now))
            }
            Self::Fail { key, fence, why } => {
                Outcome::ruled(key, claim::fail(entry, *fence, why, now))
            }
            Self::Begin { key, claim, decides, .. } => {
                let course = decides.map_or(Change::None, |decided| decide(seen, decided));
                Outcome { course, ..Outcome::ruled(key, claim::claim(entry, claim, now)) }
            }
            Self::Join { now, owner, .. } => join(seen, *now, owner),
            Self::Skip { after, through, .. } => {
                let course = decide(seen, (*after, *through));
                Outcome { course, ..Outcome::only(Reply::Noted) }
            }
            Self::Forget { owner, .. } => forget(seen, owner),
        }
    }
}

impl Outcome {
    fn only(reply: Reply) -> Self {
        Self { reply, entries: Vec::new(), course: Change::None }
    }

    fn ruled(key: &Key, (verdict, entry): claim::Ruled) -> Self {
        let entries = entry.map(|entry| (key.clone(), entry)).into_iter().collect();
        Self { entries, ..Self::only(Reply::Verdict(verdict)) }
    }
}

/// A job that nobody joined has no course: its last firings may still begin, and count for nothing.
fn decide(seen: &Seen, (after, through): (Utc, Utc)) -> Change {
    let Some(mut course) = seen.course.clone() else { return Change::None };
    if course.decide(after, through) { Change::Set(course) } else { Change::None }
}

fn join(seen: &Seen, now: Utc, owner: &Arc<str>) -> Outcome {
    let cursor = seen.course.as_ref().map_or(now, Course::cursor);
    let course = match seen.course {
        Some(_) => Change::None,
        None => Change::Set(Course::new(now)),
    };
    let left = seen.open.iter().filter(|(_, entry)| is_left(entry, owner));
    let mut open: Vec<Open> = left.filter_map(|(key, entry)| open(key, entry)).collect();
    open.sort_by_key(|open| (open.nominal, open.trigger));
    Outcome { course, ..Outcome::only(Reply::Joined { cursor, open }) }
}

/// Whether nobody is at it, if this owner is the only one.
fn is_left(entry: &Entry, sole: &Arc<str>) -> bool {
    match &entry.state {
        State::InFlight { owner, .. } => owner != sole,
        State::Failed { .. } => true,
        State::Done { .. } => false,
    }
}

fn open(key: &Key, entry: &Entry) -> Option<Open> {
    match key.named() {
        Named::Firing { nominal, trigger, .. } => {
            Some(Open { nominal, trigger, attempt: entry.attempt })
        }
        Named::Call { .. } | Named::Lease { .. } | Named::Step { .. } => None,
    }
}

fn forget(seen: &Seen, owner: &Arc<str>) -> Outcome {
    let result: Arc<str> = "given up: its job was removed".into();
    let state = State::Done { result };
    let left = seen.open.iter().filter(|(_, entry)| is_left(entry, owner));
    let over = left.map(|(key, entry)| {
        (key.clone(), Entry { state: state.clone(), since: seen.now, ..entry.clone() })
    });
    let course = if seen.course.is_some() { Change::Drop } else { Change::None };
    Outcome { reply: Reply::Noted, entries: over.collect(), course }
}

#[cfg(test)]
mod tests;
