//! Loss is counted to the unit, and doubt stays where the loss was.

use std::collections::BTreeMap;

use cronx_abi::{Header, InterruptRecord, Record, SliceRecord, WaitRecord, flag, kind};
use cronx_blame::TiledPiece;
use cronx_recording::{Capture, Class, CpuRecords, CpuTrailer};

use crate::bench::{Recording, can_run};

/// Rings of one page, and far more records than fit.
#[test]
fn a_one_page_ring_loses_records_and_both_equations_hold() {
    if !can_run("a_one_page_ring_loses_records_and_both_equations_hold", &["hackbench"]) {
        return;
    }
    let recording = Recording::make_lossy(&["--ring", "4", "--", "hackbench", "-l", "500"]);
    let health = &recording.report.health;
    assert!(health.lost > 1_000, "only {} records were lost", health.lost);
    assert_eq!(health.missing, health.lost, "by the sequence numbers as by the kernel's count");
    let capture = recording.capture();
    for cpu in &capture.trailer.as_ref().unwrap().cpus {
        assert_eq!(cpu.last_seq, submitted(&capture, cpu.cpu) + cpu.lost, "CPU {}", cpu.cpu);
        for (hook, events) in &cpu.events {
            assert_eq!(events.seen, events.handled + events.filtered, "CPU {} {hook}", cpu.cpu);
        }
    }
    let unknown = recording.report.blame.iter().find(|blame| blame.class == Class::Unknown);
    assert!(unknown.is_some_and(|blame| blame.waited_ns > 0), "nothing is in doubt");
    let screen = String::from_utf8_lossy(&recording.output.stderr).into_owned();
    assert!(screen.contains("EVIDENCE LOST"), "{screen}");
}

fn submitted(capture: &Capture, cpu: u32) -> u64 {
    let records = capture.records.iter().filter(|records| records.cpu == cpu);
    records.flat_map(CpuRecords::iter).count() as u64
}

/// What a wait may not know is what the lost records could have told, or what a record itself says
/// that nobody saw; and no nanosecond more.
#[test]
fn doubt_is_where_the_loss_was_and_nowhere_else() {
    if !can_run("doubt_is_where_the_loss_was_and_nowhere_else", &["hackbench"]) {
        return;
    }
    // Without samples nothing is claimed for the hypervisor, whose part is between them.
    let small = ["--ring", "4", "--sample-hz", "0"];
    let recording =
        Recording::make_lossy(&[&small[..], &["--", "hackbench", "-l", "100"]].concat());
    let capture = recording.capture();
    let holes = Holes::of(&capture);
    let (mut clear, mut in_doubt, mut unknown_ns) = (0, 0, 0);
    for wait in cronx_blame::tiles(&capture, &cronx_blame::Options::default()) {
        let doubts = wait.tiles.iter().filter(|tile| tile.class == Class::Unknown);
        for doubt in doubts.clone() {
            unknown_ns += doubt.to_ns - doubt.from_ns;
            // Without a CPU it is not known where the thread was queued: a move was lost.
            let cpus = doubt.cpu.map_or_else(|| holes.cpus(), |cpu| vec![cpu]);
            let explained = cpus.iter().any(|&cpu| holes.explain(cpu, doubt));
            assert!(explained, "nothing was lost of {doubt:?} in {wait:?}");
        }
        if doubts.count() > 0 { in_doubt += 1 } else { clear += 1 }
    }
    println!("{clear} waits are clear, {in_doubt} in doubt with {unknown_ns} ns");
    assert!(clear > 1_000 && in_doubt > 100 && unknown_ns > 0);
}

/// Where records are missing: between the two that are there, back to the last switch before. And
/// where one contradicts itself.
struct Holes(BTreeMap<u16, Vec<(u64, u64)>>);

impl Holes {
    fn of(capture: &Capture) -> Self {
        let stopped_ns = capture.trailer.as_ref().unwrap().stopped_ns;
        let cpus = capture.trailer.iter().flat_map(|trailer| &trailer.cpus);
        let of = |cpu: &CpuTrailer| {
            let mut records: Vec<&[u8]> = Vec::new();
            let own = capture.records.iter().filter(|records| records.cpu == cpu.cpu);
            own.for_each(|own| records.extend(own.iter()));
            (cpu.cpu as u16, holes(&records, cpu.last_seq, stopped_ns))
        };
        Self(cpus.map(of).collect())
    }

