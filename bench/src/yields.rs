//! Threads that give their CPU to each other: of all that a thread can do to be made to wait, what
//! takes it the least time. Each switch ends a wait and begins one.

use std::time::Duration;
use std::{thread, time};

use crate::Error;
use crate::race::Field;

/// How often it is looked whether the time is up.
const LOOK_EVERY: u64 = 1024;

/// Threads that yield to each other.
#[derive(Debug, clap::Args)]
pub(crate) struct Yields {
    #[command(flatten)]
    field: Field,
    /// How often each yields, rounded up to a thousand or so.
    #[arg(long)]
    count: u64,
    /// The longest it may take.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl Yields {
    pub(crate) fn run(&self) -> Result<(), Error> {
        self.field.run(|| self.give_way())
    }

    fn give_way(&self) -> Result<(), Error> {
        let deadline = time::Instant::now() + Duration::from_secs(self.seconds);
        let mut done = 0;
        while done < self.count {
            (0..LOOK_EVERY).for_each(|_| thread::yield_now());
            done += LOOK_EVERY;
            if time::Instant::now() > deadline {
                return Err(Error::Slow { done, count: self.count, seconds: self.seconds });
            }
        }
        Ok(())
    }
}
