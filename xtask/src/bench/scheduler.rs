//! `cargo xtask bench scheduler`: timers beside rivals', and the scheduler at work.
//!
//! Every reading is a process of its own, in shuffled rounds. Lateness counts from the instant at which
//! something was due, whatever held up whoever measures.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::shuffle;
use super::statistics::Spread;
use crate::process;

/// Ours first.
const RIVALS: [&str; 5] = ["cronx", "delay-queue", "nexus", "hash-wheel", "binary-heap"];
/// By number of live timers, what one call may cost in nanoseconds.
const BARS: [(u64, f64); 3] = [(100_000, 30.0), (1_000_000, 100.0), (10_000_000, 100.0)];

const MS: f64 = 1e6;

/// Plays so many rounds, with at most so many live timers, and prints what came of them.
pub(super) fn run(rounds: u32, most: u64, seconds: u64) -> Result<()> {
    let tool = super::tool()?;
    for (live, bar) in BARS.into_iter().filter(|(live, _)| *live <= most) {
        let readings = timers(&tool, live, rounds)?;
        println!("\n{live} live timers, ns a call");
        for (which, call) in ["insert", "cancel"].into_iter().enumerate() {
            print!("{}", calls(call, which, &readings, bar)?);
        }
    }
    println!();
    at_work(&tool, rounds, seconds)
}

/// For each rival, what each round said.
fn timers(tool: &Path, live: u64, rounds: u32) -> Result<Vec<Vec<Vec<f64>>>> {
    let mut readings = vec![Vec::new(); RIVALS.len()];
    for round in 0..rounds {
        for which in shuffle::order(RIVALS.len(), 1, &format!("timers {live} {round}")) {
            let (live, seed) = (live.to_string(), (round + 1).to_string());
            let words = ["timers", "--which", RIVALS[which], "--live", &live, "--seed", &seed];
            readings[which].push(read(tool, &words, 2)?);
        }
    }
    Ok(readings)
}

/// One line for each, and whether the bar holds: ours under it, and under every rival.
fn calls(call: &str, which: usize, readings: &[Vec<Vec<f64>>], bar: f64) -> Result<String> {
    let spread = |rounds: &Vec<Vec<f64>>| {
        Spread::of(rounds.iter().map(|round| round[which])).context("no round was played")
    };
    let spreads = readings.iter().map(spread).collect::<Result<Vec<_>>>()?;
    let line = |(name, spread): (&&str, &Spread)| format!("{call}  {name:<12} {spread}\n");
    let lines: String = RIVALS.iter().zip(&spreads).map(line).collect();
    let (ours, theirs) = spreads.split_first().context("nobody played")?;
    let first = theirs.iter().all(|rival| ours.median < rival.median);
    let under = if ours.median <= bar { "holds" } else { "does not hold" };
    let ahead = if first { "ahead of every rival" } else { "not ahead of every rival" };
    Ok(format!("{lines}{call}  bar {bar} ns: {under}; {ahead}\n"))
}

fn at_work(tool: &Path, rounds: u32, seconds: u64) -> Result<()> {
    let seconds = seconds.to_string();
    for (load, count) in [("shots", "1000000"), ("cron", "100000")] {
        let words = ["scheduler", "--load", load, "--count", count, "--seconds", &seconds];
        let readings = (0..rounds).map(|_| read(tool, &words, 9)).collect::<Result<Vec<_>>>()?;
        print!("{}", lateness(load, count, &readings)?);
    }
    let burst = ["scheduler", "--load", "burst", "--count", "100000"];
    let readings = (0..rounds).map(|_| read(tool, &burst, 2)).collect::<Result<Vec<_>>>()?;
    let took = median(&readings, |round| round[0] / MS)?;
    let times = median(&readings, |round| round[0] / round[1])?;
    println!(
        "burst of 100000: the last starts after {took} ms (bar 100), {times} of bare spawns (bar 3)"
    );
    let submit = ["scheduler", "--load", "submit", "--count", "200000"];
    let readings = (0..rounds).map(|_| read(tool, &submit, 2)).collect::<Result<Vec<_>>>()?;
    let flood = median(&readings, |round| round[0])?;
    let paced = median(&readings, |round| round[1] / 1e3)?;
    println!(
        "submit, two producers: P99 {flood:.0} ns in a flood (bar 300), {paced} us to a shard that sleeps (bar 5)"
    );
    Ok(())
}

/// `COUNT`, then P50 P99 P99.9 and the worst of popped, and of started.
fn lateness(load: &str, count: &str, readings: &[Vec<f64>]) -> Result<String> {
    let ms = |which: usize| median(readings, |round| round[which] / MS);
    let line = |name: &str, from: usize| -> Result<String> {
        let (p50, p99, p999, worst) = (ms(from)?, ms(from + 1)?, ms(from + 2)?, ms(from + 3)?);
        Ok(format!("  {name:<8} P50 {p50:.3}  P99 {p99:.3}  P99.9 {p999:.3}  worst {worst:.3}\n"))
    };
    let fired = median(readings, |round| round[0])?;
    let holds = |yes| if yes { "holds" } else { "does not hold" };
    Ok(format!(
        "{load}: {count} jobs, {fired:.0} firings measured, lateness in ms\n{}{}  \
         bars: P99 1 ms {}, P99.9 5 ms {}\n",
        line("popped", 1)?,
        line("started", 5)?,
        holds(ms(6)?.median <= 1.0),
        holds(ms(7)?.median <= 5.0),
    ))
}

fn median(readings: &[Vec<f64>], of: impl Fn(&Vec<f64>) -> f64) -> Result<Spread> {
    Spread::of(readings.iter().map(of)).context("no round was played")
}

fn read(tool: &Path, words: &[&str], numbers: usize) -> Result<Vec<f64>> {
    let said = process::output(Command::new(tool).args(words))?;
    let parsed: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    ensure!(parsed.len() == numbers, "cronx-bench {} says {said:?}", words.join(" "));
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_compared_with_the_bar_and_with_every_rival() {
        let round = |insert: f64| vec![insert, 1.0];
        let mut readings = vec![vec![round(50.0)]; RIVALS.len()];
        readings[0] = vec![round(20.0)];
        let text = calls("insert", 0, &readings, 30.0).unwrap();
        assert!(text.ends_with("insert  bar 30 ns: holds; ahead of every rival\n"), "{text}");
        readings[2] = vec![round(10.0)];
        let text = calls("insert", 0, &readings, 15.0).unwrap();
        assert!(text.ends_with("bar 15 ns: does not hold; not ahead of every rival\n"), "{text}");
    }

    #[test]
    fn lateness_is_told_beside_its_bars() {
        let reading = vec![100.0, 1e5, 2e5, 3e5, 4e5, 5e5, 6e5, 7e6, 8e6];
        let text = lateness("shots", "1000", &[reading]).unwrap();
        assert!(text.ends_with("bars: P99 1 ms holds, P99.9 5 ms does not hold\n"), "{text}");
    }
}
