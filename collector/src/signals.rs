//! Interrupts: blocked from before anything is written until the window closes, and read, so that
//! none comes at a wrong moment and each says who sent it.

use std::os::fd::{AsFd, OwnedFd};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::unix::AsyncFd;

use crate::Error;
use crate::launch::Load;

/// The signals that are ours to read.
fn ours() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD].into_iter().collect()
}

/// Blocks the signals that end a recording, until it is dropped: then what came meanwhile acts as it
/// does by default. Call it after the load was forked, which must not inherit it.
#[derive(Debug)]
pub struct Blocked(());

impl Blocked {
    /// Blocks them.
    pub fn now() -> Result<Self, Error> {
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ours()), None)
            .map_err(Error::system("blocking signals"))?;
        Ok(Self(()))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // It cannot fail: the set is valid.
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&ours()), None);
    }
}

/// What an interrupt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A child of ours has changed its state.
    Child,
    /// To end the load, with this signal; `reached` if the load got it already.
    End { signal: Signal, reached: bool },
}

/// Reads the blocked signals.
pub(crate) struct Signals {
    descriptor: AsyncFd<OwnedFd>,
    source: SignalFd,
    interrupts: u32,
}

impl Signals {
    /// Needs a runtime, and the signals [`Blocked`].
    pub(crate) fn new() -> Result<Self, Error> {
        const WHAT: &str = "reading signals";
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let source = SignalFd::with_flags(&ours(), flags).map_err(Error::system(WHAT))?;
        let descriptor = source.as_fd().try_clone_to_owned().map_err(Error::system(WHAT))?;
        // SAFETY: the descriptor is owned and given to nobody.
        let descriptor = unsafe { AsyncFd::register(descriptor) }.map_err(Error::system(WHAT))?;
        Ok(Self { descriptor, source, interrupts: 0 })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Result<Asked, Error> {
        loop {
            if let Some(info) =
                self.source.read_signal().map_err(Error::system("reading signals"))?
            {
                return Ok(asked(&info));
            }
            let ready = self.descriptor.readable().await;
            ready.map_err(Error::system("reading signals"))?.clear_ready();
        }
    }

    /// The first interrupt ends the load, if there is one of ours, and the load's end the window. A
    /// second ends all: true.
    pub(crate) fn end(&mut self, load: Option<&Load>, signal: Signal, reached: bool) -> bool {
        self.interrupts += 1;
        match load {
            Some(load) if self.interrupts > 1 => {
                load.signal(Signal::SIGKILL);
            }
            Some(load) if !reached => {
                load.signal(signal);
            }
            _ => {}
        }
        self.interrupts > 1
    }
}

/// An interrupt typed at the terminal comes from the kernel, and goes to the whole process group in
/// the foreground: the load has it too. One that somebody sent came to us alone.
fn asked(info: &libc::signalfd_siginfo) -> Asked {
    match Signal::try_from(info.ssi_signo as i32) {
        Ok(signal @ (Signal::SIGINT | Signal::SIGTERM)) => {
            Asked::End { signal, reached: info.ssi_code == libc::SI_KERNEL }
        }
        _ => Asked::Child,
    }
}
