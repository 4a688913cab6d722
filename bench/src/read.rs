//! The floor of an analysis: the file is unzipped, every record decoded, and all of them merged by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::hint::black_box;
use std::io::BufReader;
use std::path::PathBuf;

use cronx_abi::{
    Header, InterruptRecord, MoveRecord, OpenWaitRecord, Record, SampleRecord, SliceRecord,
    TaskRecord, UnopenedRecord, WaitRecord, kind,
};
use cronx_recording::Capture;

use crate::Error;

/// What is done with a Capture.
#[derive(Debug, clap::Args)]
pub(crate) struct Read {
    /// The Capture.
    file: PathBuf,
    /// The whole analysis, and not only the floor.
    #[arg(long)]
    analyse: bool,
}

impl Read {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let file = File::open(&self.file).map_err(|source| Error::System {
            what: format!("cannot read {}", self.file.display()),
            source,
        })?;
        let capture = Capture::read(BufReader::new(file))?;
        if self.analyse {
            let report = cronx_blame::analyse(&capture, &cronx_blame::Options::default());
            tell(report.health.records)
        } else {
            tell(merge(&capture))
        }
    }
}

/// `RECORDS SECONDS KIB`: what was read, this process's CPU time, and the most memory that it had.
fn tell(records: u64) -> Result<(), Error> {
    // SAFETY: a struct of integers, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) != 0 {
            return Err(Error::last("getrusage"));
        }
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    println!("{records} {} {}", seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
    Ok(())
}

/// How many records were decoded, in the order of time.
fn merge(capture: &Capture) -> u64 {
    let mut streams: Vec<_> = capture.records.iter().map(|cpu| cpu.iter().peekable()).collect();
    let at_ns = |bytes: &[u8]| Header::from_bytes(bytes).map_or(0, |header| header.at_ns);
    let mut next: BinaryHeap<_> = streams
        .iter_mut()
        .enumerate()
        .filter_map(|(n, stream)| Some(Reverse((at_ns(stream.peek()?), n))))
        .collect();
    let mut records = 0;
    while let Some(Reverse((_, n))) = next.pop() {
        let Some(bytes) = streams[n].next() else { continue };
        decode(bytes);
        records += 1;
        next.extend(streams[n].peek().map(|bytes| Reverse((at_ns(bytes), n))));
    }
    records
}

fn decode(bytes: &[u8]) {
    let Some(header) = Header::from_bytes(bytes) else { return };
    match header.kind {
        kind::SLICE => _ = black_box(SliceRecord::from_bytes(bytes)),
        kind::WAIT => _ = black_box(WaitRecord::from_bytes(bytes)),
        kind::MOVE => _ = black_box(MoveRecord::from_bytes(bytes)),
        kind::INTERRUPT => _ = black_box(InterruptRecord::from_bytes(bytes)),
        kind::SAMPLE => _ = black_box(SampleRecord::from_bytes(bytes)),
        kind::TASK => _ = black_box(TaskRecord::from_bytes(bytes)),
        kind::OPEN | kind::UNSEEN_CLOSE => _ = black_box(OpenWaitRecord::from_bytes(bytes)),
        _ => _ = black_box(UnopenedRecord::from_bytes(bytes)),
    }
}
