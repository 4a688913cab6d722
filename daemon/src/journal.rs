//! Where a journal is, what becomes of its days, and reading it again.

mod replay;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cronx_ledger::Clock;
use cronx_ledger::journal::archive::Archive;
use cronx_ledger::journal::keep::{Done, keep};
use cronx_ledger::journal::{Consumer, Day, Event, Position, Standing, Tables, Tier, line, sqlite};
use cronx_scheduler::Utc;

pub use cronx_ledger::journal::keep::Policy;

/// Events that are read at once.
const PAGE: usize = 1000;

/// Where a journal is: in the database that has the effects.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file that has one.
    File(PathBuf),
    /// A database, by its address, in which it is made if there is none.
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// What was done with a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Such as `2025-11-28`.
    pub day: String,
    /// `sealed`, `dropped`, `held` or `failed`.
    pub what: &'static str,
    /// More of it, in words.
    pub said: String,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Appended then or later.
    pub from: Utc,
    /// Appended before.
    pub until: Utc,
    /// Of this aggregate alone.
    pub aggregate: Option<String>,
}

impl Wanted {
    fn has_of(&self, day: Day) -> bool {
        self.from < day.ends() && day.begins() < self.until
    }

    fn has(&self, event: &Event) -> bool {
        let is_of = self.aggregate.as_ref().is_none_or(|aggregate| *aggregate == event.aggregate);
        is_of && self.from <= event.at && event.at < self.until
    }
}

impl Place {
    /// Of an address such as `sqlite:/srv/shop.sqlite` or `postgres://user@host/shop`.
    pub fn of_url(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.to_owned())),
            // What stands after the scheme may be a password.
            _ => bail!("a journal is sqlite:PATH or postgres://USER@HOST/DATABASE"),
        }
    }

    async fn open(&self, looks: bool) -> Result<Box<dyn Tables>> {
        Ok(match self {
            Self::File(path) if looks => Box::new(sqlite::Sqlite::look(path)?),
            Self::File(path) => Box::new(sqlite::Sqlite::open(path, Clock::Own)?),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                use cronx_ledger::journal::postgres::{Options, Postgres};
                let options = Options { makes: !looks, ..Options::default() };
                Box::new(Postgres::connect(url, options).await?)
            }
        })
    }

    /// Does with its days what is due; what was done, or tried.
    pub fn archive(&self, folder: &Path, policy: &Policy) -> Result<Vec<Kept>> {
        wait(async {
            let (tables, archive) = (self.open(false).await?, Archive::folder(folder)?);
            let done = keep(&*tables, &archive, policy).await?;
            Ok(done.into_iter().map(|(day, done)| kept(day, &done)).collect())
        })
    }

    /// Brings a cold day back, for as long as a day is hot.
    pub fn restore(&self, folder: &Path, day: &str) -> Result<Kept> {
        wait(async {
            let (tables, archive) = (self.open(false).await?, Archive::folder(folder)?);
            let days = tables.days().await?;
            let found = days.into_iter().find(|standing| standing.day.to_string() == day);
            let Some(Standing { day, tier: Tier::Cold(seal), .. }) = found else {
                bail!("{day} is not cold: there is nothing to restore");
            };
            archive.restore(&*tables, day, &seal).await?;
            let said = format!("{} events", seal.count);
            Ok(Kept { day: day.to_string(), what: "restored", said })
        })
    }

    /// Reads it again: what is in the archive day by day, then what is in the store, each event as a line. At
    /// the end comes what was dropped from the store meanwhile, before it was read there. Days that are cold
    /// need the archive.
    pub fn replay(
        &self,
        folder: Option<&Path>,
        wanted: &Wanted,
        take: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        wait(async {
            let tables = self.open(true).await?;
            let archive = folder.map(Archive::look).transpose()?;
            replay::replay(&*tables, archive.as_ref(), wanted, take).await
        })
    }

    /// A consumer's dead letters: the reason, and the event as a line.
    pub fn dead(
        &self,
        consumer: &str,
        wanted: &Wanted,
        mut take: impl FnMut(&str, &str) -> Result<()>,
    ) -> Result<()> {
        wait(async {
            let tables = self.open(true).await?;
            let consumer = Consumer::new(consumer)?;
            let mut after = Position(0);
            loop {
                let aggregate = wanted.aggregate.clone();
                let page = tables.dead(consumer.clone(), aggregate, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = last.event.position;
                for letter in page.iter().filter(|letter| wanted.has(&letter.event)) {
                    take(&letter.reason, &line(&letter.event))?;
                }
            }
        })
    }
}

fn kept(day: Day, done: &Done) -> Kept {
    let (what, said) = match done {
        Done::Sealed(seal) => ("sealed", format!("{} events", seal.count)),
        Done::Dropped { stragglers } => ("dropped", format!("{stragglers} dead letters")),
        Done::Held => ("held", "a consumer has not had all of it".to_owned()),
        Done::Failed(error) => ("failed", error.to_string()),
    };
    Kept { day: day.to_string(), what, said }
}

fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(work)
}

#[cfg(test)]
mod tests;
