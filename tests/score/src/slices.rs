//! Raw records as tools without our analysis would see them: who ran when on each CPU, and the waits.

use std::collections::BTreeMap;

use cronx_abi::{Record, SliceRecord, TaskKey, WaitRecord, kind};
use cronx_recording::{Capture, CpuRecords};

/// The records of one Capture that rules of thumb need.
#[derive(Debug, Default)]
pub struct Slices {
    /// By CPU, in the order of time.
    by_cpu: BTreeMap<u16, Vec<Slice>>,
    /// By thread and end.
    waits: BTreeMap<(u32, u64), WaitRecord>,
}

/// One task's time on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub from_ns: u64,
    pub to_ns: u64,
    pub task: TaskKey,
}

/// Reads the Capture.
pub fn read(capture: &Capture) -> Slices {
    let mut slices = Slices::default();
    for bytes in capture.records.iter().flat_map(CpuRecords::iter) {
        let Some(record) = SliceRecord::from_bytes(bytes) else { continue };
        // A wait begins with the slice that ended with it.
        if matches!(record.header.kind, kind::SLICE | kind::WAIT) {
            slices.add(&record);
        }
        if let (kind::WAIT, Some(wait)) = (record.header.kind, WaitRecord::from_bytes(bytes)) {
            slices.waits.insert((wait.wait.victim.tid, wait.header.at_ns), wait);
        }
    }
    slices.by_cpu.values_mut().for_each(|of_cpu| of_cpu.sort_by_key(|slice| slice.to_ns));
    slices
}

impl Slices {
    fn add(&mut self, record: &SliceRecord) {
        let slice = Slice {
            from_ns: record.slice.since_ns,
            to_ns: record.header.at_ns,
            task: record.slice.task,
        };
        self.by_cpu.entry(record.header.cpu).or_default().push(slice);
    }

    /// The wait that ended then.
    pub fn wait(&self, tid: u32, close_ns: u64) -> Option<&WaitRecord> {
        self.waits.get(&(tid, close_ns))
    }

    /// All of them.
    pub fn waits(&self) -> impl Iterator<Item = &WaitRecord> {
        self.waits.values()
    }

    /// What ran on `cpu` between the two, in order.
    pub fn within(&self, cpu: u16, from_ns: u64, to_ns: u64) -> &[Slice] {
        let of_cpu = self.by_cpu.get(&cpu).map_or(&[][..], Vec::as_slice);
        let first = of_cpu.partition_point(|slice| slice.to_ns <= from_ns);
        let count = of_cpu[first..].partition_point(|slice| slice.from_ns < to_ns);
        &of_cpu[first..first + count]
    }
}
