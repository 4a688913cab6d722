//! Reports made by hand: what a recording of a server beside a compactor could say.

use cronx_recording::{
    Announced, Boundary, Budget, Censored, Class, ClassBlame, Culprit, CulpritBlame, Explained,
    Fold, Health, Host, Link, Listened, LoadEnd, Metric, MetricName, Miss, Part, PartReport,
    PartShare, Provenance, PutOff, Quantiles, Rejected, Report, SCHEMA, ShareInterval, Spans, Tail,
    Target, TileReport, WhatIf, histogram,
};

const MS: u64 = 1_000_000;

/// Enough waits for every quantile, a tail, three misses, nothing lost.
pub(crate) fn plausible() -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        provenance: provenance(),
        objective_ns: Some(2 * MS),
        waits: 43_120,
        waited_ns: 1_830 * MS,
        misses: Some(12),
        spared: None,
        censored: Censored { count: 2, waited_ns: 61 * MS, max_ns: 48 * MS },
        boundary: Boundary { open_unknown: 1, close_unknown: 0 },
        metrics: vec![
            metric(MetricName::WakeToRun, [12_400, 80_200, 3_104_000, 9_800_000, 14_127_000]),
            metric(MetricName::Placement, [2_100, 4_050, 18_000, 40_100, 112_000]),
            metric(MetricName::RunQueue, [10_100, 76_300, 3_080_000, 9_790_000, 14_115_000]),
        ],
        blame: classes(&[1_100, 400, 30, 180, 30, 90]),
        culprits: culprits(&[900, 400, 180, 120, 90, 80, 30, 30]),
        tail: Some(tail()),
        worst: misses(),
        folds: folds(),
        spans: None,
        health: Health {
            records: 181_004,
            unknown_ns: 90 * MS,
            samples: 3_800,
            profiler_cpu_ns: 61 * MS,
            own_cost_ns: Some(48 * MS),
            ..Health::default()
        },
    }
}

fn tail() -> Tail {
    let mut tail = Tail {
        threshold_ns: 3_104_000,
        waits: 432,
        waited_ns: 412 * MS,
        blame: classes(&[290, 60, 4, 40, 8, 10]),
        culprits: culprits(&[251, 60, 40, 30, 10, 9, 8, 4]),
        what_if: vec![
            what_if(Class::Foreign, None, 811_000),
            what_if(Class::Softirq, None, 2_800_000),
            what_if(Class::Unknown, None, 3_104_000),
            what_if(Class::Foreign, Some(culprit("compactor", "rocksdb", 5120)), 1_020_000),
            what_if(Class::Softirq, Some(culprit("NET_RX", "", 0)), 2_800_000),
        ],
    };
    let sure = |low, high| Some(ShareInterval { low, high });
    tail.blame[0].interval = sure(0.66, 0.735);
    tail.blame[1].interval = sure(0.02, 0.268);
    tail.culprits[0].interval = sure(0.571, 0.652);
    tail.culprits[1].interval = sure(0.02, 0.268);
    tail
}

fn what_if(class: Class, culprit: Option<Culprit>, p99_ns: u64) -> WhatIf {
    WhatIf {
        class,
        culprit,
        p50_ns: Some(12_000),
        p90_ns: Some(70_000),
        p99_ns: Some(p99_ns),
        p999_ns: None,
    }
}

/// A window in which nothing waited.
pub(crate) fn idle() -> Report {
    Report {
        objective_ns: None,
        waits: 0,
        waited_ns: 0,
        misses: None,
        censored: Censored::default(),
        boundary: Boundary::default(),
        metrics: vec![],
        blame: vec![],
        culprits: vec![],
        tail: None,
        worst: vec![],
        folds: vec![],
        health: Health::default(),
        ..plausible()
    }
}

