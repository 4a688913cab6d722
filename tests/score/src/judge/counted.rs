//! Where nobody logs: the sum of a class against what the kernel counted of it.

use anyhow::{Context, Result};
use cronx_abi::TaskKey;
use cronx_blame::{TiledPiece, TiledWait, Who};
use cronx_recording::Class;

use super::{Evidence, Row, demand_rest, percent, total_ns};
use crate::oracles;

/// The threads of a load begin on any CPU, and only then go to their own.
const SETTLING_NS: u64 = 50_000_000;

/// Kernel workers: the victim always wants their CPU, and so waits whenever one runs. The kernel counts
/// as theirs what interrupts them, and what the host takes.
pub(super) fn workers(evidence: &Evidence, row: &mut Row) {
    let counted = &evidence.take.load.counted;
    let tids: Vec<_> = counted.iter().map(|(tid, _)| *tid).collect();
    let ours_ns = charged_ns(evidence, |task| tids.contains(&task.tid));
    let counted_ns: u64 = counted.iter().map(|(_, ns)| ns).sum();
    row.demand(counted_ns > 0, || "no worker ran".to_owned());
    compare(evidence, row, ours_ns, counted_ns);
}

/// What of the waits the kernel counts as theirs: with what interrupts them.
fn charged_ns(evidence: &Evidence, are_theirs: impl Fn(TaskKey) -> bool) -> u64 {
    let tiles = evidence.waits.iter().flat_map(|wait| &wait.tiles);
    tiles.map(|tile| of_tile_ns(tile, &are_theirs, evidence)).sum()
}

fn of_tile_ns(
    tile: &TiledPiece,
    are_theirs: &impl Fn(TaskKey) -> bool,
    evidence: &Evidence,
) -> u64 {
    if matches!(tile.who, Who::Task(task) if are_theirs(task)) {
        return tile.to_ns - tile.from_ns;
    }
    let (Class::Irq | Class::Softirq | Class::Steal, Some(cpu)) = (tile.class, tile.cpu) else {
        return 0;
    };
    let beneath = evidence.slices.within(cpu, tile.from_ns, tile.to_ns).iter();
    let theirs = beneath.filter(|slice| are_theirs(slice.task));
    theirs.map(|slice| slice.to_ns.min(tile.to_ns) - slice.from_ns.max(tile.from_ns)).sum()
}

/// The profiler's own time: it has no other CPU than the victim's.
pub(super) fn profiler(evidence: &Evidence, row: &mut Row) -> Result<()> {
    let trailer = evidence.take.capture.trailer.as_ref().context("the capture is torn")?;
    let tgid = evidence.take.capture.header.profiler_tgid;
    let ours_ns = charged_ns(evidence, |task| task.tgid == tgid);
    compare(evidence, row, ours_ns, trailer.profiler_cpu_ns);
    Ok(())
}

fn compare(evidence: &Evidence, row: &mut Row, ours_ns: u64, counted_ns: u64) {
    let total_ns = total_ns(&evidence.waits);
    row.share_error = Some(percent(ours_ns.abs_diff(counted_ns), total_ns));
    row.notes.push(format!(
        "blamed {:.3} ms, counted {:.3} ms, of {:.3} ms waited",
        ours_ns as f64 / 1e6,
        counted_ns as f64 / 1e6,
        total_ns as f64 / 1e6
    ));
    row.demand(ours_ns > 0, || "nothing was blamed on it".to_owned());
}

/// Nobody wants the CPU. Whoever is on another one is not to be blamed, and no wait is longer than
/// the kernel has it.
pub(super) fn idle(evidence: &Evidence, row: &mut Row, classes: &[Class]) {
    demand_rest(evidence, row, classes);
    let own = evidence.take.load.threads.iter().map(|thread| thread.tid);
    let own: Vec<_> = own.collect();
    let settled_ns = evidence.take.capture.header.started_ns + SETTLING_NS;
    let settled = evidence.waits.iter().filter(|wait| wait.open_ns > settled_ns);
    row.false_certainty = settled.map(|wait| blamed_on(wait, &own)).sum();
    let longest_ns = evidence.waits.iter().map(|wait| wait.close_ns - wait.open_ns).max();
    row.notes.push(format!("the longest {:.3} ms", longest_ns.unwrap_or(0) as f64 / 1e6));
    let account = oracles::run_delay(&evidence.victims, &evidence.slices);
    row.demand(account.is_honest(), || "the kernel has it shorter".to_owned());
}

fn blamed_on(wait: &TiledWait, tids: &[u32]) -> u64 {
    let is_theirs = |who: Who| matches!(who, Who::Task(task) if tids.contains(&task.tid));
    let theirs = wait.tiles.iter().filter(|tile| is_theirs(tile.who));
    theirs.map(|tile| tile.to_ns - tile.from_ns).sum()
}
