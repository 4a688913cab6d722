//! The chain behind a wake-up: the waker's own wait just before it, that one's waker's, and so on,
//! to the root culprit.
//!
//! ```text
//! C  waits for a compactor ....| runs, wakes B
//! B                             waits ...| runs, wakes A
//! A                                       waits
//! ```
//! A waker that was switched in, and then woke, ran all the time between: had it stopped, another
//! wait or an end that nobody saw would stand after the first. Where a record from between may be
//! lost, or has no need to be, there is no link.

use cronx_abi::{TaskKey, Wait};
use cronx_recording::Link;

use crate::anomaly::Counts;
use crate::evidence::Evidence;
use crate::tally::Tally;
use crate::tile::Tiler;
use crate::timeline::Span;
use crate::waits::{Interval, Waits, What};

/// Links that a chain has at the most.
const LINKS: usize = 8;

/// The chain of a wait, from its waker back. Every link lies before the one that it woke, so a
/// chain never comes back to itself.
pub(crate) fn links(interval: &Interval, waits: &Waits, evidence: &Evidence) -> Vec<Link> {
    let mut links = Vec::new();
    let mut woken = interval;
    while links.len() < LINKS
        && let Some(before) = waker(woken, waits, evidence)
    {
        links.extend(link(before, &woken.wait, evidence));
        woken = before;
    }
    links
}

/// The last wait of whoever woke `woken`.
fn waker<'a>(woken: &Interval, waits: &'a Waits, evidence: &Evidence) -> Option<&'a Interval> {
    let Wait { open_ns, waker, .. } = woken.wait;
    // An interrupt wakes from on top of a task that has no part in it.
    if waker.interrupt != 0 || waker.task == TaskKey::default() {
        return None;
    }
    let until = evidence.marks.partition_point(|m| (m.victim, m.at_ns) <= (waker.task, open_ns));
    let last = evidence.marks[..until].iter().rev().take_while(|m| m.victim == waker.task);
    let last = last.into_iter().find(|mark| !matches!(mark.what, What::Move { .. }))?;
    let is_wait = matches!(last.what, What::Wait(_));
    let before = is_wait.then(|| waits.closed_at(waker.task, last.at_ns)).flatten()?;
    let earlier = before.wait.open_ns < open_ns;
    let certain = !evidence.losses.any_within(before.close_ns, open_ns);
    (earlier && certain && unbroken(before, open_ns, evidence)).then_some(before)
}

/// Whether the waker ran from its switch-in on. Where short waits have no record, a told slice is
/// the only proof.
fn unbroken(before: &Interval, open_ns: u64, evidence: &Evidence) -> bool {
    let timeline = evidence.timelines.get(&before.wait.cpu);
    let slice = timeline.and_then(|timeline| timeline.slice_at(before.close_ns));
    let is_its =
        |slice: &Span| evidence.owners.entry(slice.owner).task() == Some(before.wait.victim);
    match slice.filter(is_its) {
        Some(slice) => slice.to_ns >= open_ns,
        None => evidence.floor_ns == 0,
    }
}

/// `None` for a wait of no length.
fn link(before: &Interval, woken: &Wait, evidence: &Evidence) -> Option<Link> {
    let mut tiles = Vec::new();
    // Counted when the wait itself was tiled.
    let mut anomalies = Counts::default();
    Tiler::new(evidence, &mut anomalies).tile(before, &mut tiles);
    let mut tally = Tally::default();
    tally.add(&tiles);
    let &(owed_ns, (class, owner)) = tally.largest_first().first()?;
    let strings = &evidence.strings;
    Some(Link {
        thread: strings.text(before.victim.thread),
        process: strings.text(before.victim.process),
        tid: before.wait.victim.tid,
        tgid: before.wait.victim.tgid,
        waited_ns: before.length_ns(),
        ran_ns: woken.open_ns - before.close_ns,
        class,
        culprit: evidence.culprit(owner),
        owed_ns,
    })
}

#[cfg(test)]
mod tests;