    fn cpus(&self) -> Vec<u16> {
        self.0.keys().copied().collect()
    }

    /// A tile may lie in several holes that touch; one whose place is not known, beside one.
    fn explain(&self, cpu: u16, doubt: &TiledPiece) -> bool {
        let holes = &self.0[&cpu];
        if doubt.cpu.is_none() {
            return holes.iter().any(|&(from, to)| from < doubt.to_ns && doubt.from_ns < to);
        }
        let mut at_ns = doubt.from_ns;
        while at_ns < doubt.to_ns {
            let next = holes.iter().filter(|&&(from, to)| from <= at_ns && at_ns < to);
            let Some(&(_, to)) = next.max_by_key(|(_, to)| *to) else { return false };
            at_ns = to;
        }
        true
    }
}

/// From one CPU's records, in the order of their numbers.
fn holes(records: &[&[u8]], last_seq: u64, stopped_ns: u64) -> Vec<(u64, u64)> {
    let mut holes = Vec::new();
    let (mut seq, mut missed, mut told_ns, mut switch_ns) = (0, 0, 0, 0);
    for bytes in records {
        let header = Header::from_bytes(bytes).unwrap();
        missed += header.seq - seq - 1;
        seq = header.seq;
        // The instant of a name is from when it holds, not when it was told.
        if header.kind == kind::TASK {
            continue;
        }
        let since_ns = since_ns(header.kind, bytes);
        if header.flags & flag::CONTRADICTS != 0 {
            holes.extend(since_ns.map(|since_ns| (since_ns, header.at_ns)));
        }
        if missed > 0 {
            // Its own slice is told whole, but for what interrupted it.
            holes.push((switch_ns.min(told_ns), header.at_ns + NESTING_NS));
            missed = 0;
        }
        if header.at_ns + NESTING_NS < told_ns {
            // The host took the CPU between a record's instant and its number.
            holes.push((header.at_ns.min(switch_ns), told_ns));
        }
        told_ns = told_ns.max(header.at_ns);
        if header.kind != kind::INTERRUPT && since_ns.is_some() {
            switch_ns = header.at_ns;
        }
    }
    if last_seq > seq || missed > 0 {
        holes.push((switch_ns, stopped_ns.max(told_ns)));
    }
    holes
}

/// An interrupt's record inside the writing of another is at most so much out of order.
const NESTING_NS: u64 = 1_000;

/// When a record's slice or interrupt began.
fn since_ns(record_kind: u8, bytes: &[u8]) -> Option<u64> {
    match record_kind {
        kind::SLICE => SliceRecord::from_bytes(bytes).map(|record| record.slice.since_ns),
        kind::WAIT => WaitRecord::from_bytes(bytes).map(|record| record.slice.since_ns),
        kind::INTERRUPT => InterruptRecord::from_bytes(bytes).map(|record| record.since_ns),
        _ => None,
    }
}

/// Threads that are moved from queue to queue while they wait: what interrupts them is short, and
/// hardly anything is in doubt.
#[test]
fn waits_that_move_are_followed() {
    if !can_run("waits_that_move_are_followed", &["stress-ng"]) {
        return;
    }
    let load = ["stress-ng", "-q", "--cpu", "3", "--affinity", "2", "-t", "3"];
    let recording = Recording::make(&[&["--"], &load[..]].concat());
    let anomalies = &recording.report.health.anomalies;
    for invented in ["overlapping_interrupts", "interrupt_across_switch"] {
        assert!(anomalies.get(invented).is_none_or(|count| *count < 10), "{anomalies:?}");
    }
    let of = |class: Class| {
        let blame = recording.report.blame.iter().find(|blame| blame.class == class);
        blame.map_or(0, |blame| blame.waited_ns)
    };
    let waited = recording.report.waited_ns;
    assert!(of(Class::Irq) * 10 < waited, "interrupts took {} of {waited} ns", of(Class::Irq));
    assert!(of(Class::Unknown) * 20 < waited, "{} of {waited} ns unknown", of(Class::Unknown));
}
