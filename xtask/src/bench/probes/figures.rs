//! From rounds to figures. Runs of one round are compared with each other, and with no others.

use super::measure::Run;
use super::series::{Kind, PROGRAM_TIME, Round, Series};
use super::variants::{EMPTY, NOTHING, RUNQLAT, WATCHED};
use super::workload::LOOPS;
use crate::bench::statistics::Spread;

/// What a run of an empty program took on the kernels where that was measured; only where there
/// are no empty programs to ask.
const FLOOR_NS: f64 = 37.0;

/// What is compared.
#[derive(Clone, Copy)]
pub(super) enum Figure {
    Wall,
    Cpu,
}

impl Figure {
    fn of(self, run: &Run) -> Option<f64> {
        match self {
            Self::Wall => Some(run.wall_ns as f64),
            Self::Cpu => run.cpu_ns.map(|ns| ns as f64),
        }
    }
}

fn rounds_of<'a>(rounds: &'a [Round], series: &str) -> impl Iterator<Item = &'a Round> {
    rounds.iter().filter(move |round| round.series == series)
}

/// The figure itself, of one variant.
pub(super) fn spread(
    rounds: &[Round],
    series: &str,
    variant: &str,
    figure: Figure,
) -> Option<Spread> {
    Spread::of(rounds_of(rounds, series).filter_map(|round| figure.of(round.of(variant)?)))
}

/// The figure of one variant by that of another in the same round.
pub(super) fn ratio(
    rounds: &[Round],
    series: &str,
    (variant, to): (&str, &str),
    figure: Figure,
) -> Option<Spread> {
    let ratio = |round: &Round| Some(figure.of(round.of(variant)?)? / figure.of(round.of(to)?)?);
    Spread::of(rounds_of(rounds, series).filter_map(ratio))
}

/// Of program time, all programs of a variant together.
pub(super) struct Programs {
    pub(super) runs_per_loop: Spread,
    pub(super) ns_per_run: Spread,
    /// Less what empty programs take.
    pub(super) net_ns_per_loop: Spread,
    /// By that of runqlat.
    pub(super) net_to_runqlat: Option<Spread>,
}

pub(super) fn programs(rounds: &[Round], variant: &str) -> Option<Programs> {
    let spread = |of: &dyn Fn(&Round, &Run) -> Option<f64>| {
        let figure = |round: &Round| of(round, round.of(variant)?);
        Spread::of(rounds_of(rounds, PROGRAM_TIME).filter_map(figure))
    };
    Some(Programs {
        runs_per_loop: spread(&|_, run| Some(run.programs.runs as f64 / f64::from(LOOPS)))?,
        ns_per_run: spread(&|_, run| ns_per_run(run))?,
        net_ns_per_loop: spread(&|round, run| Some(net_ns(round, run) / f64::from(LOOPS)))?,
        net_to_runqlat: spread(&|round, run| {
            Some(net_ns(round, run) / net_ns(round, round.of(RUNQLAT)?))
        }),
    })
}

fn ns_per_run(run: &Run) -> Option<f64> {
    (run.programs.runs > 0).then(|| run.programs.run_ns as f64 / run.programs.runs as f64)
}

/// The time that programs ran, less what as many empty ones would have taken in the same round.
fn net_ns(round: &Round, run: &Run) -> f64 {
    let floor = round.of(EMPTY).and_then(ns_per_run).unwrap_or(FLOOR_NS);
    run.programs.run_ns as f64 - run.programs.runs as f64 * floor
}

/// Records of a load that is watched.
pub(super) struct Loss {
    /// A second of the load, and CPU that it runs on.
    pub(super) rate: Spread,
    pub(super) read: u64,
    pub(super) lost: u64,
    /// The load's time by that without an observer.
    pub(super) wall: Option<Spread>,
}

/// Nothing of rounds in which programs are timed: that takes time of its own.
pub(super) fn loss(rounds: &[Round], series: &Series) -> Option<Loss> {
    if series.kind == Kind::Programs {
        return None;
    }
    let watched = || rounds_of(rounds, series.name).filter_map(|round| round.of(WATCHED));
    let records = || watched().filter_map(|run| run.records);
    let rate = |run: &Run| {
        let seconds = run.wall_ns as f64 / 1e9 * series.workload.width() as f64;
        // Those that were lost were made too.
        run.records.map(|records| (records.read + records.lost) as f64 / seconds)
    };
    Some(Loss {
        rate: Spread::of(watched().filter_map(rate))?,
        read: records().map(|records| records.read).sum(),
        lost: records().map(|records| records.lost).sum(),
        wall: ratio(rounds, series.name, (WATCHED, NOTHING), Figure::Wall),
    })
}

