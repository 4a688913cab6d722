//! The Capture: raw evidence, as a file that survives being cut off.
//!
//! ```text
//! file    = "cronxcap" version:u32 block*
//! block   = tag:u8 cpu:u32 raw_len:u32 stored_len:u32 crc32:u32 stored
//! tag     = H header (JSON) | R records of one CPU (abi, in order) | S symbols (JSON) | T trailer (JSON)
//! ```
//! Numbers are little-endian; `stored` is one zstd frame; the checksum is over all else. Blocks
//! stand in the order H R* S* T. A file without T was torn: what stands before is used, and said so.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use cronx_abi::{CpuState, HookCount, TaskKey, hook};
use serde::{Deserialize, Serialize};

use crate::{Error, Untrusted};

const MAGIC: &[u8; 8] = b"cronxcap";
const VERSION: u32 = 1;
const ZSTD_LEVEL: i32 = 1;
/// No block of ours is larger, so a larger one is damage (and no reason to allocate).
const BLOCK_MAX: u32 = 64 << 20;

/// Everything one recording saw, before any analysis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capture {
    /// What was recorded, where and how.
    pub header: CaptureHeader,
    /// The raw abi records of each CPU, in the order they were written.
    pub records: Vec<CpuRecords>,
    /// Names of the sampled addresses.
    pub symbols: Symbols,
    /// How it ended; `None` in a torn file.
    pub trailer: Option<Trailer>,
    /// Where and how the file broke off, if it did.
    pub torn: Option<String>,
}

/// The records of one CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuRecords {
    /// The CPU.
    pub cpu: u32,
    /// Its records: each a u32 length and then so many bytes, as [`CpuRecords::push`] lays them.
    pub bytes: Vec<u8>,
}

impl CpuRecords {
    /// The records of `cpu` among those of all, made if there are none yet.
    pub fn of(all: &mut Vec<Self>, cpu: u32) -> &mut Self {
        let at = all.iter().position(|records| records.cpu == cpu).unwrap_or_else(|| {
            all.push(Self { cpu, bytes: Vec::new() });
            all.len() - 1
        });
        &mut all[at]
    }

    /// Appends one record.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(record);
    }

    /// The records in order; stops where a length does not fit what is left.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            let record = tail.get(..u32::from_le_bytes(*len) as usize)?;
            rest = &tail[record.len()..];
            Some(record)
        })
    }
}

/// The head of a Capture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptureHeader {
    /// [`cronx_abi::ABI_VERSION`] of the records.
    pub abi_version: u32,
    /// The version of cronx that recorded.
    pub cronx_version: String,
    /// `uname -r`.
    pub kernel: Untrusted,
    /// `uname -m`.
    pub machine: String,
    /// CPUs that the kernel may ever have; CPU numbers are below it.
    pub possible_cpus: u32,
    /// CPUs that were up.
    pub online_cpus: u32,
    /// CLOCK_MONOTONIC at the start of the window: the release of the load.
    pub started_ns: u64,
    /// The same instant, nanoseconds since the Unix epoch, CLOCK_REALTIME.
    pub started_unix_ns: u64,
    /// Struct offsets the probes were given, by name, in bytes.
    pub offsets: BTreeMap<String, u64>,
    /// What was recorded.
    pub target: Target,
    /// The process that recorded.
    pub profiler_tgid: u32,
    /// Which object ran in the kernel: `tp_btf`.
    pub object: String,
    /// The hooks that were attached.
    pub hooks: Vec<String>,
    /// Stack samples a second and CPU while somebody waits; 0 for none.
    pub sample_hz: u32,
    /// Names of device interrupt lines, by IRQ number.
    pub irq_names: BTreeMap<u32, Untrusted>,
    /// What could not be had, one sentence each.
    pub degraded: Vec<String>,
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A command, started by us, and its descendants.
    Command {
        /// The command and its arguments.
        argv: Vec<Untrusted>,
    },
    /// Processes that ran already, and their descendants from then on.
    Processes {
        /// Their process ids.
        pids: Vec<u32>,
    },
}

