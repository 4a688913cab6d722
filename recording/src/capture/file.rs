//! The Capture as a file that survives being cut off.
//!
//! ```text
//! file    = "cronxcap" version:u32 block*
//! block   = tag:u8 cpu:u32 raw_len:u32 stored_len:u32 crc32:u32 stored
//! tag     = H header (JSON) | R records of one CPU (abi, in order) | U spans (abi) | S symbols (JSON)
//!         | T trailer (JSON)
//! ```
//! Numbers are little-endian; `stored` is one zstd frame; the checksum is over all else. Blocks
//! stand in the order H (R | U)* S* T. A file without T was torn: what stands before is used, and said so.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::{Capture, CaptureHeader, CpuRecords, Symbols, Trailer};
use crate::Error;

const MAGIC: &[u8; 8] = b"cronxcap";
const VERSION: u32 = 2;
/// The oldest that is read: it has no U.
const OLDEST_VERSION: u32 = 1;
const ZSTD_LEVEL: i32 = 1;
/// No block of ours is larger, so a larger one is damage (and no reason to allocate).
const BLOCK_MAX: u32 = 64 << 20;

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
        self.runs(b'R', records)
    }

    /// Writes a run of spans, in the same layout.
    pub fn spans(&mut self, records: &CpuRecords) -> Result<(), Error> {
        self.runs(b'U', records)
    }

    fn runs(&mut self, tag: u8, records: &CpuRecords) -> Result<(), Error> {
        let mut rest = records.bytes.as_slice();
        while !rest.is_empty() {
            let cut = whole_records(rest, BLOCK_MAX as usize / 2);
            self.block(tag, records.cpu, &rest[..cut])?;
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
                match found {
                    ..cronx_abi::OLDEST_ABI_VERSION => return Err(Error::Older { found, newest }),
                    _ if found > newest => return Err(Error::Newer { found, newest }),
                    _ => {}
                }
            }
            (b'R', true) => {
                let records = CpuRecords::of(&mut self.records, block.cpu);
                records.bytes.extend_from_slice(&block.raw);
            }
            (b'U', true) => self.spans.bytes.extend_from_slice(&block.raw),
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
        writer.spans(&self.spans)?;
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
        OLDEST_VERSION..=VERSION => Ok(()),
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
