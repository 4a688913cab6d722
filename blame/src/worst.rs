//! The longest waits one by one.

use cronx_abi::{TaskKey, Waker, opening};
use cronx_recording::{Miss, TileReport, Untrusted};

use crate::chain;
use crate::evidence::Evidence;
use crate::tile::Tile;
use crate::waits::{Interval, Waits};

/// One wait in words.
pub(crate) fn miss(
    interval: &Interval,
    tiles: &[Tile],
    waits: &Waits,
    evidence: &Evidence,
) -> Miss {
    let wait = &interval.wait;
    Miss {
        thread: evidence.strings.text(interval.victim.thread),
        process: evidence.strings.text(interval.victim.process),
        tid: wait.victim.tid,
        tgid: wait.victim.tgid,
        at_ns: wait.open_ns.saturating_sub(evidence.started_ns),
        waited_ns: interval.length_ns(),
        cpu: wait.cpu.into(),
        opening: opening_word(wait.opening).to_owned(),
        cgroup: evidence.classes.cgroups.path(interval.victim.cgroup),
        priority: interval.victim.known_priority(),
        chain: chain::links(interval, waits, evidence),
        waker: waker(&wait.waker, wait.open_ns, evidence),
        tiles: tiles.iter().map(|tile| tile_report(tile, wait.open_ns, evidence)).collect(),
    }
}

fn opening_word(value: u8) -> &'static str {
    match value {
        opening::WAKEUP => "wakeup",
        opening::FORK => "fork",
        opening::PREEMPTED => "preempted",
        _ => "unknown",
    }
}

/// The interrupt, if one woke: the task beneath it had no part in it.
fn waker(waker: &Waker, at_ns: u64, evidence: &Evidence) -> Untrusted {
    if waker.interrupt != 0 {
        let (layer, vector) = ((waker.interrupt >> 24) as u8, waker.interrupt & 0x00ff_ffff);
        return evidence.owners.interrupt_name(layer, vector).unwrap_or_default();
    }
    if waker.task == TaskKey::default() {
        return Untrusted::default();
    }
    let named = evidence.names.of(waker.task, at_ns);
    format!("{} ({})", evidence.strings.text(named.thread).raw(), waker.task.tid).into()
}

pub(crate) fn tile_report(tile: &Tile, open_ns: u64, evidence: &Evidence) -> TileReport {
    TileReport {
        from_ns: tile.from_ns - open_ns,
        length_ns: tile.length_ns(),
        class: tile.class,
        culprit: evidence.culprit(tile.owner),
        cpu: tile.cpu.map(u32::from),
    }
}

#[cfg(test)]
mod tests;
