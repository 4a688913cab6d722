//! The ring and the handshake once more, on loom's atomics: every interleaving and every reordering
//! that the memory model allows.

#![expect(clippy::duplicate_mod, reason = "the same source on other atomics is the point")]

#[path = "ring.rs"]
#[expect(dead_code, reason = "what is not modelled is still there")]
mod ring;
#[path = "sleepy.rs"]
mod sleepy;

mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

    pub(super) const NEW_IS_ZERO: bool = false;
}

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use ring::Ring;
use sleepy::Sleepy;

#[test]
fn what_two_push_one_pops_once() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(2));
        let push = |value: u32| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.push(Box::new(value)).is_ok())
        };
        let pushes = [push(1), push(2)];
        let mut got: Vec<u32> = Vec::new();
        got.extend(ring.pop().map(|value| *value));
        let pushed = pushes.map(|push| push.join().unwrap());
        assert_eq!(pushed, [true, true]);
        got.extend(std::iter::from_fn(|| ring.pop()).map(|value| *value));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_full_ring_gives_back_what_it_cannot_take() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(2));
        assert!(ring.push(1).is_ok() && ring.push(2).is_ok());
        let other = Arc::clone(&ring);
        let push = thread::spawn(move || other.push(3).is_ok());
        assert_eq!(ring.pop(), Some(1));
        let took = push.join().unwrap();
        let rest: Vec<u32> = std::iter::from_fn(|| ring.pop()).collect();
        assert_eq!(rest, if took { vec![2, 3] } else { vec![2] });
    });
}

/// Whoever sleeps while something is there was rung for.
#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(2));
        let sleepy = Arc::new(Sleepy::default());
        let rung = Arc::new(AtomicBool::new(false));
        let push = |value: u32| {
            let (ring, sleepy, rung) = (Arc::clone(&ring), Arc::clone(&sleepy), Arc::clone(&rung));
            thread::spawn(move || {
                ring.push(value).unwrap();
                if sleepy.rouse(|| u64::from(value)) {
                    rung.store(true, Ordering::Release);
                }
            })
        };
        let pushes = [push(1), push(2)];
        let sleeps = ring.pop().is_none() && sleepy.doze(u64::MAX, || ring.is_empty());
        for push in pushes {
            push.join().unwrap();
        }
        assert!(!sleeps || rung.load(Ordering::Acquire));
    });
}

/// What comes before the sleeper wakes by itself is seen or rung for, even behind one that can wait and
/// is not wholly there.
#[test]
fn what_cannot_wait_is_not_slept_over() {
    // Without a bound it takes minutes; two preemptions are enough to lose it without the second look.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let ring = Arc::new(Ring::new(2));
        let sleepy = Arc::new(Sleepy::default());
        let push = |due_ns: u64| {
            let (ring, sleepy) = (Arc::clone(&ring), Arc::clone(&sleepy));
            thread::spawn(move || {
                let number = ring.push(due_ns).unwrap();
                sleepy.rouse(|| if ring.is_followed(number) { 0 } else { due_ns })
            })
        };
        let [early, late] = [push(5), push(15)];
        let sleeps = ring.pop().is_none() && sleepy.doze(10, || ring.is_empty());
        let rang = [early, late].map(|push| push.join().unwrap());
        assert!(!sleeps || rang.contains(&true));
    });
}

#[test]
fn what_can_wait_rings_nobody() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(2));
        let sleepy = Arc::new(Sleepy::default());
        let (pushed, asked) = (Arc::clone(&ring), Arc::clone(&sleepy));
        let push = thread::spawn(move || {
            let number = pushed.push(()).unwrap();
            asked.rouse(|| if pushed.is_followed(number) { 0 } else { 15 })
        });
        let _ = ring.pop().is_none() && sleepy.doze(10, || ring.is_empty());
        assert!(!push.join().unwrap());
    });
}

/// An end that comes between a look and a sleep is seen, or rung for.
#[test]
fn no_news_is_slept_over() {
    loom::model(|| {
        let flags = [(), ()].map(|()| AtomicBool::new(false));
        let shared = Arc::new((Sleepy::default(), AtomicUsize::new(0), flags));
        let other = Arc::clone(&shared);
        let close = thread::spawn(move || {
            let (sleepy, news, [closed, rung]) = &*other;
            closed.store(true, Ordering::Release);
            news.fetch_add(1, Ordering::Release);
            if sleepy.rouse(|| 0) {
                rung.store(true, Ordering::Release);
            }
        });
        let (sleepy, news, [closed, rung]) = &*shared;
        let known = news.load(Ordering::Acquire);
        let saw = closed.load(Ordering::Acquire);
        let sleeps = !saw && sleepy.doze(u64::MAX, || news.load(Ordering::Acquire) == known);
        close.join().unwrap();
        assert!(!sleeps || rung.load(Ordering::Acquire));
    });
}
