use std::ffi::CString;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::log::{self, Log};

/// Two children, one after the other, with one and the same number: the first burns a CPU under its
/// name, the second under another, and then as the program that it executes.
#[derive(Debug, clap::Args)]
pub struct Twins {
    /// The CPU to burn.
    #[arg(long)]
    cpu: usize,
    /// For how long, each name.
    #[arg(long, default_value_t = 300)]
    millis: u64,
    /// The first one's name.
    #[arg(long, default_value = "first-twin")]
    first: String,
    /// The second one's name.
    #[arg(long, default_value = "second-twin")]
    second: String,
    /// The program that the second one executes at last, with `hog` and its arguments.
    #[arg(long)]
    program: String,
    /// Where to write when each ran; then there are new twins until they are asked to end.
    #[arg(long)]
    log: Option<PathBuf>,
}

/// From here the kernel counts on when it needs a number for a process.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

impl Twins {
    pub fn run(&self) {
        crate::pin(self.cpu);
        // It makes the file, and sees to it that we are asked.
        let own = self.log.as_deref().map(Log::open);
        self.once();
        while own.is_some() && !log::is_asked_to_stop() {
            self.once();
        }
    }

    fn once(&self) {
        let born_ns = log::now_ns();
        let number = child(|| self.burn(&self.first, born_ns));
        // Somebody else may be quicker, so it is asked for until it is given.
        loop {
            fs::write(LAST_PID, (number - 1).to_string()).expect("root may choose the next number");
            let born_ns = log::now_ns();
            // SAFETY: no other thread of this process exists, here or in any child.
            match unsafe { libc::fork() } {
                0 if std::process::id() == number as u32 => self.become_second(born_ns),
                // SAFETY: ends the child at once.
                0 => unsafe { libc::_exit(0) },
                twin => {
                    wait(twin);
                    if twin == number {
                        break;
                    }
                }
            }
        }
        if self.log.is_none() {
            println!("{number}");
        }
    }

    fn burn(&self, name: &str, born_ns: u64) {
        crate::name(name);
        if let Some(into) = &self.log {
            let mut log = Log::open_brief(into, born_ns);
            log.spin_until(log::now_ns() + self.millis * 1_000_000);
            return log.close();
        }
        let until = Instant::now() + Duration::from_millis(self.millis);
        let mut sum = 0_u64;
        while Instant::now() < until {
            sum = black_box(sum.rotate_left(3) ^ 1);
        }
    }

    fn become_second(&self, born_ns: u64) -> ! {
        self.burn(&self.second, born_ns);
        let over_ns = log::now_ns().to_string();
        let seconds = format!("{}", self.millis as f64 / 1e3);
        let cpu = self.cpu.to_string();
        let name = self.program.rsplit('/').next().unwrap_or_default();
        let hog = [&self.program, "hog", "--cpu", &cpu, "--seconds", &seconds, "--name", name];
        let log = self
            .log
            .iter()
            .flat_map(|log| ["--since-ns", &over_ns, "--log", log.to_str().unwrap_or_default()]);
        let words = hog.into_iter().chain(log);
        let words: Vec<_> =
            words.map(|word| CString::new(word).expect("no argument holds a NUL")).collect();
        let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
        pointers.push(std::ptr::null());
        // SAFETY: NUL-terminated strings, and a list that ends with null.
        unsafe {
            libc::execv(pointers[0], pointers.as_ptr());
            libc::_exit(1)
        }
    }
}

fn child(body: impl FnOnce()) -> i32 {
    // SAFETY: no other thread of this process exists.
    let child = unsafe { libc::fork() };
    if child == 0 {
        body();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    wait(child);
    child
}

fn wait(child: i32) {
    // SAFETY: a child of ours, whose status nobody wants.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
}
