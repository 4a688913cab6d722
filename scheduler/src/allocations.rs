//! What a thread allocates, counted: tests alone are built with it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(calls: usize, bytes: isize) {
    // A thread that is ending has no counts any more, and nobody who asks for them.
    let _ = CALLS.try_with(|sum| sum.set(sum.get() + calls));
    let _ = BYTES.try_with(|sum| sum.set(sum.get() + bytes));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often this thread has allocated.
pub(crate) fn calls() -> usize {
    CALLS.get()
}

/// What it holds of what it allocated: negative if it freed what others had.
pub(crate) fn held() -> isize {
    BYTES.get()
}
