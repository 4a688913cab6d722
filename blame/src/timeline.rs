//! One CPU's time as five lanes, the first that covers an instant owning it: doubt, steal, hard
//! interrupts, softirqs, slices.

use crate::anomaly::Counts;
use crate::order::Hole;
use crate::owners::Owner;

/// One interval of one lane, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    pub(crate) owner: Owner,
}

/// Sorted disjoint spans in each lane.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// Spans of nobody: what the records say of them is not believed.
    pub(crate) doubts: Vec<Span>,
    /// Those of them where it is not known who had the CPU, whatever interrupted.
    disputed: Vec<Span>,
    /// The hypervisor's; filled once the waits are known.
    pub(crate) stolen: Vec<Span>,
    hard: Vec<Span>,
    soft: Vec<Span>,
    pub(crate) slices: Vec<Span>,
}

/// A CPU's intervals as the records tell them, in any order.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) slices: Vec<Span>,
    pub(crate) hard: Vec<Span>,
    pub(crate) soft: Vec<Span>,
    /// Spans of nobody: slices that contradict themselves.
    pub(crate) doubts: Vec<Span>,
    /// Spans of nobody: interrupts of which only one end was seen. No switch is at the other.
    pub(crate) half_seen: Vec<Span>,
    /// Where an interrupt may have been that no record tells of.
    pub(crate) holes: Vec<Hole>,
}

impl Draft {
    /// Sorts the lanes and puts everything that contradicts into the lane of doubt.
    pub(crate) fn finish(self, anomalies: &mut Counts) -> Timeline {
        let Self { mut slices, mut hard, mut soft, mut doubts, half_seen, holes } = self;
        // Switches come from all slices, also from those that nobody believes: their ends are real.
        let switches = switches(&slices, &doubts);
        for hole in holes {
            doubts.push(doubt(last_switch(&switches, hole.after_ns), hole.before_ns));
        }
        part(&mut slices, &mut doubts, "overlapping_slices", anomalies);
        let disputed = union(doubts.clone());
        doubts.extend(half_seen);
        for lane in [&mut hard, &mut soft] {
            across_switches(lane, &switches, &mut doubts, anomalies);
            part(lane, &mut doubts, "overlapping_interrupts", anomalies);
        }
        Timeline { doubts: union(doubts), disputed, stolen: Vec::new(), hard, soft, slices }
    }
}

fn doubt(from_ns: u64, to_ns: u64) -> Span {
    Span { from_ns, to_ns, owner: Owner::UNKNOWN }
}

fn switches(slices: &[Span], doubts: &[Span]) -> Vec<u64> {
    let mut at: Vec<_> = slices.iter().chain(doubts).flat_map(|s| [s.from_ns, s.to_ns]).collect();
    at.sort_unstable();
    at.dedup();
    at
}

/// A lost interrupt cannot have begun before the slice that it interrupted.
fn last_switch(switches: &[u64], at_ns: u64) -> u64 {
    let after = switches.partition_point(|&s| s <= at_ns);
    after.checked_sub(1).map_or(0, |i| switches[i])
}

/// No CPU switches tasks inside an interrupt, so one that seems to is wrong about its beginning
/// (or is a softirq in a thread that was preempted): its whole length is doubtful.
fn across_switches(
    lane: &mut [Span],
    switches: &[u64],
    doubts: &mut Vec<Span>,
    anomalies: &mut Counts,
) {
    for span in lane {
        let after = switches.partition_point(|&s| s <= span.from_ns);
        if switches.get(after).is_some_and(|&s| s < span.to_ns) {
            anomalies.count("interrupt_across_switch");
            doubts.push(doubt(span.from_ns, span.to_ns));
        }
    }
}

/// Makes a lane disjoint. Where two spans of it overlap neither is believed.
fn part(lane: &mut Vec<Span>, doubts: &mut Vec<Span>, kind: &'static str, anomalies: &mut Counts) {
    lane.sort_unstable();
    let mut end_ns = 0;
    lane.retain_mut(|span| {
        if span.from_ns < end_ns {
            anomalies.count(kind);
            doubts.push(doubt(span.from_ns, span.to_ns.min(end_ns)));
            span.from_ns = end_ns;
        }
        end_ns = end_ns.max(span.to_ns);
        span.from_ns < span.to_ns
    });
    lane.shrink_to_fit();
}

fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for span in spans.into_iter().filter(|s| s.from_ns < s.to_ns) {
        match merged.last_mut() {
            Some(last) if span.from_ns <= last.to_ns => last.to_ns = last.to_ns.max(span.to_ns),
            _ => merged.push(span),
        }
    }
    merged
}

/// A piece of a CPU's time with one owner, `None` where nothing is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    pub(crate) owner: Option<Owner>,
    /// Whether it is of the last lane: nothing lies over who ran.
    pub(crate) is_slice: bool,
}

/// How far into each lane a reader is: the next one begins to look there, since waits come in the
/// order of time, nearly.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    all: [usize; 5],
    occupants: [usize; 2],
}

impl Timeline {
    /// Cuts `[from_ns, to_ns)` where its owner changes.
    pub(crate) fn cut(
        &self,
        cursor: &mut Cursor,
        (from_ns, to_ns): (u64, u64),
        piece: impl FnMut(Piece),
    ) {
        let Self { doubts, stolen, hard, soft, slices, .. } = self;
        cut([doubts, stolen, hard, soft, slices], &mut cursor.all, (from_ns, to_ns), piece);
    }

    /// The same by who occupied the CPU, whatever interrupted.
    pub(crate) fn cut_slices(
        &self,
        cursor: &mut Cursor,
        span_ns: (u64, u64),
        piece: impl FnMut(Piece),
    ) {
        cut([&self.disputed, &self.slices], &mut cursor.occupants, span_ns, piece);
    }

    /// The slice that had the CPU at this instant.
    pub(crate) fn slice_at(&self, at_ns: u64) -> Option<Span> {
        let slice = self.slices.get(self.slices.partition_point(|s| s.to_ns <= at_ns))?;
        (slice.from_ns <= at_ns).then_some(*slice)
    }
}

fn cut<const N: usize>(
    lanes: [&Vec<Span>; N],
    starts: &mut [usize; N],
    (from_ns, to_ns): (u64, u64),
    mut piece: impl FnMut(Piece),
) {
    let mut next = [&[][..]; N];
    for ((next, lane), start) in next.iter_mut().zip(lanes).zip(starts) {
        *start = seek(lane, *start, from_ns);
        *next = &lane[*start..];
    }
    let mut at_ns = from_ns;
    while at_ns < to_ns {
        let (lane, until_ns) = lane_at(&mut next, at_ns);
        let owner = lane.and_then(|lane| next[lane].first()).map(|span| span.owner);
        let until_ns = until_ns.min(to_ns);
        let is_slice = lane == Some(N - 1);
        piece(Piece { from_ns: at_ns, to_ns: until_ns, owner, is_slice });
        at_ns = until_ns;
    }
}

/// The first span that ends after the instant, looked for from `start` on in steps that double.
fn seek(lane: &[Span], start: usize, at_ns: u64) -> usize {
    let is_over = |n: usize| lane[n].to_ns <= at_ns;
    let (mut low, mut high, mut step) = (start.min(lane.len()), start.min(lane.len()), 1);
    if high > 0 && !is_over(high - 1) {
        while step <= high && !is_over(high - step) {
            high -= step;
            step *= 2;
        }
        low = high.saturating_sub(step);
    } else {
        while low + step <= lane.len() && is_over(low + step - 1) {
            low += step;
            step *= 2;
        }
        high = (low + step).min(lane.len());
    }
    low + lane[low..high].partition_point(|span| span.to_ns <= at_ns)
}

/// Which lane owns the instant, and until when at the most. Spans that end by then are dropped from
/// the lanes, so the end is always later than the instant.
fn lane_at(lanes: &mut [&[Span]], at_ns: u64) -> (Option<usize>, u64) {
    let mut until_ns = u64::MAX;
    for (number, lane) in lanes.iter_mut().enumerate() {
        while lane.first().is_some_and(|span| span.to_ns <= at_ns) {
            *lane = &lane[1..];
        }
        let Some(span) = lane.first() else { continue };
        if span.from_ns <= at_ns {
            return (Some(number), until_ns.min(span.to_ns));
        }
        until_ns = until_ns.min(span.from_ns);
    }
    (None, until_ns)
}

#[cfg(test)]
mod tests;
