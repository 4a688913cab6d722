//! The load around its window: held before, ended after, and what its end means.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use cronx_collector::Error;
use cronx_collector::drain::Closed;
use cronx_collector::launch::{self, Held, Load};
use cronx_collector::privileges::User;
use cronx_recording::LoadEnd;
use nix::sys::signal::Signal;

/// How long a load that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Holds it, if there is one.
pub(super) fn hold(command: &[OsString], user: Option<&User>) -> Result<Option<Held>, Error> {
    if command.is_empty() { Ok(None) } else { launch::hold(command, user).map(Some) }
}

/// How it had ended when its window closed; `None` if there was none of ours.
pub(super) fn ended(closed: Closed, load: Option<&Load>) -> Option<LoadEnd> {
    match closed {
        Closed::LoadEnded(end) => Some(end),
        Closed::TimeUp => load.map(|_| LoadEnd::Running),
        _ => None,
    }
}

/// Ends a load that outlived its window: asked first, killed after a while.
pub(super) fn end(load: Option<Load>, closed: Closed) -> Result<Option<LoadEnd>, Error> {
    let Some(mut load) = load else { return Ok(None) };
    if closed != Closed::TimeUp {
        return load.wait().map(Some);
    }
    if !load.signal(Signal::SIGTERM) {
        return Ok(Some(LoadEnd::Running));
    }
    let asked = Instant::now();
    while load.try_wait()?.is_none() {
        if asked.elapsed() > GRACE {
            load.signal(Signal::SIGKILL);
            return load.wait().map(Some);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    load.wait().map(Some)
}

/// The load's own status; 0 if there was none of ours, or if it ended because its time was up.
pub(super) fn status(ended: Option<LoadEnd>, closed: Closed) -> u8 {
    match ended {
        Some(LoadEnd::Exited(status)) => status as u8,
        Some(LoadEnd::Signaled(signal)) if closed != Closed::TimeUp => 128 + signal as u8,
        _ => 0,
    }
}
