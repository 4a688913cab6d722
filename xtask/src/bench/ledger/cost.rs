//! What it costs to write a run down, in rounds whose order is drawn, each rival on the same store.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cronx_servers::{Server, postgres, redis};
use serde::{Deserialize, Serialize};

use crate::bench::journal::{Journal, Subject};
use crate::bench::statistics::Spread;
use crate::bench::{Extent, results, section, shuffle, tool};
use crate::process;

/// One that does not wait for its disk: what is measured is the way there and back, and the script.
const FAST: &str = "appendonly no\nmaxmemory-policy noeviction\nsave \"\"\n";

/// What is measured: a name for the page, who does it, how often, and how many at once.
struct Arm {
    name: &'static str,
    which: &'static str,
    count: u64,
    at_once: u64,
}

const fn arm(name: &'static str, which: &'static str, count: u64, at_once: u64) -> Arm {
    Arm { name, which, count, at_once }
}

/// Those that write runs down; the figure is runs a second.
const RUNS: [Arm; 8] = [
    arm("SQLite: cronx, one at a time", "sqlite", 300, 1),
    arm("SQLite: apalis, one at a time", "apalis", 300, 1),
    arm("SQLite: cronx, 64 at once", "sqlite", 5_000, 64),
    arm("SQLite: apalis, 64 at once, batches of 10", "apalis-batched", 300, 64),
    arm("PostgreSQL: cronx, one at a time", "postgres", 300, 1),
    arm("PostgreSQL: graphile_worker, one at a time", "graphile-worker", 300, 1),
    arm("PostgreSQL: cronx, 8 at once", "postgres", 1_000, 8),
    arm("PostgreSQL: graphile_worker, 8 at once", "graphile-worker", 1_000, 8),
];

/// Those that guard in Redis; figures are the median in nanoseconds, and as many a second.
const GUARDS: [Arm; 3] = [
    arm("claim, one at a time", "redis", 5_000, 1),
    arm("SET NX, one at a time", "redis-set", 5_000, 1),
    arm("claim, 50 at once", "redis", 50_000, 50),
];

/// What one round found; what is by arm is in their order.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Round {
    runs_per_s: Vec<f64>,
    guards: Vec<[f64; 2]>,
    /// The very script of a claim, by the server's own load generator, 50 at once.
    script_per_s: f64,
}

/// The programs that take part.
struct Stage {
    tool: PathBuf,
    postgres: Server,
    redis: Server,
}

pub(super) fn run(extent: &Extent) -> Result<()> {
    let missing = |what: &str| format!("{what} is not installed");
    let stage = Stage {
        tool: tool()?,
        postgres: postgres().with_context(|| missing("PostgreSQL"))?,
        redis: redis(FAST).with_context(|| missing("Redis"))?,
    };
    let path = results()?.join("ledger.jsonl");
    let asked = |arm: &Arm| format!("{} {} {}", arm.which, arm.count, arm.at_once);
    let asked: Vec<_> = RUNS.iter().chain(&GUARDS).map(asked).collect();
    let subject = Subject::of(&asked.join("; "), &[&stage.tool])?;
    let mut journal = Journal::<Round>::open(&path, &subject, extent.seed, extent.fresh)?;
    println!("rounds are drawn from seed {}, and kept in {}", journal.seed, path.display());
    for number in journal.rounds.len()..extent.rounds as usize {
        let round = stage.round(journal.seed, number)?;
        println!("{}/{} {round:?}", number + 1, extent.rounds);
        journal.push(round)?;
    }
    let text = page(&journal.rounds, &subject.kernel, journal.seed);
    let page = results()?.join("ledger.md");
    fs::write(&page, &text).with_context(|| format!("cannot write {}", page.display()))?;
    println!("\n{text}\nthis page is {}", page.display());
    Ok(())
}

