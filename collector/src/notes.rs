//! Which probes of provider `cronx` a binary has, by its notes (`.note.stapsdt`, as sys/sdt.h lays
//! them). It is anybody's file: every length is bounded before anything of that length is read.

use std::collections::BTreeSet;

/// The provider of all that is listened to.
pub const PROVIDER: &str = "cronx";

const SECTION: &[u8] = b".note.stapsdt\0";
const OWNER: &[u8] = b"stapsdt\0";
const PROBE: u32 = 3;
/// Three addresses stand before the names.
const ADDRESSES: usize = 3 * 8;
const HEADER_LEN: usize = 64;
const SECTION_HEADER_LEN: usize = 64;
/// More sections than any linker makes of a program.
const SECTIONS: usize = 4096;
/// Longer than the names of all sections, and than all probes of a large program.
const TABLE_LEN: u64 = 1 << 20;

/// Why a file's notes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no ELF file of this machine's word size and byte order.
    Foreign,
    /// A part of it is not there, or larger than any program's.
    Damaged,
}

/// The names of the probes, each once. `read` fills all of a buffer from an offset in the file, or says
/// that it cannot.
pub fn probes(
    mut read: impl FnMut(u64, &mut [u8]) -> bool,
) -> Result<BTreeSet<String>, Unreadable> {
    let mut take = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        read(at, &mut bytes).then_some(bytes).ok_or(Unreadable::Damaged)
    };
    let header = take(0, HEADER_LEN).map_err(|_| Unreadable::Foreign)?;
    // \x7fELF, 64 bits, and the byte order.
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if header[..6] != [0x7f, b'E', b'L', b'F', 2, order] {
        return Err(Unreadable::Foreign);
    }
    let (count, names) = (u16_at(&header, 60), u16_at(&header, 62));
    let size = u16_at(&header, 58);
    if count == 0 {
        return Ok(BTreeSet::new());
    }
    if size != SECTION_HEADER_LEN || count > SECTIONS || names >= count {
        return Err(Unreadable::Damaged);
    }
    let headers = take(u64_at(&header, 40), count * SECTION_HEADER_LEN)?;
    let (headers, _) = headers.as_chunks::<SECTION_HEADER_LEN>();
    let mut table = |section: &[u8; SECTION_HEADER_LEN]| {
        let (at, len) = (u64_at(section, 24), u64_at(section, 32));
        if len > TABLE_LEN { Err(Unreadable::Damaged) } else { take(at, len as usize) }
    };
    let texts = table(&headers[names])?;
    let is_notes = |section: &&[u8; SECTION_HEADER_LEN]| {
        texts.get(u32_at(*section, 0) as usize..).is_some_and(|text| text.starts_with(SECTION))
    };
    match headers.iter().find(is_notes) {
        Some(section) => Ok(parse(&table(section)?)),
        None => Ok(BTreeSet::new()),
    }
}

/// The notes in order, up to the first that is cut.
fn parse(mut notes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    while let Some((note, rest)) = next(notes) {
        found.extend(note);
        notes = rest;
    }
    found
}

/// The name of a probe of ours, if the first note is one, and what comes after it.
fn next(notes: &[u8]) -> Option<(Option<String>, &[u8])> {
    let (head, rest) = notes.split_at_checked(12)?;
    let aligned = |len: u32| (len as usize).checked_next_multiple_of(4);
    let (owner, rest) = rest.split_at_checked(aligned(u32_at(head, 0))?)?;
    let len = u32_at(head, 4);
    let description = rest.get(..len as usize)?;
    let rest = rest.get(aligned(len)?..).unwrap_or_default();
    let is_probe = owner == OWNER && u32_at(head, 8) == PROBE;
    Some((if is_probe { of_ours(description) } else { None }, rest))
}

