use std::hint::black_box;
use std::time::{Duration, Instant};

/// Forks without a pause: each child gives itself a name of its own, works a little, and ends.
#[derive(Debug, clap::Args)]
pub struct Storm {
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Children at once.
    #[arg(long, default_value_t = 8)]
    children: usize,
}

impl Storm {
    pub fn run(&self) {
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        let (mut born, mut alive) = (0_u64, 0);
        while Instant::now() < until {
            if alive == self.children {
                reap();
                alive -= 1;
            }
            born += 1;
            // SAFETY: no other thread of this process exists.
            if unsafe { libc::fork() } == 0 {
                crate::name(&format!("storm-{born}"));
                (0..20_000_u64).for_each(|n| _ = black_box(n));
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(0) };
            }
            alive += 1;
        }
        (0..alive).for_each(|_| reap());
        println!("{born}");
    }
}

fn reap() {
    // SAFETY: a child of ours, whose status nobody wants.
    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
}
