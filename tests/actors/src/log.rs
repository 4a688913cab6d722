//! What an actor did, by its own clock: the truth that a recording is scored against.
//!
//! It spins in blocks of about a microsecond and reads the clock between them: where more time
//! passed than a block takes, somebody else had the CPU, and an interval ends. If the thread was not
//! switched out meanwhile, that was no other thread: an interrupt, or the host, and from user space
//! nobody can tell which. Nothing is written before the end, so that the log costs no system call
//! while it counts.
//!
//! ```text
//! thread 4711 hog          a thread and its name; the lines up to the next belong to it
//! waited 120345 900        its run_delay as the kernel counts it, at the instant 900
//! ran 100 200 1            it progressed from 100 to 200 ns, CLOCK_MONOTONIC, on CPU 1
//! held 200 240 1           it kept that CPU from 200 to 240, and did not progress
//! near 90 100              it may have run at any time between, in code that keeps no log
//! placed 150 160 0         the victim came to CPU 0 between 150 and 160
//! counted 54 900           the thread 54 ran for 900 ns while the role lasted, as the kernel counts it
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A longer pause between two blocks was somebody else's.
const GAP_NS: u64 = 5_000;
/// What the kernel counts as a thread's when it is switched out and in. More of it is time that the
/// thread had and made no progress in, and nobody can tell when in the gap that was.
const SWITCHING_NS: u64 = 20_000;
/// Room from the start: to grow takes the kernel's time, which no log sees.
const ROOM: usize = 1 << 17;

/// Room of what does not live long.
const LITTLE_ROOM: usize = 1 << 11;
/// What it takes at most to write and to end.
const CLOSING_NS: u64 = 10_000_000;

static STOP: AtomicBool = AtomicBool::new(false);

/// The log of one thread.
pub struct Log {
    into: PathBuf,
    gap_ns: u64,
    ran: Vec<Ran>,
    held: Vec<Ran>,
    near: Vec<(u64, u64)>,
    notes: String,
}

#[derive(Clone, Copy)]
struct Ran {
    from_ns: u64,
    to_ns: u64,
    cpu: i32,
}

impl Log {
    /// Makes the file, which tells whoever started the actor that it is there.
    pub fn open(into: &Path) -> Self {
        Self::with_room(into, ROOM)
    }

    /// Of who has been running since then, and soon ends.
    pub fn open_brief(into: &Path, since_ns: u64) -> Self {
        let mut log = Self::with_room(into, LITTLE_ROOM);
        log.near(since_ns);
        log
    }

    fn with_room(into: &Path, room: usize) -> Self {
        stop_when_asked();
        open(into);
        let mut near = vec![(1, 1); LITTLE_ROOM];
        near.clear();
        let (ran, held, notes) = (reserved(room), reserved(room), String::new());
        Self { into: into.to_owned(), gap_ns: GAP_NS, ran, held, near, notes }
    }

    /// With another pause: interrupts are shorter than tasks.
    pub fn with_gap_ns(self, gap_ns: u64) -> Self {
        Self { gap_ns, ..self }
    }

    /// Progresses until then, or until the actor is asked to stop.
    pub fn spin_until(&mut self, until_ns: u64) {
        let (mut from_ns, mut last_ns) = (now_ns(), now_ns());
        let (mut cpu, mut account) = (own_cpu(), Account::now());
        while last_ns < until_ns && !is_asked_to_stop() {
            progress();
            let now_ns = now_ns();
            if now_ns - last_ns > self.gap_ns {
                self.ran.push(Ran { from_ns, to_ns: last_ns, cpu });
                let before = std::mem::replace(&mut account, Account::now());
                if account.switches == before.switches {
                    self.held.push(Ran { from_ns: last_ns, to_ns: now_ns, cpu });
                } else if account.ran_ns - before.ran_ns > (last_ns - from_ns) + SWITCHING_NS {
                    self.near.push((last_ns, now_ns));
                }
                // To ask takes time too, in which a switch may be due; the next reading sees it.
                (from_ns, cpu) = (now_ns, own_cpu());
            }
            last_ns = now_ns;
        }
        self.ran.push(Ran { from_ns, to_ns: last_ns, cpu });
    }