/// Too few waits for a tail.
pub(crate) fn few() -> Report {
    let mut report = Report {
        waits: 42,
        waited_ns: 3 * MS,
        blame: vec![ClassBlame { class: Class::IdleExit, waited_ns: 3 * MS, interval: None }],
        culprits: vec![blamed(Class::IdleExit, "", "", 0, 3)],
        ..idle()
    };
    let mut wake_to_run = metric(MetricName::WakeToRun, [12_400, 80_200, 0, 0, 240_000]);
    wake_to_run.all = Quantiles { count: 42, p99_ns: None, p999_ns: None, ..wake_to_run.all };
    report.metrics = vec![wake_to_run];
    report
}

fn provenance() -> Provenance {
    Provenance {
        cronx_version: "0.1.0".to_owned(),
        kernel: "6.12.48-cloud-amd64".into(),
        machine: "x86_64".to_owned(),
        online_cpus: 4,
        host: Host::default(),
        target: Target::Command { argv: vec!["./load.sh".into(), "--fast".into()] },
        started_unix_ns: 1_700_000_000_250_000_000,
        duration_ns: 12_500 * MS,
        load: Some(LoadEnd::Exited(0)),
    }
}

fn metric(name: MetricName, [p50, p90, p99, p999, max_ns]: [u64; 5]) -> Metric {
    let all = Quantiles {
        count: 43_120,
        sum_ns: 1_830 * MS,
        p50_ns: Some(p50),
        p90_ns: Some(p90),
        p99_ns: Some(p99),
        p999_ns: Some(p999),
        max_ns,
        histogram: histogram::encode(&histogram::empty()),
        blocks: vec![],
    };
    Metric { name, all, by_process: vec![], by_thread: vec![], by_cgroup: vec![], by_cpu: vec![] }
}

fn classes(ms: &[u64; 6]) -> Vec<ClassBlame> {
    let order = [
        Class::Foreign,
        Class::Softirq,
        Class::Irq,
        Class::IdleExit,
        Class::Placement,
        Class::Unknown,
    ];
    let mut blame: Vec<_> = order
        .into_iter()
        .zip(ms)
        .map(|(class, ms)| ClassBlame { class, waited_ns: ms * MS, interval: None })
        .collect();
    blame.sort_by_key(|blame| std::cmp::Reverse(blame.waited_ns));
    blame
}

fn culprits(ms: &[u64; 8]) -> Vec<CulpritBlame> {
    vec![
        blamed(Class::Foreign, "compactor", "rocksdb", 5120, ms[0]),
        blamed(Class::Softirq, "NET_RX", "", 0, ms[1]),
        blamed(Class::IdleExit, "", "", 0, ms[2]),
        blamed(Class::Kernel, "kworker/2:1", "kworker/2:1", 77, ms[3]),
        blamed(Class::Unknown, "", "", 0, ms[4]),
        blamed(Class::Foreign, "sshd", "sshd", 901, ms[5]),
        blamed(Class::Placement, "", "", 0, ms[6]),
        blamed(Class::Irq, "eth0-rx-1", "", 0, ms[7]),
    ]
}

fn blamed(class: Class, name: &str, process: &str, tid: u32, ms: u64) -> CulpritBlame {
    let culprit = culprit(name, process, tid);
    CulpritBlame { class, culprit, waited_ns: ms * MS, interval: None }
}

pub(crate) fn culprit(name: &str, process: &str, tid: u32) -> Culprit {
    Culprit { name: name.into(), process: process.into(), tid, tgid: tid, ..Culprit::default() }
}

fn misses() -> Vec<Miss> {
    let placement = || (Class::Placement, culprit("", "", 0), 12_000);
    let compactor = |ns| (Class::Foreign, culprit("compactor", "rocksdb", 5120), ns);
    let rx = |ns| (Class::Softirq, culprit("NET_RX", "", 0), ns);
    let mut many = vec![placement()];
    for i in 1..=5 {
        many.extend([compactor(i * 900_000), rx(i * 41_000)]);
    }
    let last = vec![placement(), rx(300_000), compactor(9_500_000)];
    vec![
        miss("wakeup", "softirq NET_RX", 4_201_377_000, many),
        Miss {
            priority: Some(130),
            ..miss("preempted", "", 9_870_100_000, vec![compactor(11_000_000)])
        },
        Miss { chain: chain(), ..miss("wakeup", "acceptor (4702)", 510_000_000, last) },
    ]
}

