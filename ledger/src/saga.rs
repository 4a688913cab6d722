//! Sagas: steps that are done one after the other, and undone in reverse where one of them cannot be done.
//!
//! ```
//! use std::sync::Arc;
//!
//! use cronx_ledger::saga::{Call, Definition, Doing, Outcome, Runner, Step, Steps};
//!
//! struct Shop;
//!
//! impl Steps for Shop {
//!     fn act(&self, call: Call) -> Doing<'_> {
//!         // `call.key` names it for ever: the same for every attempt, so that it can take effect once.
//!         Box::pin(async move { Outcome::Done(format!("{} by {}", call.step, call.key)) })
//!     }
//!     fn undo(&self, call: Call) -> Doing<'_> {
//!         Box::pin(async move { Outcome::Done(format!("{} undone", call.step)) })
//!     }
//! }
//!
//! let charge = Step { is_pivot: true, compensates: false, ..Step::new("charge") };
//! let steps = vec![Step::new("reserve"), charge, Step::new("ship")];
//! let definition = Definition::new("order", steps)?;
//! assert_eq!(definition.plan().pivot, Some(1));
//!
//! // A `Runner` does the sagas of a store that are due: see `Runner::run`.
//! # fn run(store: Arc<dyn cronx_ledger::saga::Sagas>, definition: Definition) -> Runner {
//! let runner = Runner::new(store, "host/4711/1764338400".into(), Default::default());
//! runner.add(definition, Arc::new(Shop));
//! # runner
//! # }
//! # Ok::<(), cronx_ledger::Error>(())
//! ```
//!
//! ```text
//!  definition ─► begin ─► store ─► runner: claim ─► start ─► the step's own code ─► settle ─┐
//!                           ▲        │ rules: functions over data, in the store's transaction │
//!                           └────────┴──────────────────────────────────────────────────────┘
//! ```
//! **What is promised.** A saga ends: completed, compensated, or waiting for an operator, whatever process ends
//! meanwhile; what it waits for is written down with it. Each action and each compensation is begun at least
//! once where it has to be, and takes effect once if it does so by its key, with `execute_once` or in whatever
//! else knows keys.
//!
//! **What was begun and never heard of.** Its outcome is unknown. It is repeated under its key, or asked
//! ([`Steps::ask`]); when its saga turns back it is undone as if it had happened, so a compensation must bear
//! that it had not. And it may happen later still: an action that asks `may` in its own transaction
//! ([`sqlite::may`], [`postgres::may`]) takes no effect once its saga has turned back. One that cannot ask there
//! must come to its end within its time, or be refused by its key where it takes effect.
//!
//! **Another definition.** A saga keeps the steps that it was begun with: their names, their order, which of them
//! compensate, and which is the pivot. A definition that has other ones does not go on with it: it stops and
//! needs an operator. How often and how long a step is tried, and what it does, is no part of that: so whoever
//! mends a step mends the sagas that wait for it.
//!
//! **What it does not do.** It locks nothing for as long as a saga lasts: others see what its steps have done so
//! far. It forgets no saga of itself: [`Sagas::prune`] lets go of those that are over.

mod ask;
mod plan;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod row;
mod rules;
mod runner;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod state;
mod store;

pub use ask::{Answer, Question, Reply};
pub use plan::{Definition, NAME_MOST, PAYLOAD_MOST, Part, Plan, STEPS_MOST, Step};
pub use rules::{Change, Outcome, Refusal, Verb, choices};
pub use runner::{Call, Doing, Happened, Options, Runner, Steps, Told};
pub use state::{Attempt, Deed, Event, Gate, Hold, Saga, Standing, State, Way, What, Why};
pub use store::{Due, Sagas, Seeker};