    /// One system call, which holds the CPU to its end. Before it came back the one that waited for it
    /// may have run; but he waited no more then, and what he waited for was the call. The thread's
    /// time as the kernel counts it does not tell: from a wake-up that is to preempt it on, the
    /// kernel's clock may stand still until the switch.
    pub fn call(&mut self, call: impl FnOnce()) {
        let from_ns = now_ns();
        call();
        self.ran.push(Ran { from_ns, to_ns: now_ns(), cpu: own_cpu() });
    }

    /// It may have run since then.
    pub fn near(&mut self, from_ns: u64) {
        self.near.push((from_ns, now_ns()));
    }

    /// Puts the victim on that CPU, or on its queue.
    pub fn place(&mut self, cpu: usize, place: impl FnOnce(usize)) {
        let from_ns = now_ns();
        place(cpu);
        let _ = writeln!(self.notes, "placed {from_ns} {} {cpu}", now_ns());
    }

    /// It runs, and is in the kernel before and after.
    pub fn pass(&mut self) {
        let now_ns = now_ns();
        self.ran.push(Ran { from_ns: now_ns, to_ns: now_ns, cpu: own_cpu() });
    }

    /// How long another thread ran, as the kernel counts it.
    pub fn counted(&mut self, tid: u32, ns: u64) {
        let _ = writeln!(self.notes, "counted {tid} {ns}");
    }

    /// Writes all of it.
    pub fn close(mut self) {
        let (waited_ns, at_ns) = (run_delay_ns(), now_ns());
        let (tid, name) = own_name();
        let mut text = format!("thread {tid} {name}\nwaited {waited_ns} {at_ns}\n");
        for Ran { from_ns, to_ns, cpu } in self.ran.drain(..) {
            let _ = writeln!(text, "ran {from_ns} {to_ns} {cpu}");
        }
        for Ran { from_ns, to_ns, cpu } in self.held.drain(..) {
            let _ = writeln!(text, "held {from_ns} {to_ns} {cpu}");
        }
        for (from_ns, to_ns) in self.near.drain(..) {
            let _ = writeln!(text, "near {from_ns} {to_ns}");
        }
        text += &self.notes;
        // To write takes time too, and it ends after that.
        let _ = writeln!(text, "near {at_ns} {}", at_ns + CLOSING_NS);
        // At once, since other threads write theirs.
        open(&self.into).write_all(text.as_bytes()).expect("whoever asked for the log has room");
    }
}

fn open(into: &Path) -> File {
    File::options().append(true).create(true).open(into).expect("the log can be written")
}

/// Written once, so that no page is missing later.
fn reserved(room: usize) -> Vec<Ran> {
    let mut room = vec![Ran { from_ns: 1, to_ns: 1, cpu: 1 }; room];
    room.clear();
    room
}

/// About half a microsecond of arithmetic, in code of its own.
#[inline(never)]
fn progress() {
    let mut sum = 0_u64;
    for n in 0..256_u64 {
        sum = black_box(sum.rotate_left(5) ^ n);
    }
}

/// CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills a timespec that is ours.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Keeps the CPU and does nothing.
pub fn dally(pause: Duration) {
    let until_ns = now_ns() + pause.as_nanos() as u64;
    while now_ns() < until_ns {}
}

/// Whether whoever started the actor wants its log.
pub fn is_asked_to_stop() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// SIGTERM asks for the log; without one it would end the actor.
fn stop_when_asked() {
    extern "C" fn ask(_signal: libc::c_int) {
        STOP.store(true, Ordering::Relaxed);
    }
    // SAFETY: the handler does nothing but store into an atomic.
    unsafe { libc::signal(libc::SIGTERM, ask as *const () as libc::sighandler_t) };
}

fn own_cpu() -> i32 {
    // SAFETY: takes nothing, and only reads.
    unsafe { libc::sched_getcpu() }
}

/// What the kernel counts of this thread.
#[derive(Clone, Copy)]
struct Account {
    /// How often it has left a CPU.
    switches: i64,
    /// For how long it had one.
    ran_ns: u64,
}

impl Account {
    fn now() -> Self {
        // SAFETY: all zeros is a rusage, and the call fills it.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
            usage
        };
        let switches = usage.ru_nvcsw + usage.ru_nivcsw;
        Self { switches, ran_ns: read(libc::CLOCK_THREAD_CPUTIME_ID) }
    }
}

/// The second figure of schedstat: how long the thread was runnable and did not run.
fn run_delay_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn own_name() -> (i32, String) {
    let name = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    // SAFETY: takes nothing.
    (unsafe { libc::gettid() }, name.trim_end().replace(' ', "-"))
}
