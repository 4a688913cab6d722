//! Work for a kernel worker: the collection of dead keys, which looks at every key that there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::log::{self, Log};

/// A victim that always wants to run, and a thread that lets keys die on the same CPU.
#[derive(Debug, clap::Args)]
pub struct Keys {
    /// The CPU of both, and of the worker.
    #[arg(long)]
    cpu: usize,
    /// How many keys there are to look at.
    #[arg(long, default_value_t = 100_000)]
    alive: u32,
    /// Time between two deaths.
    #[arg(long, default_value_t = 20_000)]
    every_us: u64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Where to write what it did.
    #[arg(long)]
    log: PathBuf,
}

const PROCESS_KEYRING: i32 = -2;
const INVALIDATE: i32 = 21;

static OVER: AtomicBool = AtomicBool::new(false);

impl Keys {
    pub fn run(&self) {
        crate::pin(self.cpu);
        (0..self.alive).for_each(|number| _ = add(&format!("cronx-{number}")));
        let before = workers(self.cpu);
        thread::scope(|scope| {
            scope.spawn(|| self.let_die());
            scope.spawn(|| {
                crate::name("victim");
                let mut log = Log::open(&self.log);
                while !OVER.load(Ordering::Relaxed) {
                    log.spin_until(log::now_ns() + 1_000_000);
                }
                for (worker, ns) in workers(self.cpu) {
                    log.counted(worker, ns - before.get(&worker).unwrap_or(&0));
                }
                log.close();
            });
        });
    }

    fn let_die(&self) {
        crate::name("keys");
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        while Instant::now() < until {
            let key = add("cronx-mortal");
            // SAFETY: takes numbers only.
            unsafe { libc::syscall(libc::SYS_keyctl, INVALIDATE, key) };
            thread::sleep(Duration::from_micros(self.every_us));
        }
        OVER.store(true, Ordering::Relaxed);
    }
}

fn add(name: &str) -> i64 {
    let name = format!("{name}\0");
    // SAFETY: NUL-terminated strings, and a payload of the one byte that is said.
    let key = unsafe {
        let (kind, payload) = (c"user".as_ptr(), c"x".as_ptr());
        libc::syscall(libc::SYS_add_key, kind, name.as_ptr(), payload, 1, PROCESS_KEYRING)
    };
    assert!(key > 0, "root may have that many keys");
    key
}

/// How long each worker of that CPU has run so far, nanoseconds.
fn workers(cpu: usize) -> BTreeMap<u32, u64> {
    let own = format!("kworker/{cpu}:");
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let worker = |folder: fs::DirEntry| {
        let pid = folder.file_name().to_str()?.parse().ok()?;
        fs::read_to_string(folder.path().join("comm")).ok()?.starts_with(&own).then_some(())?;
        let schedstat = fs::read_to_string(folder.path().join("schedstat")).ok()?;
        Some((pid, schedstat.split_whitespace().next()?.parse().ok()?))
    };
    folders.filter_map(worker).collect()
}
