//! A server that announces its requests.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

/// Answers a request every few milliseconds, on one CPU. It announces each as a span.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// The CPU to run on.
    #[arg(long)]
    cpu: usize,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// What an answer costs.
    #[arg(long, default_value_t = 500)]
    work_us: u64,
    /// Leaves the last request without an end.
    #[arg(long)]
    break_off: bool,
}

impl Serve {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name("serve");
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(self.requests());
    }

    async fn requests(&self) {
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        let mut id = 0_u64;
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
            id += 1;
            cronx_spans::span_begin!("request", id);
            answer(Duration::from_micros(self.work_us));
            cronx_spans::span_end!(id);
        }
        if self.break_off {
            cronx_spans::span_begin!("request", 0_u64);
        }
    }
}

fn answer(cost: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < cost {
        black_box(begun);
    }
}
