//! Seeds for a property, fresh in each run, and the smallest scenario of one that fails.

use std::hash::{BuildHasher, RandomState};

use cronx_sim::{Random, STEPS};

/// Holds `property` against so many seeds, or as `CRONX_SIM_SEEDS` and `CRONX_SIM_SEED` say.
pub fn check(seeds: u64, property: impl Fn(u64, u64) -> Result<(), String>) {
    let asked = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = asked("CRONX_SIM_SEED") {
        return judge(seed, &property);
    }
    // The number is that of the exact property; others take their share of it.
    let seeds = asked("CRONX_SIM_SEEDS").map_or(seeds, |all| (all * seeds / 10_000).max(1));
    let mut fresh = Random::new(RandomState::new().hash_one(0));
    for _ in 0..seeds {
        judge(fresh.bits(), &property);
    }
}

/// A scenario fails as well with fewer events, often: the fewest are told.
fn judge(seed: u64, property: &impl Fn(u64, u64) -> Result<(), String>) {
    let Err(mut says) = property(seed, STEPS) else { return };
    let mut steps = STEPS;
    for fewer in 1..STEPS {
        if let Err(less) = property(seed, fewer) {
            (says, steps) = (less, fewer);
            break;
        }
    }
    panic!("CRONX_SIM_SEED={seed} fails with {steps} of {STEPS} events: {says}");
}
