//! Every wait with its tiles as numbers, for who compares them one by one.

use cronx_abi::TaskKey;
use cronx_recording::{Capture, Class};

use crate::anomaly::Counts;
use crate::evidence::{self, Evidence};
use crate::owners::{Kind, Owner};
use crate::tile::{Tile, Tiler};
use crate::waits::{self, Interval};
use crate::{Options, steal};

/// One wait and what it was spent on. Instants are CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TiledWait {
    /// Who waited.
    pub victim: TaskKey,
    /// When it became runnable.
    pub open_ns: u64,
    /// Its switch-in; of a censored wait the end of the window.
    pub close_ns: u64,
    /// Whether it was still open at the end of the window.
    pub censored: bool,
    /// In the order of time, disjoint, from `open_ns` to `close_ns` without a gap.
    pub tiles: Vec<TiledPiece>,
}

/// One tile, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TiledPiece {
    /// Its start.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// Its class.
    pub class: Class,
    /// Whose doing it was.
    pub who: Who,
    /// Where; `None` while the thread was on no queue, or on one that is not known.
    pub cpu: Option<u16>,
}

/// Whose doing a tile was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Nobody's, or nobody knows: the class says it all.
    Nobody,
    /// A task's. Of class unknown it is a task that no record tells of.
    Task(TaskKey),
    /// A handler's.
    Interrupt {
        /// One of [`cronx_abi::layer`].
        layer: u8,
        /// The number within the layer.
        vector: u32,
    },
}

/// Every wait, closed and censored, by victim and time.
pub(crate) fn tiles(capture: &Capture, options: &Options) -> Vec<TiledWait> {
    let mut anomalies = Counts::default();
    let mut evidence = evidence::collect(capture, &mut anomalies);
    let waits = waits::build(&mut evidence, options, &mut anomalies);
    steal::find(capture, &mut evidence);
    let mut tiler = Tiler::new(&evidence, &mut anomalies);
    let closed = waits.closed.iter().map(|interval| (false, interval));
    let censored = waits.censored.iter().map(|interval| (true, interval));
    let mut tiles = Vec::new();
    let tiled = closed.chain(censored).map(|(censored, interval)| {
        tiler.tile(interval, &mut tiles);
        wait(interval, censored, &tiles, &evidence)
    });
    let mut tiled: Vec<_> = tiled.collect();
    tiled.sort_by_key(|wait| (wait.victim, wait.open_ns, wait.close_ns));
    tiled
}

fn wait(interval: &Interval, censored: bool, tiles: &[Tile], evidence: &Evidence) -> TiledWait {
    TiledWait {
        victim: interval.wait.victim,
        open_ns: interval.wait.open_ns,
        close_ns: interval.close_ns,
        censored,
        tiles: tiles.iter().map(|tile| piece(tile, evidence)).collect(),
    }
}

fn piece(tile: &Tile, evidence: &Evidence) -> TiledPiece {
    let Tile { from_ns, to_ns, class, owner, cpu } = *tile;
    TiledPiece { from_ns, to_ns, class, who: who(owner, evidence), cpu }
}

fn who(owner: Owner, evidence: &Evidence) -> Who {
    match &evidence.owners.entry(owner).kind {
        Kind::Plain(_) => Who::Nobody,
        Kind::Interrupt { layer, vector } => Who::Interrupt { layer: *layer, vector: *vector },
        Kind::Task(named) => Who::Task(named.task),
    }
}

#[cfg(test)]
mod tests;
