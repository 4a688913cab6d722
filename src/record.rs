//! `cronx record`: the stages in order, each a call that takes plain data and gives plain data.

mod load;
mod whom;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use cronx_collector::Error;
use cronx_collector::clock::now_ns;
use cronx_collector::drain::{Closed, Drained, Sink, Window, drain};
use cronx_collector::host;
use cronx_collector::kernel::{self, Kernel};
use cronx_collector::launch::{Held, Load};
use cronx_collector::privileges::{self, Later, User};
use cronx_collector::probes::{Probes, Settings};
use cronx_collector::signals::Blocked;
use cronx_collector::spans::Listener;
use cronx_collector::stats::Keeper;
use cronx_collector::symbolize::Symbolizer;
use cronx_collector::targets::Targets;
use cronx_recording::{Capture, CaptureHeader, CaptureWriter, LoadEnd, Report, Trailer, Untrusted};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::cli::Record;
use crate::output::{CAPTURE, Output, REPORT};
use crate::progress::Progress;
use crate::report::{options, write_files};
use crate::{screen, terminal};

/// Shorter waits of a whole machine are only counted, if nothing else is said.
const FLOOR: Duration = Duration::from_millis(1);

/// 128 and SIGINT.
pub const ABORTED: u8 = 130;

/// A recording that was made.
#[derive(Debug)]
pub struct Recorded {
    /// What it says.
    pub report: Report,
    /// Where it is.
    pub output: Output,
    /// The load's own status.
    pub status: u8,
}

/// Records, reports, and ends as the load did.
pub fn run(args: &Record) -> Result<ExitCode> {
    let Some(recorded) = make(args)? else { return Ok(ExitCode::from(ABORTED)) };
    show(args, &recorded.report, &recorded.output)?;
    Ok(ExitCode::from(recorded.status))
}

/// Records and reports; `None` if a second interrupt ended it. Privileges are dropped on the way, and
/// there is no way back: whoever records twice does it in processes of their own.
pub fn make(args: &Record) -> Result<Option<Recorded>> {
    whom::demand(args)?;
    let user = privileges::invoking_user()?;
    privileges::demand()?;
    let others = whom::others(&args.whom)?;
    let mut keeper = Keeper::hold()?;
    let held = load::hold(&args.command, user.as_ref())?;
    let settings = Settings {
        targets: whom::targets(others, held.as_ref()),
        keeper: keeper.as_ref().map(Keeper::pid),
        ..settings(args)
    };
    let kernel = Kernel::read()?;
    let mut probes = Probes::attach(&kernel, &settings).map_err(with_log)?;
    probes.settle().map_err(with_log)?;
    let listener = listen(args, user.as_ref(), held.as_ref(), &probes);
    let symbolizer = Symbolizer::new();
    let urgent = privileges::raise_priority();
    let blocked = Blocked::now()?;
    let needed = needed(&probes, matches!(listener, Some(Ok(_))));
    let mut output = drop_privileges(args, user.as_ref(), &needed)?;

    let mut degraded = degraded(&probes, keeper.as_ref(), urgent);
    let listener = match listener.transpose() {
        Ok(listener) => listener,
        Err(error) => {
            degraded.push(format!("spans are not listened to: {error}"));
            None
        }
    };
    let header = header(args, &kernel, &probes, &settings, degraded);
    let cpu_before = own_cpu_ns();
    let mut load = held.map(Held::release).transpose()?;
    keeper.iter_mut().for_each(Keeper::start);
    output.replace(&[&REPORT[..], &[CAPTURE]].concat())?;
    let writer = CaptureWriter::new(output.file(CAPTURE)?, &header)?;
    let mut sink = Sink::new(writer, symbolizer, listener);
    let drained = watch(args, &mut probes, &mut sink, &settings.targets, load.as_mut())?;
    if drained.closed == Closed::Aborted {
        abort(&mut probes, sink, &mut output)?;
        return Ok(None);
    }
    let closed = drained.closed;
    let end = load::ended(closed, load.as_ref());
    let trailer = stop(&mut probes, &mut sink, drained, end, cpu_before)?;
    output.keep();
    drop(blocked);
    privileges::lower_priority();
    sink.finish(trailer)?;
    let ended = load::end(load, closed)?;
    let capture = Capture::read(BufReader::new(output.open(CAPTURE)?))?;
    let report = cronx_blame::analyse(&capture, &options(&args.analysis));
    write_files(&report, &mut output)?;
    Ok(Some(Recorded { report, output, status: load::status(ended, closed) }))
}

/// Listens to what programs announce of themselves, if that is wanted.
fn listen(
    args: &Record,
    user: Option<&User>,
    held: Option<&Held>,
    probes: &Probes,
) -> Option<Result<Listener, Error>> {
    let wanted = args.spans.wanted()?;
    let mut listener = match Listener::load(probes, wanted) {
        Ok(listener) => listener,
        Err(error) => return Some(Err(error)),
    };
    listener.begin(&args.command, user.map(|user| user.uid), held.map(Held::pid), probes);
    Some(Ok(listener))
}

