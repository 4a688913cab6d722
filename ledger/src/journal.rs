//! What happened, kept: events that are appended in the transaction that has their effect, and are never
//! changed.
//!
//! ```
//! use cronx_ledger::Clock;
//! use cronx_ledger::journal::{Appended, Draft, EventId, Payload};
//! # #[cfg(feature = "sqlite")] {
//! use cronx_ledger::journal::sqlite::{append, install};
//!
//! let mut database = rusqlite::Connection::open_in_memory().unwrap();
//! install(&database)?;
//! database.execute_batch("CREATE TABLE bills (paid TEXT)").unwrap();
//!
//! let transaction = database.transaction().unwrap();
//! transaction.execute("INSERT INTO bills VALUES ('17')", []).unwrap();
//! let draft = Draft {
//!     id: EventId(0x1234),
//!     aggregate: "bill/17".to_owned(),
//!     version: Some(1),
//!     who: "shop/billing".to_owned(),
//!     what: "paid".to_owned(),
//!     trace: None,
//!     payload: Payload::parse(r#"{"cents": 4200}"#)?,
//! };
//! assert!(matches!(append(&transaction, &draft, &Clock::Own)?, Appended::Now { version: 1, .. }));
//! // The bill is paid and the event is there, or neither.
//! transaction.commit().unwrap();
//! # }
//! # Ok::<(), cronx_ledger::Error>(())
//! ```
//!
//! ```text
//!  the user's transaction ─► append ─► a table for each day ─► read, by each consumer from its offset on
//!                                             │                    └─► relay ─► sinks, dead letters
//!                                             └─► keep: hot, warm, cold ─► archive
//! ```
//! **Order.** An event comes after everything that was committed when it was appended, so those of one
//! aggregate stand in the order of their versions. Who has read up to a position has seen all that will ever
//! stand before it.
//!
//! **What it does not do.** It never marks an event as processed: how far a consumer is, is its offset. It
//! takes no event whose version is not the next, and none twice as long as its id is remembered.

#[cfg(feature = "archive")]
pub mod archive;
mod day;
mod event;
#[cfg(feature = "archive")]
pub mod keep;
mod line;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod tables;

pub use day::{Day, Seal, Standing, Tier};
pub use event::{
    Appended, Consumer, Draft, Event, EventId, NAME_MOST, PAYLOAD_MOST, Payload, Position,
};
pub use line::{line, read_line};
pub use tables::{Backlog, DeadLetter, Dropped, Journal, Move, Tables};
