//! How sure a share of the tail is: the bootstrap over blocks of the recording.
//!
//! Waits of one moment have one cause, so they are not drawn one by one but a block at a time, and a
//! cause that was there in one block alone shows as the wide interval that it is. The draws begin
//! with the same seed always: the same Capture gives the same Report.

use cronx_recording::ShareInterval;

use crate::tally::Tally;

/// Blocks of a recording.
const BLOCKS: u64 = 32;
/// A shorter one would part what belongs together.
const SHORTEST_NS: u64 = 50_000_000;
/// With fewer the interval itself would be chance.
const FEWEST: usize = 8;
const RESAMPLES: usize = 1_000;
/// Resamples outside the interval on each side: 2.5 %.
const OUTSIDE: usize = RESAMPLES / 40;
/// Any number but 0.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where the blocks lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ruler {
    started_ns: u64,
    length_ns: u64,
}

impl Ruler {
    pub(crate) fn new(started_ns: u64, stopped_ns: u64) -> Self {
        let length_ns = stopped_ns.saturating_sub(started_ns).div_ceil(BLOCKS).max(SHORTEST_NS);
        Self { started_ns, length_ns }
    }

    /// The number of the block of an instant.
    pub(crate) fn at(self, at_ns: u64) -> usize {
        let number = at_ns.saturating_sub(self.started_ns) / self.length_ns;
        number.min(BLOCKS - 1) as usize
    }
}

/// What the waits that ended in each block were owed to.
#[derive(Debug)]
pub(crate) struct Blocks {
    ruler: Ruler,
    tallies: Vec<Tally>,
}

impl Blocks {
    pub(crate) fn new(started_ns: u64, stopped_ns: u64) -> Self {
        Self { ruler: Ruler::new(started_ns, stopped_ns), tallies: Vec::new() }
    }

    /// The block of an instant.
    pub(crate) fn at(&mut self, at_ns: u64) -> &mut Tally {
        let number = self.ruler.at(at_ns);
        if self.tallies.len() <= number {
            self.tallies.resize_with(number + 1, Tally::default);
        }
        &mut self.tallies[number]
    }

    /// `None` if too few blocks hold any wait.
    pub(crate) fn bootstrap(&self) -> Option<Bootstrap<'_>> {
        let blocks: Vec<_> = self.tallies.iter().filter(|block| block.waited_ns > 0).collect();
        if blocks.len() < FEWEST {
            return None;
        }
        let mut random = SEED;
        let mut draw = || (0..blocks.len()).map(|_| below(&mut random, blocks.len())).collect();
        let draws = (0..RESAMPLES).map(|_| draw()).collect();
        Some(Bootstrap { blocks, draws })
    }
}

/// Draws of blocks with replacement, each as many as there are.
#[derive(Debug)]
pub(crate) struct Bootstrap<'a> {
    blocks: Vec<&'a Tally>,
    draws: Vec<Vec<usize>>,
}

impl Bootstrap<'_> {
    /// The interval of a part's share of the whole.
    pub(crate) fn share(&self, part_ns: impl Fn(&Tally) -> u64) -> ShareInterval {
        let parts: Vec<_> = self.blocks.iter().map(|block| part_ns(block) as f64).collect();
        let wholes: Vec<_> = self.blocks.iter().map(|block| block.waited_ns as f64).collect();
        let sum = |of: &[f64], draw: &[usize]| draw.iter().map(|&block| of[block]).sum::<f64>();
        let share = |draw: &Vec<usize>| sum(&parts, draw) / sum(&wholes, draw);
        let mut shares: Vec<_> = self.draws.iter().map(share).collect();
        shares.sort_unstable_by(f64::total_cmp);
        ShareInterval { low: shares[OUTSIDE], high: shares[RESAMPLES - 1 - OUTSIDE] }
    }
}

/// xorshift64*, whose high bits are its good ones.
fn below(state: &mut u64, n: usize) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let drawn = u128::from(state.wrapping_mul(0x2545_f491_4f6c_dd1d));
    ((drawn * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests;
