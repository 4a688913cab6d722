use std::io;

use cronx_recording::Untrusted;

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel, or this process, cannot do what a recording needs.
    #[error("{feature} is not possible here: {needs}")]
    NotSupported {
        /// What cannot be done.
        feature: &'static str,
        /// What it needs.
        needs: String,
    },
    /// The kernel's type information cannot be used.
    #[error("cannot use the kernel's type information ({path}): {reason}")]
    Btf {
        /// Where it was read from.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tracepoint's layout cannot be used.
    #[error("cannot use the layout of a tracepoint ({path}): {reason}")]
    Format {
        /// Where it was read from.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The kernel refused a program or a map.
    #[error("the kernel refused {what}: {reason}")]
    Refused {
        /// What was refused.
        what: String,
        /// The kernel's own words.
        reason: String,
        /// The verifier's log, if it wrote one; too long for a screen.
        log: Option<String>,
    },
    /// The probes read back something else than what is known to be true.
    #[error("the probes do not see what is there: {what}")]
    SelfCheck {
        /// Expected and seen.
        what: String,
    },
    /// A process to be recorded does not exist.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// Its number.
        pid: u32,
    },
    /// A cgroup to be recorded does not exist.
    #[error("there is no cgroup '{}', neither as a folder nor from the root of a hierarchy", given.terminal())]
    NoSuchCgroup {
        /// What was given.
        given: Untrusted,
    },
    /// What was named is a thread, and whole processes are recorded.
    #[error("{tid} is a thread of process {process}; to record it, name the process")]
    Thread {
        /// The thread.
        tid: u32,
        /// Its process.
        process: u32,
    },
    /// The command could not be executed.
    #[error("cannot execute '{command}'")]
    Exec {
        /// The command, for showing.
        command: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A system call failed.
    #[error("{what}")]
    System {
        /// What was tried.
        what: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The Capture could not be written.
    #[error("cannot write the capture")]
    Capture(#[from] cronx_recording::Error),
}

impl Error {
    /// For `map_err`: a failed system call, in words.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System { what, source: source.into() }
    }
}
