//! Who may have a key: the rules, as functions over plain data.
//!
//! ```text
//!                 claim                         complete
//!   absent ──────────────► in flight ─────────────────────────────► done
//!                           │    ▲ ▲
//!                      fail │    │ └─ claim, once the lease has lapsed or its owner is known to be gone
//!                           ▼    │ claim
//!                          failed
//! ```
//! Each grant has a *fence*, larger than any before it of the same key. Whoever holds an older one has lost
//! the key: what he says of it is refused, here and by every sink that compares fences. An owner that is
//! slow renews its lease; one that is gone loses it.
//!
//! A question that is asked again, since its answer was lost, has the same answer: a claim is known by its
//! *bid*, the rest by its fence.

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::Utc;

use crate::fingerprint::Fingerprint;

/// Grows with every grant of a key. It is larger than the store's microseconds since 1970, so it does so too
/// for a key that the store has let go of, or forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

impl Fence {
    /// The one that is granted after this, then.
    pub(crate) fn next(self, now: Utc) -> Self {
        let floor = now.0.max(0).cast_unsigned() / 1000;
        Self(self.0.max(floor).saturating_add(1))
    }
}

/// Names one question, so that it can be asked twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bid(pub u128);

/// What a store has of a key. Nothing is a state too: the key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Of the last grant.
    pub fence: Fence,
    /// Grants so far.
    pub attempt: u32,
    /// What was claimed.
    pub fingerprint: Option<Fingerprint>,
    /// How it stands.
    pub state: State,
    /// Since when, by the store's clock.
    pub since: Utc,
}

/// How a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Somebody is at it.
    InFlight {
        /// Who.
        owner: Arc<str>,
        /// The question that it was granted for.
        bid: Bid,
        /// Until when it is his whether he is alive or not, by the store's clock.
        until: Utc,
    },
    /// It is over, with this result.
    Done {
        /// In its owner's words.
        result: Arc<str>,
    },
    /// It failed, and may be tried again.
    Failed {
        /// In its owner's words.
        why: Arc<str>,
    },
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who: one name for each life of a process.
    pub owner: Arc<str>,
    /// Which question it is.
    pub bid: Bid,
    /// What is to be done under the key; where it is not given, nothing is compared.
    pub fingerprint: Option<Fingerprint>,
    /// How long it is his if nothing more is heard of him.
    pub lease: Duration,
    /// Whether every other owner is known to be gone: by a lock on the whole store, or by a lease of
    /// whatever the key is a part of. What one of them left in flight is then free.
    pub sole: bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is his.
    Granted {
        /// What he is to show.
        fence: Fence,
        /// Grants so far, this one too.
        attempt: u32,
    },
    /// It is not, or not any more.
    Refused(Refusal),
    /// What he said of it is written down.
    Kept,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody has it until then, or longer.
    InFlight {
        /// Who.
        owner: Arc<str>,
        /// By the store's clock.
        until: Utc,
    },
    /// It is done.
    Done {
        /// In its owner's words.
        result: Arc<str>,
    },
    /// The key was used for something else.
    Mismatch,
    /// The fence is not that of the key.
    Lost {
        /// The key's; `None` if it is absent.
        fence: Option<Fence>,
    },
    /// What the key is a part of is not his any more.
    Fenced,
}

/// What is answered, and the entry that is to be written, if it is another.
pub type Ruled = (Verdict, Option<Entry>);

/// Somebody asks for a key.
pub fn claim(entry: Option<&Entry>, claim: &Claim, now: Utc) -> Ruled {
    let Some(entry) = entry else { return grant(None, claim, now) };
    if entry.fingerprint.zip(claim.fingerprint).is_some_and(|(own, other)| own != other) {
        return refuse(Refusal::Mismatch);
    }
    match &entry.state {
        State::Done { result } => refuse(Refusal::Done { result: Arc::clone(result) }),
        State::Failed { .. } => grant(Some(entry), claim, now),
        State::InFlight { owner, bid, until } => {
            let same = *owner == claim.owner;
            if *until <= now || (claim.sole && !same) {
                return grant(Some(entry), claim, now);
            }
            if same && *bid == claim.bid {
                let (fence, attempt) = (entry.fence, entry.attempt);
                return (Verdict::Granted { fence, attempt }, None);
            }
            refuse(Refusal::InFlight { owner: Arc::clone(owner), until: *until })
        }
    }
}

fn grant(entry: Option<&Entry>, claim: &Claim, now: Utc) -> Ruled {
    let last = entry.map_or((Fence(0), 0), |entry| (entry.fence, entry.attempt));
    let (fence, attempt) = (last.0.next(now), last.1.saturating_add(1));
    let state = State::InFlight {
        owner: Arc::clone(&claim.owner),
        bid: claim.bid,
        until: now + claim.lease,
    };
    let fingerprint = entry.and_then(|entry| entry.fingerprint).or(claim.fingerprint);
    let granted = Entry { fence, attempt, fingerprint, state, since: now };
    (Verdict::Granted { fence, attempt }, Some(granted))
}

/// Its owner is alive: it stays his for so long from now. That its lease had lapsed does no harm, as long
/// as nobody took it.
pub fn renew(entry: Option<&Entry>, fence: Fence, lease: Duration, now: Utc) -> Ruled {
    let Some(entry) = held(entry, fence) else { return lost(entry) };
    let State::InFlight { owner, bid, until } = &entry.state else { return lost(Some(entry)) };
    let until = (now + lease).max(*until);
    let state = State::InFlight { owner: Arc::clone(owner), bid: *bid, until };
    (Verdict::Kept, Some(Entry { state, ..entry.clone() }))
}

/// It is over, with this result.
pub fn complete(entry: Option<&Entry>, fence: Fence, result: &Arc<str>, now: Utc) -> Ruled {
    settle(entry, fence, State::Done { result: Arc::clone(result) }, now)
}

/// It failed, and may be tried again at once.
pub fn fail(entry: Option<&Entry>, fence: Fence, why: &Arc<str>, now: Utc) -> Ruled {
    settle(entry, fence, State::Failed { why: Arc::clone(why) }, now)
}

fn settle(entry: Option<&Entry>, fence: Fence, state: State, now: Utc) -> Ruled {
    let Some(entry) = held(entry, fence) else { return lost(entry) };
    if entry.state == state {
        return (Verdict::Kept, None);
    }
    if !matches!(entry.state, State::InFlight { .. }) {
        return lost(Some(entry));
    }
    (Verdict::Kept, Some(Entry { state, since: now, ..entry.clone() }))
}

/// Whether somebody with that fence has the key, whatever the time is: who checks writes in the same
/// transaction, and whoever takes the key writes a larger fence.
pub fn holds(entry: Option<&Entry>, fence: Fence) -> bool {
    held(entry, fence).is_some_and(|entry| matches!(entry.state, State::InFlight { .. }))
}

fn held(entry: Option<&Entry>, fence: Fence) -> Option<&Entry> {
    entry.filter(|entry| entry.fence == fence)
}

fn lost(entry: Option<&Entry>) -> Ruled {
    refuse(Refusal::Lost { fence: entry.map(|entry| entry.fence) })
}

fn refuse(refusal: Refusal) -> Ruled {
    (Verdict::Refused(refusal), None)
}

#[cfg(test)]
mod tests;
