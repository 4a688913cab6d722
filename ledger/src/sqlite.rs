//! A ledger in one file: no server, one process that writes, and a disk that has it before anybody is told.
//!
//! One thread has the file. It takes all questions that wait into one transaction, so that many share one
//! wait for the disk; an answer is given when the disk has it (`synchronous=FULL`, a write-ahead log). While
//! it is open the file beside it, `.lock`, is locked: the owner of the file is alone, and what is in flight
//! there by others was left by the dead.

mod once;
mod open;
mod table;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cronx_scheduler::Course;
use rusqlite::ffi::ErrorCode;
use tokio::sync::oneshot;

pub use once::execute_once;
use writer::{Message, Reading};

use crate::Error;
use crate::act::{Act, Reply};
use crate::claim::Entry;
use crate::clock::Clock;
use crate::key::{JobId, Key};
use crate::store::{Ledger, Look, Pending, Row};

/// How a file is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What time it is.
    pub clock: Clock,
    /// The largest that the file may grow, in pages of 4096 bytes; what finds no room is refused.
    pub most_pages: Option<u32>,
}

/// A ledger in a file.
pub struct Sqlite {
    /// Until it is closed.
    writer: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    place: String,
    /// Locked as long as it is open; not by those who only look.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens a ledger to write, or makes one where there is no file. Another process that has it is an
    /// error, and so is a file of anything else, which stays as it is.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let place = path.display().to_string();
        let lock = open::lock(path, &place)?;
        let connection = open::to_write(path, &place, options)?;
        Self::start(connection, place, options.clock.clone(), Some(lock))
    }

    /// Opens a ledger only to look, while another process may have it.
    pub fn look(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let connection = open::to_read(path, &place)?;
        Self::start(connection, place, Clock::Own, None)
    }

    fn start(
        connection: rusqlite::Connection,
        place: String,
        clock: Clock,
        lock: Option<File>,
    ) -> Result<Self, Error> {
        let (writer, messages) = channel();
        let table = table::Table { connection, place: place.clone(), clock };
        let thread = std::thread::Builder::new().name("cronx-ledger".to_owned());
        let thread = thread.spawn(move || writer::write(&table, &messages));
        let thread = thread.map_err(Error::system("start a thread for", &place))?;
        Ok(Self { writer: Some(writer), thread: Some(thread), place, _lock: lock })
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        let writer = self.writer.as_ref().ok_or(Error::Closed)?;
        writer.send(message).map_err(|_| Error::Closed)
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&table::Table) -> Result<T, Error> + Send + 'static,
    ) -> Pending<'_, T> {
        let (answer, answered) = oneshot::channel();
        let reading: Reading = Box::new(move |table| {
            // Whoever asked may have gone.
            let _ = answer.send(read(table));
        });
        let sent = self.send(Message::Read(reading));
        Box::pin(async move {
            sent?;
            answered.await.map_err(|_| Error::Closed)?
        })
    }

    /// Whether the file is whole, as its own library sees it: what is wrong, a line each.
    pub fn check(&self) -> Pending<'_, Vec<String>> {
        self.read(table::Table::check)
    }
}

impl Ledger for Sqlite {
    fn act(&self, act: Act) -> Pending<'_, Reply> {
        let (answer, answered) = oneshot::channel();
        let answer = Box::new(move |reply| _ = answer.send(reply));
        let sent = self.send(Message::Act(act, answer));
        Box::pin(async move {
            sent?;
            answered.await.map_err(|_| Error::Closed)?
        })
    }

    fn act_and_wait(&self, act: Act) -> Result<Reply, Error> {
        let (answer, answered) = channel();
        self.send(Message::Act(act, Box::new(move |reply| _ = answer.send(reply))))?;
        answered.recv().map_err(|_| Error::Closed)?
    }

    fn entries(
        &self,
        look: Look,
        job: Option<JobId>,
        most: usize,
    ) -> Pending<'_, Vec<Row<(Key, Entry)>>> {
        self.read(move |table| table.entries(&look, job.as_ref(), most))
    }

    fn courses(&self) -> Pending<'_, Vec<Row<(JobId, Course)>>> {
        self.read(table::Table::courses)
    }

    fn prune(&self, tenant: &str, done_for: Duration, most: usize) -> Pending<'_, usize> {
        let tenant = tenant.to_owned();
        self.read(move |table| table.prune(&tenant, done_for, most))
    }

    fn place(&self) -> &str {
        &self.place
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has closed the file too.
            let _ = thread.join();
        }
    }
}

/// For `map_err`, of a call that was to do this with that file.
pub(crate) fn failed(what: &'static str, place: &str) -> impl FnOnce(rusqlite::Error) -> Error {
    let place = place.to_owned();
    move |error| {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full { place, reason },
            Some(ErrorCode::ReadOnly) => Error::ReadOnly { place, reason },
            Some(ErrorCode::NotADatabase) => Error::Foreign { place, found: reason },
            _ => Error::Unavailable { what, place, reason },
        }
    }
}

#[cfg(test)]
mod tests;
