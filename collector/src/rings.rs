//! The ring buffers, one per CPU, and the mapped state of every CPU.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use aya::maps::{ArrayOfMaps, Map, MapData, RingBuf};
use cronx_abi::Record;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::Error;

/// One CPU's ring.
pub(crate) struct Ring {
    pub(crate) cpu: u32,
    pub(crate) buffer: RingBuf<MapData>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("cpu", &self.cpu).finish_non_exhaustive()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.buffer.as_raw_fd()
    }
}

/// Makes a ring of `bytes` for each CPU and hands it to the programs.
pub(crate) fn make(rings: &mut Map, cpus: &[u32], bytes: u32) -> Result<Vec<Ring>, Error> {
    const BPF_MAP_TYPE_RINGBUF: u32 = 27;
    let refused = |error: aya::maps::MapError| Error::Refused {
        what: format!("a ring buffer of {bytes} bytes"),
        reason: deepest(&error),
        log: None,
    };
    let mut outer: ArrayOfMaps<&mut MapData, MapData> = rings.try_into().map_err(refused)?;
    cpus.iter()
        .map(|&cpu| {
            let object = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF, 0, 0, bytes, 0);
            let data = MapData::create(object, "RING", None).map_err(refused)?;
            outer.set(cpu, &data, 0).map_err(refused)?;
            Ok(Ring { cpu, buffer: RingBuf::try_from(Map::RingBuf(data)).map_err(refused)? })
        })
        .collect()
}

/// The last cause of an error: the kernel's own words.
pub(crate) fn deepest(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// An array with an entry for each CPU, mapped: reading it needs no privilege and no system call.
#[derive(Debug)]
pub(crate) struct PerCpu<T> {
    start: NonNull<T>,
    len: NonZeroUsize,
    cpus: usize,
}

impl<T: Record> PerCpu<T> {
    pub(crate) fn map(fd: BorrowedFd<'_>, cpus: u32) -> Result<Self, Error> {
        let bytes = (cpus as usize * size_of::<T>()).next_multiple_of(4096);
        let len = NonZeroUsize::new(bytes).ok_or_else(|| {
            Error::system("mapping the state of no CPU")(io::Error::from(
                io::ErrorKind::InvalidInput,
            ))
        })?;
        // SAFETY: a new mapping, read only, at an address of the kernel's choice.
        let start =
            unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, fd.as_fd(), 0) }
                .map_err(Error::system("mapping the state of the CPUs"))?;
        Ok(Self { start: start.cast(), len, cpus: cpus as usize })
    }

    /// Every possible CPU's entry now.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, T)> {
        (0..self.cpus as u32).filter_map(|cpu| Some((cpu, self.read(cpu)?)))
    }

    /// One CPU's entry now.
    pub(crate) fn read(&self, cpu: u32) -> Option<T> {
        if cpu as usize >= self.cpus {
            return None;
        }
        // SAFETY: inside the mapping; volatile, since the kernel writes it at any time.
        Some(unsafe { self.start.add(cpu as usize).read_volatile() })
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nothing borrowed from it outlives us.
        let _ = unsafe { munmap(self.start.cast(), self.len.get()) };
    }
}
