//! A clock that stands still until a test moves it.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Clock, Notify, Reading, Sleeper};
use crate::{Error, Mono, Utc};

/// A clock that stands still until it is moved; its clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use cronx_scheduler::{Clock, FakeClock, Utc};
///
/// let clock = FakeClock::new(Utc(0));
/// clock.advance(Duration::from_secs(1));
/// clock.step(3_600_000_000_000);
/// clock.suspend(Duration::from_secs(10));
/// let now = clock.read();
/// assert_eq!(now.mono.0, 1_000_000_000);
/// assert_eq!(now.boot_ns, 11_000_000_000);
/// assert_eq!(now.utc, Utc(3_611_000_000_000));
/// ```
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    reading: Reading,
    /// Moves that nobody has slept through: a step wakes everybody.
    steps: u64,
    /// Those who wait for a time to pass, and look whether it has at each move.
    waiting: Vec<Waker>,
}

impl FakeClock {
    /// Stands at this instant of UTC; the other clocks stand at their beginning.
    pub fn new(utc: Utc) -> Self {
        let reading = Reading { mono: Mono(0), utc, boot_ns: 0 };
        let state = Mutex::new(State { reading, steps: 0, waiting: Vec::new() });
        Self(Arc::new(Shared { state, changed: Condvar::new() }))
    }

    /// Time passes.
    pub fn advance(&self, by: Duration) {
        self.change(|state| state.reading = state.reading.later(by));
    }

    /// Somebody sets the clock on the wall, forward or back, nanoseconds.
    pub fn step(&self, by_ns: i64) {
        self.change(|state| {
            state.reading.utc = Utc(state.reading.utc.0.saturating_add(by_ns));
            state.steps += 1;
        });
    }

    /// The machine sleeps.
    pub fn suspend(&self, by: Duration) {
        self.change(|state| {
            let mono = state.reading.mono;
            state.reading = Reading { mono, ..state.reading.later(by) };
            state.steps += 1;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.0.changed.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Reading {
    /// All clocks after this time awake.
    pub(crate) fn later(self, by: Duration) -> Self {
        let boot_ns = self.boot_ns.saturating_add(by.as_nanos() as u64);
        Self { mono: self.mono + by, utc: self.utc + by, boot_ns }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn read(&self) -> Reading {
        self.0.lock().reading
    }

    fn after(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = Arc::clone(&self.0);
        let until = clock.lock().reading.mono + time;
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = clock.lock();
            if state.reading.mono >= until {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        }))
    }

    fn sleeper(&self) -> Result<Box<dyn Sleeper>, Error> {
        let bell = Arc::new(Bell { clock: Arc::clone(&self.0), rung: Mutex::new(false) });
        Ok(Box::new(FakeSleeper { steps: self.0.lock().steps, bell }))
    }
}

struct FakeSleeper {
    bell: Arc<Bell>,
    steps: u64,
}

struct Bell {
    clock: Arc<Shared>,
    rung: Mutex<bool>,
}

impl Bell {
    fn take(&self) -> bool {
        std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notify for Bell {
    fn notify(&self) {
        // Under the clock's lock: whoever is about to sleep holds it from its last look on.
        let state = self.clock.lock();
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        drop(state);
        self.clock.changed.notify_all();
    }
}

impl Sleeper for FakeSleeper {
    fn sleep(&mut self, until: Option<Mono>) {
        let Self { bell, steps } = self;
        let mut state = bell.clock.lock();
        let is_due = |state: &State| until.is_some_and(|until| state.reading.mono >= until);
        while !bell.take() && !is_due(&state) && *steps == state.steps {
            state = bell.clock.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *steps = state.steps;
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::clone(&self.bell) as Arc<dyn Notify>
    }
}
