use cronx_recording::{CpuTrailer, Events};

use super::*;

/// Of two CPUs that saw the same.
fn own(programs: &[(&str, u64, u64)], events: &[(&str, u64)]) -> Option<u64> {
    let mut trailer = Trailer::default();
    for &(name, timed, time_ns) in programs {
        trailer.programs.insert(name.to_owned(), Runs { timed, time_ns });
    }
    let mut cpu = CpuTrailer::default();
    for &(hook, seen) in events {
        cpu.events.insert(hook.to_owned(), Events { seen, ..Events::default() });
    }
    trailer.cpus = vec![cpu.clone(), cpu];
    own_ns(&trailer)
}

#[test]
fn the_mean_run_times_the_events() {
    assert_eq!(own(&[("sched_switch", 10, 1_400)], &[("switch", 500)]), Some(100 * 1_000));
}

#[test]
fn programs_of_one_hook_share_its_events() {
    let programs = [("local_timer_entry", 30, 1_800), ("irq_handler_entry", 10, 1_400)];
    assert_eq!(own(&programs, &[("hard_entry", 1)]), Some(80));
}

#[test]
fn a_run_is_never_shorter_than_nothing() {
    assert_eq!(own(&[("sample", 10, 100)], &[("sample", 500)]), Some(0));
}

#[test]
fn without_a_timed_run_nothing_is_known() {
    assert_eq!(own(&[], &[("switch", 500)]), None);
    assert_eq!(own(&[("sched_switch", 0, 0), ("else", 9, 900)], &[("switch", 500)]), None);
}

#[test]
fn every_hook_has_a_program() {
    for hook in cronx_abi::hook::NAMES {
        assert!(PROGRAMS.iter().any(|(_, of)| *of == hook), "{hook}");
    }
}
