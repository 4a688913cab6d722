//! Loss is counted to the unit, and doubt stays where the loss was.

use cronx_recording::{Capture, Class, CpuRecords};

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
