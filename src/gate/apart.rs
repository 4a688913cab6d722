//! Work in a process of its own: a recording gives up its privileges on the way, and the next one needs
//! them again.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdout, fork, pipe2};

/// How it came to an end.
#[derive(Debug)]
pub(super) enum Ended {
    /// With this status, after it wrote this.
    Done(u8, Vec<u8>),
    /// Somebody asked us to end meanwhile, by this signal.
    Asked(Signal),
}

/// Forks, and lets the child do `work`, which may write into the pipe that it is given. What the child
/// prints goes to stderr: stdout is the verdict's. Call before any other thread exists.
pub(super) fn run(work: impl FnOnce(File) -> Result<u8>) -> Result<Ended> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("cannot block signals")?;
    // SAFETY: there is one thread, so the child may do all that the parent may.
    match unsafe { fork() }.context("cannot fork")? {
        ForkResult::Child => {
            drop(read);
            let _ = signals.thread_unblock();
            let _ = dup2_stdout(std::io::stderr());
            std::process::exit(i32::from(status_of(work(write.into()))))
        }
        ForkResult::Parent { child } => {
            drop(write);
            let ended = wait(child, &read, &signals);
            signals.thread_unblock().context("cannot unblock signals")?;
            ended
        }
    }
}

fn status_of(done: Result<u8>) -> u8 {
    done.unwrap_or_else(|error| {
        crate::complain(&error);
        crate::record::status_of(&error).unwrap_or(crate::RECORD_FAILED)
    })
}

fn wait(child: Pid, pipe: &OwnedFd, signals: &SigSet) -> Result<Ended> {
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let sent = SignalFd::with_flags(signals, flags).context("cannot read signals")?;
    let mut pipe = File::from(pipe.try_clone()?);
    let (mut written, mut asked) = (Vec::new(), None);
    loop {
        let ready = ready(&pipe, &sent)?;
        if ready.signal {
            asked = pass_on(&sent, child)?.or(asked);
        }
        if ready.pipe && !more(&mut pipe, &mut written)? {
            break;
        }
    }
    let status = match waitpid(child, None).context("cannot wait for the recording")? {
        WaitStatus::Exited(_, status) => status as u8,
        _ => crate::RECORD_FAILED,
    };
    Ok(asked.map_or(Ended::Done(status, written), Ended::Asked))
}

struct Ready {
    pipe: bool,
    signal: bool,
}

fn ready(pipe: &File, sent: &SignalFd) -> Result<Ready> {
    let mut ends = [
        PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
        PollFd::new(sent.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut ends, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno).context("cannot wait for the recording"),
    }
    let [pipe, signal] = ends.map(|end| end.any().unwrap_or(false));
    Ok(Ready { pipe, signal })
}

/// One that was typed at the terminal has reached the child too; any other came to us alone.
fn pass_on(sent: &SignalFd, child: Pid) -> Result<Option<Signal>> {
    let Some(info) = sent.read_signal().context("cannot read signals")? else { return Ok(None) };
    let signal = Signal::try_from(info.ssi_signo as i32).unwrap_or(Signal::SIGTERM);
    if info.ssi_code != libc::SI_KERNEL {
        // It may have ended at this moment.
        let _ = kill(child, signal);
    }
    Ok(Some(signal))
}

/// False at the end.
fn more(pipe: &mut File, written: &mut Vec<u8>) -> Result<bool> {
    let mut chunk = [0; 1 << 13];
    let read = pipe.read(&mut chunk).context("cannot read what the recording says")?;
    written.extend_from_slice(&chunk[..read]);
    Ok(read > 0)
}

/// 128 and the signal, as a shell has it.
pub(super) fn ended_by(signal: Signal) -> ExitCode {
    ExitCode::from(128 + signal as i32 as u8)
}
