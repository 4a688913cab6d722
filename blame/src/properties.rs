//! Properties over random Captures: a little model of CPUs emits records and knows, for every
//! nanosecond, who ran; then records are lost, doubled, shuffled, cut and damaged.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use cronx_abi::{
    Header, InterruptRecord, MoveRecord, Record, RefillRecord, SampleRecord, Slice, SliceRecord,
    TaskKey, TaskRecord, Wait, WaitRecord, kind, layer, opening, task_flag, wait_flag,
};
use cronx_recording::{
    Capture, CaptureHeader, Class, Counted, CpuRecords, CpuTrailer, Report, Runs, Spared, Stolen,
    TileReport, Trailer,
};

use crate::{Options, analyse};

const CPUS: u16 = 3;
const WINDOW_NS: u64 = 2_000;
const ROUNDS: u64 = 100;

/// xorshift64*, seeded anew in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Runs `property` on fresh seeds; the seed of a failure is printed, and `CRONX_SEED` repeats it.
fn check(property: impl Fn(&mut Random)) {
    let fixed = std::env::var("CRONX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = fixed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("CRONX_SEED={seed}");
    let mut random = Random(seed | 1);
    for _ in 0..ROUNDS {
        property(&mut random);
    }
}

/// Who owned an instant, as far as a Report tells: class, tid or 0, name of an interrupt.
type Truth = (Class, u32, String);

struct Model {
    capture: Capture,
    /// By CPU and nanosecond.
    truth: Vec<Vec<Truth>>,
    /// The first and the last refill of a throttled victim's wait, by its tid.
    refilled: BTreeMap<u32, (u64, u64)>,
}

type Records = Vec<(u64, Vec<u8>)>;

/// The victims' cgroup, the one above it, and another.
const CGROUPS: [(u64, &str); 3] = [(9, "/a/b"), (8, "/a"), (7, "/c")];

fn model(random: &mut Random) -> Model {
    let mut truth = Vec::new();
    let mut records: Vec<Records> = Vec::new();
    let mut switches = Vec::new();
    for cpu in 0..CPUS {
        let (owners, emitted, slices) = run_cpu(random, cpu);
        truth.push(owners);
        records.push(emitted);
        switches.push(slices);
    }
    let refills = refills(random, &mut records);
    let mut refilled = BTreeMap::new();
    for victim in 1_000..1_012 {
        let within = wait(random, victim, &switches, &refills, &mut records);
        refilled.extend(within.map(|within| (victim, within)));
    }
    for tid in (1..5).chain(1_000..1_012) {
        let cpu = random.below(CPUS.into()) as u16;
        let record = TaskRecord { header: header(0, kind::TASK, cpu), ..told(tid) };
        records[usize::from(cpu)].push((0, record.as_bytes().to_vec()));
    }
    Model { capture: number(records), truth, refilled }
}

/// What each culprit of the model is to each victim, who is alone in its process.
fn class_of(tid: u32) -> Class {
    [Class::Idle, Class::Foreign, Class::Rt, Class::Kernel, Class::Cgroup][tid as usize]
}

fn told(tid: u32) -> TaskRecord {
    let record = TaskRecord { task: task(tid), priority: 120, ..TaskRecord::default() };
    match tid {
        2 => TaskRecord { priority: 9, ..record },
        3 => TaskRecord { flags: task_flag::KERNEL, ..record },
        4 | 1_000.. => TaskRecord { cgroup: CGROUPS[0].0, ..record },
        _ => record,
    }
}

/// Instants at which the victims could run again, of whichever cgroup.
fn refills(random: &mut Random, records: &mut [Records]) -> Vec<u64> {
    let mut own = Vec::new();
    for _ in 0..8 {
        let (cpu, at_ns) = (random.below(CPUS.into()) as u16, random.below(WINDOW_NS));
        let (cgroup, _) = CGROUPS[random.below(3) as usize];
        for queue in 0..CPUS {
            let header = header(at_ns, kind::REFILL, cpu);
            let record = RefillRecord { header, cgroup, queue, reserved: [0; 3] };
            records[usize::from(cpu)].push((at_ns, record.as_bytes().to_vec()));
        }
        own.extend((cgroup != 7).then_some(at_ns));
    }
    own
}

/// One CPU's slices from 1 to the end of the window, the last of them the trailer's.
fn run_cpu(random: &mut Random, cpu: u16) -> (Vec<Truth>, Records, Vec<Slice>) {
    let mut owners = vec![(Class::Unknown, 0, String::new()); WINDOW_NS as usize];
    let (mut records, mut slices, mut from) = (Vec::new(), Vec::new(), 1);
    while from < WINDOW_NS {
        let to = (from + 20 + random.below(200)).min(WINDOW_NS);
        let tid = random.below(5) as u32;
        owners[from as usize..to as usize].fill((class_of(tid), tid, String::new()));
        interrupts(random, cpu, (from, to), &mut owners, &mut records);
        if to < WINDOW_NS {
            let slice = Slice { since_ns: from, task: task(tid) };
            slices.push(slice);
            let record = SliceRecord { header: header(to, kind::SLICE, cpu), slice };
            records.push((to, record.as_bytes().to_vec()));
        } else {
            slices.push(Slice { since_ns: from, task: task(tid) });
        }
        from = to;
    }
    (owners, records, slices)
}

/// A softirq, and a hard interrupt inside or beside it.
fn interrupts(
    random: &mut Random,
    cpu: u16,
    (from, to): (u64, u64),
    owners: &mut [Truth],
    records: &mut Records,
) {
    let mut within = |from: u64, to: u64| {
        let start = from + random.below(to - from);
        (start, start + random.below(to - start))
    };
    let (soft, hard) = (within(from, to), within(from, to));
    let (inside, beside) =
        (soft.0 <= hard.0 && hard.1 <= soft.1, hard.1 <= soft.0 || soft.1 <= hard.0);
    let mut all = vec![(soft, layer::SOFTIRQ, 3, Class::Softirq, "NET_RX")];
    if inside || beside {
        all.push((hard, layer::VECTOR, 236, Class::Irq, "local_timer"));
    }
    for ((since_ns, at_ns), .., class, name) in &all {
        owners[*since_ns as usize..*at_ns as usize].fill((*class, 0, (*name).to_owned()));
    }
    // What is inside ends first, also where the clock does not tell the two ends apart.
    for ((since_ns, at_ns), layer, vector, ..) in all.into_iter().rev() {
        let header = header(at_ns, kind::INTERRUPT, cpu);
        let record = InterruptRecord { header, since_ns, vector, layer, reserved: [0; 3] };
        records.push((at_ns, record.as_bytes().to_vec()));
    }
}

/// One wait of a victim of its own, over one or two queues, closing at a switch; if it was throttled,
/// on one queue, the first refill and the last within it.
fn wait(
    random: &mut Random,
    tid: u32,
    switches: &[Vec<Slice>],
    refills: &[u64],
    records: &mut [Records],
) -> Option<(u64, u64)> {
    let cpu = random.below(CPUS.into()) as u16;
    let ends = &switches[usize::from(cpu)];
    let close_ns = ends[random.below(ends.len() as u64) as usize].since_ns;
    let open_ns = random.below(close_ns);
    let queued_ns = open_ns + random.below(close_ns - open_ns);
    let first_cpu = random.below(CPUS.into()) as u16;
    let moves = u16::from(first_cpu != cpu);
    let victim = task(tid);
    if moves > 0 {
        let at_ns = queued_ns + random.below(close_ns - queued_ns);
        let header = header(at_ns, kind::MOVE, cpu);
        let record = MoveRecord { header, victim, from: first_cpu, to: cpu, reserved: 0 };
        records[usize::from(cpu)].push((at_ns, record.as_bytes().to_vec()));
    }
    let within = || refills.iter().copied().filter(|at_ns| (queued_ns..=close_ns).contains(at_ns));
    let may = moves == 0 && random.one_in(2);
    let throttled = within().min().zip(within().max()).filter(|_| may);
    let wait = Wait {
        flags: if throttled.is_some() { wait_flag::THROTTLED } else { 0 },
        open_ns,
        queued_ns,
        victim,
        first_cpu,
        cpu,
        moves,
        opening: opening::WAKEUP,
        ..Wait::default()
    };
    // The slice is told by its own record, so that losing the wait loses no more than the wait.
    let header = header(close_ns, kind::WAIT, cpu);
    let record = WaitRecord { header, slice: Slice::default(), wait };
    records[usize::from(cpu)].push((close_ns, record.as_bytes().to_vec()));
    throttled
}

fn task(tid: u32) -> TaskKey {
    if tid == 0 { TaskKey::default() } else { TaskKey { start_ns: 1, tid, tgid: tid } }
}

fn header(at_ns: u64, kind: u8, cpu: u16) -> Header {
    Header { at_ns, seq: 0, kind, flags: 0, cpu, reserved: 0 }
}

/// Orders each CPU's records by time and gives them their numbers.
fn number(records: Vec<Records>) -> Capture {
    let cgroups = CGROUPS.map(|(id, path)| (id, path.into())).into();
    let mut trailer = Trailer { stopped_ns: WINDOW_NS, cgroups, ..Trailer::default() };
    let mut runs = Vec::new();
    for (cpu, mut records) in (0..).zip(records) {
        records.sort_by_key(|(at_ns, _)| *at_ns);
        let mut run = CpuRecords { cpu, bytes: Vec::new() };
        for (seq, (_, bytes)) in (1_u64..).zip(&mut records) {
            bytes[8..16].copy_from_slice(&seq.to_ne_bytes());
            run.push(bytes);
        }
        let last_seq = records.len() as u64;
        trailer.cpus.push(CpuTrailer { cpu, last_seq, ..CpuTrailer::default() });
        runs.push(run);
    }
    let header = CaptureHeader {
        hooks: vec!["hrtimer_expire_entry".to_owned()],
        offsets: [("TASK_THROTTLED".to_owned(), 8)].into(),
        ..CaptureHeader::default()
    };
    Capture { header, records: runs, trailer: Some(trailer), ..Capture::default() }
}

/// Rewrites the records of every CPU.
fn change(capture: &Capture, mut rewrite: impl FnMut(&mut Vec<Vec<u8>>)) -> Capture {
    let mut changed = capture.clone();
    for run in &mut changed.records {
        let mut records: Vec<_> = run.iter().map(<[u8]>::to_vec).collect();
        rewrite(&mut records);
        run.bytes.clear();
        for record in &records {
            run.push(record);
        }
    }
    changed
}

fn all(capture: &Capture) -> Report {
    let report = analyse(capture, &Options { worst: usize::MAX, ..Options::default() });
    sums(&report);
    report
}

/// What holds of every Report, whatever the evidence.
fn sums(report: &Report) {
    assert_eq!(report.health.unbalanced, 0);
    let waited_ns = report.waited_ns;
    assert_eq!(report.folds.iter().map(|f| f.waited_ns).sum::<u64>(), waited_ns);
    assert_eq!(report.blame.iter().map(|b| b.waited_ns).sum::<u64>(), waited_ns);
    assert_eq!(report.culprits.iter().map(|c| c.waited_ns).sum::<u64>(), waited_ns);
    let (mut count, mut sum_ns) = (report.waits, waited_ns);
    if let Some(spared) = report.spared {
        count += spared.waits;
        sum_ns = sum_ns.saturating_add(spared.waited_ns);
    }
    assert_eq!((report.metrics[0].all.count, report.metrics[0].all.sum_ns), (count, sum_ns));
    if let Some(tail) = &report.tail {
        assert_eq!(tail.blame.iter().map(|b| b.waited_ns).sum::<u64>(), tail.waited_ns);
        assert_eq!(tail.culprits.iter().map(|c| c.waited_ns).sum::<u64>(), tail.waited_ns);
    }
    for miss in &report.worst {
        assert_eq!(miss.tiles.iter().map(|t| t.length_ns).sum::<u64>(), miss.waited_ns);
    }
}

/// By victim and nanosecond: what the Report says of it.
fn said(report: &Report) -> BTreeMap<(u32, u64), Truth> {
    let mut said = BTreeMap::new();
    for miss in &report.worst {
        for tile in &miss.tiles {
            let interrupt = matches!(tile.class, Class::Irq | Class::Softirq);
            let name = if interrupt { tile.culprit.name.raw() } else { "" };
            let from = miss.at_ns + tile.from_ns;
            for ns in from..from + tile.length_ns {
                said.insert((miss.tid, ns), (tile.class, tile.culprit.tid, name.to_owned()));
            }
        }
    }
    said
}

/// The model knows idle alone: what is left of it before a thread runs, and that interrupts do not
/// count until it is queued, has tests of its own.
fn agrees(truth: &Truth, said: &Truth) -> bool {
    match said.0 {
        // The slice that the trailer would tell of is left out on purpose.
        Class::Unknown => true,
        Class::IdleExit => matches!(truth.0, Class::Idle | Class::Irq | Class::Softirq),
        _ => truth == said,
    }
}

/// Everything said stood in the whole evidence too: loss makes blame unknown and nothing else.
fn only_to_unknown(whole: &Report, less: &Report) {
    let truth = said(whole);
    for (instant, owner) in said(less) {
        let known = owner.0 != Class::Unknown;
        assert!(!known || truth.get(&instant) == Some(&owner), "{instant:?} blamed on {owner:?}");
    }
    assert!(less.waited_ns <= whole.waited_ns);
}

#[test]
fn whole_evidence_gives_the_truth() {
    check(|random| {
        let model = model(random);
        let report = all(&model.capture);
        assert_eq!(report.health.anomalies, BTreeMap::new());
        assert_eq!(report.waits, 12);
        for miss in &report.worst {
            let refilled = model.refilled.get(&miss.tid).copied().unwrap_or_default();
            for tile in &miss.tiles {
                check_tile(miss.at_ns, tile, refilled, &model.truth);
            }
        }
    });
}

fn check_tile(
    open_ns: u64,
    tile: &TileReport,
    (first_ns, last_ns): (u64, u64),
    truth: &[Vec<Truth>],
) {
    let (from, to) = (open_ns + tile.from_ns, open_ns + tile.from_ns + tile.length_ns);
    let interrupt = matches!(tile.class, Class::Irq | Class::Softirq);
    let (early, between) = (from < first_ns, (first_ns..last_ns).contains(&from));
    // Between two refills it is, if none of the cgroup ran; else nobody knows.
    let throttled = tile.class == Class::Throttled;
    assert_eq!(throttled, !interrupt && (early || (between && throttled)), "{from} {tile:?}");
    assert!(!early || to <= last_ns || interrupt, "{from} {tile:?}");
    assert!(!between || interrupt || throttled || tile.class == Class::Unknown, "{from} {tile:?}");
    let Some(cpu) = tile.cpu.filter(|_| tile.class != Class::Throttled) else { return };
    let name = if interrupt { tile.culprit.name.raw() } else { "" };
    let owner = (tile.class, tile.culprit.tid, name.to_owned());
    for truth in &truth[cpu as usize][from as usize..to as usize] {
        assert!(agrees(truth, &owner), "{truth:?} {owner:?}");
    }
    // Nothing is known before the first slice, nor of the last one, nor which idle slice a thread found
    // when it was let go.
    let found = first_ns < last_ns && truth[cpu as usize][from as usize].0 == Class::Idle;
    let unknown = tile.class == Class::Unknown && from > 0 && !between && !found;
    assert!(!unknown || to > WINDOW_NS - 221, "at {from}");
}

#[test]
fn lost_records_only_make_blame_unknown() {
    check(|random| {
        let model = model(random);
        let whole = all(&model.capture);
        let odds = 2 + random.below(20);
        let less = change(&model.capture, |records| records.retain(|_| !random.one_in(odds)));
        only_to_unknown(&whole, &all(&less));
    });
}

#[test]
fn a_torn_end_only_makes_blame_unknown() {
    check(|random| {
        let model = model(random);
        let whole = all(&model.capture);
        let mut less = change(&model.capture, |records| {
            records.truncate(random.below(records.len() as u64) as usize);
        });
        only_to_unknown(&whole, &all(&less));
        less.trailer = None;
        only_to_unknown(&whole, &all(&less));
    });
}

#[test]
fn doubled_and_shuffled_records_change_nothing() {
    check(|random| {
        let model = model(random);
        let whole = all(&model.capture);
        let changed = change(&model.capture, |records| {
            for _ in 0..5 {
                let doubled = records[random.below(records.len() as u64) as usize].clone();
                records.push(doubled);
            }
            for last in (1..records.len()).rev() {
                records.swap(last, random.below(last as u64 + 1) as usize);
            }
        });
        let report = all(&changed);
        assert_eq!(report.health.anomalies["duplicate"], 15);
        assert_eq!((&report.worst, &report.folds), (&whole.worst, &whole.folds));
    });
}

#[test]
fn damaged_records_never_panic_and_always_sum() {
    check(|random| {
        let model = model(random);
        let mut changed = change(&model.capture, |records| {
            for record in records {
                if random.one_in(4) {
                    let at = random.below(record.len() as u64) as usize;
                    record[at] ^= 1 << random.below(8);
                }
                if random.one_in(20) {
                    record.truncate(random.below(record.len() as u64) as usize);
                }
            }
        });
        if random.one_in(2) {
            changed.trailer = None;
        }
        all(&changed);
    });
}

#[test]
fn garbage_never_panics_and_always_sums() {
    check(|random| {
        let mut capture = Capture { trailer: Some(Trailer::default()), ..Capture::default() };
        capture.header.started_ns = random.below(3);
        for cpu in 0..2 {
            let mut run = CpuRecords { cpu, bytes: Vec::new() };
            for _ in 0..random.below(60) {
                run.push(&garbage(random, cpu as u8));
            }
            run.bytes.extend((0..random.below(9)).map(|_| random.below(256) as u8));
            capture.records.push(run);
        }
        let stopped_ns = [0, 50, u64::MAX][random.below(3) as usize];
        let since_ns = random.below(100);
        let last_seq = [0, 9, u64::MAX][random.below(3) as usize];
        let end = CpuTrailer { since_ns, last_seq, lost: u64::MAX, ..CpuTrailer::default() };
        let spared = garbage_spared(random);
        let cpus = vec![end.clone(), CpuTrailer { cpu: 1, spared, ..end }];
        capture.header.floor_ns = random.below(3) * random.below(1 << 40);
        capture.header.sample_hz = [0, 1, 997, 200_000_000, u32::MAX][random.below(5) as usize];
        capture.trailer = Some(Trailer { stopped_ns, cpus, ..garbage_trailer(random) });
        all(&capture);
    });
}

fn number_of_any_size(random: &mut Random) -> u64 {
    [random.below(60), random.below(u64::MAX), u64::MAX][random.below(3) as usize]
}

fn garbage_spared(random: &mut Random) -> Spared {
    let mut counted = || Counted {
        counts: (0..random.below(4))
            .map(|_| (random.below(2_200) as u32, number_of_any_size(random)))
            .collect(),
        sum_ns: number_of_any_size(random),
        max_ns: number_of_any_size(random),
    };
    Spared { wake_to_run: counted(), placement: counted(), run_queue: counted() }
}

fn garbage_trailer(random: &mut Random) -> Trailer {
    let mut number = || number_of_any_size(random);
    let stolen = |n: u32, number: &mut dyn FnMut() -> u64| Stolen {
        cpu: n % 3,
        from_ns: number(),
        to_ns: number(),
        stolen_ns: number(),
    };
    Trailer {
        steal: (0..5).map(|n| stolen(n, &mut number)).collect(),
        cgroups: (0..3).map(|_| (number(), "/a".into())).collect(),
        programs: [("sample".to_owned(), Runs { timed: number(), time_ns: number() })].into(),
        ..Trailer::default()
    }
}

#[test]
fn the_same_capture_gives_the_same_bytes() {
    check(|random| {
        let model = model(random);
        let bytes = || {
            let mut bytes = Vec::new();
            all(&model.capture).write(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(bytes(), bytes());
    });
}

/// A record of a random kind whose numbers are small, huge or random.
fn garbage(random: &mut Random, cpu: u8) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<SampleRecord>()];
    for word in bytes.chunks_mut(8) {
        let value = match random.below(6) {
            0 => u64::MAX - random.below(3),
            1 => random.below(u64::MAX),
            _ => random.below(60),
        };
        word.copy_from_slice(&value.to_ne_bytes());
    }
    bytes[16] = random.below(12) as u8;
    bytes[17] = random.below(4) as u8;
    bytes[18..20].copy_from_slice(&u16::from(cpu).to_ne_bytes());
    if random.one_in(10) {
        bytes.truncate(random.below(120) as usize);
    }
    bytes
}
