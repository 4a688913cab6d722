//! The window of a recording: from the release of the load until it ends, the rings are emptied.

use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use cronx_recording::{CaptureWriter, CpuRecords, LoadEnd, Stolen, Trailer};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::Error;
use crate::cgroups::Names;
use crate::launch::Load;
use crate::probes::Probes;
use crate::seat::Seat;
use crate::signals::{Asked, Signals};
use crate::spans::Listener;
use crate::steal;
use crate::symbolize::Symbolizer;
use crate::targets::Targets;

/// How often the rings are emptied. They are sized for far more; see `WAKE_BYTES` for floods.
const PERIOD: Duration = Duration::from_millis(10);

/// A window without an end of its own: a year.
const NO_END: Duration = Duration::from_hours(365 * 24);

/// What was gathered is written at least so often, so that a kill loses no more.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Targets that join and leave are looked for once in so many periods.
const FOLLOW_EVERY: u64 = 5;

/// Records of one CPU that are gathered before they become a block of the Capture.
const BLOCK_BYTES: usize = 256 << 10;

/// What makes the window close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The load ended, by itself or because we were asked to end it.
    LoadEnded(LoadEnd),
    /// The processes that were watched are gone.
    TargetsGone,
    /// The time was up.
    TimeUp,
    /// An interrupt asked for it; there was no load of ours to end.
    Interrupted,
    /// A second interrupt: nothing more is wanted.
    Aborted,
}

/// What came of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// Why it closed.
    pub closed: Closed,
    /// When the hypervisor had a CPU meanwhile.
    pub steal: Vec<Stolen>,
}

/// What a recording under way tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// So many records so far; about every 100 ms.
    Records(u64),
    /// An interrupt came, and the load was asked to end.
    Ending,
}

/// What is recorded, and for how long.
pub struct Window<'a> {
    /// The load, if it is ours.
    pub load: Option<&'a mut Load>,
    /// With whose end it closes, if there is no load.
    pub targets: &'a Targets,
    /// The longest it may take.
    pub duration: Option<Duration>,
    /// Called with what a person may want to know.
    pub told: &'a mut dyn FnMut(Told),
}

impl std::fmt::Debug for Window<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("duration", &self.duration).finish_non_exhaustive()
    }
}

/// Where records go.
#[derive(Debug)]
pub struct Sink<W> {
    writer: CaptureWriter<W>,
    symbolizer: Symbolizer,
    listener: Option<Listener>,
    spans: CpuRecords,
    gathered: Vec<CpuRecords>,
    flushed: std::time::Instant,
    records: u64,
    seat: Seat,
    cgroups: Names,
}

impl<W: Write> Sink<W> {
    /// A sink into a Capture whose header is written.
    pub fn new(
        writer: CaptureWriter<W>,
        symbolizer: Symbolizer,
        listener: Option<Listener>,
    ) -> Self {
        Self {
            writer,
            symbolizer,
            listener,
            spans: CpuRecords::default(),
            gathered: Vec::new(),
            flushed: std::time::Instant::now(),
            records: 0,
            seat: Seat::take(),
            cgroups: Names::read(),
        }
    }

    /// Takes what the rings hold now.
    pub fn take(&mut self, probes: &mut Probes) -> Result<(), Error> {
        probes.drain_once(|cpu, record| {
            self.records += 1;
            self.seat.count(cpu);
            self.symbolizer.see(record);
            self.cgroups.see(record);
            if let Some(listener) = &mut self.listener {
                listener.see(record);
            }
            CpuRecords::of(&mut self.gathered, cpu).push(record);
        });
        self.seat.choose();
        self.cgroups.look();
        self.listen();
        if self.flushed.elapsed() < FLUSH_EVERY {
            return self.flush(BLOCK_BYTES);
        }
        self.flushed = std::time::Instant::now();
        self.flush(0)?;
        Ok(self.writer.flush()?)
    }