/// The host's share of all CPUs' time in these runs, and in the worst of them.
pub(super) fn stolen(rounds: &[Round], cpus: usize) -> (f64, f64) {
    let runs = || rounds.iter().flat_map(|round| &round.runs);
    let ticks = |run: &Run| run.stolen_ticks as f64;
    // A tick is 10 ms.
    let all_ticks = |run: &Run| run.wall_ns as f64 / 1e7 * cpus as f64;
    let worst = runs().map(|run| ticks(run) / all_ticks(run)).fold(0.0, f64::max);
    let total: f64 = runs().map(all_ticks).sum();
    (runs().map(ticks).sum::<f64>() / total.max(1.0), worst)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::probes::kernel::ProgramTime;
    use crate::bench::probes::measure::Records;
    use crate::bench::probes::series::SERIES;
    use crate::bench::probes::workload::{CROWDS, PIPE};

    pub(crate) fn run(variant: &str, wall_ms: u64) -> Run {
        Run {
            variant: variant.to_owned(),
            wall_ns: wall_ms * 1_000_000,
            cpu_ns: None,
            stolen_ticks: 0,
            programs: ProgramTime::default(),
            records: None,
        }
    }

    pub(crate) fn round(series: &str, number: u32, runs: Vec<Run>) -> Round {
        Round { series: series.to_owned(), number, runs }
    }

    fn shown(spread: Spread) -> String {
        format!("{:.1}", spread.median)
    }

    fn timed(variant: &str, runs: u64, run_ns: u64) -> Run {
        Run { programs: ProgramTime { runs, run_ns }, ..run(variant, 1) }
    }

    #[test]
    fn a_ratio_is_of_runs_of_one_round() {
        let of = |number, nothing, watched| {
            round(PIPE.name, number, vec![run(WATCHED, watched), run(NOTHING, nothing)])
        };
        let unmatched = round(PIPE.name, 4, vec![run(WATCHED, 900)]);
        let other = round(CROWDS.name, 1, vec![run(WATCHED, 900), run(NOTHING, 1)]);
        let rounds = [of(1, 100, 120), of(2, 200, 200), of(3, 100, 130), unmatched, other];
        let ratio = ratio(&rounds, PIPE.name, (WATCHED, NOTHING), Figure::Wall).unwrap();
        assert_eq!(ratio.to_string(), "1.20 [1.10, 1.25]");
        let nothing = spread(&rounds, PIPE.name, NOTHING, Figure::Wall).unwrap();
        assert_eq!(format!("{nothing:.0}"), "100000000 [100000000, 150000000]");
        assert_eq!(spread(&rounds, PIPE.name, NOTHING, Figure::Cpu), None);
    }

    #[test]
    fn program_time_is_less_what_empty_programs_take_in_the_same_round() {
        let loops = u64::from(LOOPS);
        let runs = vec![
            timed(EMPTY, loops, loops * 40),
            timed(RUNQLAT, loops * 2, loops * 280),
            timed(WATCHED, loops * 4, loops * 260),
        ];
        let programs = programs(&[round(PROGRAM_TIME, 1, runs)], WATCHED).unwrap();
        assert_eq!(shown(programs.runs_per_loop), "4.0");
        assert_eq!(shown(programs.ns_per_run), "65.0");
        assert_eq!(shown(programs.net_ns_per_loop), "100.0");
        assert_eq!(shown(programs.net_to_runqlat.unwrap()), "0.5");
    }

    #[test]
    fn a_rate_is_by_second_and_cpu_with_the_lost_ones() {
        let records = Some(Records { read: 3_000, lost: 1_000 });
        let runs = vec![run(NOTHING, 500), Run { records, ..run(WATCHED, 1_000) }];
        let series = SERIES.iter().find(|series| series.name == CROWDS.name).unwrap();
        let loss = loss(&[round(CROWDS.name, 1, runs)], series).unwrap();
        assert_eq!((loss.read, loss.lost), (3_000, 1_000));
        assert_eq!((shown(loss.rate), shown(loss.wall.unwrap())), ("2000.0".into(), "2.0".into()));
    }

    #[test]
    fn steal_is_a_share_of_all_cpus() {
        let of = |ticks| Run { stolen_ticks: ticks, ..run(NOTHING, 1_000) };
        let rounds = [round(PIPE.name, 1, vec![of(0), of(20)])];
        assert_eq!(stolen(&rounds, 2), (0.05, 0.1));
        assert_eq!(stolen(&[], 2), (0.0, 0.0));
    }
}
