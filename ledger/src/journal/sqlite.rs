//! A journal in SQLite, in the file that has the effects: a table for each day.
//!
//! [`append`] writes within the user's transaction. There is one writer at a time, so the order of positions
//! is that of commits. Its tables are named `cronx_journal` and what begins with `cronx_journal_`.

mod append;
mod days;
mod offsets;
mod row;
mod schema;

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cronx_scheduler::Utc;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

pub use append::append;
pub use schema::install;

use super::tables::{Backlog, DeadLetter, Dropped, Journal, Move, Tables};
use super::{Consumer, Day, Event, Position, Seal, Standing};
use crate::Error;
use crate::clock::Clock;
use crate::sqlite::failed;
use crate::store::Pending;

/// How long the user's own transactions may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// A journal that is read and kept, beside those who append to it.
pub struct Sqlite {
    /// Until it is closed.
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    place: String,
}

/// What the thread has.
struct Store {
    connection: Connection,
    place: String,
    clock: Clock,
}

impl Sqlite {
    /// Opens the journal of a file that has one; see [`install`].
    pub fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        Self::start(path, clock, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Opens it only to look.
    pub fn look(path: &Path) -> Result<Self, Error> {
        Self::start(path, Clock::Own, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn start(path: &Path, clock: Clock, flags: OpenFlags) -> Result<Self, Error> {
        let place = path.display().to_string();
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(failed("open", &place))?;
        connection.busy_timeout(PATIENCE).map_err(failed("open", &place))?;
        // An archive counts on what it is told was dropped.
        let full = connection.pragma_update(None, "synchronous", "FULL");
        full.map_err(failed("open", &place))?;
        schema::check(&connection, &place)?;
        let (work, received) = channel();
        let store = Store { connection, place: place.clone(), clock };
        let thread = std::thread::Builder::new().name("cronx-journal".to_owned());
        let thread = thread.spawn(move || work_on(store, &received));
        let thread = thread.map_err(Error::system("start a thread for", &place))?;
        Ok(Self { work: Some(work), thread: Some(thread), place })
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, Error> + Send + 'static,
    ) -> Pending<'_, T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |store| {
            // Whoever asked may have gone.
            let _ = answer.send(work(store));
        });
        let sender = self.work.as_ref().ok_or(Error::Closed);
        let sent = sender.and_then(|sender| sender.send(work).map_err(|_| Error::Closed));
        Box::pin(async move {
            sent?;
            answered.await.map_err(|_| Error::Closed)?
        })
    }
}

fn work_on(mut store: Store, received: &Receiver<Work>) {
    while let Ok(work) = received.recv() {
        work(&mut store);
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has closed the file too.
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Whole or not at all.
    fn write<T>(
        &mut self,
        write: impl FnOnce(&rusqlite::Transaction, Utc) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let now = self.clock.here();
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate);
        let transaction = transaction.map_err(failed("write", &self.place))?;
        let done = write(&transaction, now)?;
        transaction.commit().map_err(failed("write", &self.place))?;
        Ok(done)
    }
}

impl Journal for Sqlite {
    fn read(&self, after: Position, most: usize) -> Pending<'_, Vec<Event>> {
        self.ask(move |store| days::read(store, after, most))
    }

    fn join(&self, consumer: Consumer) -> Pending<'_, Position> {
        self.ask(move |store| offsets::join(store, &consumer))
    }

    fn leave(&self, consumer: Consumer) -> Pending<'_, ()> {
        self.ask(move |store| offsets::leave(store, &consumer))
    }

    fn advance(&self, step: Move) -> Pending<'_, bool> {
        self.ask(move |store| offsets::advance(store, &step))
    }

    fn consumers(&self) -> Pending<'_, Vec<(Consumer, Position)>> {
        self.ask(|store| offsets::all(&store.connection, &store.place))
    }

    fn backlog(&self, consumer: Consumer) -> Pending<'_, Backlog> {
        self.ask(move |store| offsets::backlog(store, &consumer))
    }

    fn dead(
        &self,
        consumer: Consumer,
        aggregate: Option<String>,
        after: Position,
        most: usize,
    ) -> Pending<'_, Vec<DeadLetter>> {
        self.ask(move |store| offsets::dead(store, &consumer, aggregate.as_deref(), after, most))
    }

    fn parked(&self, consumer: Consumer, aggregates: Vec<String>) -> Pending<'_, Vec<String>> {
        self.ask(move |store| offsets::parked(store, &consumer, aggregates))
    }

    fn revive(&self, consumer: Consumer, position: Position) -> Pending<'_, ()> {
        self.ask(move |store| offsets::revive(store, &consumer, position))
    }

    fn place(&self) -> &str {
        &self.place
    }
}

impl Tables for Sqlite {
    fn now(&self) -> Pending<'_, Utc> {
        self.ask(|store| Ok(store.clock.here()))
    }

    fn days(&self) -> Pending<'_, Vec<Standing>> {
        self.ask(|store| days::all(&store.connection, &store.place))
    }

    fn prepare(&self, _: Day, _: Day) -> Pending<'_, ()> {
        // Whoever appends the first event of a day makes its table, in his own transaction.
        Box::pin(std::future::ready(Ok(())))
    }

    fn seal(&self, day: Day) -> Pending<'_, Seal> {
        self.ask(move |store| days::seal(store, day))
    }

    fn page(&self, day: Day, after: Position, most: usize) -> Pending<'_, Vec<Event>> {
        self.ask(move |store| days::page(store, day, after, most))
    }

    fn drop_day(&self, day: Day, stragglers: bool) -> Pending<'_, Dropped> {
        self.ask(move |store| days::drop_day(store, day, stragglers))
    }

    fn begin_restore(&self, day: Day) -> Pending<'_, ()> {
        self.ask(move |store| days::begin_restore(store, day))
    }

    fn restore(&self, day: Day, events: Vec<Event>) -> Pending<'_, ()> {
        self.ask(move |store| days::restore(store, day, &events))
    }

    fn end_restore(&self, day: Day) -> Pending<'_, ()> {
        self.ask(move |store| days::end_restore(store, day))
    }

    fn forget_ids(&self, before: Utc) -> Pending<'_, u64> {
        self.ask(move |store| {
            let sql = "DELETE FROM cronx_journal_seen WHERE at_ns < ?1";
            let gone = store.connection.execute(sql, [before.0]);
            Ok(gone.map_err(failed("forget ids of", &store.place))? as u64)
        })
    }
}
