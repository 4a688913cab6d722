//! The kernel's clocks.
//!
//! A sleeper polls three descriptors: an `eventfd` that is written to notify it, a `timerfd` that
//! expires at an absolute instant of CLOCK_MONOTONIC, and one on CLOCK_REALTIME that never expires
//! and is there to be cancelled: by a step of that clock, or by a resume from suspend.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Read, clock_gettime};

use super::{Clock, Notify, Reading, Sleeper};
use crate::{Error, Mono, Utc};

/// A year that no clock shows.
const NEVER: Duration = Duration::from_secs(253_402_300_799);

/// Clocks that were read within this were read together. A thread that was preempted in between
/// would see a step that nobody made.
const TOGETHER: Duration = Duration::from_micros(100);
/// So often it is tried.
const TRIES: u32 = 10;

/// The kernel's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        let mut before = self.mono();
        for _ in 0..TRIES {
            let utc = Utc(nanoseconds(Read::CLOCK_REALTIME));
            let boot_ns = nanoseconds(Read::CLOCK_BOOTTIME) as u64;
            let mono = self.mono();
            if mono.since(before) < TOGETHER {
                return Reading { mono, utc, boot_ns };
            }
            before = mono;
        }
        let utc = Utc(nanoseconds(Read::CLOCK_REALTIME));
        Reading { mono: self.mono(), utc, boot_ns: nanoseconds(Read::CLOCK_BOOTTIME) as u64 }
    }

    fn mono(&self) -> Mono {
        Mono(nanoseconds(Read::CLOCK_MONOTONIC) as u64)
    }

    fn utc(&self) -> Utc {
        Utc(nanoseconds(Read::CLOCK_REALTIME))
    }

    fn sleeper(&self) -> Result<Box<dyn Sleeper>, Error> {
        Ok(Box::new(SystemSleeper::new()?))
    }
}

fn nanoseconds(clock: Read) -> i64 {
    // Each of the three is there since Linux 2.6.39.
    clock_gettime(clock).map_or(0, |now| now.num_nanoseconds())
}

struct SystemSleeper {
    event: Arc<Event>,
    timer: TimerFd,
    armed: Option<Mono>,
    steps: TimerFd,
}

struct Event(EventFd);

impl Notify for Event {
    fn notify(&self) {
        // It fails only when 2^64 - 2 notifications are pending, and then one is.
        let _ = self.0.write(1);
    }
}

impl SystemSleeper {
    fn new() -> Result<Self, Error> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event =
            EventFd::from_value_and_flags(0, flags).map_err(Error::system("create an eventfd"))?;
        let timer = |clock| {
            TimerFd::new(clock, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
                .map_err(Error::system("create a timerfd"))
        };
        let sleeper = Self {
            event: Arc::new(Event(event)),
            timer: timer(ClockId::CLOCK_MONOTONIC)?,
            armed: None,
            steps: timer(ClockId::CLOCK_REALTIME)?,
        };
        sleeper.watch_steps().map_err(Error::system("watch the clock for steps"))?;
        Ok(sleeper)
    }

    fn watch_steps(&self) -> Result<(), Errno> {
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        self.steps.set(Expiration::OneShot(TimeSpec::from_duration(NEVER)), flags)
    }

    fn arm(&mut self, until: Option<Mono>) {
        if self.armed == until {
            return;
        }
        // Instant 0 would disarm it.
        let set =
            until.map(|until| TimeSpec::nanoseconds(until.0.clamp(1, i64::MAX as u64) as i64));
        let done = match set {
            Some(at) => {
                self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            }
            None => self.timer.unset(),
        };
        self.armed = if done.is_ok() { until } else { None };
    }

    /// Sleeps until one of the three has something to say; which of them has.
    fn poll(&self) -> [bool; 3] {
        let fds = [self.event.0.as_fd(), self.timer.as_fd(), self.steps.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // A signal is a reason to wake like any other.
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => fds.map(|fd| fd.any().unwrap_or(true)),
            Err(_) => [false; 3],
        }
    }
}

impl Sleeper for SystemSleeper {
    fn sleep(&mut self, until: Option<Mono>) {
        self.arm(until);
        let [notified, expired, stepped] = self.poll();
        // What is read so is silent until the next time. None of them blocks.
        if notified {
            let _ = self.event.0.read();
        }
        if expired && self.timer.wait().is_ok() {
            self.armed = None;
        }
        if stepped {
            let _ = self.steps.wait();
            let _ = self.watch_steps();
        }
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::clone(&self.event) as Arc<dyn Notify>
    }
}