/// What the kernel will be asked after privileges are dropped.
fn needed(probes: &Probes, listens: bool) -> Vec<Later> {
    let maps = probes.asks_maps().then_some(Later::Maps);
    maps.into_iter().chain(listens.then_some(Later::Attach)).collect()
}

/// Drops them and makes the output folder, in the order in which the folder is the load's user's: by
/// birth under sudo. Without sudo it is root's own, and only before the drop may root write anywhere.
fn drop_privileges(args: &Record, user: Option<&User>, needed: &[Later]) -> Result<Output> {
    let create = || Output::create(&place(args), args.place.force);
    let drop = || privileges::drop_to(user, needed);
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
fn abort(probes: &mut Probes, mut sink: Sink<BufWriter<File>>, output: &mut Output) -> Result<()> {
    sink.take(probes)?;
    sink.tear()?;
    output.keep();
    let capture = output.path().join(CAPTURE);
    eprintln!("cronx: aborted; `cronx report {}` shows what was recorded", capture.display());
    Ok(())
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

fn settings(args: &Record) -> Settings {
    let floor = args.floor.unwrap_or_else(|| default_floor(args));
    Settings {
        floor_ns: floor.as_nanos() as u64,
        ring_bytes: (args.probing.ring << 10).next_power_of_two(),
        sample_hz: args.probing.sample_hz,
        object: args.probing.probes,
        ..Settings::default()
    }
}

/// Every wait of a load is worth a record; of a whole machine only those that somebody minds.
fn default_floor(args: &Record) -> Duration {
    if args.whom.all { args.analysis.objective.unwrap_or(FLOOR) } else { Duration::ZERO }
}

/// The folder that was named, or one by the time.
fn place(args: &Record) -> PathBuf {
    args.place.output.clone().unwrap_or_else(by_time)
}

/// A folder by the time, and a number where that second has one already.
pub fn by_time() -> PathBuf {
    let by_time = jiff::Zoned::now().strftime("cronx-%Y%m%d-%H%M%S").to_string();
    let numbered = (2..).map(|n| format!("{by_time}-{n}"));
    let mut names = std::iter::once(by_time.clone()).chain(numbered).map(PathBuf::from);
    names.find(|name| name.symlink_metadata().is_err()).unwrap_or_default()
}

/// What this recording has less of than it could.
fn degraded(probes: &Probes, keeper: Option<&Keeper>, urgent: bool) -> Vec<String> {
    let mut degraded = probes.degraded().to_vec();
    if !urgent {
        degraded.push("the reader has no priority over other processes (CAP_SYS_NICE)".to_owned());
    }
    if keeper.is_none() {
        degraded.push("what the probes cost is not measured (CAP_SYS_ADMIN)".to_owned());
    }
    degraded
}

fn header(
    args: &Record,
    kernel: &Kernel,
    probes: &Probes,
    settings: &Settings,
    degraded: Vec<String>,
) -> CaptureHeader {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    CaptureHeader {
        abi_version: cronx_collector::ABI_VERSION,
        cronx_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: Untrusted::from(kernel.release.as_str()),
        machine: kernel.machine.clone(),
        possible_cpus: kernel.possible_cpus,
        online_cpus: kernel.online_cpus.len() as u32,
        host: host::read(),
        started_ns: now_ns(),
        started_unix_ns: since_epoch.as_nanos() as u64,
        offsets: probes.offsets().clone(),
        target: whom::target(args),
        profiler_tgid: std::process::id(),
        object: probes.object().name().to_owned(),
        hooks: probes.hooks().to_vec(),
        sample_hz: settings.sample_hz,
        floor_ns: settings.floor_ns,
        irq_names: kernel::irq_names(),
        degraded,
    }
}

fn watch(
    args: &Record,
    probes: &mut Probes,
    sink: &mut Sink<BufWriter<File>>,
    targets: &Targets,
    load: Option<&mut Load>,
) -> Result<Drained, Error> {
    let mut progress = Progress::start(args.place.quiet);
    let told = &mut |told| progress.tell(told);
    let drained =
        drain(probes, sink, Window { load, targets, duration: args.probing.duration, told });
    progress.end();
    drained
}

fn stop(
    probes: &mut Probes,
    sink: &mut Sink<BufWriter<File>>,
    drained: Drained,
    load: Option<LoadEnd>,
    cpu_before: u64,
) -> Result<Trailer, Error> {
    let stopped_ns = now_ns();
    let profiler_cpu_ns = own_cpu_ns() - cpu_before;
    let (recursion_misses, programs) = (probes.recursion_misses(), probes.runs());
    sink.stop_listening();
    let cpus = probes.stop()?;
    sink.take(probes)?;
    privileges::drop_more(&needed(probes, false))?;
    Ok(Trailer {
        stopped_ns,
        cpus,
        recursion_misses,
        load,
        profiler_cpu_ns,
        programs,
        steal: drained.steal,
        ..Trailer::default()
    })
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

fn own_cpu_ns() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    ((usage.user_time() + usage.system_time()).num_microseconds() * 1_000) as u64
}
