//! What the probes cost: the kernel times every run of a BPF program while somebody holds the
//! descriptor that asks for it, and to time a run costs as much as a small program. So it is asked
//! for a tenth of a second in every five, and the rest is extrapolated from the events counted.
//!
//! To ask takes CAP_SYS_ADMIN, which the recording gives up. So a process of its own asks: it has
//! that capability and no other, opens and closes one descriptor, and ends when we do.

use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use aya_obj::generated::bpf_prog_info;
use caps::{CapSet, Capability, CapsHashSet};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{self, ForkResult, Pid};
use std::os::fd::AsFd;

use crate::Error;

/// For so long the kernel keeps statistics,
const ON: Duration = Duration::from_millis(100);
/// in every such time.
const EVERY: Duration = Duration::from_secs(5);

/// The process that asks for statistics, until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    process: Pid,
    /// It closes when we end, however that comes.
    alive: Option<OwnedFd>,
    go: Option<OwnedFd>,
}

impl Keeper {
    /// Forks it; it does nothing yet. `None` where we have no CAP_SYS_ADMIN to give. Call before any
    /// other thread exists.
    pub fn hold() -> Result<Option<Self>, Error> {
        if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false) {
            return Ok(None);
        }
        let (ended, alive) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(Error::system("pipe"))?;
        let (start, go) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(Error::system("pipe"))?;
        // SAFETY: there is one thread, so the child may do all that the parent may.
        match unsafe { unistd::fork() }.map_err(Error::system("fork"))? {
            ForkResult::Child => {
                drop((alive, go));
                keep(&start, &ended);
                // SAFETY: nothing of the parent's may run in the child, exit handlers least of all.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                Ok(Some(Self { process: child, alive: Some(alive), go: Some(go) }))
            }
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.as_raw() as u32
    }

    /// From now on there are statistics, now and then.
    pub fn start(&mut self) {
        // It reads until we close.
        self.go = None;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // By the pipes: it is root's, and we may not be any more.
        (self.alive, self.go) = (None, None);
        let _ = waitpid(self.process, None);
    }
}

/// In the child.
fn keep(start: &OwnedFd, ended: &OwnedFd) {
    // Our end may come before this is set: then the pipe says so.
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || shed().is_err() {
        return;
    }
    let _ = prctl::set_name(c"cronx-stats");
    if !is_over(ended, Duration::ZERO) && unistd::read(start, &mut [0]) == Ok(0) {
        while let Some(statistics) = statistics() {
            let over = is_over(ended, ON);
            drop(statistics);
            if over || is_over(ended, EVERY.saturating_sub(ON)) {
                return;
            }
        }
    }
}

/// Keeps the one capability that asking takes.
fn shed() -> Result<(), caps::errors::CapsError> {
    let one = CapsHashSet::from([Capability::CAP_SYS_ADMIN]);
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Effective, &one)?;
    caps::set(None, CapSet::Permitted, &one)
}

/// Waits so long for the other end of the pipe to close.
fn is_over(pipe: &OwnedFd, time: Duration) -> bool {
    let mut ends = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    // An interrupted wait is a short one.
    poll(&mut ends, time).is_ok_and(|ready| ready > 0)
}

/// The kernel keeps statistics until this is closed.
fn statistics() -> Option<OwnedFd> {
    const BPF_ENABLE_STATS: i32 = 32;
    // `BPF_STATS_RUN_TIME`, the one type there is.
    let request = [0_u32; 16];
    // SAFETY: the kernel reads the request, which is longer than it needs.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_ENABLE_STATS, request.as_ptr(), size_of_val(&request))
    };
    // SAFETY: a descriptor that the kernel just made for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// What the kernel knows of a program.
pub(crate) fn program_info(fd: std::os::fd::RawFd) -> Option<bpf_prog_info> {
    const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
    #[repr(C)]
    struct InfoRequest {
        fd: u32,
        len: u32,
        info: u64,
    }
    // SAFETY: a struct of integers.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let request = InfoRequest {
        fd: fd as u32,
        len: size_of::<bpf_prog_info>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes at most `len` bytes of `info`, which outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            &raw const request,
            size_of::<InfoRequest>(),
        )
    };
    (done == 0).then_some(info)
}
