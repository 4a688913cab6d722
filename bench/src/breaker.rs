//! One permitted call of a breaker: what it costs to ask, and to tell that it went well.
//!
//! Every thread calls the same breaker, over and over. The call itself does nothing, and all rivals watch a
//! window of a hundred calls, or failures in a row where they know no other. A breaker that judges slow
//! calls has to be told the time: so ours is measured with two readings of the clock, and without.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use cronx_scheduler::breaker::{Adaptive, Breaker, Ended, Limit, Rules, Share, Window};
use cronx_scheduler::{Clock, Mono, SystemClock};
use failsafe::CircuitBreaker as _;
use recloser::Recloser;
use tokio::runtime::Builder;
use tower::{Service, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

use crate::Error;

/// What is timed.
#[derive(Debug, clap::Args)]
pub(crate) struct Permitted {
    /// Whose.
    #[arg(long)]
    which: Which,
    /// How many threads share it.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Calls of each thread.
    #[arg(long, default_value_t = 2_000_000)]
    calls: u32,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    /// Told an instant that its caller has anyhow, as the engine has.
    Cronx,
    /// With two readings of the clock.
    CronxTimed,
    /// With a threshold that learns from every call: under its lock.
    CronxAdaptive,
    Failsafe,
    Recloser,
    Tower,
}

/// Longer than any of this takes.
const WAIT: Duration = Duration::from_mins(1);
const WINDOW: u32 = 100;

impl Permitted {
    /// Says how many nanoseconds a call took, on the thread that made it.
    pub(crate) fn run(&self) -> Result<(), Error> {
        let ns = match self.which {
            Which::Cronx => self.ours(rules(None), |breaker| call(breaker, Mono(0), Mono(0)))?,
            Which::CronxTimed => self.ours(rules(None), |breaker| {
                let began = SystemClock.mono();
                call(breaker, began, SystemClock.mono());
            })?,
            Which::CronxAdaptive => {
                let learns = rules(Some(Adaptive::default()));
                self.ours(learns, |breaker| call(breaker, Mono(0), Mono(0)))?
            }
            Which::Failsafe => self.failsafe(),
            Which::Recloser => self.recloser(),
            Which::Tower => self.tower()?,
        };
        println!("{ns:.2}");
        Ok(())
    }

    fn ours(&self, rules: Rules, one: impl Fn(&Breaker) + Sync) -> Result<f64, Error> {
        let breaker = Breaker::new("bench", rules)?;
        // As it is after a minute, not as it begins.
        (0..WINDOW).for_each(|_| one(&breaker));
        Ok(self.race(|| one(&breaker)))
    }

    fn failsafe(&self) -> f64 {
        let backoff = failsafe::backoff::constant(WAIT);
        let policy = failsafe::failure_policy::consecutive_failures(5, backoff);
        let breaker = failsafe::Config::new().failure_policy(policy).build();
        self.race(|| _ = black_box(breaker.call(|| Ok::<(), ()>(black_box(())))))
    }

    fn recloser(&self) -> f64 {
        let breaker = Recloser::custom().closed_len(WINDOW as usize).open_wait(WAIT).build();
        (0..WINDOW).for_each(|_| _ = breaker.call(|| Ok::<(), ()>(())));
        self.race(|| _ = black_box(breaker.call(|| Ok::<(), ()>(black_box(())))))
    }

    /// A service is called by a clone of its own in every thread; they share the circuit.
    fn tower(&self) -> Result<f64, Error> {
        let layer = CircuitBreakerLayer::builder()
            .failure_rate_threshold(0.5)
            .sliding_window_size(WINDOW as usize)
            .build();
        let layer = layer.map_err(|error| Error::Scheduler(error.to_string()))?;
        let service = layer.layer_fn(service_fn(|()| async { Ok::<(), std::io::Error>(()) }));
        let calls = self.calls;
        Ok(self.race_of(|| {
            let mut service = service.clone();
            let runtime = Builder::new_current_thread().enable_time().build();
            move || {
                let Ok(runtime) = &runtime else { return };
                runtime.block_on(async {
                    for _ in 0..calls {
                        let Ok(ready) = service.ready().await else { return };
                        let _ = black_box(ready.call(()).await);
                    }
                });
            }
        }))
    }

    fn race(&self, one: impl Fn() + Sync) -> f64 {
        let (one, calls) = (&one, self.calls);
        self.race_of(|| move || (0..calls).for_each(|_| one()))
    }

    /// Makes what each thread does, lets them begin at once, and says what one call of one thread took.
    fn race_of<F: FnOnce()>(&self, make: impl Fn() -> F + Sync) -> f64 {
        let barrier = Arc::new(Barrier::new(self.threads));
        let make = &make;
        let took: Duration = thread::scope(|scope| {
            let run = |_| {
                let barrier = Arc::clone(&barrier);
                scope.spawn(move || {
                    let all = make();
                    barrier.wait();
                    let began = Instant::now();
                    all();
                    began.elapsed()
                })
            };
            let runners: Vec<_> = (0..self.threads).map(run).collect();
            runners.into_iter().filter_map(|runner| runner.join().ok()).sum()
        });
        took.as_nanos() as f64 / (self.threads as f64 * f64::from(self.calls))
    }
}

fn rules(adaptive: Option<Adaptive>) -> Rules {
    let fixed = Limit::Fixed(Share::percent(50));
    Rules {
        consecutive: NonZeroU32::new(5),
        window: Window::Calls(WINDOW),
        minimum: WINDOW,
        failures: Some(adaptive.map_or(fixed, Limit::Adaptive)),
        ..Rules::default()
    }
}

fn call(breaker: &Breaker, began: Mono, ended: Mono) {
    let mut log = Vec::new();
    if let Ok(call) = black_box(breaker).ask(began, None, &mut log) {
        black_box(());
        call.end(Ended::Succeeded, ended.since(began), ended, &mut log);
    }
}
