//! `cronx record`: the stages in order, each a call that takes plain data and gives plain data.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use cronx_collector::Error;
use cronx_collector::drain::{Closed, Sink, Window, drain};
use cronx_collector::kernel::{self, Kernel};
use cronx_collector::launch::{self, Held, Load};
use cronx_collector::privileges::{self, User};
use cronx_collector::probes::{Probes, Settings};
use cronx_collector::signals::Blocked;
use cronx_collector::symbolize::Symbolizer;
use cronx_recording::{
    Capture, CaptureHeader, CaptureWriter, LoadEnd, Report, Target, Trailer, Untrusted,
};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

use crate::cli::Record;
use crate::output::{CAPTURE, Output, REPORT};
use crate::progress::Progress;
use crate::report::{options, write_files};
use crate::{screen, terminal};

/// How long a load that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Records, reports, and ends as the load did.
pub fn run(args: &Record) -> Result<ExitCode> {
    if args.command.is_empty() && args.pid.is_empty() {
        bail!("nothing to record: give a command after --, or processes with --pid");
    }
    let user = privileges::invoking_user()?;
    privileges::demand()?;
    check_targets(&args.pid)?;
    let held = hold(args, user.as_ref())?;
    let settings = settings(args);
    let kernel = Kernel::read()?;
    let mut probes = Probes::attach(&kernel, &settings).map_err(with_log)?;
    probes.settle(&targets(args, held.as_ref())).map_err(with_log)?;
    let symbolizer = Symbolizer::new();
    let urgent = privileges::raise_priority();
    let blocked = Blocked::now()?;
    let mut output = drop_privileges(args, user.as_ref(), &probes)?;

    let header = header(args, &kernel, &probes, &settings, urgent);
    let cpu_before = own_cpu_ns();
    let mut load = held.map(Held::release).transpose()?;
    output.replace(&[&REPORT[..], &[CAPTURE]].concat())?;
    let writer = CaptureWriter::new(output.file(CAPTURE)?, &header)?;
    let mut sink = Sink::new(writer, symbolizer);
    let closed = watch(args, &mut probes, &mut sink, load.as_mut())?;
    if closed == Closed::Aborted {
        return abort(&mut probes, sink, &mut output);
    }
    let trailer = stop(&mut probes, &mut sink, closed, cpu_before)?;
    output.keep();
    drop(blocked);
    finish(sink, &trailer)?;
    let ended = end(load, closed)?;
    let capture = Capture::read(BufReader::new(output.open(CAPTURE)?))?;
    let report = cronx_blame::analyse(&capture, &options(&args.analysis));
    write_files(&report, &mut output)?;
    show(args, &report, &output)?;
    Ok(ExitCode::from(status(ended, closed)))
}

/// Drops them and makes the output folder, in the order in which the folder is the load's user's: by
/// birth under sudo. Without sudo it is root's own, and only before the drop may root write anywhere.
fn drop_privileges(args: &Record, user: Option<&User>, probes: &Probes) -> Result<Output> {
    let create = || Output::create(&place(args), args.place.force);
    let drop = || privileges::drop_to(user, probes.asks_maps());
    let output = if user.is_some() {
        drop()?;
        create()?
    } else {
        let output = create()?;
        drop()?;
        output
    };
    output.demand_writable()?;
    Ok(output)
}

/// The second interrupt: what was recorded so far is kept, and can be reported.
fn abort(
    probes: &mut Probes,
    mut sink: Sink<BufWriter<File>>,
    output: &mut Output,
) -> Result<ExitCode> {
    sink.take(probes)?;
    sink.close()?;
    output.keep();
    let capture = output.path().join(CAPTURE);
    eprintln!("cronx: aborted; `cronx report {}` shows what was recorded", capture.display());
    Ok(ExitCode::from(130))
}

