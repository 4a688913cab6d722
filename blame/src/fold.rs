//! The flamegraph of blame: victim, class, culprit, and the stacks the culprit was seen in.
//!
//! Samples come at a fixed rate on every CPU where somebody waits, so the share of a stack among
//! the samples inside a group's tiles is the unbiased estimate of its share of the group's
//! nanoseconds. The nanoseconds themselves come from the tiles and are exact: the stacks divide
//! them, and a group that no sample fell into has them under no stack.

use std::collections::BTreeMap;

use cronx_abi::TaskKey;
use cronx_recording::{Class, Fold, Frame, Symbols, Untrusted};
use rustc_hash::FxHashMap;

use crate::decode::Sample;
use crate::evidence::Evidence;
use crate::names::Name;
use crate::owners::Owners;
use crate::tile::Tile;

/// Whose nanoseconds are divided over the same stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Group {
    victim: Name,
    class: Class,
    culprit: Name,
    tgid: u32,
}

#[derive(Debug, Default)]
struct Share {
    waited_ns: u64,
    /// Samples by stack.
    stacks: BTreeMap<u32, u64>,
}

/// A sample whose stack is a number.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at_ns: u64,
    task: TaskKey,
    stack: u32,
}

/// A stack as addresses in one process: equal ones are kept once, and where they were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RawStack<'a> {
    tgid: u32,
    kernel: &'a [u8],
    user: &'a [u8],
}

/// Sums tiles and the samples that fall into them.
pub(crate) struct Folds<'a> {
    owners: &'a Owners<'a>,
    seen: BTreeMap<u16, Vec<Seen>>,
    stacks: Vec<RawStack<'a>>,
    groups: FxHashMap<Group, Share>,
}

impl<'a> Folds<'a> {
    pub(crate) fn new(evidence: &'a Evidence<'a>) -> Self {
        let mut stacks = Stacks::default();
        let seen = evidence
            .samples
            .iter()
            .map(|(&cpu, samples)| (cpu, samples.iter().map(|s| stacks.seen(s)).collect()))
            .collect();
        Self { owners: &evidence.owners, seen, stacks: stacks.all, groups: FxHashMap::default() }
    }

    /// Adds the tiles of one wait of a thread called `victim`.
    pub(crate) fn add(&mut self, victim: Name, tiles: &[Tile]) {
        for (n, tile) in tiles.iter().enumerate() {
            let share = self.groups.entry(self.group(victim, tile)).or_default();
            share.waited_ns = share.waited_ns.saturating_add(tile.length_ns());
            for seen in within(&self.seen, tile) {
                let Some(beneath) = self.beneath(tiles, n, seen.task) else { continue };
                let share = self.groups.entry(self.group(victim, beneath)).or_default();
                *share.stacks.entry(seen.stack).or_default() += 1;
            }
        }
    }

    fn group(&self, victim: Name, tile: &Tile) -> Group {
        let entry = self.owners.entry(tile.owner);
        let tgid = entry.task().map_or(0, |task| task.tgid);
        Group { victim, class: tile.class, culprit: entry.name, tgid }
    }

    /// The tile of the task that a sample in tile `n` was taken of. The sampling clock is itself an
    /// interrupt, so the sample mostly falls into that interrupt's tile, on top of the task's.
    fn beneath<'t>(&self, tiles: &'t [Tile], n: usize, task: TaskKey) -> Option<&'t Tile> {
        let is_its = |tile: &&Tile| {
            tile.cpu == tiles[n].cpu && self.owners.entry(tile.owner).task() == Some(task)
        };
        let mut around = tiles[..=n].iter().rev().chain(&tiles[n + 1..]);
        around.find(is_its)
    }

    /// The folds in the order of their names. Together they are what was added, exactly.
    pub(crate) fn finish(self, evidence: &Evidence, symbols: &Symbols) -> Vec<Fold> {
        let mut folds: BTreeMap<_, u64> = BTreeMap::new();
        for (group, share) in &self.groups {
            for (stack, waited_ns) in divide(share) {
                let frames = stack.map(|stack| frames(&self.stacks[stack as usize], symbols));
                let victim = evidence.strings.text(group.victim);
                let culprit = evidence.strings.text(group.culprit);
                let key = (victim, group.class, culprit, frames.unwrap_or_default());
                let owed = folds.entry(key).or_default();
                *owed = owed.saturating_add(waited_ns);
            }
        }
        folds
            .into_iter()
            .map(|((victim, class, culprit, stack), waited_ns)| Fold {
                victim,
                class,
                culprit,
                stack,
                waited_ns,
            })
            .collect()
    }
}

#[derive(Default)]
struct Stacks<'a> {
    all: Vec<RawStack<'a>>,
    index: FxHashMap<RawStack<'a>, u32>,
}

impl<'a> Stacks<'a> {
    fn seen(&mut self, sample: &Sample<'a>) -> Seen {
        let raw = RawStack { tgid: sample.task.tgid, kernel: sample.kernel, user: sample.user };
        let stack = *self.index.entry(raw).or_insert_with(|| {
            self.all.push(raw);
            self.all.len() as u32 - 1
        });
        Seen { at_ns: sample.at_ns, task: sample.task, stack }
    }
}

fn within<'s>(seen: &'s BTreeMap<u16, Vec<Seen>>, tile: &Tile) -> &'s [Seen] {
    let Some(samples) = tile.cpu.and_then(|cpu| seen.get(&cpu)) else { return &[] };
    let from = samples.partition_point(|s| s.at_ns < tile.from_ns);
    let rest = &samples[from..];
    &rest[..rest.partition_point(|s| s.at_ns < tile.to_ns)]
}

/// Divides a group's nanoseconds over its stacks by their samples. Each gets the difference of two
/// rounded cumulative shares, so that nothing is lost to rounding. Without samples: no stack.
fn divide(share: &Share) -> Vec<(Option<u32>, u64)> {
    let samples: u64 = share.stacks.values().sum();
    if samples == 0 {
        return vec![(None, share.waited_ns)];
    }
    let (mut counted, mut given_ns) = (0, 0);
    let part = |(&stack, &count): (&u32, &u64)| {
        counted += count;
        let upto = u128::from(share.waited_ns) * u128::from(counted) / u128::from(samples);
        let part_ns = upto as u64 - given_ns;
        given_ns = upto as u64;
        (Some(stack), part_ns)
    };
    share.stacks.iter().map(part).filter(|(_, part_ns)| *part_ns > 0).collect()
}

/// Outermost first: the process's frames, then the kernel's, which end in `_[k]`.
fn frames(stack: &RawStack, symbols: &Symbols) -> Vec<Untrusted> {
    let of_process = symbols.user.get(&stack.tgid);
    let user = addresses(stack.user).map(|a| function(of_process.and_then(|map| map.get(&a)), ""));
    let kernel = addresses(stack.kernel).map(|a| function(symbols.kernel.get(&a), "_[k]"));
    user.chain(kernel).collect()
}

/// From the outermost to the leaf; the records hold the leaf first.
fn addresses(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (whole, _) = bytes.as_chunks::<8>();
    whole.iter().rev().map(|address| u64::from_ne_bytes(*address))
}

fn function(frame: Option<&Frame>, suffix: &str) -> Untrusted {
    match frame.and_then(|f| f.function.as_ref()) {
        Some(function) => format!("{}{suffix}", function.raw()).into(),
        None => format!("[unknown]{suffix}").into(),
    }
}

#[cfg(test)]
mod tests;
