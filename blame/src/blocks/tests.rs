use cronx_recording::Class;

use super::*;
use crate::owners::Owner;
use crate::tile::Tile;

const BLOCK_NS: u64 = 100_000_000;

/// A wait that ended in block `n`, of so many nanoseconds idle and in placement.
fn add(blocks: &mut Blocks, n: u64, idle_ns: u64, placement_ns: u64) {
    let tile = |from_ns, to_ns, class, owner| Tile { from_ns, to_ns, class, owner, cpu: None };
    let tiles = [
        tile(0, idle_ns, Class::Idle, Owner::IDLE),
        tile(idle_ns, idle_ns + placement_ns, Class::Placement, Owner::PLACEMENT),
    ];
    blocks.at(n * BLOCK_NS + 1).add(&tiles);
}

fn idle_share(blocks: &Blocks) -> Option<ShareInterval> {
    Some(blocks.bootstrap()?.share(|block| block.owed_to_class(Class::Idle)))
}

fn blocks() -> Blocks {
    Blocks::new(0, BLOCKS * BLOCK_NS)
}

#[test]
fn alike_blocks_leave_no_doubt() {
    let mut blocks = blocks();
    (0..BLOCKS).for_each(|n| add(&mut blocks, n, 30, 10));
    assert_eq!(idle_share(&blocks), Some(ShareInterval { low: 0.75, high: 0.75 }));
}

#[test]
fn the_share_lies_within_and_one_odd_block_is_doubt() {
    let mut blocks = blocks();
    (1..BLOCKS).for_each(|n| add(&mut blocks, n, 0, 10));
    add(&mut blocks, 0, 310, 0);
    let share = idle_share(&blocks).unwrap();
    assert!(share.low < 0.01 && (0.65..0.85).contains(&share.high), "{share:?}");
    assert_eq!(idle_share(&blocks), Some(share));
}

#[test]
fn fewer_than_eight_blocks_say_nothing() {
    let mut blocks = blocks();
    (0..7).for_each(|n| add(&mut blocks, n, 30, 10));
    assert_eq!(idle_share(&blocks), None);
    add(&mut blocks, 20, 30, 10);
    assert!(idle_share(&blocks).is_some());
}

#[test]
fn a_block_is_never_shorter_than_50_ms() {
    let mut blocks = Blocks::new(1_000, 2_000);
    blocks.at(0);
    blocks.at(50_000_999);
    assert_eq!(blocks.tallies.len(), 1);
    blocks.at(50_001_000);
    assert_eq!(blocks.tallies.len(), 2);
    blocks.at(u64::MAX);
    assert_eq!(blocks.tallies.len(), 32);
}
