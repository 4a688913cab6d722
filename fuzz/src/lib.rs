//! What the fuzz targets share: Captures whose blocks are sound, and what holds of every Report.
//!
//! A target is a file in `fuzz_targets/`, and `corpus/` has a folder of real inputs for each; both
//! are run by `cargo xtask fuzz`. What it does not do: judge what a reader makes of nonsense. It
//! must come to an answer, and an answer must not contradict itself.

use cronx_blame::{Options, analyse, tiles};
use cronx_recording::{Budget, Capture, ClassBlame, CulpritBlame};

/// A mutated Capture fails at its first checksum, and nothing behind that is ever tried. So here is
/// a plainer form, in which every mutation arrives: `tag:u8 cpu:u8 len:u16 raw` again and again.
/// This makes a Capture of it, block for block.
pub fn seal(mut plain: &[u8]) -> Vec<u8> {
    let mut file = b"cronxcap\x02\0\0\0".to_vec();
    while let Some((&[tag, cpu, low, high], rest)) = plain.split_first_chunk::<4>() {
        let len = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (raw, rest) = rest.split_at(len);
        file.extend(block(tag, cpu, raw));
        plain = rest;
    }
    file
}

fn block(tag: u8, cpu: u8, raw: &[u8]) -> Vec<u8> {
    let stored = zstd::bulk::compress(raw, 1).expect("memory is compressed into memory");
    let mut head = vec![tag, cpu, 0, 0, 0];
    head.extend((raw.len() as u32).to_le_bytes());
    head.extend((stored.len() as u32).to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&head);
    checksum.update(&stored);
    head.extend(checksum.finalize().to_le_bytes());
    [head, stored].concat()
}

/// Analyses, and checks that every sum is what it must be.
///
/// # Panics
/// If one is not: that is a finding.
pub fn check_balance(capture: &Capture) {
    let options = Options { objective_ns: Some(1_000_000), ..Options::default() };
    let report = analyse(capture, &options);
    assert_eq!(report.health.unbalanced, 0, "the tiles of every wait sum to it");
    check_sums(&report.blame, &report.culprits, report.waited_ns);
    if let Some(tail) = &report.tail {
        check_sums(&tail.blame, &tail.culprits, tail.waited_ns);
    }
    for miss in &report.worst {
        let tiled = miss.tiles.iter().map(|tile| u128::from(tile.length_ns));
        assert_eq!(tiled.sum::<u128>(), u128::from(miss.waited_ns), "tiles sum to the wait");
    }
    for spans in &report.spans {
        check_budget(&spans.firings);
        check_budget(&spans.late);
        spans.jobs.iter().chain(&spans.spans).for_each(|row| check_budget(&row.all));
        for one in spans.worst_firings.iter().chain(&spans.worst_spans) {
            let parts = one.parts.iter().map(|part| u128::from(part.length_ns));
            assert_eq!(parts.sum::<u128>(), u128::from(one.total_ns), "parts sum to the whole");
        }
    }
    for wait in tiles(capture, &options) {
        let end = wait.tiles.iter().fold(wait.open_ns, |at_ns, tile| {
            assert!(at_ns == tile.from_ns && at_ns < tile.to_ns, "tiles follow one another");
            tile.to_ns
        });
        assert_eq!(end, wait.close_ns, "tiles end with the wait");
    }
}

fn check_budget(budget: &Budget) {
    let parts = budget.parts.iter().map(|share| u128::from(share.length_ns));
    assert_eq!(parts.sum::<u128>(), u128::from(budget.total_ns), "parts sum to the budget");
}

fn check_sums(classes: &[ClassBlame], culprits: &[CulpritBlame], waited_ns: u64) {
    let blamed = classes.iter().map(|blame| u128::from(blame.waited_ns));
    assert_eq!(blamed.sum::<u128>(), u128::from(waited_ns), "classes sum to all");
    let culprits = culprits.iter().map(|culprit| u128::from(culprit.waited_ns));
    assert_eq!(culprits.sum::<u128>(), u128::from(waited_ns), "culprits sum to all");
}
