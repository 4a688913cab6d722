//! Many owners of one tenant's jobs: the jobs are spread over shards, and each shard is somebody's.
//!
//! ```text
//!  job ─BLAKE3─► shard ─lease with a fence─► owner        16 shards, 3 owners: 6, 6 and 4
//!                                            └─ seat      a lease too: who has one, lives
//! ```
//! Each owner has a *seat*, so that all can count who lives, and may have `shards / owners` of the shards,
//! rounded up. Three times in a lease, and when another's ends, he looks: takes what nobody has as far as he
//! may have it, and is asked for what he has above that. A shard whose owner is gone is taken when its lease
//! has lapsed and somebody looks: within two leases.
//!
//! There is no agreement among owners but through the store: every claim, and every cursor, is written in one
//! transaction that checks the fence of the shard. So whoever has lost a shard and does not know it is
//! refused, and the next one goes on at the cursor: no instant is lost, and none begins twice, on the way.
//!
//! **What it does not do.** It moves no job: it says which shards are gained, wanted back and lost, and its
//! user starts and stops what is in them. Whoever has no seat, since there are as many owners as shards,
//! waits for one.

mod beat;
mod spread;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::act::{Act, Guard, Reply};
use crate::claim::{Claim, Refusal, Verdict};
use crate::key::Key;
use crate::tenure::{Lease, bid};
use crate::{Error, Ledger};

/// Most shards that a tenant's jobs are spread over.
pub const SHARDS_MOST: u32 = 1024;
/// Less than that a store's answer may take.
const LEASE_LEAST: Duration = Duration::from_millis(100);
/// How often a store that is not there is asked again, as long as the shard is ours.
const AGAIN: Duration = Duration::from_millis(250);

/// How jobs are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Over how many shards, 1 to [`SHARDS_MOST`]: what the first owner says is written down, and stays.
    /// `None` for what is written there; else for 16.
    pub shards: Option<u32>,
    /// How long an owner may be unheard of and keep what he has: a tenth of a second or more, and the same for
    /// all of a tenant's.
    pub lease: Duration,
}

impl Options {
    /// Shards, if nobody says how many.
    pub const USUAL_SHARDS: u32 = 16;
    /// Long enough for a server that starts again.
    pub const USUAL_LEASE: Duration = Duration::from_secs(15);
}

impl Default for Options {
    fn default() -> Self {
        Self { shards: None, lease: Self::USUAL_LEASE }
    }
}

/// What became of a shard.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is ours: its jobs go on where the ledger says.
    Gained(u32),
    /// Others should have it: once nothing of it runs, it is to be given back. Whoever does not do so keeps
    /// it, and is asked again.
    Wanted(u32),
    /// It is not ours any more: nothing of it may start, and what runs will be refused.
    Lost(u32),
    /// The store cannot be asked what lives and what is free, and this is another reason than the last. What
    /// is ours will be lost unless it can be asked again.
    Failing(Error),
}

/// The shards of one owner.
pub struct Shards {
    ledger: Arc<dyn Ledger>,
    tenant: Arc<str>,
    owner: Arc<str>,
    count: u32,
    lease: Duration,
    state: Mutex<State>,
    tell: UnboundedSender<Change>,
}

#[derive(Default)]
struct State {
    seat: Option<(u32, Lease)>,
    /// By shard.
    held: Vec<Option<Held>>,
    /// Whether none is to be taken any more.
    leaves: bool,
}

/// A shard that is ours.
struct Held {
    lease: Lease,
    /// Who has it: another name each time, so that what was left when it was lost is seen to be left.
    owner: Arc<str>,
    /// Whether nothing of it is to begin.
    is_closed: bool,
    /// When it was last asked for.
    wanted: Option<Instant>,
}

/// By what right something of a job is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Right {
    pub(crate) owner: Arc<str>,
    pub(crate) guard: Guard,
}

impl Shards {
    /// Joins the owners of a tenant's jobs. `owner` must be a name that no other life of a process has had.
    /// Gives what becomes of shards, too; it is to be listened to. Needs a runtime.
    pub async fn join(
        ledger: Arc<dyn Ledger>,
        tenant: &str,
        owner: Arc<str>,
        options: Options,
    ) -> Result<(Arc<Self>, UnboundedReceiver<Change>), Error> {
        let (tell, changes) = unbounded_channel();
        let options = Options { lease: options.lease.max(LEASE_LEAST), ..options };
        let Options { shards, lease } = options;
        let count = agreed(&ledger, tenant, &owner, options).await?;
        if let Some(asked) = shards.filter(|&asked| asked != count) {
            let (place, tenant) = (ledger.place().to_owned(), tenant.to_owned());
            return Err(Error::Spread { place, tenant, found: count, asked });
        }
        let held = (0..count).map(|_| None).collect();
        let state = Mutex::new(State { held, ..State::default() });
        let tenant = tenant.into();
        let shards = Arc::new(Self { ledger, tenant, owner, count, lease, state, tell });
        tokio::spawn(beat::beats(Arc::downgrade(&shards), lease / 3));
        Ok((shards, changes))
    }

