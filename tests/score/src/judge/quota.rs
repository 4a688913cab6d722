//! A cgroup out of quota, against its own counter.

use anyhow::{Context, Result};
use cronx_blame::TiledWait;
use cronx_recording::Class;

use super::{Evidence, Row, RuleFigures, by_waits, percent, rules_of_thumb, total_ns};
use crate::score;
use crate::truth::{self, Real, Shares};

/// How far the two sums may be apart.
const COUNTER_BAR: f64 = 5.0;

/// Nobody else wants the CPU: the victim waits for quota alone, and the counter says how long.
pub(super) fn alone(evidence: &Evidence, row: &mut Row) -> Result<()> {
    compare(evidence, row)?;
    let real: Vec<_> = evidence
        .waits
        .iter()
        .map(|wait| {
            let length_ns = wait.close_ns - wait.open_ns;
            let mut shares: Shares = vec![0; evidence.cast.places()];
            shares[evidence.cast.class_place()] = length_ns;
            Real { length_ns, shares, ran: Vec::new() }
        })
        .collect();
    let stays: Vec<_> = evidence.waits.iter().map(|wait| truth::pinned(wait, 1)).collect();
    by_waits(evidence, row, &stays, &real);
    Ok(())
}

/// The counter has what was throttled, and the hog the rest: it runs whenever the victim does not.
pub(super) fn beside_a_hog(evidence: &Evidence, row: &mut Row) -> Result<()> {
    let counter_ns = compare(evidence, row)?;
    let blamed = evidence.waits.iter().map(|wait| {
        let all = truth::pinned(wait, 1);
        evidence.cast.blamed(wait, &all)
    });
    let blamed: Vec<_> = blamed.collect();
    let mut truth: Shares = vec![0; evidence.cast.places()];
    truth[evidence.cast.class_place()] = counter_ns;
    // The hog is the only actor.
    truth[0] = total_ns(&evidence.waits).saturating_sub(counter_ns);
    let blame = score::sum(&blamed);
    row.share_error = score::share_error(&truth, &blame);
    let hog = 100.0 * (blame[0] as f64 / truth[0].max(1) as f64 - 1.0);
    row.notes.push(format!("the hog's share {hog:+.2} %"));
    row.demand(hog.abs() <= COUNTER_BAR, || format!("the hog's share is {hog:+.2} % off"));
    row.rules = rules_of_thumb(evidence).map(|blamed| RuleFigures {
        top1: None,
        share_error: score::share_error(&truth, &score::sum(&blamed)),
    });
    Ok(())
}

/// Throttled waits against the counter, interrupts included: there is one victim, and before it one thread
/// that starts it, so that no two waits overlap.
fn compare(evidence: &Evidence, row: &mut Row) -> Result<u64> {
    let counter_ns = evidence.take.throttled_ns.context("no group was made")?;
    let ours_ns = evidence.everyones.iter().map(throttled_ns).sum();
    let excess = percent(ours_ns, counter_ns) - 100.0;
    row.notes.push(format!(
        "throttled {:.3} ms, cpu.stat {:.3} ms ({excess:+.2} %)",
        ours_ns as f64 / 1e6,
        counter_ns as f64 / 1e6
    ));
    row.demand(excess.abs() <= COUNTER_BAR, || format!("throttled is {excess:+.2} % off cpu.stat"));
    Ok(counter_ns)
}

/// From the opening to the refill: the last throttled tile ends with it.
fn throttled_ns(wait: &TiledWait) -> u64 {
    let last = wait.tiles.iter().rfind(|tile| tile.class == Class::Throttled);
    last.map_or(0, |tile| tile.to_ns - wait.open_ns)
}
