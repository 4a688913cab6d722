//! What can go wrong in a ledger, said so that it can be mended.

use std::sync::Arc;

/// Why something was not done. Nothing of it was then.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that no key can have.
    #[error("the name of a {what} has {length} bytes, and must have 1 to {most}")]
    Name {
        /// Of what.
        what: &'static str,
        /// Its length.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A text that is no key.
    #[error("'{text}' is no key: {reason}")]
    Key {
        /// The text.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// An address of no ledger that there is.
    #[error("'{url}' is no ledger: {reason}")]
    Url {
        /// As it was given, without a password.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A place in a store that has something else in it.
    #[error("{place} is no ledger: {found}. It was left as it is; choose another place")]
    Foreign {
        /// Which.
        place: String,
        /// What it has.
        found: String,
    },
    /// A ledger of a newer cronx.
    #[error("{place} has schema {found}, and this cronx knows up to {known}: use a newer cronx")]
    Newer {
        /// Which.
        place: String,
        /// What it says.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// A ledger of an older cronx, whose entries are written otherwise.
    #[error(
        "{place} has schema {found}, and this cronx knows only {known}: it was left as it is; choose another \
         place, or let an older cronx bring its work to an end there"
    )]
    Older {
        /// Which.
        place: String,
        /// What it says.
        found: i64,
        /// The only one that is known.
        known: i64,
    },
    /// Another process has it.
    #[error("{place} is in use by another cronx: stop that one, or choose another place")]
    InUse {
        /// Which.
        place: String,
    },
    /// No room.
    #[error("{place} is full: {reason}. Make room; nothing was written in part")]
    Full {
        /// Which.
        place: String,
        /// In the store's words.
        reason: String,
    },
    /// It may not be written.
    #[error("{place} cannot be written: {reason}")]
    ReadOnly {
        /// Which.
        place: String,
        /// In the store's words.
        reason: String,
    },
    /// What it has cannot have been written by us.
    #[error("{place} has in {row} what no cronx wrote: {reason}")]
    Torn {
        /// Which store.
        place: String,
        /// Which of its rows.
        row: String,
        /// What is wrong there.
        reason: String,
    },
    /// It is not the ledger that was opened: what stood there is gone.
    #[error(
        "{place} has forgotten what it had: it was emptied, or restarted empty. Nothing is written to it until \
         it is opened anew"
    )]
    Forgotten {
        /// Which.
        place: String,
    },
    /// It cannot be had, or not now.
    #[error("cannot {what} {place}: {reason}")]
    Unavailable {
        /// What was to be done.
        what: &'static str,
        /// Which store.
        place: String,
        /// In the store's words.
        reason: String,
    },
    /// It has been closed.
    #[error("the ledger is closed")]
    Closed,
    /// An answer to another question: a fault of a store.
    #[error("the ledger gave an answer that does not fit: {answer}")]
    Answer {
        /// As it is.
        answer: String,
    },
    /// A tenant's jobs are spread otherwise.
    #[error(
        "{place} has the jobs of '{tenant}' in {found} shards, not in {asked}, and that stays so: ask for {found}"
    )]
    Spread {
        /// Which store.
        place: String,
        /// Whose jobs.
        tenant: String,
        /// How many shards there are.
        found: u32,
        /// How many this owner was to find.
        asked: u32,
    },
    /// A job that others have, or are to have.
    #[error("'{job}' is in shard {shard}, which is not ours")]
    NotOurs {
        /// Its name.
        job: String,
        /// Where it is.
        shard: u32,
    },
    /// A payload that no journal takes.
    #[error(
        "a payload of {length} bytes is too long: {most} are the most. Nothing was appended; put it \
             where it can be fetched, and its address into the event"
    )]
    Payload {
        /// Its length.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A payload that is no JSON.
    #[error("a payload must be JSON: {reason}. Nothing was appended")]
    Json {
        /// Why not.
        reason: String,
    },
    /// An archive that has not what was written to it, or something else beside.
    #[error("{place} is not what was archived: {reason}. Nothing was dropped")]
    Spoilt {
        /// Which file.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// Steps of which no saga can consist.
    #[error("'{name}' is no saga: {reason}")]
    Saga {
        /// The name of its definition.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A system's call.
    #[error("cannot {what} {place}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// With what.
        place: String,
        /// The system's reason.
        source: Arc<std::io::Error>,
    },
}

impl Error {
    /// For `map_err`, of a call that was to do this with that.
    pub(crate) fn system(
        what: &'static str,
        place: impl ToString,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, place: place.to_string(), source: Arc::new(source) }
    }
}
