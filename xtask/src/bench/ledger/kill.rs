//! Owners of each store, killed at random moments; see `ledger/tests/ledger/killed.rs`, which is asked here for
//! a few rounds at a time, so that a campaign can be taken up again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bench::journal::{Journal, Subject};
use crate::bench::{Extent, results, section};
use crate::{apt, process, test, workspace};

/// A store as its test is named, how often its owner is killed in all, and how often before the end is looked
/// at.
const STORES: [(&str, u32, u32); 4] =
    [("sqlite", 1000, 50), ("postgres", 100, 10), ("mariadb", 100, 10), ("redis", 100, 10)];

/// What came of a few rounds: all of it is right, or there would be none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Batch {
    store: String,
    seed: u64,
    kills: u32,
    /// That were due.
    firings: u64,
    /// Of these, begun more than once.
    again: u64,
}

pub(super) fn run(extent: &Extent) -> Result<()> {
    apt::provide(&test::NEEDS)?;
    let program = workspace::test_program("ledger")?;
    let path = results()?.join("ledger-kill.jsonl");
    let subject = Subject::of(&format!("{STORES:?}"), &[&program])?;
    let mut journal = Journal::<Batch>::open(&path, &subject, extent.seed, extent.fresh)?;
    println!("rounds are kept in {}", path.display());
    for (store, all, most) in STORES {
        let done = |batches: &[Batch]| -> u32 {
            batches.iter().filter(|batch| batch.store == store).map(|batch| batch.kills).sum()
        };
        while done(&journal.rounds) < all {
            let seed = journal.seed + journal.rounds.len() as u64;
            let kills = most.min(all - done(&journal.rounds));
            journal.push(kill(&program, store, seed, kills)?)?;
            println!("{store}: {} of {all} killed", done(&journal.rounds));
        }
    }
    println!("\n{}", page(&journal.rounds, journal.seed));
    Ok(())
}

/// A test that fails has found something, and the campaign ends there.
fn kill(program: &Path, store: &str, seed: u64, kills: u32) -> Result<Batch> {
    let mut test = Command::new(program);
    test.args(["--exact", "--nocapture", &format!("killed::{store}")]).env("CRONX_LIVE", "demand");
    test.env("CRONX_KILL_SEED", seed.to_string()).env("CRONX_KILL_ROUNDS", kills.to_string());
    let said = process::output(&mut test)?;
    let (firings, again) = read(&said).with_context(|| format!("the test says {said:?}"))?;
    Ok(Batch { store: store.to_owned(), seed, kills, firings, again })
}

/// `killed: 120 firings, each took effect once; 7 began more than once`.
fn read(said: &str) -> Option<(u64, u64)> {
    let line = said.lines().find_map(|line| line.strip_prefix("killed: "))?;
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [firings, again] = numbers[..] else { return None };
    Some((firings, again))
}

fn page(batches: &[Batch], seed: u64) -> String {
    let rows = STORES.map(|(store, ..)| {
        let of = || batches.iter().filter(|batch| batch.store == store);
        vec![
            store.to_owned(),
            of().map(|batch| batch.kills).sum::<u32>().to_string(),
            of().map(|batch| batch.firings).sum::<u64>().to_string(),
            of().map(|batch| batch.again).sum::<u64>().to_string(),
        ]
    });
    let columns =
        ["store", "owners killed", "firings, each took effect once", "begun more than once"];
    section(&format!("Killed at random moments, from seed {seed}"), columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_says_is_read() {
        let said = "running 1 test\nCRONX_KILL_SEED=7, sqlite /x\nkilled: 120 firings, each took effect \
                    once; 7 began more than once\n";
        assert_eq!(read(said), Some((120, 7)));
        assert_eq!(read("skipped: killed::redis: Redis is not installed"), None);
    }

    #[test]
    fn a_page_has_a_row_for_each_store() {
        let batch = |store: &str| Batch {
            store: store.to_owned(),
            seed: 1,
            kills: 50,
            firings: 900,
            again: 31,
        };
        let text = page(&[batch("sqlite"), batch("sqlite"), batch("redis")], 1);
        assert!(text.contains("| sqlite | 100 | 1800 | 62 |\n"), "{text}");
        assert!(text.contains("| mariadb | 0 | 0 | 0 |\n"), "{text}");
    }
}
