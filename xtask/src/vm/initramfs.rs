//! An archive that the kernel unpacks as its first file system: cpio's format `newc`, as
//! `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel has it.
//!
//! Not compressed: to unpack costs an emulated CPU more than to load.

use std::io::{self, Write};

/// What a kernel takes for a file's kind in its mode.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An entry; names have no leading slash, and a folder comes before what is in it.
pub(super) struct Entry {
    name: String,
    mode: u32,
    bytes: Vec<u8>,
}

impl Entry {
    pub(super) fn folder(name: &str, permissions: u32) -> Self {
        Self { name: name.to_owned(), mode: FOLDER | permissions, bytes: Vec::new() }
    }

    pub(super) fn program(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), mode: FILE | 0o755, bytes }
    }

    pub(super) fn text(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), mode: FILE | 0o644, bytes: text.into() }
    }

    pub(super) fn link(name: &str, to: &str) -> Self {
        Self { name: name.to_owned(), mode: LINK | 0o777, bytes: to.into() }
    }
}

/// The archive of these entries, all of them root's.
pub(super) fn pack(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        write_entry(&mut archive, number, entry)?;
    }
    let trailer = Entry { name: "TRAILER!!!".to_owned(), mode: 0, bytes: Vec::new() };
    write_entry(&mut archive, 0, &trailer)?;
    Ok(archive)
}

fn write_entry(archive: &mut Vec<u8>, number: u32, entry: &Entry) -> io::Result<()> {
    let (owner, group, links, time, device, check) = (0, 0, 1, 0, 0, 0);
    let (size, name_size) = (entry.bytes.len() as u32, entry.name.len() as u32 + 1);
    archive.write_all(b"070701")?;
    for field in [
        number, entry.mode, owner, group, links, time, size, device, device, device, device,
        name_size, check,
    ] {
        write!(archive, "{field:08x}")?;
    }
    archive.write_all(entry.name.as_bytes())?;
    archive.write_all(&[0])?;
    align(archive);
    archive.write_all(&entry.bytes)?;
    align(archive);
    Ok(())
}

fn align(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_bytes_each_aligned() {
        let archive = pack(&[Entry::text("etc/a", "hello")]).unwrap();
        let text = String::from_utf8(archive).unwrap();
        let (file, trailer) = text.split_at(110 + 6 + 8);
        assert_eq!(
            file,
            "07070100000001000081a400000000000000000000000100000000000000050000000000000000\
             00000000000000000000000600000000etc/a\0hello\0\0\0"
        );
        assert!(trailer.contains("TRAILER!!!\0"));
        assert_eq!(text.len() % 4, 0);
    }
}