impl Stage {
    fn round(&self, seed: u64, number: usize) -> Result<Round> {
        let count = RUNS.len() + GUARDS.len() + 1;
        let mut round = Round {
            runs_per_s: vec![0.0; RUNS.len()],
            guards: vec![[0.0; 2]; GUARDS.len()],
            script_per_s: 0.0,
        };
        for at in shuffle::order(count, seed, &format!("ledger {number}")) {
            if let Some(arm) = RUNS.get(at) {
                let said = self.ask(arm)?;
                let [runs_per_s] = said[..] else { bail!("{} says {said:?}", arm.name) };
                round.runs_per_s[at] = runs_per_s;
            } else if let Some(arm) = GUARDS.get(at - RUNS.len()) {
                let said = self.ask(arm)?;
                round.guards[at - RUNS.len()] = said
                    .try_into()
                    .map_err(|said| anyhow::anyhow!("{} says {said:?}", arm.name))?;
            } else {
                round.script_per_s = self.script()?;
            }
        }
        Ok(round)
    }

    fn ask(&self, arm: &Arm) -> Result<Vec<f64>> {
        // On the disk that all the others are on.
        let folder = tempfile::tempdir_in(results()?)?;
        let place = match arm.which {
            "postgres" | "graphile-worker" => self.postgres_url(),
            "redis" | "redis-set" => redis_url(&self.redis),
            _ => folder.path().display().to_string(),
        };
        let said = self.say(arm.which, &place, arm.count, arm.at_once)?;
        let numbers: Result<_, _> = said.split_whitespace().map(str::parse).collect();
        numbers.with_context(|| format!("{} says {said:?}", arm.name))
    }

    fn say(&self, which: &str, place: &str, count: u64, at_once: u64) -> Result<String> {
        let mut command = Command::new(&self.tool);
        command.args(["ledger", "--which", which, "--place", place]);
        command.args(["--count", &count.to_string(), "--at-once", &at_once.to_string()]);
        process::output(&mut command)
    }

    fn postgres_url(&self) -> String {
        format!("postgres://cronx@127.0.0.1:{}/postgres", self.postgres.port)
    }

    /// A second.
    fn script(&self) -> Result<f64> {
        let words = self.say("redis-script", &redis_url(&self.redis), 1, 1)?;
        let mut command = Command::new("redis-benchmark");
        command.args(["-p", &self.redis.port.to_string(), "-c", "50", "-n", "50000"]);
        command.args(["-r", "1000000000", "--csv"]).args(words.lines());
        let said = process::output(&mut command)?;
        // The last line's second cell.
        let cell =
            said.lines().last().and_then(|line| line.rsplit("\",\"").nth(6)).map(str::to_owned);
        let number = cell.and_then(|cell| cell.trim_matches('"').parse().ok());
        number.with_context(|| format!("redis-benchmark says {said:?}"))
    }
}

fn redis_url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}", server.port)
}

/// A ratio of two figures of a round: what it is called, both, and its bar.
struct Bar {
    name: &'static str,
    figure: fn(&Round) -> f64,
    by: fn(&Round) -> f64,
    least: Option<f64>,
    most: Option<f64>,
}

const fn at_least(
    name: &'static str,
    figure: fn(&Round) -> f64,
    by: fn(&Round) -> f64,
    least: f64,
) -> Bar {
    Bar { name, figure, by, least: Some(least), most: None }
}

const BARS: [Bar; 6] = [
    at_least(
        "SQLite, one at a time: cronx / apalis",
        |r| r.runs_per_s[0],
        |r| r.runs_per_s[1],
        1.0,
    ),
    Bar {
        least: None,
        ..at_least("SQLite, at once: cronx / apalis", |r| r.runs_per_s[2], |r| r.runs_per_s[3], 0.0)
    },
    at_least(
        "PostgreSQL, one at a time: cronx / graphile_worker",
        |r| r.runs_per_s[4],
        |r| r.runs_per_s[5],
        1.0,
    ),
    Bar {
        least: None,
        ..at_least(
            "PostgreSQL, at once: cronx / graphile_worker",
            |r| r.runs_per_s[6],
            |r| r.runs_per_s[7],
            0.0,
        )
    },
    Bar {
        name: "Redis, one at a time, median: claim / SET NX",
        figure: |r| r.guards[0][0],
        by: |r| r.guards[1][0],
        least: None,
        most: Some(1.3),
    },
    at_least(
        "Redis, 50 at once: claims / redis-benchmark with the same script",
        |r| r.guards[2][1],
        |r| r.script_per_s,
        0.8,
    ),
];

