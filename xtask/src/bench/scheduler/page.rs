//! The tables, in Markdown, and the curves as numbers.

use std::fmt::Write as _;
use std::thread;

use super::bars::bars;
use super::figures::{Round, spread, stolen};
use super::stage::{
    BURST, CALLS, CRATES, CRON, CRONX, CYCLICTEST, FLOOD, HELD, JOB, LATENESS, MEMORY, SECONDS,
    SHOT, SHOTS, SPIN, SUBMIT, TIMERS, TOKIO, WAKE,
};
use crate::bench::section;

const NONE: &str = "-";
const MS: f64 = 1e6;
const QUANTILES: [&str; 4] = ["P50", "P99", "P99.9", "worst"];

pub(super) fn render(rounds: &[Round], kernel: &str, seed: u64) -> String {
    let sections = [
        head(rounds, kernel, seed),
        calls(rounds),
        lateness(rounds),
        at_work(rounds),
        crates(rounds),
        held(rounds),
        bar_list(rounds),
    ];
    sections.join("\n")
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn head(rounds: &[Round], kernel: &str, seed: u64) -> String {
    // What a distribution calls its build is of no interest.
    let kernel = kernel.split('-').next().unwrap_or(kernel);
    let most = rounds.iter().map(|round| round.number).max().unwrap_or_default();
    format!(
        "# Timers, and the scheduler at work\n\nLinux {kernel}, {} CPUs, {most} rounds in an order drawn \
         from seed {seed}. Medians, and quartiles\nin brackets. Timers of one thread run on CPU 1, all \
         else on every CPU. Steal is the host's share of\nall CPUs' time: in the middle, and in the worst \
         reading.\n",
        cpus()
    )
}

/// One number, in this unit.
fn cell(
    rounds: &[Round],
    stage: &str,
    who: &str,
    which: usize,
    unit: f64,
    digits: usize,
) -> String {
    let found = spread(rounds, stage, (who, which));
    found.map_or(NONE.to_owned(), |found| format!("{:.digits$}", found / unit))
}

fn steal(rounds: &[Round], stage: &str) -> String {
    let found = stolen(rounds.iter().filter(|round| round.stage == stage), cpus());
    found.map_or(NONE.to_owned(), |(median, worst)| format!("{median:.1} %, {worst:.1} %"))
}

fn calls(rounds: &[Round]) -> String {
    let rows = CALLS.iter().flat_map(|&(stage, ..)| {
        ["insert", "cancel"].into_iter().enumerate().map(move |(which, call)| {
            let whose = TIMERS.iter().map(|who| cell(rounds, stage, who, which, 1.0, 1));
            let row = [stage.to_owned(), call.to_owned()].into_iter().chain(whose);
            row.chain([steal(rounds, stage)]).collect()
        })
    });
    let columns = ["", "ns"].into_iter().chain(TIMERS).chain(["steal"]);
    section("A call, in random order", columns, rows)
}

/// Four figures from `first` on, milliseconds.
fn quantiles(
    rounds: &[Round],
    stage: &str,
    who: &str,
    first: usize,
) -> impl Iterator<Item = String> {
    (first..first + QUANTILES.len()).map(move |which| cell(rounds, stage, who, which, MS, 3))
}

fn lateness(rounds: &[Round]) -> String {
    let parts = [(SHOTS, "popped", 1), (SHOTS, "started", 5), (SHOTS, "cyclictest beside it", 9)];
    let cron = [(CRON, "popped", 1), (CRON, "started", 5), (CRON, "cyclictest beside it", 9)];
    let alone = [(CYCLICTEST, "", 0)];
    let rows = parts.into_iter().chain(cron).chain(alone).map(|(who, what, first)| {
        let row = [who.to_owned(), what.to_owned()].into_iter();
        row.chain(quantiles(rounds, LATENESS, who, first)).collect()
    });
    let columns = ["", ""].into_iter().chain(QUANTILES);
    let fired = cell(rounds, LATENESS, SHOTS, 0, 1.0, 0);
    let fired_crons = cell(rounds, LATENESS, CRON, 0, 1.0, 0);
    let table = section("Lateness, ms", columns, rows);
    format!(
        "{table}\n{fired} one-shots and {fired_crons} cron firings were measured a round; steal {}.\n",
        steal(rounds, LATENESS)
    )
}

fn at_work(rounds: &[Round]) -> String {
    let row = |what: &str, stage, who, (which, unit, digits)| {
        vec![what.to_owned(), cell(rounds, stage, who, which, unit, digits), steal(rounds, stage)]
    };
    let rows = vec![
        row("burst of 100000: the last one starts, ms", BURST, CRONX, (0, MS, 1)),
        row("100000 bare spawns: the last one starts, ms", BURST, TOKIO, (0, MS, 1)),
        row("10000 timers: jobs a second", SPIN, CRONX, (0, 1.0, 0)),
        row("10000 timers: resident MiB", SPIN, CRONX, (1, 1.0, 0)),
        row("submit, no wake: P50 ns", SUBMIT, FLOOD, (0, 1.0, 0)),
        row("submit, no wake: P99 ns", SUBMIT, FLOOD, (1, 1.0, 0)),
        row("submit, wake: P50 ns", SUBMIT, WAKE, (0, 1.0, 0)),
        row("submit, wake: P99 ns", SUBMIT, WAKE, (1, 1.0, 0)),
        row("one-shot that waits: bytes of heap", MEMORY, SHOT, (0, 1.0, 0)),
        row("one-shot that waits: resident bytes", MEMORY, SHOT, (1, 1.0, 0)),
        row("cron job that waits: bytes of heap", MEMORY, JOB, (0, 1.0, 0)),
        row("cron job that waits: resident bytes", MEMORY, JOB, (1, 1.0, 0)),
    ];
    section("At work", ["", "", "steal"], rows)
}

fn crates(rounds: &[Round]) -> String {
    let rows = CRATES.iter().map(|who| {
        let row = [(*who).to_owned()].into_iter().chain(quantiles(rounds, SECONDS, who, 1));
        row.chain([cell(rounds, SECONDS, who, 5, 1.0, 0)]).collect()
    });
    let columns = [""].into_iter().chain(QUANTILES).chain(["lost"]);
    let title = format!("{SECONDS}, lateness from the second, ms; what is lost counts as 1000");
    format!("{}\nSteal {}.\n", section(&title, columns, rows), steal(rounds, SECONDS))
}

/// Stages of the hold model, and how many timers were live.
fn sizes(rounds: &[Round]) -> Vec<(u64, String)> {
    let size = |round: &Round| {
        let live = round.stage.strip_prefix(HELD)?.parse().ok()?;
        Some((live, round.stage.clone()))
    };
    let mut sizes: Vec<_> = rounds.iter().filter_map(size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn held(rounds: &[Round]) -> String {
    let sizes = sizes(rounds);
    let rows = sizes.iter().flat_map(|(live, stage)| {
        [CRONX, TOKIO].into_iter().map(move |who| {
            let row = [live.to_string(), who.to_owned()].into_iter();
            let row = row.chain(quantiles(rounds, stage, who, 1));
            row.chain([cell(rounds, stage, who, 0, 1.0, 0), steal(rounds, stage)]).collect()
        })
    });
    let columns = ["live timers", "of"].into_iter().chain(QUANTILES).chain(["fired", "steal"]);
    section("Lateness against live timers, 9,000 due a second, ms", columns, rows)
}

/// The same as a table of numbers: medians.
pub(super) fn curves(rounds: &[Round]) -> String {
    let mut text = "who,timers,p50_ms,p99_ms,p999_ms,worst_ms\n".to_owned();
    for (live, stage) in sizes(rounds) {
        for who in [CRONX, TOKIO] {
            let ms = |which| Some(spread(rounds, &stage, (who, which))?.median / MS);
            let ms: Option<Vec<_>> = (1..5).map(ms).collect();
            let Some(ms) = ms else { continue };
            let cells: Vec<_> = ms.iter().map(|ms| format!("{ms:.6}")).collect();
            let _ = writeln!(text, "{who},{live},{}", cells.join(","));
        }
    }
    text
}

fn bar_list(rounds: &[Round]) -> String {
    let lines: Vec<_> = bars(rounds).iter().map(|bar| format!("- {bar}")).collect();
    format!("## Bars\n\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::round;
    use super::super::stage::AT_REST;
    use super::*;

    #[test]
    fn a_page_has_every_table_and_the_bars() {
        let held = [9.0, 1e5, 2e5, 3e5, 4e5];
        let rounds = [
            round(AT_REST, 1, &[(CRONX, &[20.0, 25.0]), ("nexus", &[30.0, 35.0])]),
            round("held: 1000", 1, &[(CRONX, &held), (TOKIO, &held)]),
            round(SECONDS, 1, &[(CRONX, &[8.0, 1e6, 2e6, 3e6, 4e6, 1.0])]),
        ];
        let page = render(&rounds, "6.18-x", 7);
        for there in [
            "Linux 6.18, ",
            "| 100000 live timers | insert | 20.0 [20.0, 20.0] | - | 30.0 [30.0, 30.0] | - | - |",
            "| 1000 | tokio | 0.100 [0.100, 0.100] |",
            "| cronx | 1.000 [1.000, 1.000] | 2.000 [2.000, 2.000] |",
            "- holds: 100000 live timers: insert, ns at most 30: 20.00 [20.00, 20.00]",
        ] {
            assert!(page.contains(there), "{there}\n{page}");
        }
    }

    #[test]
    fn curves_are_medians_by_size() {
        let round = |number, live, p50: f64| {
            let numbers = [9.0, p50, 2e6, 3e6, 4e6];
            round(&format!("{HELD}{live}"), number, &[(CRONX, &numbers)])
        };
        let rounds = [round(1, 10_000, 5e6), round(1, 1_000, 1e6), round(2, 1_000, 3e6)];
        assert_eq!(
            curves(&rounds),
            "who,timers,p50_ms,p99_ms,p999_ms,worst_ms\n\
             cronx,1000,2.000000,2.000000,3.000000,4.000000\n\
             cronx,10000,5.000000,2.000000,3.000000,4.000000\n"
        );
    }
}
