//! What outlives the process: where each job stopped, and what was started.
//!
//! The engine only knows this trait. What it promises depends on what stands behind: with [`Memory`], a
//! restart begins now.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Utc;
use crate::run::{Firing, Run, Skipped};

/// What went wrong in a store, in its own words.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// What a store answers in its own time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Whether a firing may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It is ours.
    Granted,
    /// Another has done it, or is doing it.
    Refused,
}

/// Reads cursors, and is told of firings. Called by workers, never by a shard's thread.
pub trait Store: Send + Sync + 'static {
    /// The last nominal instant of the job that was decided, as a start or as a skip; `None` if it was
    /// never seen. Asked once, when the job is added, by whoever adds it.
    fn cursor(&self, job: &str) -> Result<Option<Utc>, StoreError>;

    /// Asked before the job's code runs. The cursor moves with the firing, or neither does.
    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit>;

    /// Told after it ran.
    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()>;

    /// Told of what was left out; the cursor moves there. Firings of the same job that are older may
    /// still be on their way.
    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()>;
}

/// Remembers as long as the process lives: cursors, and the last runs and skips.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    cursors: HashMap<Arc<str>, Utc>,
    runs: VecDeque<Run>,
    skips: VecDeque<Skipped>,
}

impl Memory {
    /// Remembers so many runs, and as many skips.
    pub fn new(most: usize) -> Self {
        Self { state: Mutex::default(), most }
    }

    /// The last runs, oldest first.
    pub fn runs(&self) -> Vec<Run> {
        self.lock().runs.iter().cloned().collect()
    }

    /// The last skips, oldest first.
    pub fn skips(&self) -> Vec<Skipped> {
        self.lock().skips.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(4096)
    }
}

impl State {
    fn decided(&mut self, job: &Arc<str>, nominal: Utc) {
        let cursor = self.cursors.entry(Arc::clone(job)).or_insert(nominal);
        *cursor = nominal.max(*cursor);
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if most == 0 {
        return;
    }
    if all.len() >= most {
        all.pop_front();
    }
    all.push_back(one);
}

fn at_once<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Store for Memory {
    fn cursor(&self, job: &str) -> Result<Option<Utc>, StoreError> {
        Ok(self.lock().cursors.get(job).copied())
    }

    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit> {
        // A one-shot has no name and no next.
        if let Some(job) = firing.job.shared().filter(|_| !firing.triggered) {
            self.lock().decided(job, firing.nominal);
        }
        at_once(Permit::Granted)
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        if self.most > 0 {
            keep(&mut self.lock().runs, run.clone(), self.most);
        }
        at_once(())
    }

    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()> {
        let mut state = self.lock();
        state.decided(&skipped.job, skipped.through);
        keep(&mut state.skips, skipped.clone(), self.most);
        at_once(())
    }
}
