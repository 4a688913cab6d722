//! Names for sampled addresses.
//!
//! A process may be gone before the recording ends, so an address is tied to its file and offset as
//! soon as its sample is drained; the file is read for its symbols at the end. The kernel's symbols
//! are read before privileges are dropped. What cannot be named stays unnamed, never an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use blazesym::normalize::{NormalizeOpts, Normalizer, UserMeta};
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{Input, Sym, Symbolized};
use blazesym::{MaybeDefault, Pid};
use cronx_abi::{Record, SampleRecord, kind};
use cronx_recording::{Frame, Symbols, Untrusted};

/// Sampled addresses, and what is known of them so far.
#[derive(Debug)]
pub struct Symbolizer {
    names: blazesym::symbolize::Symbolizer,
    files: Normalizer,
    kernel: BTreeSet<u64>,
    user: HashMap<(u32, u64), Option<(PathBuf, u64)>>,
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
        Self { names, files, kernel: BTreeSet::new(), user: HashMap::new() }
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
        let found =
            self.files.normalize_user_addrs_opts(Pid::from(process), addresses, &options).ok();
        for (n, &address) in addresses.iter().enumerate() {
            let place = found.as_ref().and_then(|found| {
                let (offset, meta) = found.outputs.get(n)?;
                match found.meta.get(*meta)? {
                    UserMeta::Elf(elf) => Some((elf.path.clone(), *offset)),
                    _ => None,
                }
            });
            self.user.insert((process, address), place);
        }
    }

    /// Names everything that was seen.
    pub fn finish(self) -> Symbols {
        let kernel = self
            .kernel
            .iter()
            .map(|&address| (address, self.frame(&kernel_source(), Input::AbsAddr(address))))
            .collect();
        let mut user: BTreeMap<u32, BTreeMap<u64, Frame>> = BTreeMap::new();
        let mut known: HashMap<&(PathBuf, u64), Frame> = HashMap::new();
        for ((process, address), place) in &self.user {
            let frame = place.as_ref().map_or_else(Frame::default, |place| {
                known.entry(place).or_insert_with(|| self.user_frame(place)).clone()
            });
            user.entry(*process).or_default().insert(*address, frame);
        }
        Symbols { kernel, user }
    }

    fn user_frame(&self, (path, offset): &(PathBuf, u64)) -> Frame {
        let mut frame = self.frame(&Source::Elf(Elf::new(path)), Input::FileOffset(*offset));
        frame.module = Some(Untrusted::from(path.to_string_lossy().into_owned()));
        frame
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
