//! What an owner does three times in a lease, and when another's ends: he looks who lives and what is free, and
//! takes his share.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cronx_scheduler::Utc;
use tokio::time::sleep;

use super::spread::{ends_in, is_alive, order, share};
use super::{Change, Held, Shards, State};
use crate::Error;
use crate::claim::{Entry, State as Standing};
use crate::key::{Key, Named};
use crate::store::Look;
use crate::tenure::Lease;

const SEAT: &str = "member.";
const SHARD: &str = "shard.";
/// A shard that was asked for and not given back is asked for again after so many leases.
const ASKS_AGAIN: u32 = 3;
/// What ends at an instant has ended after it.
const JUST_AFTER: Duration = Duration::from_millis(1);

/// By number, those that were ever leased.
type Leased = BTreeMap<u32, Entry>;

/// As long as anybody has the shards.
pub(super) async fn beats(shards: Weak<Shards>, every: Duration) {
    let mut failing = None;
    loop {
        let Some(shards) = shards.upgrade() else { return };
        // A store that does not answer may do so at the next; what it does not hear of is lost by itself.
        let (next, error) = match shards.beat().await {
            Ok(next) => (next.map_or(every, |next| every.min(next + JUST_AFTER)), None),
            Err(error) => (every, Some(error)),
        };
        let text = error.as_ref().map(Error::to_string);
        if let Some(error) = error.filter(|_| text != failing) {
            let _ = shards.tell.send(Change::Failing(error));
        }
        failing = text;
        drop(shards);
        sleep(next).await;
    }
}

impl Shards {
    /// Says after how long the next lease of anybody's ends that is not renewed: whoever waits for that need
    /// not wait longer.
    async fn beat(self: &Arc<Self>) -> Result<Option<Duration>, Error> {
        let Some(seat) = self.seat().await? else { return Ok(None) };
        let seats = self.leased(SEAT).await?;
        let Some(now) = self.store_time(&seats, seat) else { return Ok(None) };
        let living = seats.values().filter(|entry| is_alive(entry, now)).count();
        let share = share(self.count, u32::try_from(living).unwrap_or(u32::MAX));
        self.ask_back(share);
        let leased = self.leased(SHARD).await?;
        let next =
            seats.values().chain(leased.values()).filter_map(|entry| ends_in(entry, now)).min();
        let is_free = |shard: &u32| leased.get(shard).is_none_or(|entry| !is_alive(entry, now));
        for shard in order(self.count, seat).filter(is_free) {
            if self.state().most_are_held(share) {
                break;
            }
            self.take(shard).await?;
        }
        Ok(next)
    }

    /// The seat that is ours, if there is one to be had.
    async fn seat(&self) -> Result<Option<u32>, Error> {
        if let Some(seat) = self.state().seated() {
            return Ok(Some(seat));
        }
        let taken = self.leased(SEAT).await?;
        let in_flight = |entry: &Entry| matches!(entry.state, Standing::InFlight { .. });
        let mut seats: Vec<u32> = (0..self.count).collect();
        // Of those that somebody had, only the store knows whether he lives.
        seats.sort_by_key(|seat| taken.get(seat).is_some_and(in_flight));
        for seat in seats {
            if self.state().leaves {
                return Ok(None);
            }
            let key = self.key(SEAT, seat)?;
            let lease = Lease::try_take(&self.ledger, &key, &self.owner, self.lease).await?;
            let Some(lease) = lease else { continue };
            let late = self.state().sit(seat, lease);
            return match late {
                None => Ok(Some(seat)),
                Some(lease) => lease.give_back().await.map(|()| None),
            };
        }
        Ok(None)
    }

    fn key(&self, kind: &str, number: u32) -> Result<Key, Error> {
        Key::lease(&self.tenant, &format!("{kind}{number}"))
    }

