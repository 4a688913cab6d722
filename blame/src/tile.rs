//! One wait and the timelines to tiles: disjoint, in order, and summing to the wait exactly.

use cronx_abi::opening;
use cronx_recording::Class;
use rustc_hash::FxHashMap;

use crate::anomaly::Counts;
use crate::class::Classes;
use crate::evidence::Evidence;
use crate::owners::{Owner, Owners};
use crate::stays::{self, Stay};
use crate::throttle::{Phase, Throttle};
use crate::timeline::{Cursor, Piece, Timeline};
use crate::waits::Interval;

/// A piece of a wait, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    pub(crate) class: Class,
    pub(crate) owner: Owner,
    /// `None` while the thread was on no queue, or on one that is not known.
    pub(crate) cpu: Option<u16>,
}

impl Tile {
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns - self.from_ns
    }
}

/// Cuts waits into tiles, one after the other.
pub(crate) struct Tiler<'a> {
    pub(crate) evidence: &'a Evidence<'a>,
    pub(crate) anomalies: &'a mut Counts,
    /// Waits whose tiles did not sum to them: always 0.
    pub(crate) unbalanced: u64,
    stays: Vec<Stay>,
    /// By CPU, where the last wait was cut.
    cursors: FxHashMap<u16, Cursor>,
}

impl<'a> Tiler<'a> {
    pub(crate) fn new(evidence: &'a Evidence<'a>, anomalies: &'a mut Counts) -> Self {
        Self {
            evidence,
            anomalies,
            unbalanced: 0,
            stays: Vec::new(),
            cursors: FxHashMap::default(),
        }
    }

    /// Replaces what is in `tiles` by the tiles of `interval`.
    pub(crate) fn tile(&mut self, interval: &Interval, tiles: &mut Vec<Tile>) {
        let Evidence { owners, classes, marks, .. } = self.evidence;
        let mut stays = std::mem::take(&mut self.stays);
        let connects = stays::of(interval, &marks[interval.moves.clone()], &mut stays);
        let mut row = Row { owners, classes, interval, tiles };
        row.tiles.clear();
        if connects {
            let throttle = Throttle::of(interval, &stays, self.evidence, self.anomalies);
            self.placement(&throttle, &mut row);
            for stay in &stays {
                self.along(stay, &throttle, &mut row);
            }
        } else {
            self.anomalies.count("moves_missing");
            self.placement(&Throttle::perhaps(interval), &mut row);
            row.lay(interval.wait.queued_ns, interval.close_ns, Owner::UNKNOWN, None);
        }
        self.stays = stays;
        self.unbalanced += u64::from(!balances(interval, tiles));
    }

    /// From the opening to the queue: only a wake-up takes time for it.
    fn placement(&mut self, throttle: &Throttle, row: &mut Row) {
        let wait = &row.interval.wait;
        if wait.opening != opening::WAKEUP {
            self.anomalies.add("queued_late", u64::from(wait.open_ns < wait.queued_ns));
            return row.lay(wait.open_ns, wait.queued_ns, Owner::UNKNOWN, None);
        }
        throttle.parts(wait.open_ns, wait.queued_ns, |phase, from_ns, to_ns| match phase {
            Phase::Throttled => row.lay(from_ns, to_ns, Owner::THROTTLED, None),
            Phase::Doubtful => row.lay(from_ns, to_ns, Owner::UNKNOWN, None),
            Phase::Waiting => self.placed(from_ns, to_ns, row),
        });
    }

    /// A chosen CPU that is idle is leaving idle already. What interrupts it does not count until
    /// the thread is queued there.
    fn placed(&mut self, from_ns: u64, to_ns: u64, row: &mut Row) {
        let cpu = row.interval.wait.first_cpu;
        let Some(timeline) = self.evidence.timelines.get(&cpu) else {
            return row.lay(from_ns, to_ns, Owner::PLACEMENT, None);
        };
        let cursor = self.cursors.entry(cpu).or_default();
        timeline.cut_slices(cursor, (from_ns, to_ns), |piece| {
            let (owner, cpu) = match piece.owner {
                Some(Owner::IDLE) => (Owner::IDLE_EXIT, Some(cpu)),
                Some(Owner::UNKNOWN) => (Owner::UNKNOWN, None),
                _ => (Owner::PLACEMENT, None),
            };
            row.lay(piece.from_ns, piece.to_ns, owner, cpu);
        });
    }

