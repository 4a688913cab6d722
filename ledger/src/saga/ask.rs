//! What is asked about a saga, and what becomes of it: a function from what a store has to what it is to have.
//! A store reads, asks here, and writes, all in one transaction; it decides nothing.

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::{Retry, Utc};

use super::plan::Plan;
use super::rules::{self, Change, Outcome, Refusal, Ruled, Verb};
use super::state::{Attempt, Saga};
use crate::claim::Fence;
use crate::key::SagaId;

/// A question about one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// It is to begin, unless it has.
    Begin {
        /// The name of its definition.
        name: Arc<str>,
        /// What its steps are told.
        payload: Arc<str>,
        /// Its steps.
        plan: Plan,
    },
    /// For one that is due.
    Claim {
        /// By whom.
        owner: Arc<str>,
        /// How long it is his if nothing more is heard of him.
        lease: Duration,
        /// Whether every other owner is known to be gone, by a lock on the whole store.
        sole: bool,
    },
    /// Its owner is alive.
    Renew {
        /// What it was granted by.
        fence: Fence,
        /// How long it is his from now.
        lease: Duration,
    },
    /// Its owner gives it to whoever comes.
    Release {
        /// What it was granted by.
        fence: Fence,
    },
    /// What is due is to be at work.
    Start {
        /// What it was granted by.
        fence: Fence,
        /// How often it may be tried in all.
        attempts: u32,
    },
    /// It was.
    Settle {
        /// What it was granted by.
        fence: Fence,
        /// Which attempt.
        attempt: Attempt,
        /// What became of it.
        outcome: Outcome,
        /// When it is tried again.
        retry: Retry,
        /// Any number, for the jitter.
        draw: u64,
    },
    /// Its definition is another one.
    Park {
        /// What it was granted by.
        fence: Fence,
        /// In which way.
        said: String,
    },
    /// A person has decided.
    Operate {
        /// What.
        verb: Verb,
        /// About which step: the one at which it stopped.
        step: String,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
}

/// An answer: the saga as it is then, or why not.
pub type Reply = Result<Saga, Refusal>;

/// What is to be said, and what is to be written before, if anything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What to say.
    pub reply: Reply,
    /// What to write.
    pub change: Option<Change>,
}

impl Question {
    /// What becomes of it.
    pub fn on(&self, id: &SagaId, saga: Option<&Saga>, now: Utc) -> Answer {
        match self.ruled(id, saga, now) {
            Err(refusal) => Answer { reply: Err(refusal), change: None },
            Ok(change) => {
                let reply = Ok(change.saga.clone());
                let is_other = saga != Some(&change.saga);
                Answer { reply, change: is_other.then_some(change) }
            }
        }
    }

    fn ruled(&self, id: &SagaId, saga: Option<&Saga>, now: Utc) -> Ruled {
        let Some(saga) = saga else { return self.begun(id, now) };
        match self {
            Self::Begin { name, payload, .. } => {
                let is_same = saga.name == *name && saga.payload == *payload;
                is_same.then(|| Change::only(saga.clone())).ok_or(Refusal::Mismatch)
            }
            Self::Claim { owner, lease, sole } => rules::claim(saga, owner, *lease, *sole, now),
            Self::Renew { fence, lease } => rules::renew(saga, *fence, *lease, now),
            Self::Release { fence } => rules::release(saga, *fence),
            Self::Start { fence, attempts } => rules::start(saga, *fence, *attempts, now),
            Self::Settle { fence, attempt, outcome, retry, draw } => {
                rules::settle(saga, *fence, *attempt, outcome, (retry, *draw), now)
            }
            Self::Park { fence, said } => rules::park(saga, *fence, said, now),
            Self::Operate { verb, step, who, why } => {
                rules::operate(saga, *verb, step, (who, why), now)
            }
        }
    }

    fn begun(&self, id: &SagaId, now: Utc) -> Ruled {
        let Self::Begin { name, payload, plan } = self else { return Err(Refusal::Absent) };
        let (name, payload) = (Arc::clone(name), Arc::clone(payload));
        Ok(Change::only(Saga::new(id.clone(), name, payload, plan.clone(), now)))
    }
}
