//! A reader of perf maps, in which a just-in-time compiler names the code that it made: a pure
//! function of bytes.
//!
//! ```text
//! 7f3a1c000000 40 LazyCompile:~handle request /srv/app.js:12
//! START        SIZE NAME, to the line's end, spaces included; numbers are hexadecimal
//! ```
//!
//! Any process may write such a file, and a compiler may be writing it now: a line that does not
//! hold is skipped and counted, never an error. Format: `tools/perf/Documentation/jit-interface.txt`.
//! What it does not do: open a file, or judge whose it is.
//!
//! ```
//! use cronx_collector::perf_map::PerfMap;
//!
//! let map = PerfMap::parse(b"1000 40 parse json\nwhat is this\n");
//! assert_eq!(map.lookup(0x103f).unwrap().raw(), "parse json");
//! assert_eq!(map.lookup(0x1040), None);
//! assert_eq!(map.skipped(), 1);
//! ```

use cronx_recording::Untrusted;

/// No more of a file is read.
pub const BYTES_MAX: usize = 64 << 20;

/// No more lines of a file are read.
pub const LINES_MAX: usize = 1_000_000;

/// Named pieces of code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PerfMap {
    /// By start; no two begin at the same address.
    pieces: Vec<Piece>,
    skipped: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    start: u64,
    /// The first address behind it.
    end: u64,
    name: Untrusted,
}

impl PerfMap {
    /// Parses as much as the caps allow; where two pieces begin at one address, the later line
    /// counts, since code is thrown away and its room used again.
    pub fn parse(bytes: &[u8]) -> Self {
        let within = &bytes[..bytes.len().min(BYTES_MAX)];
        let mut lines = within.split_inclusive(|&byte| byte == b'\n');
        let mut map = Self::default();
        for line in lines.by_ref().take(LINES_MAX) {
            match parse_line(line) {
                Some(piece) => map.pieces.push(piece),
                None => map.skipped += 1,
            }
        }
        map.skipped += lines.count() as u64;
        map.order();
        map
    }

    /// Sorts by start; of equal starts the last one read stays.
    fn order(&mut self) {
        self.pieces.reverse();
        self.pieces.sort_by_key(|piece| piece.start);
        self.pieces.dedup_by_key(|piece| piece.start);
    }

    /// The name of the code at an address: of the nearest piece below, if it reaches so far.
    pub fn lookup(&self, address: u64) -> Option<&Untrusted> {
        let above = self.pieces.partition_point(|piece| piece.start <= address);
        let nearest = &self.pieces[above.checked_sub(1)?];
        (address < nearest.end).then_some(&nearest.name)
    }

    /// Pieces that have a name.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Lines that were not used: malformed, or past the caps.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// A line without its end is still being written: its name may be half a name.
fn parse_line(line: &[u8]) -> Option<Piece> {
    let line = line.strip_suffix(b"\n")?;
    let (start, rest) = hexadecimal(line)?;
    let (size, name) = hexadecimal(rest)?;
    let end = start.checked_add(size).filter(|&end| end > start)?;
    let name = name.trim_ascii();
    let name = (!name.is_empty()).then(|| Untrusted::from_kernel(name))?;
    Some(Piece { start, end, name })
}

/// A number and what follows the space behind it.
fn hexadecimal(text: &[u8]) -> Option<(u64, &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    let (digits, rest) = text.split_at(space);
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    // The library's parser takes a sign.
    let whole = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| whole)?;
    Some((u64::from_str_radix(digits, 16).ok()?, &rest[1..]))
}

#[cfg(test)]
mod tests;