fn miss(opening: &str, waker: &str, at_ns: u64, pieces: Vec<(Class, Culprit, u64)>) -> Miss {
    let mut waited_ns = 0;
    let mut tiles = Vec::new();
    for (class, culprit, length_ns) in pieces {
        tiles.push(TileReport { from_ns: waited_ns, length_ns, class, culprit, cpu: Some(2) });
        waited_ns += length_ns;
    }
    Miss {
        thread: "worker-3".into(),
        process: "server".into(),
        tid: 4711,
        tgid: 4700,
        at_ns,
        waited_ns,
        cpu: 2,
        opening: opening.to_owned(),
        cgroup: "/app".into(),
        priority: Some(120),
        waker: waker.into(),
        chain: vec![],
        tiles,
    }
}

/// The acceptor waited for the compactor, and who woke the acceptor for nobody else.
fn chain() -> Vec<Link> {
    let link = |thread: &str, tid, waited_ns, owed_ns| Link {
        thread: thread.into(),
        process: "server".into(),
        tid,
        tgid: 4700,
        waited_ns,
        ran_ns: 4_000,
        class: Class::Foreign,
        culprit: culprit("compactor", "rocksdb", 5120),
        owed_ns,
    };
    vec![link("acceptor", 4702, 3_100_000, 2_900_000), link("main", 4700, 900_000, 900_000)]
}

fn folds() -> Vec<Fold> {
    let fold = |class, culprit: &str, waited_ns| Fold {
        victim: "worker-3".into(),
        class,
        culprit: culprit.into(),
        stack: vec![],
        waited_ns,
    };
    vec![fold(Class::Foreign, "compactor", 1_430 * MS), fold(Class::Softirq, "NET_RX", 400 * MS)]
}

/// A job that a breaker held back, and a firing of another that it put off.
pub(crate) fn rejecting() -> Report {
    let total_ns = 2_000 * MS;
    let share = PartShare { part: Part::Breaker, length_ns: total_ns };
    let budget = Budget { count: 1, total_ns, parts: vec![share], ..Budget::default() };
    let quantiles =
        Quantiles { count: 1, sum_ns: total_ns, max_ns: total_ns, ..Quantiles::default() };
    let job = Announced {
        name: "refund".into(),
        process: "cronx".into(),
        quantiles: quantiles.clone(),
        late: 1,
        all: budget.clone(),
        tail: budget.clone(),
    };
    let spans = Spans {
        listened: Listened::default(),
        records: 9,
        lateness: quantiles,
        firings: budget.clone(),
        late: budget,
        jobs: vec![job],
        spans: vec![],
        worst_firings: vec![put_off(total_ns)],
        worst_spans: vec![],
        rejected: vec![rejected("pay", 12, 0), rejected("refund", 3, 3)],
        flaws: std::collections::BTreeMap::new(),
    };
    Report { spans: Some(spans), ..idle() }
}

fn rejected(name: &str, count: u64, put_off: u64) -> Rejected {
    Rejected {
        name: name.into(),
        process: "cronx".into(),
        breaker: "ledger".into(),
        state: "open".into(),
        rule: "consecutive".into(),
        count,
        put_off,
        first_ns: 1_000 * MS,
        last_ns: 3_200 * MS,
    }
}

fn put_off(total_ns: u64) -> Explained {
    let why = PutOff {
        times: 3,
        breaker: "ledger".into(),
        state: "half-open".into(),
        rule: "probe-failed".into(),
    };
    let part = |part, from_ns, length_ns, breaker| PartReport {
        part,
        from_ns,
        length_ns,
        tiles: vec![],
        breaker,
    };
    let parts = vec![
        part(Part::Breaker, 0, total_ns - MS, Some(why)),
        part(Part::Timer, total_ns - MS, MS, None),
    ];
    Explained {
        name: "refund".into(),
        process: "cronx".into(),
        tgid: 7,
        tid: 8,
        shard_tid: 9,
        number: 12,
        at_ns: 1_200 * MS,
        total_ns,
        ran_ns: None,
        parts,
    }
}
