//! One thread that waits for another's answer, each on a CPU of its own.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::log::{self, Log};

/// An asker that wakes a server and sleeps until it is woken by it.
#[derive(Debug, clap::Args)]
pub struct Ask {
    /// The asker's CPU.
    #[arg(long)]
    cpu: usize,
    /// The server's CPU.
    #[arg(long)]
    server_cpu: usize,
    /// Sleep between two questions.
    #[arg(long, default_value_t = 2_000)]
    every_us: u64,
    /// Work for an answer.
    #[arg(long, default_value_t = 50)]
    work_us: u64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Where to write who they were.
    #[arg(long)]
    log: PathBuf,
}

/// Questions asked and answered, and the two threads.
#[derive(Default)]
struct Line {
    asked: AtomicU64,
    answered: AtomicU64,
    asker: OnceLock<Thread>,
    server: OnceLock<Thread>,
}

/// The question that says that there will be no other.
const LAST: u64 = u64::MAX;

impl Ask {
    pub fn run(&self) {
        let line = Line::default();
        thread::scope(|scope| {
            scope.spawn(|| self.serve(&line));
            scope.spawn(|| self.ask(&line));
        });
    }

    fn serve(&self, line: &Line) {
        crate::pin(self.server_cpu);
        crate::name("server");
        let log = Log::open(&self.log);
        let _ = line.server.set(thread::current());
        let mut answered = 0;
        while answered != LAST {
            thread::park();
            let asked = line.asked.load(Ordering::Acquire);
            if asked == answered {
                continue;
            }
            let until_ns = log::now_ns() + self.work_us * 1_000;
            while log::now_ns() < until_ns {}
            answered = asked;
            line.answered.store(answered, Ordering::Release);
            line.asker.get().expect("nobody else asks").unpark();
        }
        log.close();
    }

    fn ask(&self, line: &Line) {
        crate::pin(self.cpu);
        crate::name("asker");
        let log = Log::open(&self.log);
        let _ = line.asker.set(thread::current());
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        let mut question = 0;
        while question != LAST {
            thread::sleep(Duration::from_micros(self.every_us));
            question = if Instant::now() < until { question + 1 } else { LAST };
            line.asked.store(question, Ordering::Release);
            line.server.wait().unpark();
            while line.answered.load(Ordering::Acquire) != question {
                thread::park();
            }
        }
        log.close();
    }
}
