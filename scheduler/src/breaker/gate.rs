//! All that threads share of a breaker: a word to be read, and the machine behind a lock.
//!
//! The word says whether there is anything to decide. While it says *closed*, calls pass by reading it. While
//! it says *settled* too, one more success would leave the machine as it is, and is not written: the
//! healthy case is two loads, and no cache line goes from core to core. All else takes the lock, for as
//! long as some integers take.
//!
//! A call that reads *closed* just before the breaker opens passes. That is a call which came before:
//! its permit has the number of that state, and counts in no other.

use std::sync::PoisonError;

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use crate::breaker::machine::{Machine, Permit};

/// The word: how often the machine has turned, and two bits.
const CLOSED: u64 = 1;
const SETTLED: u64 = 2;
const BITS: u32 = 2;

/// A machine for any thread.
pub(crate) struct Gate {
    word: AtomicU64,
    machine: Mutex<Machine>,
}

/// The machine, locked. At its end the word is right again, even if that end is a panic.
struct Held<'a> {
    word: &'a AtomicU64,
    machine: MutexGuard<'a, Machine>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.word.store(word(&self.machine), Ordering::Release);
    }
}

impl Gate {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { word: AtomicU64::new(word(&machine)), machine: Mutex::new(machine) }
    }

    /// Lets a call through, if there is nothing to decide.
    #[inline]
    pub(crate) fn is_passed(&self) -> Option<Permit> {
        let word = self.word.load(Ordering::Acquire);
        (word & CLOSED != 0).then(|| Permit::usual(word >> BITS))
    }

    /// Whether it makes no difference that a call with this permit succeeded.
    #[inline]
    pub(crate) fn is_settled_for(&self, permit: Permit) -> bool {
        self.word.load(Ordering::Acquire) == permit.generation() << BITS | CLOSED | SETTLED
    }

    /// Decides.
    pub(crate) fn decide<R>(&self, f: impl FnOnce(&mut Machine) -> R) -> R {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held { word: &self.word, machine };
        f(&mut held.machine)
    }
}

fn word(machine: &Machine) -> u64 {
    let closed = if machine.is_closed() { CLOSED } else { 0 };
    let settled = if machine.is_settled() { SETTLED } else { 0 };
    machine.generation() << BITS | closed | settled
}
