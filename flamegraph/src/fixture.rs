//! A small plausible Report for the tests of this crate.

use cronx_recording::{
    Boundary, Censored, Class, Fold, Health, Host, Metric, MetricName, Provenance, Quantiles,
    Report, SCHEMA, Target, histogram,
};

/// A name that attacks terminals, pages and build logs at once.
pub(crate) const CANARY: &str = "\x1b]0;x\x07</script>::error::";

/// A fold with a stack of plain names.
pub(crate) fn fold(victim: &str, class: Class, culprit: &str, stack: &[&str], ns: u64) -> Fold {
    Fold {
        victim: victim.into(),
        class,
        culprit: culprit.into(),
        stack: stack.iter().map(|&frame| frame.into()).collect(),
        waited_ns: ns,
    }
}

/// A Report of these folds, each of them one wait.
pub(crate) fn report(folds: Vec<Fold>) -> Report {
    let waits: Vec<u64> = folds.iter().map(|fold| fold.waited_ns).collect();
    let metric = |name, values: &[u64]| Metric {
        name,
        all: quantiles(values),
        by_process: vec![],
        by_thread: vec![],
        by_cgroup: vec![],
        by_cpu: vec![],
    };
    Report {
        schema: SCHEMA.to_owned(),
        provenance: provenance(),
        objective_ns: None,
        waits: waits.len() as u64,
        waited_ns: waits.iter().sum(),
        misses: None,
        censored: Censored::default(),
        boundary: Boundary::default(),
        spared: None,
        metrics: vec![
            metric(MetricName::WakeToRun, &waits),
            metric(MetricName::Placement, &[]),
            metric(MetricName::RunQueue, &waits),
        ],
        blame: vec![],
        culprits: vec![],
        tail: None,
        worst: vec![],
        folds,
        spans: None,
        health: Health::default(),
    }
}

fn provenance() -> Provenance {
    Provenance {
        cronx_version: "0.1.0".to_owned(),
        kernel: "6.12.0".into(),
        machine: "x86_64".to_owned(),
        online_cpus: 4,
        host: Host::default(),
        target: Target::Command { argv: vec!["./load.sh".into(), "--fast".into()] },
        started_unix_ns: 1_700_000_000_250_000_000,
        duration_ns: 12_500_000_000,
        load: None,
    }
}

fn quantiles(values: &[u64]) -> Quantiles {
    let mut all = histogram::empty();
    for &value in values {
        all.record(value).unwrap();
    }
    Quantiles {
        count: all.len(),
        sum_ns: values.iter().sum(),
        p50_ns: histogram::quantile(&all, 0.5),
        p90_ns: histogram::quantile(&all, 0.9),
        p99_ns: histogram::quantile(&all, 0.99),
        p999_ns: histogram::quantile(&all, 0.999),
        max_ns: values.iter().copied().max().unwrap_or_default(),
        histogram: histogram::encode(&all),
        blocks: vec![],
    }
}
