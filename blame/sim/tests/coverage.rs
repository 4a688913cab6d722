//! The model makes what real kernels make: every phenomenon and every class occurs.

mod seeds;

use std::collections::BTreeSet;

use cronx_blame::{Options, tiles};
use cronx_recording::Class;
use cronx_sim::{Counts, Phenomenon, STEPS};

/// A few hundred machines have it all.
const SEEDS: u64 = 600;

#[test]
fn every_phenomenon_and_every_class_occurs() {
    let (mut counts, mut classes) = (Counts::default(), BTreeSet::new());
    let mut said = BTreeSet::new();
    for seed in 0..SEEDS {
        let scenario = cronx_sim::simulate(seed, STEPS);
        counts.add(&scenario.counts);
        let waits = tiles(&scenario.capture, &Options::default());
        said.extend(waits.iter().flat_map(|wait| &wait.tiles).map(|tile| tile.class));
        let told = scenario.truth.waits.iter().filter(|wait| wait.told);
        for tile in told.flat_map(|wait| &wait.tiles) {
            classes.insert(tile.class);
            // What the hypervisor has the tile gives to who seemed to run.
            if tile.leeway.steal {
                classes.insert(Class::Steal);
            }
        }
    }
    let missing: Vec<_> = Phenomenon::ALL.iter().filter(|p| counts.of(**p) == 0).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
    let never: Vec<_> = Class::ALL.into_iter().filter(|class| !classes.contains(class)).collect();
    assert_eq!(never, [Class::Unknown], "the truth is never unknown, and everything else");
    assert_eq!(said, Class::ALL.into_iter().collect(), "blame says all of them");
}

#[test]
fn a_seed_is_one_machine() {
    seeds::check(100, |seed, steps| {
        let (one, two) = (cronx_sim::simulate(seed, steps), cronx_sim::simulate(seed, steps));
        let same = one.capture == two.capture && one.truth.waits == two.truth.waits;
        if same { Ok(()) } else { Err("two runs differ".to_owned()) }
    });
}
