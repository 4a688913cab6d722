//! The jobs of a daemon that is one of many: they come and go with the shards that it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};
use cronx_ledger::Shards;
use cronx_ledger::shards::Change;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::spawn_blocking;

use crate::log::{Event, Log, count};
use crate::set::Set;

/// How long the jobs of a shard that others want may stand still until all of them do. What takes longer keeps
/// its shard for now.
const STANDS_STILL: Duration = Duration::from_secs(2);
/// How often runs are looked at that must end first.
const LOOK: Duration = Duration::from_millis(20);

/// A daemon's part in what many have.
pub(crate) struct Part {
    pub(crate) shards: Arc<Shards>,
    pub(crate) set: Arc<Set>,
    pub(crate) log: Log,
}

impl Part {
    /// Starts and stops jobs as shards come and go; until the ledger is one that nothing can be asked of.
    pub(crate) async fn tend(self: Arc<Self>, mut changes: UnboundedReceiver<Change>) -> Error {
        loop {
            match changes.recv().await {
                Some(Change::Gained(shard)) => self.gain(shard).await,
                Some(Change::Wanted(shard)) => self.let_go(shard).await,
                Some(Change::Lost(shard)) => self.lose(shard).await,
                Some(Change::Failing(error @ cronx_ledger::Error::Forgotten { .. })) => {
                    return error.into();
                }
                Some(Change::Failing(error)) => self.note(&error.to_string()),
                None => return anyhow!("nobody looks after the shards any more"),
            }
        }
    }

    fn note(&self, text: &str) {
        (self.log)(&Event::Note(text));
    }

    async fn gain(&self, shard: u32) {
        let set = Arc::clone(&self.set);
        // One that panicked has added what it has.
        let jobs = spawn_blocking(move || set.gain(shard)).await.unwrap_or(0);
        self.note(&format!("shard {shard} is ours: {}", count(jobs, "job")));
    }

    async fn lose(&self, shard: u32) {
        let set = Arc::clone(&self.set);
        let left = spawn_blocking(move || set.leave(shard)).await.unwrap_or(0);
        self.set.forget(shard);
        self.note(&format!("shard {shard} is lost: {}", count(left, "job")));
    }

    /// Lets others have it, as soon as nothing of it runs.
    async fn let_go(&self, shard: u32) {
        // Nothing begins from here on, so what does not run now will not.
        self.shards.close(shard);
        let set = Arc::clone(&self.set);
        if spawn_blocking(move || set.leave(shard)).await.is_err() {
            return;
        }
        let until = Instant::now() + STANDS_STILL;
        while self.set.is_busy(shard) {
            if Instant::now() > until {
                self.shards.open(shard);
                let set = Arc::clone(&self.set);
                // As above.
                let _ = spawn_blocking(move || set.gain(shard)).await;
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.give_back(shard).await;
    }

    async fn give_back(&self, shard: u32) {
        self.set.forget(shard);
        let shards = Arc::clone(&self.shards);
        // Whoever waits for it may end: what is on its way back is not to lapse only.
        let given = tokio::spawn(async move { shards.give_back(shard).await }).await;
        match given.unwrap_or(Ok(())) {
            Ok(()) => self.note(&format!("shard {shard} is given back")),
            // It lapses.
            Err(error) => self.note(&format!("shard {shard} is not given back: {error}")),
        }
    }

    /// Takes none any more, and lets others have each as soon as nothing of it runs, and all that are left
    /// once `all` is dropped: for a daemon that begins nothing more. It is not to be cancelled: what is on its
    /// way back would lapse only.
    pub(crate) async fn withdraw(&self, mut all: oneshot::Receiver<()>) {
        if let Err(error) = self.shards.withdraw().await {
            self.note(&format!("others are not told that this one ends: {error}"));
        }
        let mut ours = self.shards.ours();
        for &shard in &ours {
            self.shards.close(shard);
        }
        loop {
            let at_once = all.try_recv() != Err(TryRecvError::Empty);
            let mut goes = |shard: &mut u32| at_once || !self.set.is_busy(*shard);
            for shard in ours.extract_if(.., &mut goes) {
                self.give_back(shard).await;
            }
            if ours.is_empty() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