    /// All leases of that kind: they follow one another, and there are no more than shards.
    async fn leased(&self, kind: &str) -> Result<Leased, Error> {
        let before = Key::lease(&self.tenant, kind)?;
        let look = Look::After(Some(before));
        let rows = self.ledger.entries(look, None, self.count as usize).await?;
        // One that cannot be read will not be granted, either.
        let entries = rows.into_iter().filter_map(Result::ok);
        let numbered = |(key, entry): (Key, Entry)| match key.named() {
            Named::Lease { tenant, name } if tenant == self.tenant => {
                Some((name.strip_prefix(kind)?.parse().ok()?, entry))
            }
            _ => None,
        };
        Ok(entries.filter_map(numbered).collect())
    }

    /// What time it is for the store: it says until when we have our seat, and we know since when. It may be
    /// off by the time of an answer, which harms nobody: what is granted is for the store to say.
    fn store_time(&self, seats: &Leased, seat: u32) -> Option<Utc> {
        let state = self.state();
        let (_, lease) = state.seat.as_ref().filter(|(own, _)| *own == seat)?;
        let Standing::InFlight { until, .. } = seats.get(&seat)?.state else { return None };
        Some(until - self.lease + lease.unheard()?)
    }

    /// Asks for what is above the share, once in a while.
    fn ask_back(&self, share: u32) {
        let mut state = self.state();
        let recently = |held: &Held| {
            held.wanted.is_some_and(|wanted| wanted.elapsed() < self.lease * ASKS_AGAIN)
        };
        let held = state.held.iter().flatten().count();
        let asked = state.held.iter().flatten().filter(|held| recently(held)).count();
        let above = held.saturating_sub(asked).saturating_sub(share as usize);
        let others =
            state.held.iter_mut().enumerate().filter_map(|(n, held)| Some((n, held.as_mut()?)));
        for (shard, held) in others.filter(|(_, held)| !recently(held)).take(above) {
            held.wanted = Some(Instant::now());
            // Whoever would hear of it may be gone.
            let _ = self.tell.send(Change::Wanted(shard as u32));
        }
    }

    /// Takes a shard, if nobody has it.
    async fn take(self: &Arc<Self>, shard: u32) -> Result<(), Error> {
        if self.state().held(shard).is_some() {
            return Ok(());
        }
        let key = self.key(SHARD, shard)?;
        let lease = Lease::try_take(&self.ledger, &key, &self.owner, self.lease).await?;
        let Some(lease) = lease else { return Ok(()) };
        let unwanted = self.hold(shard, lease);
        match unwanted {
            Some(lease) => lease.give_back().await,
            None => Ok(()),
        }
    }

    /// Gives it back if it came too late.
    fn hold(self: &Arc<Self>, shard: u32, lease: Lease) -> Option<Lease> {
        let mut state = self.state();
        if state.leaves {
            return Some(lease);
        }
        let fence = lease.guard().fence;
        let owner = format!("{}#{shard}.{}", self.owner, fence.0).into();
        let (lost, shards) = (lease.lost(), Arc::downgrade(self));
        state.held[shard as usize] = Some(Held { lease, owner, is_closed: false, wanted: None });
        // In this order, whatever the other thread does.
        let _ = self.tell.send(Change::Gained(shard));
        drop(state);
        tokio::spawn(async move {
            lost.await;
            let Some(shards) = shards.upgrade() else { return };
            let mut state = shards.state();
            // It may have been given back, and taken again.
            if state.held(shard).is_some_and(|held| held.lease.guard().fence == fence) {
                state.take(shard);
                let _ = shards.tell.send(Change::Lost(shard));
            }
        });
        None
    }
}

impl State {
    fn seated(&mut self) -> Option<u32> {
        self.seat.take_if(|(_, lease)| !lease.is_held());
        self.seat.as_ref().map(|(seat, _)| *seat)
    }

    /// Gives it back if it came too late.
    fn sit(&mut self, seat: u32, lease: Lease) -> Option<Lease> {
        if self.leaves {
            return Some(lease);
        }
        self.seat = Some((seat, lease));
        None
    }

    fn most_are_held(&self, share: u32) -> bool {
        self.leaves || self.held.iter().flatten().count() >= share as usize
    }
}
