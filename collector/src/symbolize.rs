//! Names for sampled addresses.
//!
//! A process may be gone before the recording ends, so an address is tied to its file and offset as
//! soon as its sample is drained; the file is read for its symbols at the end. The kernel's symbols
//! are read before privileges are dropped. What cannot be named stays unnamed, never an error; so
//! does what a file names that is neither root's, nor the process's user's, nor ours.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use blazesym::normalize::{NormalizeOpts, Normalizer, UserMeta};
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{Input, Sym, Symbolized};
use blazesym::{MaybeDefault, Pid};
use cronx_abi::{Record, SampleRecord, kind};
use cronx_recording::{Frame, Symbols, Untrusted};

use crate::jit::{Found, Maps};
use crate::trust::{self, Identity, Ownership};

/// Sampled addresses, and what is known of them so far.
#[derive(Debug)]
pub struct Symbolizer {
    names: blazesym::symbolize::Symbolizer,
    files: Normalizer,
    kernel: BTreeSet<u64>,
    user: HashMap<(u32, u64), Place>,
    /// As whom each process was last seen.
    users: HashMap<u32, u32>,
    jit: Maps,
}

/// Where the code at an address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A file, and the offset in it.
    File(PathBuf, u64),
    /// A file of another mount namespace: by its path we would read another one.
    Elsewhere(PathBuf),
    /// Memory of the process's own: made at run time, if it is code at all.
    Memory,
    /// The process was gone before it could be asked, or has it from the kernel.
    Unknown,
}

/// One address of one process, in some file.
struct Site {
    process: u32,
    address: u64,
    offset: u64,
}

impl Symbolizer {
    /// Reads the kernel's symbols; needs CAP_SYSLOG where `kptr_restrict` hides them.
    pub fn new() -> Self {
        let names = blazesym::symbolize::Symbolizer::builder()
            .enable_code_info(false)
            .enable_inlined_fns(false)
            .build();
        // The first question makes it read and keep all of /proc/kallsyms. It may fail: then later
        // ones will too, and frames stay unnamed.
        let _ = names.symbolize_single(&kernel_source(), Input::AbsAddr(u64::MAX));
        let files = Normalizer::builder()
            .enable_procmap_query(false)
            .enable_vma_caching(false)
            .enable_build_ids(false)
            .build();
        Self {
            names,
            files,
            kernel: BTreeSet::new(),
            user: HashMap::new(),
            users: HashMap::new(),
            jit: Maps::default(),
        }
    }

    /// Takes note of a record's addresses, if it is a sample.
    pub fn see(&mut self, record: &[u8]) {
        let Some(sample) = SampleRecord::from_bytes(record) else { return };
        if sample.header.kind != kind::SAMPLE {
            return;
        }
        self.kernel.extend(filled(&sample.kernel, sample.kernel_bytes));
        let process = sample.task.tgid;
        let new: Vec<u64> = filled(&sample.user, sample.user_bytes)
            .iter()
            .copied()
            .filter(|&address| !self.user.contains_key(&(process, address)))
            .collect();
        if !new.is_empty() {
            self.locate(process, &new);
        }
    }

    /// Ties addresses to files while the process is there to ask.
    fn locate(&mut self, process: u32, addresses: &[u64]) {
        let options = NormalizeOpts { map_files: false, ..NormalizeOpts::default() };
        let shared = trust::shares_our_mounts(process);
        let found =
            self.files.normalize_user_addrs_opts(Pid::from(process), addresses, &options).ok();
        for (n, &address) in addresses.iter().enumerate() {
            let place = found.as_ref().and_then(|found| {
                let (offset, meta) = found.outputs.get(n)?;
                match place(found.meta.get(*meta)?, *offset) {
                    Place::File(path, _) if !shared => Some(Place::Elsewhere(path)),
                    place => Some(place),
                }
            });
            self.user.insert((process, address), place.unwrap_or(Place::Unknown));
        }
        if addresses.iter().any(|&address| self.user[&(process, address)] == Place::Memory) {
            self.jit.see(process);
        }
        self.users.extend(Identity::of(process).uid.map(|uid| (process, uid)));
    }

