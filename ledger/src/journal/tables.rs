//! What the tables of a journal can be asked, whichever store has them.

use cronx_scheduler::Utc;

use super::{Consumer, Day, Event, Position, Seal, Standing};
use crate::store::Pending;

/// An event that a consumer could not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub event: Event,
    /// Why, in a sentence.
    pub reason: String,
}

/// A consumer has gone on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub consumer: Consumer,
    /// Where it must be.
    pub from: Position,
    /// Where it is then.
    pub to: Position,
    /// What it could not have on the way.
    pub dead: Vec<DeadLetter>,
}

/// What a consumer has not had yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Positions between it and the end: at least as many as events.
    pub positions: u64,
    /// When the first of those events was appended.
    pub oldest: Option<Utc>,
}

/// What was done with a day's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is gone, and so many of its events became dead letters first.
    Gone {
        /// One for each consumer that had not had it.
        stragglers: u64,
    },
    /// It stays: somebody has not had all of it.
    Held,
}

/// Reading, by consumers.
pub trait Journal: Send + Sync + 'static {
    /// Events after a position, in order: at most so many, and not much more than 8 MiB. Nothing will ever
    /// stand between them, or between them and that position.
    fn read(&self, after: Position, most: usize) -> Pending<'_, Vec<Event>>;

    /// How far a consumer is. One that is new is at the beginning, and known from then on: days wait for it.
    fn join(&self, consumer: Consumer) -> Pending<'_, Position>;

    /// Forgets a consumer, with its dead letters: no day waits for it any more.
    fn leave(&self, consumer: Consumer) -> Pending<'_, ()>;

    /// Takes a consumer on and puts its dead letters away, in one transaction. False, and nothing is done, if
    /// it is not where it was said to be: somebody else moves it.
    fn advance(&self, step: Move) -> Pending<'_, bool>;

    /// All that are known, and how far they are.
    fn consumers(&self) -> Pending<'_, Vec<(Consumer, Position)>>;

    /// What a consumer has not had.
    fn backlog(&self, consumer: Consumer) -> Pending<'_, Backlog>;

    /// Dead letters of a consumer after a position, in order: of one aggregate, or of all.
    fn dead(
        &self,
        consumer: Consumer,
        aggregate: Option<String>,
        after: Position,
        most: usize,
    ) -> Pending<'_, Vec<DeadLetter>>;

    /// Those of these aggregates that have dead letters.
    fn parked(&self, consumer: Consumer, aggregates: Vec<String>) -> Pending<'_, Vec<String>>;

    /// A dead letter is none any more: the consumer has had it.
    fn revive(&self, consumer: Consumer, position: Position) -> Pending<'_, ()>;

    /// Where it is, as a person would say it; no password is in it.
    fn place(&self) -> &str;
}

/// The tables of days, for who keeps them. Each call is done whole or not at all, and may be repeated.
pub trait Tables: Journal {
    /// What time it is for the store.
    fn now(&self) -> Pending<'_, Utc>;

    /// Every day that has a table or had one, in order.
    fn days(&self) -> Pending<'_, Vec<Standing>>;

    /// Sees to it that days from the one to the other have tables before they come, if the store wants that.
    fn prepare(&self, from: Day, through: Day) -> Pending<'_, ()>;

    /// Lets nothing be appended to a day any more, and sums it up: it is warm.
    fn seal(&self, day: Day) -> Pending<'_, Seal>;

    /// A day's events after a position, in order, as in [`Journal::read`].
    fn page(&self, day: Day, after: Position, most: usize) -> Pending<'_, Vec<Event>>;

    /// Drops the table of a warm day, which is cold then. If a consumer has not had all of it: with
    /// `stragglers` what it has not had becomes its dead letters first, without it nothing is done.
    fn drop_day(&self, day: Day, stragglers: bool) -> Pending<'_, Dropped>;

    /// Makes an empty table for a cold day that comes back; what stands in one that was begun before goes.
    fn begin_restore(&self, day: Day) -> Pending<'_, ()>;

    /// Adds to it.
    fn restore(&self, day: Day, events: Vec<Event>) -> Pending<'_, ()>;

    /// It is warm again, if what was added has the seal that it had.
    fn end_restore(&self, day: Day) -> Pending<'_, ()>;

    /// Forgets ids of events that were appended before an instant; how many.
    fn forget_ids(&self, before: Utc) -> Pending<'_, u64>;
}
