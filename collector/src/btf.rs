//! A reader of BTF, the kernel's description of its own types: a pure function of bytes.
//!
//! It answers two questions: where a member stands in a struct, and how many arguments a tracepoint
//! has. Format: `include/uapi/linux/btf.h`. What it does not do: load, relocate, write.

use std::collections::{HashMap, HashSet};

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
/// The kernel's own bound (`KSYM_NAME_LEN`); without one, a name that never ends is read again for
/// every type that has it.
const NAME_MAX: usize = 512;
/// Containers looked into for one member: `task_struct` has a few anonymous ones.
const CONTAINERS_MAX: usize = 256;

mod type_kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
    pub(super) const LAST: u32 = 19;
}

/// Why bytes are not BTF, or do not hold what was asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BtfError {
    /// Not BTF at all, or in the other byte order.
    #[error("it does not begin with the magic number of BTF in this machine's byte order")]
    Magic,
    /// It ends too soon.
    #[error("it is cut off at byte {at}")]
    Cut {
        /// Where.
        at: usize,
    },
    /// A kind of type that this reader does not know; what follows cannot be found.
    #[error("type {id} is of the unknown kind {kind}")]
    Kind {
        /// The type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
    /// No such struct.
    #[error("it has no struct {name}")]
    NoStruct {
        /// Its name.
        name: String,
    },
    /// No such member.
    #[error("struct {container} has no member {member}")]
    NoMember {
        /// The struct.
        container: String,
        /// The member, as a path.
        member: String,
    },
    /// No such tracepoint.
    #[error("it has no tracepoint {name}")]
    NoTracepoint {
        /// Its name.
        name: String,
    },
}

/// Parsed BTF, borrowed from its bytes.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `types`; type ids count from 1.
    starts: Vec<u32>,
    /// Ids of structs and typedefs by name: all that is ever looked up.
    named: HashMap<(u32, &'a str), u32>,
}

/// The fixed part of a type.
#[derive(Clone, Copy)]
struct Type {
    kind: u32,
    /// Members, parameters, values: how many entries follow.
    entries: usize,
    /// With bit-field members, a member's offset is packed with its width.
    packed: bool,
    /// The type meant, or the size.
    target: u32,
    /// Where its entries begin.
    body: usize,
}

