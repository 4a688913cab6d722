//! What a day's files are.

use serde::{Deserialize, Serialize};

use crate::journal::{Day, Seal};

const SCHEMA: &str = "cronx.journal-archive/1";
/// After the digits of a file's first position.
const PART: &str = ".ndjson.zst";

/// What is said of a day in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    schema: String,
    /// Such as `2025-11-28`.
    pub day: String,
    /// How many events.
    pub count: u64,
    /// Position of the first.
    pub first: i64,
    /// Position of the last.
    pub last: i64,
    /// BLAKE3 of all lines, each with its end, in hexadecimal digits: the day's seal.
    pub digest: String,
    /// The files, in order.
    pub parts: Vec<Part>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in the day's folder.
    pub name: String,
    /// Its length, compressed.
    pub bytes: u64,
    /// BLAKE3 of it, compressed.
    pub digest: String,
    /// How many events.
    pub count: u64,
}

/// Whether it is the name of a file of events.
pub(super) fn is_part(name: &str) -> bool {
    let digits = name.strip_suffix(PART).unwrap_or_default();
    digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn hex(digest: [u8; 32]) -> String {
    blake3::Hash::from_bytes(digest).to_hex().to_string()
}

impl Part {
    pub(super) fn of(seal: &Seal, packed: &[u8]) -> Self {
        Self {
            name: format!("{:020}{PART}", seal.first.0),
            bytes: packed.len() as u64,
            digest: hex(*blake3::hash(packed).as_bytes()),
            count: seal.count,
        }
    }

    pub(super) fn is(&self, packed: &[u8]) -> bool {
        self.digest == hex(*blake3::hash(packed).as_bytes())
    }
}

impl Manifest {
    pub(super) fn of(day: Day, seal: &Seal, parts: Vec<Part>) -> Self {
        let Seal { count, first, last, digest } = *seal;
        Self {
            schema: SCHEMA.to_owned(),
            day: day.to_string(),
            count,
            first: first.0,
            last: last.0,
            digest: hex(digest),
            parts,
        }
    }

    /// Whether it says this of that day, and its files together have as many events.
    pub(super) fn is_of(&self, day: Day, seal: &Seal) -> bool {
        let same = Self::of(day, seal, self.parts.clone()) == *self;
        same && self.parts.iter().map(|part| part.count).sum::<u64>() == seal.count
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("names and numbers can be written")
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        // What no cronx wrote is no manifest, even if it says the same.
        let is_ours = manifest.schema == SCHEMA && manifest.text().as_bytes() == bytes;
        is_ours.then_some(manifest).ok_or_else(|| format!("no cronx wrote it as {SCHEMA}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;

    #[test]
    fn every_flipped_bit_is_found() {
        let (day, digest) = (Day(20_420), [7; 32]);
        let seal = Seal { count: 3, first: Position(5), last: Position(9), digest };
        let parts = vec![Part::of(&seal, b"packed")];
        let manifest = Manifest::of(day, &seal, parts);
        let text = manifest.text().into_bytes();
        assert_eq!(Manifest::read(&text), Ok(manifest.clone()));
        assert!(manifest.is_of(day, &seal) && !manifest.is_of(Day(20_421), &seal));
        for bit in 0..text.len() * 8 {
            let mut text = text.clone();
            text[bit / 8] ^= 1 << (bit % 8);
            let read = Manifest::read(&text);
            // What is said of a file is held against that file.
            let is_found = read.is_err()
                || read.is_ok_and(|read| {
                    !read.is_of(day, &seal)
                        || !read.parts[0].is(b"packed")
                        || read.parts[0].bytes != 6
                        || read.parts[0].name != manifest.parts[0].name
                });
            assert!(is_found, "bit {bit}");
        }
    }
}