    /// How many there are, of all owners together.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Which one a job is in.
    pub fn shard_of(&self, job: &str) -> u32 {
        spread::shard_of(job, self.count)
    }

    /// Those that are ours now, by number.
    pub fn ours(&self) -> Vec<u32> {
        let state = self.state();
        let is_ours = |shard: &u32| state.held(*shard).is_some_and(|held| held.lease.is_held());
        (0..self.count).filter(is_ours).collect()
    }

    /// Lets nothing of it begin any more; it stays ours.
    pub fn close(&self, shard: u32) {
        self.set_closed(shard, true);
    }

    /// Lets what is in it begin again.
    pub fn open(&self, shard: u32) {
        self.set_closed(shard, false);
    }

    fn set_closed(&self, shard: u32, is_closed: bool) {
        if let Some(held) = self.state().held_mut(shard) {
            held.is_closed = is_closed;
        }
    }

    /// Lets others have it at once. What of it still runs is begun by the next one, too.
    pub async fn give_back(&self, shard: u32) -> Result<(), Error> {
        let held = self.state().take(shard);
        match held {
            Some(Held { lease, .. }) => lease.give_back().await,
            None => Ok(()),
        }
    }

    /// Takes no shard from now on, and gives up the seat, so that others may have more. What it has, it keeps
    /// until it is given back.
    pub async fn withdraw(&self) -> Result<(), Error> {
        let seat = {
            let mut state = self.state();
            state.leaves = true;
            state.seat.take()
        };
        match seat {
            Some((_, lease)) => lease.give_back().await,
            None => Ok(()),
        }
    }

    /// By what right something of this job may begin, if it may.
    pub(crate) fn right(&self, job: &str) -> Option<Right> {
        let state = self.state();
        let held = state.held(self.shard_of(job)).filter(|held| !held.is_closed)?;
        let right = || Right { owner: Arc::clone(&held.owner), guard: held.lease.guard().clone() };
        held.lease.is_held().then(right)
    }

    /// Whether a store that does not answer is to be asked again: what is not written down of a job that we
    /// keep would be missed until another has it.
    pub(crate) async fn asks_again(&self, job: &str) -> bool {
        tokio::time::sleep(AGAIN).await;
        self.is_ours(job)
    }

    /// The same, for a thread that may wait.
    pub(crate) fn asks_again_and_waits(&self, job: &str) -> bool {
        std::thread::sleep(AGAIN);
        self.is_ours(job)
    }

    fn is_ours(&self, job: &str) -> bool {
        self.state().held(self.shard_of(job)).is_some_and(|held| held.lease.is_held())
    }

    pub(crate) fn not_ours(&self, job: &str) -> Error {
        Error::NotOurs { job: job.to_owned(), shard: self.shard_of(job) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&self, shard: u32) -> Option<&Held> {
        self.held.get(shard as usize)?.as_ref()
    }

    fn held_mut(&mut self, shard: u32) -> Option<&mut Held> {
        self.held.get_mut(shard as usize)?.as_mut()
    }

    fn take(&mut self, shard: u32) -> Option<Held> {
        self.held.get_mut(shard as usize)?.take()
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tenant, owner, count) = (&self.tenant, &self.owner, self.count);
        f.debug_struct("Shards")
            .field("tenant", tenant)
            .field("owner", owner)
            .field("count", &count)
            .field("ours", &self.ours())
            .finish_non_exhaustive()
    }
}

/// Over how many shards a tenant's jobs are spread: as it is written, or from now on as it is asked for.
async fn agreed(
    ledger: &Arc<dyn Ledger>,
    tenant: &str,
    owner: &Arc<str>,
    options: Options,
) -> Result<u32, Error> {
    let wanted = options.shards.unwrap_or(Options::USUAL_SHARDS).clamp(1, SHARDS_MOST);
    let key = Key::lease(tenant, "shards")?;
    loop {
        let (owner, lease) = (Arc::clone(owner), options.lease);
        let claim = Claim { owner, bid: bid(), fingerprint: None, lease, sole: false };
        match ledger.act(Act::Claim { key: key.clone(), claim }).await? {
            Reply::Verdict(Verdict::Granted { fence, .. }) => {
                let (key, result) = (key.clone(), wanted.to_string().into());
                // Whatever came between: it is read again.
                ledger.act(Act::Complete { key, fence, result }).await?;
            }
            Reply::Verdict(Verdict::Refused(Refusal::Done { result })) => {
                let written = result.parse().ok().filter(|count| (1..=SHARDS_MOST).contains(count));
                return written.ok_or_else(|| Error::Torn {
                    place: ledger.place().to_owned(),
                    row: format!("the entry {key}"),
                    reason: format!("'{result}' is no number of shards"),
                });
            }
            Reply::Verdict(Verdict::Refused(Refusal::InFlight { .. })) => {
                tokio::time::sleep(options.lease / 4).await;
            }
            other => return Err(Error::Answer { answer: format!("{other:?}") }),
        }
    }
}
