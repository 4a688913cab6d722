//! What becomes of days: hot, warm, cold. One run of [`keep`] does all that is due, and may end anywhere: the
//! next one goes on.
//!
//! ```text
//!  the day ends    + hot             + warm                          + patience
//!  ├─ hot ─────────┼─ warm: sealed ──┼─ archived and verified, then  ┼─ who is not past it by now
//!  │  appended to  │  nothing        │  dropped once all consumers   │  has dead letters instead
//!  │               │  changes        │  are past it: cold            │
//! ```

use std::time::Duration;

use cronx_scheduler::Utc;

use super::archive::Archive;
use super::{Day, Dropped, Seal, Standing, Tables, Tier};
use crate::Error;

const DAY: Duration = Duration::from_hours(24);

/// How long a day stays where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Days after its end that it is hot; and that one which was brought back stays.
    pub hot: u32,
    /// Days after its end that it is in the store.
    pub warm: u32,
    /// Days after its end that it waits for consumers.
    pub patience: u32,
    /// Days for which ids of events are remembered: a retry that is later appends again.
    pub ids: u32,
    /// Days before it begins that it has a table, where the store wants that.
    pub ahead: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { hot: 7, warm: 90, patience: 120, ids: 30, ahead: 7 }
    }
}

/// What was done with a day.
#[derive(Debug, Clone)]
pub enum Done {
    /// It is warm.
    Sealed(Seal),
    /// It is cold; so many dead letters were made of it.
    Dropped {
        /// One for each event and consumer that had not had it.
        stragglers: u64,
    },
    /// It stays where it is: a consumer has not had all of it.
    Held,
    /// It is as it was.
    Failed(Error),
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Seal,
    Drop { stragglers: bool },
}

fn due(standing: &Standing, now: Utc, policy: &Policy) -> Option<Due> {
    let is_over = |since: Utc, days: u32| since + DAY * days <= now;
    let ends = standing.day.ends();
    match standing.tier {
        Tier::Hot => is_over(ends, policy.hot).then_some(Due::Seal),
        Tier::Cold(_) => None,
        Tier::Warm(_) if standing.is_restored && !is_over(standing.since, policy.hot) => None,
        Tier::Warm(_) => is_over(ends, policy.warm)
            .then(|| Due::Drop { stragglers: is_over(ends, policy.patience.max(policy.warm)) }),
    }
}

/// Does what is due, the oldest day first; what was done, or tried. One day that fails keeps no other.
pub async fn keep(
    tables: &dyn Tables,
    archive: &Archive,
    policy: &Policy,
) -> Result<Vec<(Day, Done)>, Error> {
    archive.sweep()?;
    let now = tables.now().await?;
    let today = Day::of(now);
    tables.prepare(today, Day(today.0 + i64::from(policy.ahead))).await?;
    let mut all = Vec::new();
    // What is sealed now may be due to be dropped.
    for _ in 0..2 {
        for standing in tables.days().await? {
            let is_known = |(day, done): &(Day, Done)| {
                *day == standing.day && !matches!(done, Done::Sealed(_))
            };
            if let Some(due) = due(&standing, now, policy)
                && !all.iter().any(is_known)
            {
                let done = fulfil(tables, archive, &standing, due).await;
                all.push((standing.day, done.unwrap_or_else(Done::Failed)));
            }
        }
    }
    tables.forget_ids(now - DAY * policy.ids).await?;
    Ok(all)
}

async fn fulfil(
    tables: &dyn Tables,
    archive: &Archive,
    standing: &Standing,
    due: Due,
) -> Result<Done, Error> {
    let day = standing.day;
    match (due, standing.tier) {
        (Due::Drop { stragglers }, Tier::Warm(seal)) => {
            let consumers = tables.consumers().await?;
            if !stragglers && consumers.iter().any(|(_, offset)| *offset < seal.last) {
                return Ok(Done::Held);
            }
            if archive.manifest(day).await?.is_none() {
                archive.export(tables, day, &seal).await?;
            }
            archive.verify(day, &seal).await?;
            Ok(match tables.drop_day(day, stragglers).await? {
                Dropped::Gone { stragglers } => Done::Dropped { stragglers },
                Dropped::Held => Done::Held,
            })
        }
        _ => Ok(Done::Sealed(tables.seal(day).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;

    const SEAL: Seal = Seal { count: 0, first: Position(0), last: Position(0), digest: [0; 32] };

    /// What is due on each day after the first, as the day's letter and the number when it changes.
    fn check(tier: Tier, restored_on: Option<i64>, expected: &str) {
        let (mut changes, mut before) = (Vec::new(), None);
        for number in 1..=200 {
            let since = Day(restored_on.unwrap_or(1)).begins();
            let is_restored = restored_on.is_some();
            let standing = Standing { day: Day(0), tier, since, is_restored };
            let due = due(&standing, Day(number).begins(), &Policy::default());
            if due != before {
                changes.push(format!("{number} {due:?}"));
            }
            before = due;
        }
        assert_eq!(changes.join("; "), expected);
    }

    #[test]
    fn each_tier_has_its_time() {
        check(Tier::Hot, None, "8 Some(Seal)");
        let waits = "Some(Drop { stragglers: false })";
        let ends = "Some(Drop { stragglers: true })";
        check(Tier::Warm(SEAL), None, &format!("91 {waits}; 121 {ends}"));
        check(Tier::Cold(SEAL), None, "");
        check(Tier::Warm(SEAL), Some(150), &format!("157 {ends}"));
    }
}
