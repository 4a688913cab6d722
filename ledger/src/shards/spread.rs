//! Which job is in which shard, and how many shards are whose: functions over plain data.

use std::time::Duration;

use cronx_scheduler::Utc;

use crate::claim::{Entry, State};

/// Which of so many shards a job is in: BLAKE3 of its name, in every version, since two owners that disagree
/// would both have it, or neither.
pub(super) fn shard_of(job: &str, count: u32) -> u32 {
    let mut hasher = blake3::Hasher::new_derive_key("cronx 2026-11 shard of a job");
    hasher.update(job.as_bytes());
    let digest = hasher.finalize();
    let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    // Smaller than the count, which is a u32.
    (u64::from_le_bytes(*first) % u64::from(count)) as u32
}

/// How many of so many shards an owner may have, of so many that live.
pub(super) fn share(count: u32, living: u32) -> u32 {
    count.div_ceil(living.max(1))
}

/// Whether whoever has it may be alive.
pub(super) fn is_alive(entry: &Entry, now: Utc) -> bool {
    ends_in(entry, now).is_some()
}

/// How long he has it still, unless he renews it; nothing if he has it not.
pub(super) fn ends_in(entry: &Entry, now: Utc) -> Option<Duration> {
    match entry.state {
        State::InFlight { until, .. } if until > now => Some(until.since(now)),
        _ => None,
    }
}

/// The order in which the owner of that seat looks at shards: each begins elsewhere, so that those who look
/// at once seldom want the same.
pub(super) fn order(count: u32, seat: u32) -> impl Iterator<Item = u32> {
    // The golden section: wherever the seats are, they are far apart.
    let first = (u64::from(seat) * 0x9e37_79b9 % u64::from(count)) as u32;
    (first..count).chain(0..first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_job_is_in_the_same_shard_in_every_version() {
        let shards = ["", "bill", "a/b", "ü"].map(|job| (shard_of(job, 16), shard_of(job, 7)));
        expect_test::expect!["[(4, 0), (11, 1), (9, 0), (6, 5)]"].assert_eq(&format!("{shards:?}"));
    }

    #[test]
    fn jobs_are_spread() {
        let mut counts = [0_u32; 16];
        for number in 0..16_000 {
            counts[shard_of(&format!("job {number}"), 16) as usize] += 1;
        }
        // Six standard deviations of so many draws: 6 * sqrt(1000 * 15/16).
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 184), "{counts:?}");
    }

    #[test]
    fn shares_hold_all_shards_and_no_owner_starves() {
        for count in 1..=64 {
            for living in 1..=count {
                assert!(share(count, living) * living >= count);
                // As long as an owner has less than others may have more, there is one to be taken.
                assert!((share(count, living) - 1) * living < count);
            }
        }
    }

    #[test]
    fn whoever_looks_sees_every_shard_once() {
        for (count, seat) in [(1, 0), (16, 0), (16, 5), (7, 6)] {
            let seen: Vec<u32> = order(count, seat).collect();
            assert_eq!(seen.len(), count as usize);
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..count).collect());
        }
    }
}