fn of_ours(description: &[u8]) -> Option<String> {
    let mut texts = description.get(ADDRESSES..)?.split(|&byte| byte == 0);
    let (provider, name) = (texts.next()?, texts.next()?);
    (provider == PROVIDER.as_bytes()).then(|| String::from_utf8_lossy(name).into_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    bytes[at..].first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes).into())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &[u8]) -> Result<BTreeSet<String>, Unreadable> {
        probes(|at, into| {
            let end = |at: usize| at.checked_add(into.len());
            let from = usize::try_from(at).ok().and_then(|at| file.get(at..end(at)?));
            from.map(|from| into.copy_from_slice(from)).is_some()
        })
    }

    fn note(owner: &[u8], kind: u32, provider: &str, name: &str) -> Vec<u8> {
        let mut description = vec![0; ADDRESSES];
        description.extend(format!("{provider}\0{name}\0-8@%rax\0").bytes());
        let mut note = Vec::new();
        for number in [owner.len() as u32, description.len() as u32, kind] {
            note.extend(number.to_ne_bytes());
        }
        note.extend(owner);
        note.resize(note.len().next_multiple_of(4), 0);
        note.extend(description);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    /// A file of a header, notes, the sections' names, and three sections: none, names, notes.
    fn file(notes: &[u8]) -> Vec<u8> {
        let names = b"\0.shstrtab\0.note.stapsdt\0";
        let mut file = vec![0; HEADER_LEN];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file.extend(notes);
        let names_at = file.len() as u64;
        file.extend(names);
        let sections_at = file.len() as u64;
        let places = [(0, 0, 0), (1, names_at, names.len()), (11, HEADER_LEN as u64, notes.len())];
        for (name, at, len) in places {
            let mut section = [0; SECTION_HEADER_LEN];
            section[..4].copy_from_slice(&u32::to_ne_bytes(name));
            section[24..32].copy_from_slice(&at.to_ne_bytes());
            section[32..40].copy_from_slice(&(len as u64).to_ne_bytes());
            file.extend(section);
        }
        file[40..48].copy_from_slice(&sections_at.to_ne_bytes());
        file[58..60].copy_from_slice(&64_u16.to_ne_bytes());
        file[60..62].copy_from_slice(&3_u16.to_ne_bytes());
        file[62..64].copy_from_slice(&1_u16.to_ne_bytes());
        file
    }

    #[test]
    fn only_probes_of_ours_are_found_and_each_once() {
        let notes = [
            note(OWNER, PROBE, "cronx", "span_begin"),
            note(b"GNU\0", 1, "cronx", "no_probe"),
            note(OWNER, PROBE, "libc", "setjmp"),
            note(OWNER, PROBE, "cronx", "span_begin"),
            note(OWNER, PROBE, "cronx", "span_end"),
        ];
        let found = of(&file(&notes.concat())).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["span_begin", "span_end"]);
    }

    #[test]
    fn a_cut_note_ends_the_list() {
        let whole = note(OWNER, PROBE, "cronx", "span_begin");
        let cut = [whole.as_slice(), &whole[..whole.len() - 9]].concat();
        assert_eq!(of(&file(&cut)).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(of(b""), Err(Unreadable::Foreign));
        assert_eq!(of(&[b'#'; 200]), Err(Unreadable::Foreign));
        let mut stripped = file(&[]);
        stripped[60..62].copy_from_slice(&[0, 0]);
        assert_eq!(of(&stripped), Ok(BTreeSet::new()));
    }

    #[test]
    fn no_length_is_believed() {
        let whole = file(&note(OWNER, PROBE, "cronx", "span_begin"));
        let section = whole.len() - SECTION_HEADER_LEN;
        for (at, bytes) in [
            (58, u16::MAX.to_ne_bytes().to_vec()),
            (60, u16::MAX.to_ne_bytes().to_vec()),
            (62, u16::MAX.to_ne_bytes().to_vec()),
            (40, u64::MAX.to_ne_bytes().to_vec()),
            (section + 24, u64::MAX.to_ne_bytes().to_vec()),
            (section + 32, u64::MAX.to_ne_bytes().to_vec()),
        ] {
            let mut damaged = whole.clone();
            damaged[at..at + bytes.len()].copy_from_slice(&bytes);
            assert_eq!(of(&damaged), Err(Unreadable::Damaged), "at {at}");
        }
    }

    #[test]
    fn any_flipped_byte_is_survived() {
        let whole = file(&note(OWNER, PROBE, "cronx", "span_begin"));
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut flipped = whole.clone();
                flipped[at] ^= flip;
                assert!(of(&flipped).map_or(0, |found| found.len()) <= 1);
            }
        }
    }

    #[test]
    fn this_test_has_no_probes() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(of(&own), Ok(BTreeSet::new()));
    }
}