/// The exit status that an error of `record` deserves, where it is not the general one.
pub fn status_of(error: &anyhow::Error) -> Option<u8> {
    match error.downcast_ref() {
        Some(Error::Exec { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Some(127)
        }
        Some(Error::Exec { .. }) => Some(126),
        _ => None,
    }
}

fn hold(args: &Record, user: Option<&User>) -> Result<Option<Held>, Error> {
    if args.command.is_empty() {
        return Ok(None);
    }
    launch::hold(&args.command, user).map(Some)
}

fn check_targets(pids: &[u32]) -> Result<(), Error> {
    for &pid in pids {
        match process_of(pid) {
            Some(process) if process == pid => {}
            Some(process) => return Err(Error::Thread { tid: pid, process }),
            None => return Err(Error::NoSuchProcess { pid }),
        }
    }
    Ok(())
}

/// The process that a thread is of, by `/proc`.
fn process_of(tid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

fn targets(args: &Record, held: Option<&Held>) -> Vec<u32> {
    held.map_or_else(|| args.pid.clone(), |held| vec![held.pid()])
}

fn settings(args: &Record) -> Settings {
    Settings {
        ring_bytes: (args.ring << 10).next_power_of_two(),
        sample_hz: args.sample_hz,
        object: args.probes,
    }
}

/// The folder that was named; else one by the time, and a number where that second has one already.
fn place(args: &Record) -> PathBuf {
    if let Some(named) = &args.place.output {
        return named.clone();
    }
    let by_time = jiff::Zoned::now().strftime("cronx-%Y%m%d-%H%M%S").to_string();
    let numbered = (2..).map(|n| format!("{by_time}-{n}"));
    let mut names = std::iter::once(by_time.clone()).chain(numbered).map(PathBuf::from);
    names.find(|name| name.symlink_metadata().is_err()).unwrap_or_default()
}

fn header(
    args: &Record,
    kernel: &Kernel,
    probes: &Probes,
    settings: &Settings,
    urgent: bool,
) -> CaptureHeader {
    let mut degraded = probes.degraded().to_vec();
    if !urgent {
        degraded.push("the reader has no priority over other processes (CAP_SYS_NICE)".to_owned());
    }
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    CaptureHeader {
        abi_version: cronx_collector::ABI_VERSION,
        cronx_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: Untrusted::from(kernel.release.as_str()),
        machine: kernel.machine.clone(),
        possible_cpus: kernel.possible_cpus,
        online_cpus: kernel.online_cpus.len() as u32,
        started_ns: now_ns(),
        started_unix_ns: since_epoch.as_nanos() as u64,
        offsets: probes.offsets().clone(),
        target: target(args),
        profiler_tgid: std::process::id(),
        object: probes.object().name().to_owned(),
        hooks: probes.hooks().to_vec(),
        sample_hz: settings.sample_hz,
        floor_ns: 0,
        irq_names: kernel::irq_names(),
        degraded,
    }
}

fn target(args: &Record) -> Target {
    if args.command.is_empty() {
        return Target::Processes { pids: args.pid.clone() };
    }
    let argv = args.command.iter().map(|arg| Untrusted::from(arg.to_string_lossy().into_owned()));
    Target::Command { argv: argv.collect() }
}

fn watch(
    args: &Record,
    probes: &mut Probes,
    sink: &mut Sink<BufWriter<File>>,
    load: Option<&mut Load>,
) -> Result<Closed, Error> {
    let mut progress = Progress::start(args.place.quiet);
    let window = Window {
        load,
        targets: &args.pid,
        duration: args.duration,
        told: &mut |told| progress.tell(told),
    };
    let closed = drain(probes, sink, window);
    progress.end();
    closed
}

fn stop(
    probes: &mut Probes,
    sink: &mut Sink<BufWriter<File>>,
    closed: Closed,
    cpu_before: u64,
) -> Result<Trailer, Error> {
    let stopped_ns = now_ns();
    let profiler_cpu_ns = own_cpu_ns() - cpu_before;
    let recursion_misses = probes.recursion_misses();
    let cpus = probes.stop(stopped_ns)?;
    sink.take(probes)?;
    let load = match closed {
        Closed::LoadEnded(end) => Some(end),
        Closed::TimeUp => Some(LoadEnd::Running),
        _ => None,
    };
    Ok(Trailer { stopped_ns, cpus, recursion_misses, load, profiler_cpu_ns, ..Trailer::default() })
}

fn finish(sink: Sink<BufWriter<File>>, trailer: &Trailer) -> Result<(), Error> {
    let (writer, symbolizer) = sink.close()?;
    writer.finish(&symbolizer.finish(), trailer)?;
    Ok(())
}

/// Ends a load that outlived its window: asked first, killed after a while.
fn end(load: Option<Load>, closed: Closed) -> Result<Option<LoadEnd>, Error> {
    let Some(mut load) = load else { return Ok(None) };
    if closed != Closed::TimeUp {
        return load.wait().map(Some);
    }
    if !load.signal(Signal::SIGTERM) {
        return Ok(Some(LoadEnd::Running));
    }
    let asked = std::time::Instant::now();
    while load.try_wait()?.is_none() {
        if asked.elapsed() > GRACE {
            load.signal(Signal::SIGKILL);
            return load.wait().map(Some);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    load.wait().map(Some)
}

/// The load's own status; 0 if there was none of ours, or if it ended because its time was up.
fn status(ended: Option<LoadEnd>, closed: Closed) -> u8 {
    match ended {
        Some(LoadEnd::Exited(status)) => status as u8,
        Some(LoadEnd::Signaled(signal)) if closed != Closed::TimeUp => 128 + signal as u8,
        _ => 0,
    }
}

fn show(args: &Record, report: &Report, output: &Output) -> Result<()> {
    if args.place.json {
        return Ok(report.write(std::io::stdout().lock())?);
    }
    if !args.place.quiet {
        // The load's own output is on stdout, and somebody may be reading it.
        let mut out = std::io::stderr().lock();
        write!(out, "{}", screen::render(report, &terminal::style(&out)))?;
        writeln!(out, "\n{}: {}", output.path().display(), output.written().join(" "))?;
    }
    Ok(())
}

/// A verifier's log is for a file, not for the screen.
fn with_log(error: Error) -> anyhow::Error {
    let Error::Refused { log: Some(log), .. } = &error else { return error.into() };
    let name = format!("cronx-verifier-{}.log", std::process::id());
    let written = File::options()
        .write(true)
        .create_new(true)
        .open(&name)
        .and_then(|mut file| file.write_all(log.as_bytes()));
    let said = match written {
        Ok(()) => format!("the verifier's log is in {name}; please report it"),
        Err(_) => "the verifier's log could not be written here".to_owned(),
    };
    anyhow::Error::new(error).context(said)
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
    now.num_nanoseconds() as u64
}

fn own_cpu_ns() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    ((usage.user_time() + usage.system_time()).num_microseconds() * 1_000) as u64
}