impl Default for Target {
    fn default() -> Self {
        Self::Processes { pids: Vec::new() }
    }
}

/// Names of sampled addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// By kernel address.
    pub kernel: BTreeMap<u64, Frame>,
    /// By process, then address in it.
    pub user: BTreeMap<u32, BTreeMap<u64, Frame>>,
    /// Files that name symbols and were not read, because of who owns them or may write them.
    #[serde(default)]
    pub untrusted_files: u64,
}

impl Symbols {
    /// Adds what another table names.
    fn extend(&mut self, other: Self) {
        self.untrusted_files = self.untrusted_files.saturating_add(other.untrusted_files);
        self.kernel.extend(other.kernel);
        for (process, frames) in other.user {
            self.user.entry(process).or_default().extend(frames);
        }
    }
}

/// What stands at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function, demangled; `None` if nothing names it.
    pub function: Option<Untrusted>,
    /// The file it was mapped from; `None` for the kernel, and where unknown.
    pub module: Option<Untrusted>,
}

/// The end of a Capture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// CLOCK_MONOTONIC at the end of the window.
    pub stopped_ns: u64,
    /// Every CPU's last state.
    pub cpus: Vec<CpuTrailer>,
    /// Runs the kernel skipped because the program was running already, by hook.
    pub recursion_misses: BTreeMap<String, u64>,
    /// How the load ended; `None` for processes that were not ours.
    pub load: Option<LoadEnd>,
    /// CPU time of the profiler's own process during the window.
    pub profiler_cpu_ns: u64,
}

/// One CPU at the end of the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTrailer {
    /// The CPU.
    pub cpu: u32,
    /// Number of its last record, written or lost.
    pub last_seq: u64,
    /// Records lost at its ring.
    pub lost: u64,
    /// Events not handled for want of task storage.
    pub storage_failures: u64,
    /// Transitions of a task that cannot be.
    pub impossible: u64,
    /// Who ran at the end: `start_ns` of the key.
    pub occupant_start_ns: u64,
    /// Who ran at the end: the thread.
    pub occupant_tid: u32,
    /// Who ran at the end: the process.
    pub occupant_tgid: u32,
    /// When it was switched in; 0 if no switch was seen.
    pub since_ns: u64,
    /// Its events by hook ([`cronx_abi::hook::NAMES`]).
    #[serde(default)]
    pub events: BTreeMap<String, Events>,
}

/// What became of one hook's events on one CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The hook was called.
    pub seen: u64,
    /// It changed what is remembered, or told a record.
    pub handled: u64,
    /// It concerned nobody who is watched.
    pub filtered: u64,
}

impl CpuTrailer {
    /// The trailer's view of a CPU's state.
    pub fn from_state(cpu: u32, state: &CpuState) -> Self {
        Self {
            cpu,
            last_seq: state.seq,
            lost: state.lost,
            storage_failures: state.storage_failures,
            impossible: state.impossible,
            occupant_start_ns: state.occupant.start_ns,
            occupant_tid: state.occupant.tid,
            occupant_tgid: state.occupant.tgid,
            since_ns: state.since_ns,
            events: hook::NAMES.iter().zip(&state.hooks).map(Events::named).collect(),
        }
    }

    /// Who ran at the end.
    pub fn occupant(&self) -> TaskKey {
        TaskKey {
            start_ns: self.occupant_start_ns,
            tid: self.occupant_tid,
            tgid: self.occupant_tgid,
        }
    }
}

impl Events {
    fn named((name, count): (&&str, &HookCount)) -> (String, Self) {
        let HookCount { seen, handled, filtered } = *count;
        ((*name).to_owned(), Self { seen, handled, filtered })
    }
}

/// How the load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadEnd {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// It was still running when the window closed.
    Running,
}

/// Writes a Capture block by block, so that what is written survives whatever comes.
#[derive(Debug)]
pub struct CaptureWriter<W> {
    out: W,
}

