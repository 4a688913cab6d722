//! Reading a journal again while a keeper may be at work.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cronx_ledger::Error;
use cronx_ledger::journal::archive::Archive;
use cronx_ledger::journal::{Day, Event, Position, Standing, Tables, Tier, line};

use super::{PAGE, Wanted};

/// Each event once, though days become cold, or are restored, from one step to the next.
struct Replay<'a, T> {
    tables: &'a dyn Tables,
    archive: Option<&'a Archive>,
    wanted: &'a Wanted,
    take: T,
    /// How far each day was read. A day goes as a whole, so nothing before that is missing.
    read: BTreeMap<Day, Position>,
}

pub(super) async fn replay(
    tables: &dyn Tables,
    archive: Option<&Archive>,
    wanted: &Wanted,
    take: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut replay = Replay { tables, archive, wanted, take, read: BTreeMap::new() };
    replay.cold().await?;
    replay.store().await?;
    replay.cold().await
}

impl<T: FnMut(&str) -> Result<()>> Replay<'_, T> {
    /// What the archive alone has, and was not read.
    async fn cold(&mut self) -> Result<()> {
        for Standing { day, tier, .. } in self.tables.days().await? {
            let Tier::Cold(seal) = tier else { continue };
            let read = self.read.get(&day).copied().unwrap_or_default();
            if !self.wanted.has_of(day) || seal.last <= read {
                continue;
            }
            let archive = self.archive.with_context(|| {
                format!("{day} is in the archive alone: name it with --archive")
            })?;
            let mut failed = None;
            let done = archive.events(day, &seal, async |part| {
                // Whoever takes them has errors of another kind.
                self.hand_on(&part).map_err(|error| {
                    failed = Some(error);
                    Error::Closed
                })
            });
            let done = done.await;
            if let Some(error) = failed {
                return Err(error);
            }
            done?;
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<()> {
        let mut after = Position(0);
        loop {
            let page = self.tables.read(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            self.hand_on(&page)?;
        }
    }

    fn hand_on(&mut self, events: &[Event]) -> Result<()> {
        for event in events {
            let read = self.read.entry(Day::of(event.at)).or_default();
            if event.position <= *read {
                continue;
            }
            *read = event.position;
            if self.wanted.has(event) {
                (self.take)(&line(event))?;
            }
        }
        Ok(())
    }
}
