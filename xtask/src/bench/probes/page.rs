//! The tables, in Markdown: for the terminal, and for a person to put among the documents.

use std::fmt::Write;
use std::thread;

use super::LeftOut;
use super::bars::bars;
use super::figures::{self, Figure};
use super::series::{Kind, Round, SERIES};
use super::variants::{NOTHING, VARIANTS};
use super::workload::FLOOD;
use crate::bench::section;
use crate::bench::statistics::Spread;

const NONE: &str = "-";

pub(super) fn render(rounds: &[Round], kernel: &str, seed: u64, left_out: &LeftOut) -> String {
    let sections = [
        head(rounds, kernel, seed, left_out),
        time_table(rounds),
        program_table(rounds),
        loss_table(rounds),
        bar_list(rounds),
    ];
    sections.join("\n")
}

fn head(rounds: &[Round], kernel: &str, seed: u64, left_out: &LeftOut) -> String {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let (share, worst) = figures::stolen(rounds, cpus);
    // What a distribution calls its build is of no interest.
    let kernel = kernel.split('-').next().unwrap_or(kernel);
    let most = rounds.iter().map(|round| round.number).max().unwrap_or_default();
    let mut head = format!(
        "# What the probes cost\n\n\
         Linux {kernel}, {cpus} CPUs, {most} rounds in an order drawn from seed {seed}. Medians, and \
         quartiles in\nbrackets. Loads run on CPU 1 (hackbench on CPUs 0 and 1), observers on CPU 0. \
         The host kept\n{:.2} % of the CPUs' time from these runs, {:.1} % in the worst of them.\n",
        share * 100.0,
        worst * 100.0
    );
    for (name, reason) in left_out {
        let _ = writeln!(head, "\nLeft out: {name}: {reason}");
    }
    head
}

fn time_table(rounds: &[Round]) -> String {
    let loads: Vec<_> = SERIES.iter().filter(|series| series.kind == Kind::Time).collect();
    let names = loads.iter().map(|load| load.name.to_owned());
    let flood_cpu = format!("{}, CPU time", FLOOD.name);
    let columns = ["observed by".to_owned()].into_iter().chain(names).chain([flood_cpu]);
    let rows = VARIANTS.iter().map(|variant| {
        let row = loads.iter().map(|load| time_cell(rounds, load.name, variant.name, Figure::Wall));
        let flood_cpu = time_cell(rounds, FLOOD.name, variant.name, Figure::Cpu);
        [variant.name.to_owned()].into_iter().chain(row).chain([flood_cpu]).collect()
    });
    section("The load's own time, by that with no observer in the same round", columns, rows)
}

/// Of nothing the time itself.
fn time_cell(rounds: &[Round], load: &str, variant: &str, figure: Figure) -> String {
    if variant == NOTHING {
        let time = figures::spread(rounds, load, variant, figure);
        return time.map_or(NONE.to_owned(), |time| format!("{:.0} ms", time.median / 1e6));
    }
    shown(figures::ratio(rounds, load, (variant, NOTHING), figure))
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or(NONE.to_owned(), |spread| spread.to_string())
}

fn program_table(rounds: &[Round]) -> String {
    let columns = ["programs of", "runs a loop", "ns a run", "net ns a loop", "by runqlat's"];
    let rows = VARIANTS.iter().filter_map(|variant| {
        let programs = figures::programs(rounds, variant.name)?;
        Some(vec![
            variant.name.to_owned(),
            format!("{:.2}", programs.runs_per_loop.median),
            format!("{:.0}", programs.ns_per_run.median),
            format!("{:.0}", programs.net_ns_per_loop),
            shown(programs.net_to_runqlat),
        ])
    });
    let title = "The time of the programs, for each loop of sched pipe; net: less what as many empty \
                 programs take";
    section(title, columns.map(str::to_owned), rows)
}

fn loss_table(rounds: &[Round]) -> String {
    let columns = ["watched", "records a second and core", "read", "lost", "time by no observer's"];
    let rows = SERIES.iter().filter_map(|series| {
        let loss = figures::loss(rounds, series)?;
        Some(vec![
            series.name.to_owned(),
            format!("{:.0}", loss.rate),
            loss.read.to_string(),
            loss.lost.to_string(),
            shown(loss.wall),
        ])
    });
    section("Records lost, with the rings as they are by default", columns.map(str::to_owned), rows)
}

fn bar_list(rounds: &[Round]) -> String {
    let lines: Vec<_> = bars(rounds).iter().map(|bar| format!("- {bar}")).collect();
    format!("## Bars\n\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{round, run};
    use super::super::variants::{RUNQLAT, WATCHED};
    use super::super::workload::PIPE;
    use super::*;

    #[test]
    fn a_page_has_a_time_ratios_and_what_was_left_out() {
        let runs = vec![run(NOTHING, 400), run(WATCHED, 480), run(RUNQLAT, 500)];
        let left_out = vec![("cronx --all", "no such flag".to_owned())];
        let page = render(&[round(PIPE.name, 1, runs)], "6.18", 7, &left_out);
        for line in [
            "Left out: cronx --all: no such flag",
            "| nothing | 400 ms | - | - | - |",
            "| cronx, watched | 1.20 [1.20, 1.20] | - | - | - |",
            "- holds: sched pipe: cronx, watched / runqlat at most 1.00 (hard): 0.96 [0.96, 0.96]",
        ] {
            assert!(page.lines().any(|there| there == line), "{line}\n{page}");
        }
    }
}
