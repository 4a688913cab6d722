//! Reports and evidence made by hand.

use cronx_recording::{
    Boundary, Censored, Class, ClassBlame, Culprit, CulpritBlame, Health, Host, Keyed, LoadEnd,
    Metric, MetricName, Provenance, Quantiles, Report, SCHEMA, Tail, Target, histogram,
};
use hdrhistogram::Histogram;

use crate::statistics::random::Random;

/// Blocks of a recording.
const BLOCKS: usize = 32;
const MS: u64 = 1_000_000;

/// Values of an exponential distribution with this mean, dealt out evenly over the blocks.
pub(crate) fn exponential(count: usize, mean_ns: f64, seed: u64) -> Quantiles {
    let mut random = Random::new(seed);
    let values: Vec<_> = (0..count).map(|_| (-random.unit().ln() * mean_ns) as u64).collect();
    quantiles(&values)
}

/// These values, in the order of time.
pub(crate) fn quantiles(values: &[u64]) -> Quantiles {
    let mut all = histogram::empty();
    for &value in values {
        all.record(value).unwrap();
    }
    let block = |part: &[u64]| {
        let mut block = histogram::empty_block();
        for &value in part {
            block.record(value).unwrap();
        }
        histogram::encode(&block)
    };
    let blocks = values.chunks(values.len().div_ceil(BLOCKS).max(1)).map(block).collect();
    of_histogram(&all, blocks)
}

fn of_histogram(all: &Histogram<u64>, blocks: Vec<String>) -> Quantiles {
    Quantiles {
        count: all.len(),
        sum_ns: 0,
        p50_ns: histogram::quantile(all, 0.5),
        p90_ns: histogram::quantile(all, 0.9),
        p99_ns: histogram::quantile(all, 0.99),
        p999_ns: histogram::quantile(all, 0.999),
        max_ns: all.max(),
        histogram: histogram::encode(all),
        blocks,
    }
}

/// A sound Report of these waits, all by process `app`.
#[allow(clippy::needless_pass_by_value, reason = "a test makes them for this alone")]
pub(crate) fn report(all: Quantiles) -> Report {
    let by_process = vec![Keyed { key: "app".into(), quantiles: all.clone() }];
    let metric = |name, all: &Quantiles| Metric {
        name,
        all: all.clone(),
        by_process: by_process.clone(),
        by_thread: vec![],
        by_cgroup: vec![],
        by_cpu: vec![],
    };
    Report {
        schema: SCHEMA.to_owned(),
        provenance: provenance(),
        objective_ns: None,
        waits: all.count,
        waited_ns: all.sum_ns,
        misses: None,
        censored: Censored::default(),
        boundary: Boundary::default(),
        spared: None,
        metrics: vec![metric(MetricName::WakeToRun, &all), metric(MetricName::SelfCaused, &all)],
        blame: vec![],
        culprits: vec![],
        tail: Some(tail(&[(Class::Own, "worker", 90 * MS), (Class::Foreign, "cron", 10 * MS)])),
        worst: vec![],
        folds: vec![],
        spans: None,
        health: Health { records: 100_000, events: 200_000, ..Health::default() },
    }
}

fn provenance() -> Provenance {
    Provenance {
        cronx_version: "0.1.0".to_owned(),
        kernel: "6.12.0".into(),
        machine: "x86_64".to_owned(),
        online_cpus: 2,
        host: Host { cpu: "Some CPU".into(), ..Host::default() },
        target: Target::Command { argv: vec!["./load.sh".into()] },
        started_unix_ns: 1_700_000_000_000_000_000,
        duration_ns: 2_000 * MS,
        load: Some(LoadEnd::Exited(0)),
    }
}

/// A tail of a hundred waits, owed to these.
pub(crate) fn tail(owed: &[(Class, &str, u64)]) -> Tail {
    let blame = |&(class, _, waited_ns): &(Class, &str, u64)| ClassBlame {
        class,
        waited_ns,
        interval: None,
    };
    let culprit = |&(class, name, waited_ns): &(Class, &str, u64)| CulpritBlame {
        class,
        culprit: Culprit { name: name.into(), tid: 7, ..Culprit::default() },
        waited_ns,
        interval: None,
    };
    Tail {
        threshold_ns: MS,
        waits: 100,
        waited_ns: owed.iter().map(|(_, _, ns)| ns).sum(),
        blame: owed.iter().map(blame).collect(),
        culprits: owed.iter().map(culprit).collect(),
        what_if: vec![],
    }
}