impl<'a> Btf<'a> {
    /// Parses; refuses what is cut off or not BTF.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = bytes.first_chunk::<2>().ok_or(BtfError::Magic)?;
        if u16::from_ne_bytes(*magic) != MAGIC {
            return Err(BtfError::Magic);
        }
        let number = |at| word(bytes, at).map(|n| n as usize);
        let header_len = number(4)?.max(HEADER_LEN);
        let part = |offset: usize, len: usize| {
            let start = header_len.checked_add(offset).ok_or(BtfError::Cut { at: offset })?;
            let end = start.checked_add(len).ok_or(BtfError::Cut { at: start })?;
            bytes.get(start..end).ok_or(BtfError::Cut { at: bytes.len() })
        };
        let types = part(number(8)?, number(12)?)?;
        let strings = part(number(16)?, number(20)?)?;
        let mut btf = Self { types, strings, starts: Vec::new(), named: HashMap::new() };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            self.starts.push(at as u32);
            let id = self.starts.len() as u32;
            let found = self.type_at(at)?;
            if matches!(found.kind, type_kind::STRUCT | type_kind::TYPEDEF) {
                let name = self.string(word(self.types, at)?);
                if !name.is_empty() {
                    self.named.entry((found.kind, name)).or_insert(id);
                }
            }
            at = found.body + body_len(id, found.kind, found.entries)?;
        }
        Ok(())
    }

    fn type_at(&self, at: usize) -> Result<Type, BtfError> {
        let info = word(self.types, at + 4)?;
        Ok(Type {
            kind: (info >> 24) & 0x1f,
            entries: (info & 0xffff) as usize,
            packed: info >> 31 == 1,
            target: word(self.types, at + 8)?,
            body: at + 12,
        })
    }

    fn type_of(&self, id: u32) -> Option<Type> {
        let start = *self.starts.get((id as usize).checked_sub(1)?)?;
        self.type_at(start as usize).ok()
    }

    /// The type behind typedefs and qualifiers. Bounded, for bytes that go in a circle.
    fn resolved(&self, mut id: u32) -> Option<Type> {
        use type_kind::{CONST, RESTRICT, TYPE_TAG, TYPEDEF, VOLATILE};
        for _ in 0..32 {
            let found = self.type_of(id)?;
            if !matches!(found.kind, TYPEDEF | CONST | VOLATILE | RESTRICT | TYPE_TAG) {
                return Some(found);
            }
            id = found.target;
        }
        None
    }

    fn string(&self, at: u32) -> &'a str {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        let rest = &rest[..rest.len().min(NAME_MAX)];
        let len = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
        std::str::from_utf8(&rest[..len]).unwrap_or_default()
    }

    /// Offset in bytes of a member, given as a path such as `thread_info.cpu`, in a struct. Members
    /// of anonymous structs and unions count as the outer struct's own.
    pub fn member_offset(&self, container: &str, path: &str) -> Result<u64, BtfError> {
        let id = self
            .named
            .get(&(type_kind::STRUCT, container))
            .ok_or_else(|| BtfError::NoStruct { name: container.to_owned() })?;
        let missing =
            || BtfError::NoMember { container: container.to_owned(), member: path.to_owned() };
        let mut found = self.type_of(*id).ok_or_else(missing)?;
        let mut bits = 0;
        for name in path.split('.') {
            let (offset, target) =
                self.member(found, name, &mut HashSet::new()).ok_or_else(missing)?;
            bits += offset;
            found = self.resolved(target).ok_or_else(missing)?;
        }
        Ok(bits / 8)
    }

    /// Offset in bits and type of a member. `seen` are the containers looked into already: each is
    /// looked into once, and they nest only so deep, or bytes that go in a circle would have no end.
    fn member(&self, container: Type, name: &str, seen: &mut HashSet<usize>) -> Option<(u64, u32)> {
        let holds = matches!(container.kind, type_kind::STRUCT | type_kind::UNION);
        if !holds || seen.len() == CONTAINERS_MAX || !seen.insert(container.body) {
            return None;
        }
        (0..container.entries).find_map(|n| {
            let at = container.body + n * 12;
            let found = self.string(word(self.types, at).ok()?);
            let target = word(self.types, at + 4).ok()?;
            let packed = word(self.types, at + 8).ok()?;
            let bits = u64::from(if container.packed { packed & 0x00ff_ffff } else { packed });
            if found == name {
                return Some((bits, target));
            }
            if !found.is_empty() {
                return None;
            }
            let (inner, target) = self.member(self.resolved(target)?, name, seen)?;
            Some((bits + inner, target))
        })
    }

    /// How many arguments a tracepoint gives to a program, its private first one left out.
    pub fn tracepoint_arguments(&self, name: &str) -> Result<usize, BtfError> {
        let missing = || BtfError::NoTracepoint { name: name.to_owned() };
        let typedef = format!("btf_trace_{name}");
        let id = self.named.get(&(type_kind::TYPEDEF, typedef.as_str())).ok_or_else(missing)?;
        let pointer =
            self.resolved(*id).filter(|t| t.kind == type_kind::PTR).ok_or_else(missing)?;
        let proto = self.resolved(pointer.target).ok_or_else(missing)?;
        if proto.kind != type_kind::FUNC_PROTO {
            return Err(missing());
        }
        proto.entries.checked_sub(1).ok_or_else(missing)
    }
}

/// Bytes that follow the fixed part of a type.
fn body_len(id: u32, kind: u32, entries: usize) -> Result<usize, BtfError> {
    use type_kind::{
        ARRAY, DATASEC, DECL_TAG, ENUM, ENUM64, FUNC_PROTO, INT, LAST, STRUCT, UNION, VAR,
    };
    Ok(match kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => entries * 12,
        ENUM | FUNC_PROTO => entries * 8,
        1..=LAST => 0,
        _ => return Err(BtfError::Kind { id, kind }),
    })
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let chunk = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    chunk.map(|chunk| u32::from_ne_bytes(*chunk)).ok_or(BtfError::Cut { at })
}

#[cfg(test)]
mod tests;
