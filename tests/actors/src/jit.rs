use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// Burns a CPU in code that it made at run time, and names it in `/tmp/perf-PID.map`.
#[derive(Debug, clap::Args)]
pub struct Jit {
    /// The CPU to burn.
    #[arg(long)]
    cpu: usize,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Its name as a thread.
    #[arg(long, default_value = "renderer")]
    name: String,
    /// The name of its code.
    #[arg(long, default_value = "render_page at /srv/app.js:12")]
    function: String,
}

/// `dec rdi; jnz -5; ret`: counts down, for as long as the caller says.
const COUNT_DOWN: [u8; 6] = [0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3];

/// About half a millisecond, so that next to no sample falls outside.
const COUNT: u64 = 1_000_000;

impl Jit {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name(&self.name);
        let count_down = compile();
        self.tell(count_down as usize);
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        while Instant::now() < until {
            count_down(COUNT);
        }
    }

    /// Anew, since a process of the same number may have left one.
    fn tell(&self, start: usize) {
        let path = format!("/tmp/perf-{}.map", std::process::id());
        let _ = fs::remove_file(&path);
        let mut map = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)
            .expect("a folder that everybody may write");
        writeln!(map, "{start:x} {:x} {}", COUNT_DOWN.len(), self.function).expect("a small file");
    }
}

/// The code in a page of its own, which belongs to no file.
fn compile() -> extern "C" fn(u64) {
    let (length, private) = (4096, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, wherever there is room.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), length, writable, private, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED, "a page is to be had");
    // SAFETY: the page is ours, writable, and longer than the code; it is never unmapped, and once
    // it is executable it holds a whole function that takes a number and returns nothing.
    unsafe {
        std::ptr::copy_nonoverlapping(COUNT_DOWN.as_ptr(), page.cast(), COUNT_DOWN.len());
        let done = libc::mprotect(page, length, libc::PROT_READ | libc::PROT_EXEC);
        assert_eq!(done, 0, "the page may be executed");
        std::mem::transmute::<*mut libc::c_void, extern "C" fn(u64)>(page)
    }
}
