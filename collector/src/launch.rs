//! The load: forked and held at a barrier until the probes are settled, run as the user who asked.
//!
//! Fork before any thread exists (before tokio). A load that is never released ends with its
//! barrier; a released one gets SIGTERM if we die.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use cronx_recording::LoadEnd;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{self, SigHandler, SigSet, Signal};
use nix::unistd::{self, ForkResult, Pid};

use crate::Error;
use crate::privileges::User;

/// A load that waits for its release.
#[derive(Debug)]
pub struct Held {
    load: Load,
    barrier: OwnedFd,
    refusal: OwnedFd,
    command: String,
}

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    pid: Pid,
    end: Option<LoadEnd>,
}

/// Forks the load and holds it. Call before any other thread exists.
pub fn hold(argv: &[OsString], user: Option<&User>) -> Result<Held, Error> {
    let command = argv.first().map(OsString::as_os_str).unwrap_or_default();
    let shown = command.to_string_lossy().into_owned();
    let args = argv.iter().map(|arg| c_string(arg)).collect::<Result<Vec<_>, _>>();
    let args = args.map_err(|source| Error::Exec { command: shown.clone(), source })?;
    let (wait, barrier) = pipe()?;
    let (refusal, refuse) = pipe()?;
    let parent = Pid::this();
    // SAFETY: there is one thread, so the child may do all that the parent may.
    match unsafe { unistd::fork() }.map_err(Error::system("fork"))? {
        ForkResult::Child => {
            drop((barrier, refusal));
            let errno = become_load(&args, user, parent, &wait);
            let _ = unistd::write(&refuse, &(errno as i32).to_ne_bytes());
            // SAFETY: nothing of the parent's may run in the child, exit handlers least of all.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            Ok(Held { load: Load { pid: child, end: None }, barrier, refusal, command: shown })
        }
    }
}

fn c_string(arg: &OsStr) -> io::Result<CString> {
    CString::new(arg.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "an argument holds a NUL byte"))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    unistd::pipe2(OFlag::O_CLOEXEC).map_err(Error::system("pipe"))
}

/// In the child: wait, shed everything that is ours, execute. Comes back only if it cannot.
fn become_load(args: &[CString], user: Option<&User>, parent: Pid, wait: &OwnedFd) -> Errno {
    take_name(&args[0]);
    match unistd::read(wait, &mut [0]) {
        Ok(1) => {}
        // SAFETY: as in `hold`. The parent went without releasing us.
        _ => unsafe { libc::_exit(0) },
    }
    match shed(user, parent) {
        Ok(()) => unistd::execvp(&args[0], args).expect_err("it comes back only with an error"),
        Err(errno) => errno,
    }
}

/// Until it executes, the load would be seen under our name.
fn take_name(command: &CStr) {
    let name = command.to_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if let Ok(name) = CString::new(name) {
        // It cannot fail: the kernel takes what fits.
        let _ = nix::sys::prctl::set_name(&name);
    }
}

fn shed(user: Option<&User>, parent: Pid) -> nix::Result<()> {
    signal::sigprocmask(signal::SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    // SAFETY: restores the default; no handler of ours is involved.
    unsafe { signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    if let Some(user) = user {
        user.become_it()?;
        set_environment(user);
    }
    // Of a caller that gave us capabilities this way; a kernel without them has none to clear.
    let _ = caps::clear(None, caps::CapSet::Ambient);
    // After the change of user, which clears it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    if unistd::getppid() != parent {
        return Err(Errno::ESRCH);
    }
    close_others_on_exec();
    Ok(())
}

/// The environment of a login of theirs, not of root's.
fn set_environment(user: &User) {
    let Some(account) = &user.account else { return };
    for (key, value) in [
        ("USER", OsStr::new(&account.name)),
        ("LOGNAME", OsStr::new(&account.name)),
        ("HOME", account.home.as_os_str()),
        ("SHELL", account.shell.as_os_str()),
    ] {
        // SAFETY: the child of a process with one thread has one thread.
        unsafe { std::env::set_var(key, value) };
    }
}

fn close_others_on_exec() {
    // SAFETY: takes numbers only.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return;
    }
    // Kernels before 5.11. Ours are all marked already; these are the caller's.
    for fd in 3..1024 {
        // SAFETY: a flag on a descriptor, or EBADF.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

impl Held {
    /// The process that will be the load.
    pub fn pid(&self) -> u32 {
        self.load.pid()
    }

    /// Lets the load go. Comes back when it executes its command, or with the reason why it cannot.
    pub fn release(mut self) -> Result<Load, Error> {
        unistd::write(&self.barrier, &[1]).map_err(Error::system("releasing the load"))?;
        match refusal(&self.refusal)? {
            None => Ok(self.load),
            Some(source) => {
                self.load.wait()?;
                Err(Error::Exec { command: self.command, source })
            }
        }
    }
}

/// The pipe closes when the command is executed; before that it can only say why it is not.
fn refusal(pipe: &OwnedFd) -> Result<Option<io::Error>, Error> {
    let mut errno = [0; 4];
    loop {
        match unistd::read(pipe, &mut errno) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::system("waiting for the load to start")(errno)),
        }
    }
}

impl Load {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Result<Option<LoadEnd>, Error> {
        self.wait_with(libc::WNOHANG)
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<LoadEnd, Error> {
        Ok(self.wait_with(0)?.unwrap_or(LoadEnd::Running))
    }

    fn wait_with(&mut self, flags: i32) -> Result<Option<LoadEnd>, Error> {
        while self.end.is_none() {
            let mut status = 0;
            // Not nix's: it has no name for real-time signals, and calls them an error.
            // SAFETY: writes one integer of ours.
            match unsafe { libc::waitpid(self.pid.as_raw(), &raw mut status, flags) } {
                0 => return Ok(None),
                -1 if Errno::last() == Errno::EINTR => {}
                -1 => return Err(Error::system("waiting for the load")(Errno::last())),
                _ => self.end = ended(status),
            }
        }
        Ok(self.end)
    }

    /// Sends it a signal, unless it has ended. False if it may not be sent one: it has become
    /// another user's, and we have given up what would let us.
    pub fn signal(&self, signal: Signal) -> bool {
        // It may end at this moment: then there is nobody to tell, and its number is still ours.
        self.end.is_some() || signal::kill(self.pid, signal) != Err(Errno::EPERM)
    }
}

fn ended(status: i32) -> Option<LoadEnd> {
    if libc::WIFEXITED(status) {
        return Some(LoadEnd::Exited(libc::WEXITSTATUS(status)));
    }
    libc::WIFSIGNALED(status).then(|| LoadEnd::Signaled(libc::WTERMSIG(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_an_argument_is_refused_by_name() {
        let argv = [OsString::from("a\0b")];
        let error = hold(&argv, None).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("NUL"), "{cause}");
    }
}