impl<W: Write> CaptureWriter<W> {
    /// Writes magic, version and header.
    pub fn new(mut out: W, header: &CaptureHeader) -> Result<Self, Error> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let mut writer = Self { out };
        writer.block(b'H', 0, &json(header))?;
        Ok(writer)
    }

    /// Writes a run of records of one CPU, in the layout of [`CpuRecords`].
    pub fn records(&mut self, records: &CpuRecords) -> Result<(), Error> {
        let mut rest = records.bytes.as_slice();
        while !rest.is_empty() {
            let cut = whole_records(rest, BLOCK_MAX as usize / 2);
            self.block(b'R', records.cpu, &rest[..cut])?;
            rest = &rest[cut..];
        }
        Ok(())
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }

    /// Writes symbols and trailer, flushes, and gives the sink back.
    pub fn finish(mut self, symbols: &Symbols, trailer: &Trailer) -> Result<W, Error> {
        self.symbols(symbols)?;
        self.block(b'T', 0, &json(trailer))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn end(mut self, symbols: &Symbols) -> Result<W, Error> {
        self.symbols(symbols)?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// One block for the kernel's names and one for each process's: a build farm has many.
    fn symbols(&mut self, symbols: &Symbols) -> Result<(), Error> {
        let kernel = Symbols { user: BTreeMap::new(), ..symbols.clone() };
        self.block(b'S', 0, &json(&kernel))?;
        symbols.user.iter().try_for_each(|(process, frames)| {
            let user = BTreeMap::from([(*process, frames.clone())]);
            self.block(b'S', 0, &json(&Symbols { user, ..Symbols::default() }))
        })
    }

    fn block(&mut self, tag: u8, cpu: u32, raw: &[u8]) -> Result<(), Error> {
        if raw.len() > BLOCK_MAX as usize {
            let reason = format!("a block of {} bytes, and {BLOCK_MAX} are the most", raw.len());
            return Err(Error::Damaged { part: "block", reason });
        }
        let stored = zstd::bulk::compress(raw, ZSTD_LEVEL)?;
        let mut head = [0; 17];
        head[0] = tag;
        head[1..5].copy_from_slice(&cpu.to_le_bytes());
        head[5..9].copy_from_slice(&(raw.len() as u32).to_le_bytes());
        head[9..13].copy_from_slice(&(stored.len() as u32).to_le_bytes());
        let checksum = checksum(&head, &stored);
        head[13..17].copy_from_slice(&checksum.to_le_bytes());
        self.out.write_all(&head)?;
        self.out.write_all(&stored)?;
        Ok(())
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our types have string keys and no failing serializer")
}

/// The longest prefix of whole records that is at most `limit` bytes; everything if a single record
/// is longer (none of ours is).
fn whole_records(bytes: &[u8], limit: usize) -> usize {
    let mut end = 0;
    while let Some(len) = bytes[end..].first_chunk::<4>() {
        let next = end + 4 + u32::from_le_bytes(*len) as usize;
        if next > limit || next > bytes.len() {
            break;
        }
        end = next;
    }
    if end == 0 { bytes.len() } else { end }
}

impl Capture {
    /// Reads a Capture. A torn one is read up to its last whole block, and `torn` says so.
    pub fn read(mut input: impl Read) -> Result<Self, Error> {
        read_magic(&mut input)?;
        let mut capture = Self::default();
        let mut have_header = false;
        while capture.trailer.is_none() {
            let block = match read_block(&mut input) {
                Ok(block) => block,
                Err(BlockError::Torn(what)) if have_header => {
                    capture.torn = Some(what.to_owned());
                    break;
                }
                Err(BlockError::Torn(what)) => return Err(Error::Torn { what }),
                Err(BlockError::Io(error)) => return Err(error.into()),
            };
            capture.take(&block, &mut have_header)?;
        }
        Ok(capture)
    }

    fn take(&mut self, block: &Block, have_header: &mut bool) -> Result<(), Error> {
        match (block.tag, *have_header) {
            (b'H', false) => {
                self.header = parse("header", &block.raw)?;
                *have_header = true;
                let (found, newest) = (self.header.abi_version, cronx_abi::ABI_VERSION);
                match found.cmp(&newest) {
                    Ordering::Less => return Err(Error::Older { found, newest }),
                    Ordering::Greater => return Err(Error::Newer { found, newest }),
                    Ordering::Equal => {}
                }
            }
            (b'R', true) => {
                let records = CpuRecords::of(&mut self.records, block.cpu);
                records.bytes.extend_from_slice(&block.raw);
            }
            (b'S', true) => self.symbols.extend(parse("symbols", &block.raw)?),
            (b'T', true) => self.trailer = Some(parse("trailer", &block.raw)?),
            (tag, _) => {
                let reason = format!("block {:?} has no place here", char::from(tag));
                return Err(Error::Damaged { part: "block order", reason });
            }
        }
        Ok(())
    }

    /// Writes the whole Capture; without a trailer it will read as torn, as it was.
    pub fn write<W: Write>(&self, out: W) -> Result<W, Error> {
        let mut writer = CaptureWriter::new(out, &self.header)?;
        for records in &self.records {
            writer.records(records)?;
        }
        match &self.trailer {
            Some(trailer) => writer.finish(&self.symbols, trailer),
            None => writer.end(&self.symbols),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(part: &'static str, raw: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|e| Error::Damaged { part, reason: e.to_string() })
}

struct Block {
    tag: u8,
    cpu: u32,
    raw: Vec<u8>,
}

enum BlockError {
    Torn(&'static str),
    Io(io::Error),
}

fn read_magic(input: &mut impl Read) -> Result<(), Error> {
    let mut start = Vec::new();
    input.take(12).read_to_end(&mut start)?;
    let Some((magic, version)) = start.split_first_chunk::<8>() else {
        return Err(if start.is_empty() {
            Error::Empty
        } else {
            Error::Foreign { expected: "cronx capture" }
        });
    };
    if magic != MAGIC {
        return Err(Error::Foreign { expected: "cronx capture" });
    }
    let version: [u8; 4] = version.try_into().map_err(|_| Error::Torn { what: "no version" })?;
    match u32::from_le_bytes(version) {
        VERSION => Ok(()),
        0 => Err(Error::Foreign { expected: "cronx capture" }),
        found => Err(Error::Newer { found, newest: VERSION }),
    }
}

fn read_block(input: &mut impl Read) -> Result<Block, BlockError> {
    let head = read_up_to(input, 17)?;
    let head: [u8; 17] = match head.len() {
        0 => return Err(BlockError::Torn("it ends without a trailer")),
        _ => head.try_into().map_err(|_| BlockError::Torn("it ends inside a block's head"))?,
    };
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (raw_len, stored_len) = (number(5), number(9));
    if raw_len > BLOCK_MAX || stored_len > BLOCK_MAX {
        return Err(BlockError::Torn("a block's length is impossible"));
    }
    let stored = read_up_to(input, stored_len)?;
    if stored.len() < stored_len as usize {
        return Err(BlockError::Torn("it ends inside a block"));
    }
    if checksum(&head, &stored) != number(13) {
        return Err(BlockError::Torn("a block's checksum is wrong"));
    }
    let raw = zstd::bulk::decompress(&stored, raw_len as usize)
        .map_err(|_| BlockError::Torn("a block does not decompress"))?;
    Ok(Block { tag: head[0], cpu: number(1), raw })
}

fn checksum(head: &[u8; 17], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..13]);
    hasher.update(stored);
    hasher.finalize()
}

fn read_up_to(input: &mut impl Read, len: u32) -> Result<Vec<u8>, BlockError> {
    let mut bytes = Vec::new();
    input.take(u64::from(len)).read_to_end(&mut bytes).map_err(BlockError::Io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
