//! The maps of just-in-time compilers, opened while their processes are there to ask.
//!
//! A map is opened when its process is first seen in code of no file, and read at the end, when the
//! compiler has named more. A descriptor outlives the process and the file's name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::perf_map::{BYTES_MAX, PerfMap};
use crate::trust::{Identity, Ownership, open_in_root_of};

/// Descriptors that may be held; a process that comes later is asked at the end alone.
const HELD_MAX: usize = 64;

/// The maps found so far, by process.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    held: HashMap<u32, Option<Map>>,
}

/// A map, and the path that its process knows it by.
#[derive(Debug)]
struct Map {
    file: File,
    path: PathBuf,
    /// Whether its owner is one to believe.
    trusted: bool,
}

/// What became of a process's map.
#[derive(Debug)]
pub(crate) enum Found {
    /// There is none, or it cannot be read.
    Nothing,
    /// It is somebody else's.
    Untrusted,
    /// It names this.
    Names(PathBuf, PerfMap),
}

impl Maps {
    /// Takes note of a process in code of no file. A compiler may name its code later than it runs
    /// it, so this is for every new piece of such code.
    pub(crate) fn see(&mut self, process: u32) {
        let holding = self.held.values().flatten().count();
        let held = self.held.entry(process).or_default();
        if held.is_none() && holding < HELD_MAX {
            *held = find(process).ok();
        }
    }

    /// What the process's map names by now.
    pub(crate) fn read(&mut self, process: u32) -> Found {
        let held = self.held.remove(&process).flatten();
        // Its compiler may have made it anew; of a process that is gone there is what was held.
        let latest = find(process).ok().filter(|map| map.trusted).or(held);
        match latest {
            None => Found::Nothing,
            Some(map) if !map.trusted => Found::Untrusted,
            Some(Map { file, path, .. }) => match read_capped(file) {
                Ok(bytes) => Found::Names(path, PerfMap::parse(&bytes)),
                Err(_) => Found::Nothing,
            },
        }
    }
}

fn find(process: u32) -> io::Result<Map> {
    let identity = Identity::of(process);
    let number = identity.inner_pid.unwrap_or(process);
    let path = Path::new("/tmp").join(format!("perf-{number}.map"));
    let file = open_in_root_of(process, &path)?;
    let trusted = Ownership::of(&file)?.is_trusted(&[identity.uid]);
    Ok(Map { file, path, trusted })
}

/// One byte more than the cap shows that there was more.
fn read_capped(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
