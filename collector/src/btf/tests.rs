use super::*;

/// Builds BTF one type at a time, as a compiler would.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Builder {
    fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    fn push(&mut self, name: &str, kind: u32, target: u32, entries: u32, body: &[u32]) -> u32 {
        let name = self.name(name);
        for word in [&[name, kind << 24 | entries, target], body].concat() {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    fn container(&mut self, kind: u32, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let body: Vec<u32> =
            members.iter().flat_map(|&(n, t, bits)| [self.name(n), t, bits]).collect();
        self.push(name, kind, 64, members.len() as u32, &body)
    }

    fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&[1, 0]);
        for word in [24, 0, types, types, strings] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        [bytes, self.types.clone(), self.strings.clone()].concat()
    }
}

/// `struct task { union { int a; struct { long pad; int pid; }; }; const info_t info; }` and a
/// tracepoint of three arguments.
fn kernel() -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.push("int", type_kind::INT, 4, 0, &[32]);
    let inner = b.container(type_kind::STRUCT, "", &[("pad", int, 0), ("pid", int, 64)]);
    let union = b.container(type_kind::UNION, "", &[("a", int, 0), ("", inner, 0)]);
    let info = b.container(type_kind::STRUCT, "info", &[("flags", int, 0), ("cpu", int, 32)]);
    let typedef = b.push("info_t", type_kind::TYPEDEF, info, 0, &[]);
    let constant = b.push("", type_kind::CONST, typedef, 0, &[]);
    b.container(type_kind::STRUCT, "task", &[("", union, 128), ("info", constant, 256)]);
    let proto = b.push("", type_kind::FUNC_PROTO, 0, 4, &[0, 2, 0, int, 0, int, 0, int]);
    let pointer = b.push("", type_kind::PTR, proto, 0, &[]);
    b.push("btf_trace_sched_switch", type_kind::TYPEDEF, pointer, 0, &[]);
    b.bytes()
}

#[track_caller]
fn check(container: &str, path: &str, expected: Result<u64, &str>) {
    let bytes = kernel();
    let found = Btf::parse(&bytes).unwrap().member_offset(container, path);
    assert_eq!(found.map_err(|e| e.to_string()), expected.map_err(str::to_owned));
}

#[test]
fn members_are_found_where_they_stand() {
    check("task", "a", Ok(16));
    check("task", "pid", Ok(24));
    check("task", "info", Ok(32));
    check("task", "info.cpu", Ok(36));
    check("task", "info.gone", Err("struct task has no member info.gone"));
    check("task", "a.b", Err("struct task has no member a.b"));
    check("nobody", "a", Err("it has no struct nobody"));
}

#[test]
fn a_tracepoint_has_its_arguments() {
    let bytes = kernel();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.tracepoint_arguments("sched_switch"), Ok(3));
    let error = btf.tracepoint_arguments("sched_waking").unwrap_err();
    assert_eq!(error.to_string(), "it has no tracepoint sched_waking");
}

#[test]
fn cut_anywhere_it_is_refused() {
    let whole = kernel();
    for len in 0..whole.len() {
        assert!(Btf::parse(&whole[..len]).is_err(), "cut at {len}");
    }
    assert_eq!(Btf::parse(b"\x7fELF").unwrap_err(), BtfError::Magic);
}

#[test]
fn any_flipped_byte_ends_in_an_answer() {
    let whole = kernel();
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            if let Ok(btf) = Btf::parse(&bytes) {
                let _ = btf.member_offset("task", "info.cpu");
                let _ = btf.tracepoint_arguments("sched_switch");
            }
        }
    }
}

/// Found by the fuzzer: with each level the time grew by as much as there are members.
#[test]
fn a_circle_of_many_members_ends() {
    let mut b = Builder::new();
    let members: Vec<_> = (0..1000).map(|_| ("", 1, 0)).collect();
    b.container(type_kind::STRUCT, "task", &members);
    let bytes = b.bytes();
    let found = Btf::parse(&bytes).unwrap().member_offset("task", "pid");
    assert_eq!(found.unwrap_err().to_string(), "struct task has no member pid");
}
