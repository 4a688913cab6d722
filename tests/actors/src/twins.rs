use std::ffi::CString;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

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
}

/// From here the kernel counts on when it needs a number for a process.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

impl Twins {
    pub fn run(&self) {
        crate::pin(self.cpu);
        let number = child(|| self.burn(&self.first));
        // Somebody else may be quicker, so it is asked for until it is given.
        loop {
            fs::write(LAST_PID, (number - 1).to_string()).expect("root may choose the next number");
            // SAFETY: no other thread of this process exists, here or in any child.
            match unsafe { libc::fork() } {
                0 if std::process::id() == number as u32 => self.become_second(),
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
        println!("{number}");
    }

    fn burn(&self, name: &str) {
        crate::name(name);
        let until = Instant::now() + Duration::from_millis(self.millis);
        let mut sum = 0_u64;
        while Instant::now() < until {
            sum = black_box(sum.rotate_left(3) ^ 1);
        }
    }

    fn become_second(&self) -> ! {
        self.burn(&self.second);
        let seconds = format!("{}", self.millis as f64 / 1e3);
        let cpu = self.cpu.to_string();
        let name = self.program.rsplit('/').next().unwrap_or_default();
        let words = [&self.program, "hog", "--cpu", &cpu, "--seconds", &seconds, "--name", name];
        let words = words.map(|word| CString::new(word).expect("no argument holds a NUL"));
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
