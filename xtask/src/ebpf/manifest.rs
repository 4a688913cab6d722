//! The MANIFEST beside the object: what made it, and of what.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::OBJECTS;

/// Plain `key = value` lines, in this order; `#` starts a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The line that `rustc --version` prints.
    pub(super) rustc: String,
    /// The same of the BPF linker.
    pub(super) linker: String,
    /// The same of `llvm-strip`.
    pub(super) strip: String,
    /// The line that `clang --version` begins with.
    pub(super) clang: String,
    /// The version of the crate whose headers are libbpf's.
    pub(super) libbpf: String,
    /// The compilers' flags but for the renamed folders.
    pub(super) flags: String,
    /// SHA-256 over the sources' names and contents.
    pub(super) sources: String,
    /// SHA-256 of each object, in the order of [`super::OBJECTS`].
    pub(super) objects: [String; 3],
}

impl Manifest {
    /// Reads the text form. An unknown key is no error, a missing one is.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let value = |key: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let pair = pairs.find(|(name, _)| name.trim() == key);
            let (_, value) = pair.with_context(|| format!("the MANIFEST has no `{key}`"))?;
            Ok::<_, anyhow::Error>(value.trim().to_owned())
        };
        Ok(Self {
            rustc: value("rustc")?,
            linker: value("bpf-linker")?,
            strip: value("llvm-strip")?,
            clang: value("clang")?,
            libbpf: value("libbpf-sys")?,
            flags: value("flags")?,
            sources: value("sources.sha256")?,
            objects: [value(&key(0))?, value(&key(1))?, value(&key(2))?],
        })
    }

    /// What must be equal for the object to be equal byte for byte.
    pub(super) fn toolchain(&self) -> String {
        [self.rustc.as_str(), &self.linker, &self.strip, &self.clang, &self.libbpf].join(", ")
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Written by `cargo xtask ebpf`, proved by `cargo xtask ebpf --check`.")?;
        writeln!(f, "rustc = {}", self.rustc)?;
        writeln!(f, "bpf-linker = {}", self.linker)?;
        writeln!(f, "llvm-strip = {}", self.strip)?;
        writeln!(f, "clang = {}", self.clang)?;
        writeln!(f, "libbpf-sys = {}", self.libbpf)?;
        writeln!(f, "flags = {}", self.flags)?;
        writeln!(f, "sources.sha256 = {}", self.sources)?;
        let objects = self.objects.iter().enumerate();
        objects.into_iter().try_for_each(|(n, hash)| writeln!(f, "{} = {hash}", key(n)))
    }
}

/// The key of an object's hash.
fn key(object: usize) -> String {
    format!("{}.sha256", OBJECTS[object].0)
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Over every source of the objects, by name: Rust, C, `Cargo.toml` and `Cargo.lock`, the abi's too.
pub(super) fn hash_of_sources(room: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for name in sources(room)? {
        let text = fs::read(room.join(&name))?;
        // Lengths keep a file's end from being read as the next one's beginning.
        hasher.update(format!("{}\n{}\n", name.display(), text.len()));
        hasher.update(&text);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

fn hexadecimal(digest: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Names relative to the room, sorted.
fn sources(room: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![room.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(room)?.to_owned();
            if path.is_dir() {
                folders.extend((!is_made(&name)).then_some(path));
            } else if is_source(&name) {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_made(folder: &Path) -> bool {
    ["target", "prebuilt"].iter().any(|made| folder.ends_with(made))
}

fn is_source(name: &Path) -> bool {
    let is_code = name.extension().is_some_and(|extension| extension == "rs" || extension == "c");
    is_code || name.ends_with("Cargo.toml") || name.ends_with("Cargo.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            rustc: "rustc 1.96.0 (ac68faa20 2026-05-25)".to_owned(),
            linker: "bpf-linker 0.13.0".to_owned(),
            strip: "LLVM version 22.1.8".to_owned(),
            clang: "Debian clang version 14.0.6".to_owned(),
            libbpf: "1.7.0+v1.7.0".to_owned(),
            flags: "-Cdebuginfo=2 -Clink-arg=--btf".to_owned(),
            sources: hash(b"sources"),
            objects: [hash(b"probes"), hash(b"legacy"), hash(b"usdt")],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Manifest::parse(&manifest().to_string()).unwrap(), manifest());
    }

    #[test]
    fn a_missing_key_is_named() {
        let text = manifest().to_string().replace("bpf-linker", "linker");
        let error = Manifest::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), "the MANIFEST has no `bpf-linker`");
    }

    #[test]
    fn a_hash_is_the_known_one() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc"), known);
    }

    #[test]
    fn the_hash_of_sources_sees_sources_alone() {
        let room = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = room.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[package]");
        write("abi/src/lib.rs", "// one");
        let first = hash_of_sources(room.path()).unwrap();
        write("target/made.rs", "// made");
        write("prebuilt/MANIFEST", "made");
        assert_eq!(hash_of_sources(room.path()).unwrap(), first);
        write("abi/src/lib.rs", "// two");
        assert_ne!(hash_of_sources(room.path()).unwrap(), first);
    }
}