    /// One stay on one queue, as far as the wait goes.
    fn along(&mut self, stay: &Stay, throttle: &Throttle, row: &mut Row) {
        let Stay { cpu, from_ns, .. } = *stay;
        let to_ns = stay.to_ns.min(row.interval.close_ns);
        let Some(timeline) = self.evidence.timelines.get(&cpu) else {
            return row.lay(from_ns, to_ns, Owner::UNKNOWN, Some(cpu));
        };
        let cursor = self.cursors.entry(cpu).or_default();
        throttle.parts(from_ns, to_ns, |phase, from_ns, to_ns| {
            let found = Found::at(timeline, from_ns, throttle.leaves_doubt_at(from_ns));
            timeline.cut(cursor, (from_ns, to_ns), |piece| {
                let mut owner = owed(phase, &piece, &found);
                if row.owners.entry(owner).task() == Some(row.interval.wait.victim) {
                    // Nobody waits for a CPU while running on it: one of the two records lies.
                    self.anomalies.count("victim_ran");
                    owner = Owner::UNKNOWN;
                }
                row.lay(piece.from_ns, piece.to_ns, owner, Some(cpu));
            });
        });
    }
}

/// The idle slice that a thread found when it came to a queue, or could run there at last.
struct Found {
    until_ns: u64,
    owner: Owner,
}

impl Found {
    /// `doubtful` if when it could run is not known, so that what it found is not either.
    fn at(timeline: &Timeline, from_ns: u64, doubtful: bool) -> Self {
        let idle = timeline.slice_at(from_ns).filter(|slice| slice.owner == Owner::IDLE);
        let until_ns = idle.map_or(from_ns, |slice| slice.to_ns);
        Self { until_ns, owner: if doubtful { Owner::UNKNOWN } else { Owner::IDLE_EXIT } }
    }
}

/// Whom a queued thread owes a piece of its CPU's time. A throttled one owes nothing to who ran.
fn owed(phase: Phase, piece: &Piece, found: &Found) -> Owner {
    let occupant = match phase {
        Phase::Throttled => Owner::THROTTLED,
        Phase::Doubtful => Owner::UNKNOWN,
        Phase::Waiting if piece.from_ns < found.until_ns => found.owner,
        Phase::Waiting => return piece.owner.unwrap_or(Owner::UNKNOWN),
    };
    match piece.owner {
        Some(owner) if !piece.is_slice => owner,
        _ => occupant,
    }
}

/// The tiles of one wait, in the making.
struct Row<'a> {
    owners: &'a Owners<'a>,
    classes: &'a Classes<'a>,
    interval: &'a Interval,
    tiles: &'a mut Vec<Tile>,
}

impl Row<'_> {
    /// Appends a tile; it becomes part of the last one if nothing parts them.
    fn lay(&mut self, from_ns: u64, to_ns: u64, owner: Owner, cpu: Option<u16>) {
        if from_ns >= to_ns {
            return;
        }
        match self.tiles.last_mut() {
            Some(last) if (last.owner, last.cpu, last.to_ns) == (owner, cpu, from_ns) => {
                last.to_ns = to_ns;
            }
            _ => {
                let class = self.classes.of(self.owners.entry(owner), &self.interval.victim);
                self.tiles.push(Tile { from_ns, to_ns, class, owner, cpu });
            }
        }
    }
}

fn balances(interval: &Interval, tiles: &[Tile]) -> bool {
    let mut at_ns = interval.wait.open_ns;
    for tile in tiles {
        if tile.from_ns != at_ns {
            return false;
        }
        at_ns = tile.to_ns;
    }
    at_ns == interval.close_ns
}

#[cfg(test)]
mod tests;
