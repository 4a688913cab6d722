//! Makes a kernel's BTF small enough to commit: what the probes are told of it, and no more.
//!
//! Kept are the structs that the probes read, with all that is in them by value, and what each
//! scheduler tracepoint gives to a program. A pointer to data points to nothing. Format: `include/uapi/linux/btf.h`.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

const MAGIC: u32 = 0xeb9f;
const HEADER: usize = 24;
/// Words of a type before its body: name, kind and count, target or size.
const FIXED: usize = 3;

const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const FUNC_PROTO: u32 = 13;

/// The structs that the probes read.
const STRUCTS: [&str; 7] =
    ["task_struct", "task_group", "cgroup", "kernfs_node", "cfs_rq", "hrtimer", "rq"];

/// A type as words, those of its name and of other types among them.
type Words = Vec<u32>;

/// Types by their ids, the first of which is void, and the names they are given from.
struct Types<'a> {
    types: Vec<Words>,
    names: &'a [u8],
}

/// The types kept so far.
#[derive(Default)]
struct Kept {
    /// By their old ids.
    ids: HashMap<u32, u32>,
    /// By their new ones, from 1.
    types: Vec<Words>,
    names: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

/// The same kernel with fewer types.
pub(super) fn reduce(bytes: &[u8]) -> Result<Vec<u8>> {
    let from = Types::parse(bytes)?;
    let mut kept = Kept { names: vec![0], ..Kept::default() };
    for id in 1..from.types.len() as u32 {
        let name = from.name(id);
        let is_read = from.kind(id) == STRUCT && STRUCTS.iter().any(|s| name == s.as_bytes());
        if is_read || (from.kind(id) == TYPEDEF && name.starts_with(b"btf_trace_sched_")) {
            kept.keep(&from, id)?;
        }
    }
    Ok(kept.bytes())
}

impl<'a> Types<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let header = words(bytes.get(..HEADER).context("it has no header")?);
        ensure!(header[0] & 0xffff == MAGIC, "it is no BTF");
        let part = |offset: u32, length: u32| {
            let start = header[1] as usize + offset as usize;
            bytes.get(start..start + length as usize).context("it is cut off")
        };
        let (mut rest, names) = (part(header[2], header[3])?, part(header[4], header[5])?);
        let mut types = vec![vec![0; FIXED]];
        while !rest.is_empty() {
            let fixed = words(rest.get(..FIXED * 4).context("a type is cut off")?);
            let length = (FIXED + body_words(fixed[1])?) * 4;
            types.push(words(rest.get(..length).context("a type is cut off")?));
            rest = &rest[length..];
        }
        Ok(Self { types, names })
    }

    fn kind(&self, id: u32) -> u32 {
        self.types.get(id as usize).map_or(0, |words| kind(words[1]))
    }

    fn name(&self, id: u32) -> &[u8] {
        self.types.get(id as usize).map_or(&[], |words| self.name_at(words[0]))
    }

    fn name_at(&self, at: u32) -> &[u8] {
        let rest = self.names.get(at as usize..).unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

fn words(bytes: &[u8]) -> Words {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

fn kind(info: u32) -> u32 {
    (info >> 24) & 0x1f
}

fn body_words(info: u32) -> Result<usize> {
    let entries = (info & 0xffff) as usize;
    Ok(match kind(info) {
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 1,
        ARRAY => 3,
        // And DATASEC, ENUM64.
        STRUCT | UNION | 15 | 19 => entries * 3,
        // And ENUM.
        6 | FUNC_PROTO => entries * 2,
        0 | 20.. => anyhow::bail!("a type is of the unknown kind {}", kind(info)),
        _ => 0,
    })
}

/// Which words of a type are names, and which are other types.
fn references(words: &[u32]) -> (Vec<usize>, Vec<usize>) {
    let entries = |step: usize| (FIXED..words.len()).step_by(step);
    let (mut names, mut types) = (vec![0], Vec::new());
    match kind(words[1]) {
        ARRAY => types.extend([FIXED, FIXED + 1]),
        STRUCT | UNION => {
            names.extend(entries(3));
            types.extend(entries(3).map(|at| at + 1));
        }
        FUNC_PROTO => {
            names.extend(entries(2));
            types.extend(entries(2).map(|at| at + 1).chain([2]));
        }
        6 => names.extend(entries(2)),
        19 => names.extend(entries(3)),
        // PTR, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, TYPE_TAG
        PTR | 8..=12 | 18 => types.push(2),
        _ => {}
    }
    (names, types)
}

impl Kept {
    /// Keeps a type with those that it is made of. Gives its new id.
    fn keep(&mut self, from: &Types<'_>, id: u32) -> Result<u32> {
        if id == 0 {
            return Ok(0);
        }
        if let Some(&known) = self.ids.get(&id) {
            return Ok(known);
        }
        let mut words = from.types.get(id as usize).context("a type is missing")?.clone();
        // Before its parts are kept: some of them name it.
        self.types.push(Vec::new());
        let new = self.types.len() as u32;
        self.ids.insert(id, new);
        if kind(words[1]) == PTR && from.kind(words[2]) != FUNC_PROTO {
            words[2] = 0;
        }
        let (names, types) = references(&words);
        for at in types {
            words[at] = self.keep(from, words[at])?;
        }
        for at in names {
            words[at] = self.name(from.name_at(words[at]));
        }
        self.types[new as usize - 1] = words;
        Ok(new)
    }

    fn name(&mut self, name: &[u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        *self.known.entry(name.to_vec()).or_insert_with(|| {
            let at = self.names.len() as u32;
            self.names.extend(name);
            self.names.push(0);
            at
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let types = self.types.concat();
        let (length, names) = (types.len() as u32 * 4, self.names.len() as u32);
        // The version is 1, and there are no flags.
        let header = [1 << 16 | MAGIC, HEADER as u32, 0, length, length, names];
        let words = header.iter().chain(&types).flat_map(|word| word.to_le_bytes());
        words.chain(self.names.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(types: &[&[u32]], names: &str) -> Vec<u8> {
        let types = types.iter().map(|words| words.to_vec()).collect();
        Kept { types, names: names.into(), ..Kept::default() }.bytes()
    }

    /// `int`, an unused `long`, `struct list { struct list *next; int n; }`, and a task with one.
    #[test]
    fn what_is_not_asked_for_is_left_out() {
        let names = "\0long\0int\0list\0next\0n\0task_struct\0";
        let (int, structure) = (1 << 24, STRUCT << 24);
        let whole = bytes(
            &[
                &[1, int, 8, 64],
                &[6, int, 4, 32],
                &[10, structure | 2, 16, 15, 4, 0, 20, 2, 64],
                &[0, PTR << 24, 3],
                &[22, structure | 1, 16, 10, 3, 0],
            ],
            names,
        );
        let reduced = bytes(
            &[
                &[24, structure | 1, 16, 17, 2, 0],
                &[17, structure | 2, 16, 6, 3, 0, 15, 4, 64],
                &[0, PTR << 24, 0],
                &[11, int, 4, 32],
            ],
            "\0",
        );
        let found = Types::parse(&reduce(&whole).unwrap()).map(|types| types.types).unwrap();
        let expected = Types::parse(&reduced).unwrap().types;
        let shape =
            |types: &[Words]| types.iter().map(|words| words[1..].len()).collect::<Vec<_>>();
        assert_eq!(shape(&found), shape(&expected));
        let again = reduce(&reduce(&whole).unwrap()).unwrap();
        assert_eq!(again, reduce(&whole).unwrap(), "what is small stays as it is");
    }

    #[test]
    fn what_is_no_btf_is_refused() {
        assert!(reduce(b"").is_err());
        assert!(reduce(&[0; 64]).is_err());
        let cut = bytes(&[&[0, STRUCT << 24 | 9, 0]], "\0");
        assert!(reduce(&cut).is_err());
    }
}
