//! Makes a Capture of as many waits as are asked for: threads that pass a token between two CPUs, each
//! wait with its slice, a timer's tail in every fourth and a move in every sixteenth.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use cronx_abi::{
    ABI_VERSION, Header, InterruptRecord, MoveRecord, Record, Slice, SliceRecord, TaskKey,
    TaskRecord, Wait, WaitRecord, Waker, kind, layer, opening, task_flag,
};
use cronx_recording::{CaptureHeader, CaptureWriter, CpuRecords, CpuTrailer, Trailer};

use crate::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Capture {
    /// How many waits.
    #[arg(long)]
    waits: u64,
    /// The file to write.
    file: PathBuf,
}

/// From a switch to the next on one CPU, nanoseconds.
const STEP_NS: u64 = 5_000;
const START_NS: u64 = 1_000_000;
const THREADS: u64 = 64;
/// Records of one CPU that make a block, as the collector writes them.
const BLOCK_BYTES: usize = 256 << 10;

impl Capture {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let file = File::create(&self.file).map_err(|source| Error::System {
            what: format!("cannot write {}", self.file.display()),
            source,
        })?;
        let header = CaptureHeader {
            abi_version: ABI_VERSION,
            possible_cpus: 2,
            online_cpus: 2,
            started_ns: START_NS,
            object: "tp_btf".to_owned(),
            ..CaptureHeader::default()
        };
        let mut writer = CaptureWriter::new(BufWriter::new(file), &header)?;
        let mut cpus = [Cpu::new(0), Cpu::new(1)];
        (0..THREADS).for_each(|n| cpus[0].tell(kind::TASK, START_NS, &name(n)));
        for number in 0..self.waits {
            step(&mut cpus, number);
            for cpu in &mut cpus {
                cpu.write(&mut writer, BLOCK_BYTES)?;
            }
        }
        cpus.iter_mut().try_for_each(|cpu| cpu.write(&mut writer, 1))?;
        let cpus = cpus.map(|cpu| CpuTrailer { last_seq: cpu.seq, ..cpu.trailer() });
        let stopped_ns = START_NS + (self.waits + 2) * STEP_NS;
        let trailer = Trailer { stopped_ns, cpus: cpus.to_vec(), ..Trailer::default() };
        writer.finish(&cronx_recording::Symbols::default(), &trailer)?;
        Ok(())
    }
}

/// One CPU's records to be.
struct Cpu {
    seq: u64,
    since_ns: u64,
    occupant: TaskKey,
    records: CpuRecords,
}

impl Cpu {
    fn new(cpu: u32) -> Self {
        let records = CpuRecords { cpu, bytes: Vec::new() };
        Self { seq: 0, since_ns: START_NS, occupant: task(0), records }
    }

    fn trailer(&self) -> CpuTrailer {
        CpuTrailer { cpu: self.records.cpu, ..CpuTrailer::default() }
    }

    /// `record` with its head filled in.
    fn tell<R: Record>(&mut self, kind: u8, at_ns: u64, record: &R) {
        self.seq += 1;
        let cpu = self.records.cpu as u16;
        let header = Header { at_ns, seq: self.seq, kind, cpu, ..Header::default() };
        let tail = &record.as_bytes()[size_of::<Header>()..];
        self.records.push(&[header.as_bytes(), tail].concat());
    }

    fn write<W: std::io::Write>(
        &mut self,
        writer: &mut CaptureWriter<W>,
        at_least: usize,
    ) -> Result<(), Error> {
        if self.records.bytes.len() >= at_least {
            writer.records(&self.records)?;
            self.records.bytes.clear();
        }
        Ok(())
    }
}

/// The wait of that number: it opens two steps before it ends, behind whoever runs.
fn step(cpus: &mut [Cpu; 2], number: u64) {
    let at_ns = START_NS + (number + 2) * STEP_NS;
    let (on, other) = ((number % 2) as usize, ((number + 1) % 2) as usize);
    let open_ns = at_ns - 2 * STEP_NS + 200;
    let victim = task(number % THREADS);
    let moved = number.is_multiple_of(16);
    if moved {
        let (from, to) = (other as u16, on as u16);
        let record = MoveRecord { victim, from, to, ..MoveRecord::default() };
        cpus[on].tell(kind::MOVE, open_ns + 1_000, &record);
    }
    if number.is_multiple_of(4) {
        let since_ns = at_ns - 3_000;
        let record = InterruptRecord {
            since_ns,
            vector: 236,
            layer: layer::VECTOR,
            ..InterruptRecord::default()
        };
        cpus[on].tell(kind::INTERRUPT, at_ns - 2_000, &record);
    }
    let slice = Slice { since_ns: cpus[on].since_ns, task: cpus[on].occupant };
    let wait = Wait {
        open_ns,
        queued_ns: open_ns + 100,
        victim,
        waker: Waker { task: task((number + 1) % THREADS), ..Waker::default() },
        first_cpu: if moved { other } else { on } as u16,
        cpu: on as u16,
        moves: u16::from(moved),
        opening: opening::WAKEUP,
        ..Wait::default()
    };
    if moved {
        let running = &cpus[other];
        let slice = Slice { since_ns: running.since_ns, task: running.occupant };
        cpus[other].tell(
            kind::SLICE,
            at_ns - STEP_NS / 2,
            &SliceRecord { slice, ..SliceRecord::default() },
        );
        (cpus[other].since_ns, cpus[other].occupant) = (at_ns - STEP_NS / 2, task(THREADS - 1));
    }
    cpus[on].tell(kind::WAIT, at_ns, &WaitRecord { slice, wait, ..WaitRecord::default() });
    (cpus[on].since_ns, cpus[on].occupant) = (at_ns, victim);
}

fn task(number: u64) -> TaskKey {
    let tid = 1_000 + number as u32;
    TaskKey { start_ns: 1 + number, tid, tgid: tid - tid % 4 }
}

fn name(number: u64) -> TaskRecord {
    let mut record = TaskRecord { task: task(number), priority: 120, ..TaskRecord::default() };
    let comm = format!("token-{number}");
    record.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    record.process = record.comm;
    record.flags = task_flag::WATCHED;
    record
}