    /// Names everything that was seen.
    pub fn finish(mut self) -> Symbols {
        let mut symbols = Symbols::default();
        for &address in &self.kernel {
            let frame = self.frame(&kernel_source(), Input::AbsAddr(address));
            symbols.kernel.insert(address, frame);
        }
        let mut by_file: BTreeMap<PathBuf, Vec<Site>> = BTreeMap::new();
        let mut in_memory: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for ((process, address), place) in std::mem::take(&mut self.user) {
            symbols.user.entry(process).or_default().insert(address, Frame::default());
            match place {
                Place::File(path, offset) => {
                    by_file.entry(path).or_default().push(Site { process, address, offset });
                }
                Place::Elsewhere(path) => {
                    let module = Some(Untrusted::from(path.to_string_lossy().into_owned()));
                    let frames = symbols.user.entry(process).or_default();
                    frames.insert(address, Frame { function: None, module });
                }
                Place::Memory => in_memory.entry(process).or_default().push(address),
                Place::Unknown => {}
            }
        }
        for (path, sites) in by_file {
            self.name_file(&path, &sites, &mut symbols);
        }
        for (process, addresses) in in_memory {
            self.name_memory(process, &addresses, &mut symbols);
        }
        symbols
    }

    /// Names what lies in one file, for the processes whose word its owner's is.
    fn name_file(&self, path: &Path, sites: &[Site], symbols: &mut Symbols) {
        let file = trust::open(path).and_then(|file| Ok((Ownership::of(&file)?, file))).ok();
        let mut known: HashMap<u64, Frame> = HashMap::new();
        let mut untrusted = false;
        for site in sites {
            let users = [self.users.get(&site.process).copied(), Some(own_uid())];
            let mut frame = Frame::default();
            match &file {
                Some((owner, file)) if owner.is_trusted(&users) => {
                    let name = || self.file_frame(file, *owner, site.offset);
                    frame = known.entry(site.offset).or_insert_with(name).clone();
                }
                Some(_) => untrusted = true,
                None => {}
            }
            frame.module = Some(Untrusted::from(path.to_string_lossy().into_owned()));
            symbols.user.entry(site.process).or_default().insert(site.address, frame);
        }
        symbols.untrusted_files += u64::from(untrusted);
    }

    /// By the descriptor that was judged, since the path may mean another file by now. A file may
    /// send for its symbols to one beside it, and only beside root's is that as good as itself.
    fn file_frame(&self, file: &File, owner: Ownership, offset: u64) -> Frame {
        let mut source = Elf::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        source.debug_syms = owner.is_roots();
        self.frame(&Source::Elf(source), Input::FileOffset(offset))
    }

    fn name_memory(&mut self, process: u32, addresses: &[u64], symbols: &mut Symbols) {
        let (path, map) = match self.jit.read(process) {
            Found::Names(path, map) => (path, map),
            Found::Untrusted => {
                symbols.untrusted_files += 1;
                return;
            }
            Found::Nothing => return,
        };
        let module = Untrusted::from(path.to_string_lossy().into_owned());
        let frames = symbols.user.entry(process).or_default();
        for &address in addresses {
            let Some(name) = map.lookup(address) else { continue };
            let frame = Frame { function: Some(name.clone()), module: Some(module.clone()) };
            frames.insert(address, frame);
        }
    }

    fn frame(&self, source: &Source<'_>, input: Input<u64>) -> Frame {
        match self.names.symbolize_single(source, input) {
            Ok(Symbolized::Sym(sym)) if is_inside(&sym) => {
                Frame { function: Some(Untrusted::from(sym.name.as_ref())), module: None }
            }
            _ => Frame::default(),
        }
    }
}

impl Default for Symbolizer {
    fn default() -> Self {
        Self::new()
    }
}

fn place(meta: &UserMeta<'_>, offset: u64) -> Place {
    match meta {
        UserMeta::Elf(elf) if is_file(&elf.path) => Place::File(elf.path.clone(), offset),
        UserMeta::Elf(_) | UserMeta::Unknown(_) => Place::Memory,
        _ => Place::Unknown,
    }
}

/// Mappings of no file may have a path too; so compilers that map their code twice do it.
fn is_file(path: &Path) -> bool {
    let memory = ["/memfd:", "/dev/zero", "/anon_hugepage", "/SYSV"];
    let shown = path.as_os_str().as_encoded_bytes();
    !memory.iter().any(|prefix| shown.starts_with(prefix.as_bytes()))
}

fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn kernel_source() -> Source<'static> {
    Source::Kernel(Kernel { vmlinux: MaybeDefault::None, debug_syms: false, ..Kernel::default() })
}

/// The nearest symbol below is no answer for an address behind that symbol's end.
fn is_inside(sym: &Sym<'_>) -> bool {
    sym.size.is_none_or(|size| sym.offset <= size)
}

fn filled(addresses: &[u64], bytes: i32) -> &[u64] {
    let count = usize::try_from(bytes).unwrap_or(0) / size_of::<u64>();
    &addresses[..count.min(addresses.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_may_have_the_path_of_a_file() {
        assert!(is_file(Path::new("/usr/bin/perl")));
        assert!(!is_file(Path::new("/memfd:doublemapper (deleted)")));
        assert!(!is_file(Path::new("/dev/zero (deleted)")));
    }
}