    fn listen(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.look();
            listener.drain(|record| self.spans.push(record));
        }
    }

    fn flush(&mut self, at_least: usize) -> Result<(), Error> {
        if !self.spans.bytes.is_empty() && self.spans.bytes.len() >= at_least {
            self.writer.spans(&self.spans)?;
            self.spans.bytes.clear();
        }
        for records in &mut self.gathered {
            if !records.bytes.is_empty() && records.bytes.len() >= at_least {
                self.writer.records(records)?;
                records.bytes.clear();
            }
        }
        Ok(())
    }

    /// Listens to spans no more.
    pub fn stop_listening(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.stop();
        }
    }

    /// Writes what is left, and what of the trailer only the records could tell.
    pub fn finish(mut self, mut trailer: Trailer) -> Result<(), Error> {
        self.flush(0)?;
        trailer.spans = self.listener.take().map(Listener::finish);
        trailer.cgroups = self.cgroups.finish();
        self.writer.finish(&self.symbolizer.finish(), &trailer)?;
        Ok(())
    }

    /// Writes what is left, and no end: the file will read as torn.
    pub fn tear(mut self) -> Result<(), Error> {
        self.flush(0)?;
        Ok(self.writer.flush()?)
    }
}

/// Empties the rings until the window closes.
pub fn drain<W: Write>(
    probes: &mut Probes,
    sink: &mut Sink<W>,
    window: Window<'_>,
) -> Result<Drained, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("starting the reader"))?
        .block_on(run(probes, sink, window))
}

async fn run<W: Write>(
    probes: &mut Probes,
    sink: &mut Sink<W>,
    window: Window<'_>,
) -> Result<Drained, Error> {
    let mut steal = steal::Watch::start();
    let closed = until_closed(probes, sink, window, &mut steal).await?;
    Ok(Drained { closed, steal: steal.finish() })
}

async fn until_closed<W: Write>(
    probes: &mut Probes,
    sink: &mut Sink<W>,
    mut window: Window<'_>,
    steal: &mut steal::Watch,
) -> Result<Closed, Error> {
    // SAFETY: the set owns its descriptor and gives it to nobody.
    let full = unsafe { AsyncFd::register(watch_rings(probes)?) }
        .map_err(Error::system("watching the rings"))?;
    let mut signals = Signals::new()?;
    let deadline = Instant::now() + window.duration.unwrap_or(NO_END);
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = 0_u64;
    loop {
        tokio::select! {
            _ = tick.tick() => ticks += 1,
            ready = full.readable() => {
                ready.map_err(Error::system("watching the rings"))?.clear_ready();
            }
            () = sleep_until(deadline) => return Ok(Closed::TimeUp),
            asked = signals.next() => if let Asked::End { signal, reached } = asked? {
                let load = window.load.as_deref();
                if signals.end(load, signal, reached) {
                    return Ok(Closed::Aborted);
                }
                if load.is_none() {
                    return Ok(Closed::Interrupted);
                }
                (window.told)(Told::Ending);
            },
        }
        sink.take(probes)?;
        steal.look();
        if ticks.is_multiple_of(FOLLOW_EVERY) {
            probes.follow()?;
        }
        if let Some(closed) = ended(&mut window)? {
            return Ok(closed);
        }
        if ticks.is_multiple_of(10) {
            (window.told)(Told::Records(sink.records));
        }
    }
}

fn ended(window: &mut Window<'_>) -> Result<Option<Closed>, Error> {
    if let Some(load) = window.load.as_deref_mut() {
        return Ok(load.try_wait()?.map(Closed::LoadEnded));
    }
    Ok(window.targets.are_gone().then_some(Closed::TargetsGone))
}

/// Rings are ready to read only when the kernel side forces it: past half full.
fn watch_rings(probes: &Probes) -> Result<OwnedFd, Error> {
    let failed = || Error::system("watching the rings");
    let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed())?;
    for ring in &probes.rings {
        // SAFETY: the ring is open for as long as it is borrowed here.
        let fd = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, ring.cpu.into());
        set.add(fd, event).map_err(failed())?;
    }
    Ok(set.0)
}
