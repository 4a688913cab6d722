use cronx_abi::{Header, Record, Slice, SliceRecord, TaskKey, Wait, WaitRecord, kind, opening};
use cronx_recording::{Capture, CpuRecords};

use super::*;
use crate::slices;

fn task(tid: u32) -> TaskKey {
    TaskKey { start_ns: u64::from(tid), tid, tgid: tid }
}

fn slice(seq: u64, since_ns: u64, at_ns: u64, tid: u32) -> SliceRecord {
    SliceRecord {
        header: Header { at_ns, seq, kind: kind::SLICE, ..Header::default() },
        slice: Slice { since_ns, task: task(tid) },
    }
}

/// Task 9 waits from 100 to 400; 1 runs to 150, 2 to 350, 3 to the end.
fn capture() -> Capture {
    let wait = WaitRecord {
        header: Header { at_ns: 400, seq: 3, kind: kind::WAIT, ..Header::default() },
        slice: Slice { since_ns: 350, task: task(3) },
        wait: Wait {
            open_ns: 100,
            queued_ns: 100,
            victim: task(9),
            opening: opening::WAKEUP,
            ..Wait::default()
        },
    };
    let mut records = CpuRecords::default();
    records.push(slice(1, 50, 150, 1).as_bytes());
    records.push(slice(2, 150, 350, 2).as_bytes());
    records.push(wait.as_bytes());
    Capture { records: vec![records], ..Capture::default() }
}

#[test]
fn each_blames_by_its_rule() {
    let slices = slices::read(&capture());
    let wait = slices.wait(9, 400).unwrap();
    let blamed = RULES.map(|rule| {
        rule(wait, &slices).iter().map(|(task, ns)| (task.tid, *ns)).collect::<Vec<_>>()
    });
    assert_eq!(blamed.ran_just_before, [(3, 300)]);
    assert_eq!(blamed.last_preemptor, [(1, 300)]);
    assert_eq!(blamed.overlap_of_tasks, [(1, 50), (2, 200), (3, 50)]);
    assert_eq!(blamed.victim_list, [(9, 300)]);
}

#[test]
fn a_preempted_one_blames_who_came_next() {
    let slices = slices::read(&capture());
    let mut wait = *slices.wait(9, 400).unwrap();
    (wait.wait.open_ns, wait.wait.queued_ns) = (150, 150);
    assert_eq!(last_preemptor(&wait, &slices), [(task(2), 250)]);
}
