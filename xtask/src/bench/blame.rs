//! `cargo xtask bench blame`: a Capture of a million waits becomes a Report.
//!
//! Beside it, in the same rounds, the least that any analysis must do: unzip the file, decode every
//! record, and merge them by time. CPU time and peak memory are each process's own account.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::shuffle;
use super::statistics::Spread;
use crate::process;

/// No more than so many times the floor.
const BAR: f64 = 3.0;

/// What one process said of itself.
struct Reading {
    records: f64,
    seconds: f64,
    mib: f64,
}

/// Makes the Capture, reads it in both ways in each round, and prints what came of it.
pub(super) fn run(waits: u64, rounds: u32) -> Result<()> {
    let tool = super::tool()?;
    let capture = super::results()?.join(format!("{waits}.cronx"));
    let mut make = Command::new(&tool);
    process::run(make.args(["capture", "--waits", &waits.to_string()]).arg(&capture))?;
    let size = capture.metadata()?.len() as f64 / f64::from(1 << 20);
    println!("{waits} waits in {size:.1} MiB; {rounds} rounds");
    let (mut floors, mut analyses) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for which in shuffle::order(2, 1, &format!("blame {round}")) {
            let (words, readings): (&[&str], _) =
                if which == 0 { (&[], &mut floors) } else { (&["--analyse"], &mut analyses) };
            readings.push(read(&tool, words, &capture)?);
        }
    }
    print!("{}", table(&floors, &analyses)?);
    Ok(())
}

fn read(tool: &Path, words: &[&str], capture: &Path) -> Result<Reading> {
    let said = process::output(Command::new(tool).arg("read").args(words).arg(capture))?;
    parse(&said).with_context(|| format!("cronx-bench read says {said:?}"))
}

/// `RECORDS SECONDS KIB`.
fn parse(said: &str) -> Option<Reading> {
    let numbers: Vec<f64> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [records, seconds, kib] = numbers[..] else { return None };
    Some(Reading { records, seconds, mib: kib / 1024.0 })
}

fn table(floors: &[Reading], analyses: &[Reading]) -> Result<String> {
    let spread = |readings: &[Reading], of: fn(&Reading) -> f64| {
        Spread::of(readings.iter().map(of)).context("no round was played")
    };
    let line = |name: &str, readings: &[Reading]| -> Result<String> {
        let seconds = spread(readings, |reading| reading.seconds)?;
        let rate = spread(readings, |reading| reading.records / reading.seconds / 1e6)?;
        let mib = spread(readings, |reading| reading.mib)?;
        Ok(format!("{name:<24} {seconds} s CPU   {rate} M records/s   {mib:.0} MiB at most\n"))
    };
    let ratios = analyses.iter().zip(floors).map(|(a, floor)| a.seconds / floor.seconds);
    let ratio = Spread::of(ratios).context("no round was played")?;
    let holds = if ratio.median <= BAR { "holds" } else { "does not hold" };
    Ok(format!(
        "{}{}analysis / floor {ratio}, bar {BAR}: {holds}\n",
        line("unzip, decode, merge", floors)?,
        line("analysis", analyses)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_compares_round_by_round() {
        let reading = |seconds| Reading { records: 2e6, seconds, mib: 100.0 };
        let table = table(&[reading(1.0), reading(2.0)], &[reading(2.0), reading(8.0)]).unwrap();
        assert_eq!(
            table,
            "unzip, decode, merge     1.50 [1.25, 1.75] s CPU   1.50 [1.25, 1.75] M records/s   \
             100 [100, 100] MiB at most\n\
             analysis                 5.00 [3.50, 6.50] s CPU   0.62 [0.44, 0.81] M records/s   \
             100 [100, 100] MiB at most\n\
             analysis / floor 3.00 [2.50, 3.50], bar 3: holds\n"
        );
        assert!(parse("a b").is_none());
    }
}