fn page(rounds: &[Round], kernel: &str, seed: u64) -> String {
    let spread = |figure: &dyn Fn(&Round) -> f64, digits: usize| {
        Spread::of(rounds.iter().map(figure))
            .map_or_else(|| "-".to_owned(), |spread| format!("{spread:.digits$}"))
    };
    let title = format!(
        "What it costs to write a run down\n\nLinux {kernel}, {} rounds in an order drawn from seed \
         {seed}. Medians, and quartiles in brackets. A run is two\nwrites: one before it begins and one when it \
         has ended, each on the disk before the next thing happens. What the\nothers' queues did to enqueue a job is \
         not counted",
        rounds.len()
    );
    let runs = RUNS.iter().enumerate().map(|(at, arm)| {
        vec![arm.name.to_owned(), spread(&|round: &Round| round.runs_per_s[at], 0)]
    });
    let mut text = section(&title, ["", "runs a second"], runs).replacen("## ", "# ", 1);
    let mut guards: Vec<_> = GUARDS
        .iter()
        .enumerate()
        .map(|(at, arm)| {
            let median_us = spread(&|round: &Round| round.guards[at][0] / 1e3, 1);
            vec![arm.name.to_owned(), median_us, spread(&|round: &Round| round.guards[at][1], 0)]
        })
        .collect();
    let script = spread(&|round: &Round| round.script_per_s, 0);
    guards.push(vec![
        "redis-benchmark with the same script, 50 at once".to_owned(),
        "-".to_owned(),
        script,
    ]);
    text += "\n";
    text += &section(
        "Guards in Redis, which waits for no disk",
        ["", "median, us", "a second"],
        guards,
    );
    text += "\n## Bars\n\n";
    text.extend(BARS.iter().map(|bar| judged(bar, rounds)));
    text
}

fn judged(bar: &Bar, rounds: &[Round]) -> String {
    let ratio = |round: &Round| (bar.figure)(round) / (bar.by)(round);
    let Some(spread) = Spread::of(rounds.iter().map(ratio)) else { return String::new() };
    let holds = |is_so: bool| if is_so { "holds" } else { "**does not hold**" };
    let (verdict, limit) = match (bar.least, bar.most) {
        (Some(least), _) => (holds(spread.median >= least), format!(" at least {least}")),
        (_, Some(most)) => (holds(spread.median <= most), format!(" at most {most}")),
        (None, None) => ("without a bar", String::new()),
    };
    format!("- {verdict}: {}{limit}: {spread:.2}\n", bar.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cronx: f64) -> Round {
        let runs_per_s = [cronx, 100.0].repeat(4);
        Round {
            runs_per_s,
            guards: vec![[13e3, 1.0], [10e3, 1.0], [1.0, cronx]],
            script_per_s: 100.0,
        }
    }

    #[test]
    fn bars_are_of_what_a_round_found() {
        let said = |cronx: f64| BARS.map(|bar| judged(&bar, &[round(cronx)])).concat();
        assert_eq!(said(90.0).matches("**does not hold**").count(), 2);
        assert_eq!(said(100.0).matches("- holds").count(), 4);
        assert_eq!(said(10.0).matches("**does not hold**").count(), 3);
    }

    #[test]
    fn every_arm_has_a_row() {
        let text = page(&[round(100.0)], "6.18", 7);
        let names = RUNS.iter().chain(&GUARDS).map(|arm| arm.name);
        assert!(names.into_iter().all(|name| text.contains(&format!("| {name} | "))), "{text}");
    }
}
