//! When evidence is lost, what was true may become unknown, and nothing else happens.

mod compare;
mod seeds;

use compare::Strict;
use cronx_blame::{Options, TiledWait, analyse, tiles};
use cronx_recording::Capture;
use cronx_sim::damage::{Damage, inflict};
use cronx_sim::{Random, Scenario, TrueWait};

/// A tenth of the exact property's, each damaged in every way.
const SEEDS: u64 = 1_000;

#[test]
fn lost_records_only_make_blame_unknown() {
    seeds::check(SEEDS, |seed, steps| {
        let scenario = cronx_sim::simulate(seed, steps);
        let mut random = Random::new(!seed);
        let one_in = 2 + random.below(60);
        let run = 1 + random.below(40);
        let ways = [
            (Damage::Drop { one_in, names: false }, Strict::Lost),
            (Damage::Drop { one_in, names: true }, Strict::NamesLost),
            (Damage::DropRun(run), Strict::NamesLost),
            (Damage::Truncate, Strict::NamesLost),
            (Damage::Tear, Strict::NamesLost),
        ];
        ways.into_iter().try_for_each(|(damage, strict)| {
            let mut capture = scenario.capture.clone();
            let gone = inflict(&mut capture, damage, &mut random);
            let honest = if random.one_in(5) { is_honest(&capture, gone) } else { Ok(()) };
            let true_too = || holds(&scenario, &capture, strict);
            honest.and_then(|()| true_too()).map_err(|says| format!("{damage:?}: {says}"))
        })
    });
}

#[test]
fn doubled_and_shuffled_records_change_nothing() {
    seeds::check(SEEDS, |seed, steps| {
        let scenario = cronx_sim::simulate(seed, steps);
        let mut random = Random::new(!seed);
        let whole = tiles(&scenario.capture, &Options::default());
        [Damage::Double, Damage::Shuffle].into_iter().try_for_each(|damage| {
            let mut capture = scenario.capture.clone();
            inflict(&mut capture, damage, &mut random);
            let same = tiles(&capture, &Options::default()) == whole;
            if same { Ok(()) } else { Err(format!("{damage:?} changes something")) }
        })
    });
}

fn holds(scenario: &Scenario, capture: &Capture, strict: Strict) -> Result<(), String> {
    tiles(capture, &Options::default()).iter().try_for_each(|said| {
        let truth = whole(scenario, said).ok_or_else(|| format!("never so long: {said:?}"))?;
        compare::tiles(said, truth, strict)
    })
}

/// What the Report owns up to.
fn is_honest(capture: &Capture, gone: u64) -> Result<(), String> {
    let health = analyse(capture, &Options::default()).health;
    if health.unbalanced > 0 {
        return Err(format!("{} waits do not sum", health.unbalanced));
    }
    if capture.trailer.is_some() && health.missing < gone {
        return Err(format!("{gone} are gone and {} are missed", health.missing));
    }
    Ok(())
}

/// The true wait that holds all of what is said to be one. A torn Capture does not say when the
/// window closed: there a wait may go on as long as it did.
fn whole<'a>(scenario: &'a Scenario, said: &TiledWait) -> Option<&'a TrueWait> {
    let holds = |wait: &&TrueWait| {
        let close_ns = wait.ran_ns.unwrap_or(u64::MAX);
        wait.victim == said.victim && wait.open_ns <= said.open_ns && said.close_ns <= close_ns
    };
    scenario.truth.waits.iter().find(holds)
}
