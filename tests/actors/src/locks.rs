//! System calls that hold their CPU for milliseconds.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::log::{self, Log};

/// Asks for a lock behind a great many others: the kernel walks their list under a spinlock, and
/// nobody gets the CPU meanwhile.
#[derive(Debug, clap::Args)]
pub struct Locks {
    /// The CPU to do it on.
    #[arg(long)]
    cpu: usize,
    /// How many locks there are to walk.
    #[arg(long, default_value_t = 20_000)]
    held: i64,
    /// Sleep between two calls.
    #[arg(long, default_value_t = 5_000)]
    sleep_us: u64,
    /// Where to write what it did.
    #[arg(long)]
    log: PathBuf,
}

impl Locks {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name("locks");
        let file = nameless();
        // One lock over all, cut into many from the last to the first: the list is in their order, so
        // that each cut finds its place at the head.
        set(file.as_raw_fd(), libc::F_WRLCK, 0, 0);
        (0..self.held).rev().for_each(|cut| set(file.as_raw_fd(), libc::F_UNLCK, 2 * cut + 1, 1));
        let mut log = Log::open(&self.log);
        while !log::is_asked_to_stop() {
            log.call(|| set(file.as_raw_fd(), libc::F_WRLCK, 2 * self.held, 1));
            log.pass();
            thread::sleep(Duration::from_micros(self.sleep_us));
            log.pass();
        }
        log.close();
    }
}

fn nameless() -> File {
    // SAFETY: a NUL-terminated name and a number.
    let descriptor = unsafe { libc::memfd_create(c"cronx-locks".as_ptr(), 0) };
    assert!(descriptor >= 0, "a descriptor is to be had");
    // SAFETY: just made, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(b"x").expect("there is memory");
    file
}

/// Locks or unlocks so many bytes; 0 for all that follow.
fn set(file: RawFd, kind: i32, at: i64, bytes: i64) {
    // SAFETY: all fields are numbers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    lock.l_start = at;
    lock.l_len = bytes;
    // SAFETY: reads the lock only.
    let done = unsafe { libc::fcntl(file, libc::F_SETLK, &raw const lock) };
    assert_eq!(done, 0, "nobody else locks what has no name");
}
