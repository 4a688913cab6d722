//! What outlives the process: where each job stopped, and what was started.
//!
//! The engine only knows this trait. What it promises depends on what stands behind: with [`Memory`], a
//! restart begins now.

mod course;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

pub use course::Course;

use crate::Utc;
use crate::run::{Firing, Run, Skipped};

/// What went wrong in a store, in its own words.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// What a store answers: at once, which costs nothing, or in its own time.
pub struct Answer<'a, T>(Kind<'a, T>);

enum Kind<'a, T> {
    /// Until it is taken.
    Now(Option<Result<T, StoreError>>),
    Later(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// It is known.
    pub fn now(answer: Result<T, StoreError>) -> Self {
        Self(Kind::Now(Some(answer)))
    }

    /// It will be.
    pub fn later(answer: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        Self(Kind::Later(Box::pin(answer)))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Now(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Kind::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

/// Whether a firing may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It is ours. Its fence is larger than that of any attempt of it before, whoever made that; 0 from a
    /// store that has none.
    Granted(u64),
    /// Another has done it, or is doing it.
    Refused,
}

/// Where a job goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Through this nominal instant all is decided.
    pub cursor: Utc,
    /// What was started and has not come to its end.
    pub open: Vec<Open>,
}

/// A firing whose process ended before it did, or that failed and was to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// What it is named by.
    pub nominal: Utc,
    /// As [`Firing::trigger`].
    pub trigger: Option<NonZeroU64>,
    /// How often it was started.
    pub attempt: u32,
}

/// Knows where jobs stopped, and is told of firings. Called by workers, never by a shard's thread.
pub trait Store: Send + Sync + 'static {
    /// Where the job goes on. One that was never seen begins now, and that is remembered: what is due from
    /// now on is owed. Asked once, when the job is added, by whoever adds it.
    fn resume(&self, job: &Arc<str>, now: Utc) -> Result<Resumed, StoreError>;

    /// Asked before the job's code runs. What it decides (see [`Firing::after`]) is written down with the
    /// firing, or neither is.
    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit>;

    /// Told after it ran.
    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()>;

    /// Told of what was left out. Firings of the same job that are older may still be on their way, which
    /// is why it says from where: a cursor never passes what has not begun.
    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()>;

    /// The job is no more: one that comes later under its name begins anew.
    fn forget(&self, job: &str) -> Result<(), StoreError>;
}

/// Remembers as long as the process lives: cursors, and the last runs and skips.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    courses: HashMap<Arc<str>, Course>,
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
    /// Of most jobs there is nothing yet, and nothing is kept of them.
    fn decided(&mut self, job: &Arc<str>, after: Utc, through: Utc) {
        let course = self.courses.entry(Arc::clone(job));
        course.or_insert_with(|| Course::new(after)).decide(after, through);
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

impl Store for Memory {
    fn resume(&self, job: &Arc<str>, now: Utc) -> Result<Resumed, StoreError> {
        let cursor = self.lock().courses.get(job).map_or(now, Course::cursor);
        Ok(Resumed { cursor, open: Vec::new() })
    }

    fn begin<'a>(&'a self, firing: &'a Firing) -> Answer<'a, Permit> {
        // A one-shot has no name and no next.
        if let Some(job) = firing.job.shared().filter(|_| firing.trigger.is_none()) {
            self.lock().decided(job, firing.after, firing.nominal);
        }
        Answer::now(Ok(Permit::Granted(0)))
    }

    fn end<'a>(&'a self, run: &'a Run) -> Answer<'a, ()> {
        if self.most > 0 {
            keep(&mut self.lock().runs, run.clone(), self.most);
        }
        Answer::now(Ok(()))
    }

    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Answer<'a, ()> {
        let mut state = self.lock();
        state.decided(&skipped.job, skipped.after, skipped.through);
        keep(&mut state.skips, skipped.clone(), self.most);
        Answer::now(Ok(()))
    }

    fn forget(&self, job: &str) -> Result<(), StoreError> {
        self.lock().courses.remove(job);
        Ok(())
    }
}
