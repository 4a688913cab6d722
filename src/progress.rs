//! Signs of life: a line that renews itself on a terminal, one plain line a minute elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use cronx_collector::drain::Told;

const PLAIN_EVERY: Duration = Duration::from_mins(1);

/// A recording under way.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    told: Instant,
    quiet: bool,
    terminal: bool,
}

impl Progress {
    /// Starts counting.
    pub fn start(quiet: bool) -> Self {
        let now = Instant::now();
        // Where stdout is a terminal too, the load's own words would be torn apart by ours.
        let terminal = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Self { started: now, told: now, quiet, terminal }
    }

    /// Tells it, if it is news.
    pub fn tell(&mut self, told: Told) {
        match told {
            Told::Records(records) => self.count(records),
            Told::Ending if self.quiet => {}
            Told::Ending => {
                self.end();
                eprintln!("cronx: asked the load to end; once more to stop at once");
            }
        }
    }

    /// How far it is, if it is time.
    fn count(&mut self, records: u64) {
        let every = if self.terminal { Duration::from_millis(250) } else { PLAIN_EVERY };
        if self.quiet || self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let seconds = self.started.elapsed().as_secs();
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal {
            write!(out, "\rrecording: {seconds} s, {records} records\x1b[K")
        } else {
            writeln!(out, "cronx: recording for {seconds} s, {records} records")
        };
    }

    /// Leaves the line clean.
    pub fn end(&self) {
        if !self.quiet && self.terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
