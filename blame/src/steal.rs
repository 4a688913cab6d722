//! Time that the hypervisor had: only where the sampling clock stood still *and* the kernel counted
//! stolen time.
//!
//! The clock of a CPU that somebody waits for ticks once a period on top of the task that runs. If
//! it did not, for longer than 2.5 periods, though a watched thread was queued there and tasks ran
//! there all the time, then the CPU made no progress, or kept its interrupts off. Where the kernel's
//! own count has at least half of what is missing, it was the former.
//!
//! ```text
//! sample      due      due      due   sample
//!   |          |        x        x      |
//!   |  period  |         stolen         |      at most what the count has left
//! ```
//! The clock ticks at once when the CPU is back, so the end is certain, and the last tick that came
//! in time lies at most a period before the beginning. Each count is given out once: a second gap in
//! its interval gets what the first left. Where a gap is in doubt but for its counts, it is unknown.

use std::collections::BTreeMap;

use cronx_recording::{Capture, Stolen};

use crate::evidence::Evidence;
use crate::owners::Owner;
use crate::timeline::{Cursor, Span, Timeline};
use crate::waits::{Mark, What};

/// Fills the stolen lanes. The marks must be in order.
pub(crate) fn find(capture: &Capture, evidence: &mut Evidence) {
    let Some(period_ns) = 1_000_000_000_u64.checked_div(capture.header.sample_hz.into()) else {
        return;
    };
    let mut counts = by_cpu(capture);
    if counts.is_empty() {
        return;
    }
    let open = gates(evidence);
    for (cpu, timeline) in &mut evidence.timelines {
        let (Some(counts), Some(open)) = (counts.get_mut(cpu), open.get(cpu)) else { continue };
        let samples = evidence.samples.get(cpu).map_or(&[][..], Vec::as_slice);
        let gaps = samples.windows(2).map(|pair| (pair[0].at_ns, pair[1].at_ns));
        let stood_still = gaps.filter(|(from_ns, to_ns)| (to_ns - from_ns) / 5 > period_ns / 2);
        let watched = stood_still.filter(|gap| covers(open, *gap));
        timeline.stolen =
            watched.filter_map(|gap| stolen(gap, period_ns, timeline, counts)).collect();
    }
}

fn by_cpu(capture: &Capture) -> BTreeMap<u16, Vec<Stolen>> {
    let mut counts: BTreeMap<u16, Vec<Stolen>> = BTreeMap::new();
    for stolen in capture.trailer.iter().flat_map(|trailer| &trailer.steal) {
        if let Ok(cpu) = u16::try_from(stolen.cpu) {
            counts.entry(cpu).or_default().push(*stolen);
        }
    }
    for counts in counts.values_mut() {
        counts.sort_unstable_by_key(|count| (count.from_ns, count.to_ns));
    }
    counts
}

/// What of a gap was stolen: nothing where idle or nobody known had the CPU, unknown where that is
/// in doubt.
fn stolen(
    (from_ns, to_ns): (u64, u64),
    period_ns: u64,
    timeline: &Timeline,
    counts: &mut [Stolen],
) -> Option<Span> {
    let (mut occupied, mut doubtful) = (true, false);
    timeline.cut_slices(&mut Cursor::default(), (from_ns, to_ns), |piece| match piece.owner {
        Some(Owner::UNKNOWN) => doubtful = true,
        Some(owner) => occupied &= owner != Owner::IDLE,
        None => occupied = false,
    });
    if !occupied {
        return None;
    }
    let missing_ns = to_ns - from_ns - period_ns;
    let had_ns = take(counts, (from_ns, to_ns), missing_ns)?;
    Some(if doubtful {
        Span { from_ns, to_ns, owner: Owner::UNKNOWN }
    } else {
        Span { from_ns: to_ns - had_ns, to_ns, owner: Owner::STEAL }
    })
}

/// Takes from the counts that overlap the gap, if they have at least half of what is missing.
fn take(counts: &mut [Stolen], (from_ns, to_ns): (u64, u64), missing_ns: u64) -> Option<u64> {
    let within = |count: &Stolen| {
        let overlap_ns = count.to_ns.min(to_ns).saturating_sub(count.from_ns.max(from_ns));
        overlap_ns.min(count.stolen_ns)
    };
    let had_ns = counts.iter().map(within).fold(0, u64::saturating_add).min(missing_ns);
    if had_ns < missing_ns.div_ceil(2) {
        return None;
    }
    let mut left_ns = had_ns;
    for count in counts {
        let taken_ns = within(count).min(left_ns);
        count.stolen_ns -= taken_ns;
        left_ns -= taken_ns;
    }
    Some(had_ns)
}

/// When somebody watched was certainly queued on each CPU: disjoint and in order. Of a thread that
/// moved only the last stay counts.
fn gates(evidence: &Evidence) -> BTreeMap<u16, Vec<(u64, u64)>> {
    let mut open: BTreeMap<u16, Vec<(u64, u64)>> = BTreeMap::new();
    for of_victim in evidence.marks.chunk_by(|a, b| a.victim == b.victim) {
        for (before, mark) in std::iter::once(None).chain(of_victim.iter().map(Some)).zip(of_victim)
        {
            if let Some((cpu, stay)) = last_stay(before, mark, evidence) {
                open.entry(cpu).or_default().push(stay);
            }
        }
    }
    for stays in open.values_mut() {
        stays.sort_unstable();
        stays.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            last.1 = if touches { last.1.max(next.1) } else { last.1 };
            touches
        });
    }
    open
}

/// On which CPU and when the wait that ends with `mark` was queued last.
fn last_stay(before: Option<&Mark>, mark: &Mark, evidence: &Evidence) -> Option<(u16, (u64, u64))> {
    let (What::Wait(number) | What::Open(number)) = mark.what else { return None };
    let wait = &evidence.waits[number as usize];
    let from_ns = match before.map(|before| (before.what, before.at_ns)) {
        _ if wait.moves == 0 && wait.first_cpu == wait.cpu => wait.queued_ns,
        Some((What::Move { to, .. }, at_ns)) if to == wait.cpu => at_ns.max(wait.queued_ns),
        _ => return None,
    };
    (from_ns < mark.at_ns).then_some((wait.cpu, (from_ns, mark.at_ns)))
}

fn covers(open: &[(u64, u64)], (from_ns, to_ns): (u64, u64)) -> bool {
    let after = open.partition_point(|stay| stay.0 <= from_ns);
    after.checked_sub(1).is_some_and(|i| open[i].1 >= to_ns)
}

#[cfg(test)]
mod tests;
