//! The decision log: what breakers were asked, told and decided, a line of JSON each. Nobody who runs a job
//! waits for it: what finds no room is left out, and counted.

mod file;
mod line;
mod read;

pub(crate) use line::window;
pub use read::{Replayed, read as decision_log, replayed};

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use cronx_scheduler::breaker::{Event as Decision, Record, Rules, Witness};
use cronx_scheduler::{Clock, Run, SystemClock};
use serde_json::Value;

use crate::log::{Event, Log};
use file::Bounded;

/// Decisions that wait to be written.
const WAITING: usize = 8192;

/// What is to be written.
enum Entry {
    /// And which it is of which life of its breaker's.
    Record(Record, Place),
    /// Another line.
    Line(Value),
}

/// A breaker lives from where it begins with its rules; what a call of an older one did may come later.
#[derive(Clone, Copy)]
struct Place {
    life: u64,
    number: u64,
}

/// Where decisions go.
pub(crate) struct Decisions {
    entries: SyncSender<Entry>,
    dropped: AtomicU64,
    lives: AtomicU64,
    /// Whether there is a file; without one, only what a person should know has anywhere to go.
    is_written: bool,
}

impl Decisions {
    /// Into this file, if there is one, behind what it has, and up to so many bytes; and what a person should
    /// know into the log. The thread that writes ends with the last of those who decide.
    pub(crate) fn start(file: Option<&Path>, most: u64, log: &Log) -> Result<Arc<Self>> {
        let open = |path: &Path| {
            let file = Bounded::open(path, most);
            file.with_context(|| format!("cannot write decisions to {}", path.display()))
        };
        let file = file.map(open).transpose()?;
        let (entries, waiting) = sync_channel(WAITING);
        let (log, is_written) = (Arc::clone(log), file.is_some());
        let writer = thread::Builder::new().name("cronx-decisions".to_owned());
        let writes = move || write(&waiting, file, &log);
        writer.spawn(writes).context("cannot start a thread")?;
        Ok(Arc::new(Self {
            entries,
            dropped: AtomicU64::new(0),
            lives: AtomicU64::new(0),
            is_written,
        }))
    }

    /// A breaker begins: what it tells is of these rules. Numbers show where some of it found no room.
    pub(crate) fn begun(self: &Arc<Self>, breaker: &str, rules: &Rules) -> Witness {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        self.take(Entry::Line(line::begun(breaker, life, rules, SystemClock.read())));
        let (decisions, told) = (Arc::clone(self), Mutex::new(0));
        Arc::new(move |record| {
            if decisions.is_written || is_told(record) {
                // They are written in the order of their numbers.
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                decisions.take(Entry::Record(record.clone(), Place { life, number: *told }));
                *told += 1;
            }
        })
    }

    /// A run ended of a job that heals.
    pub(crate) fn healed(&self, run: &Run) {
        self.take(Entry::Line(line::healed(run, SystemClock.read())));
    }

    /// Decisions that found no room, and are in no file.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn take(&self, entry: Entry) {
        if self.entries.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(waiting: &Receiver<Entry>, mut file: Option<Bounded>, log: &Log) {
    while let Ok(first) = waiting.recv() {
        // All that is there, and then the file has it.
        let mut written = Ok(());
        for entry in std::iter::once(first).chain(waiting.try_iter()) {
            tell(&entry, log);
            if let Some(file) = &mut file {
                let line = match entry {
                    Entry::Record(record, place) => line::of(&record, place, SystemClock.read()),
                    Entry::Line(line) => line,
                };
                written = written.and_then(|()| file.write(&line.to_string()));
            }
        }
        let written = written.and_then(|()| file.as_mut().map_or(Ok(()), Bounded::flush));
        if let Err(error) = written {
            file = None;
            log(&Event::Note(&format!("decisions are written no more: {error}")));
        }
    }
}

/// What a person should know.
fn tell(entry: &Entry, log: &Log) {
    if let Entry::Record(record, _) = entry
        && is_told(record)
    {
        log(&Event::Decided(record));
    }
}

fn is_told(record: &Record) -> bool {
    matches!(record.event, Decision::Turned(_) | Decision::Remedy { .. })
}
