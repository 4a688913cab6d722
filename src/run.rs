//! `cronx run`: a file of jobs, on time.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use cronx_daemon::{Event, Jobs, Log, Start, decision_log, replayed};
use cronx_recording::Untrusted;
use cronx_scheduler::Utc;

use crate::cli::ledger::LEDGER;
use crate::{cli, ledger, record};

/// Lines that wait for somebody to read them; of what comes beyond, only the number is told.
const LINES: usize = 2048;
/// How long the last lines are waited for.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What is to be written on standard error.
enum Said {
    Line(String),
    /// All before it is written.
    End(SyncSender<()>),
}

/// Runs them until it is told to stop, or only says whether it would.
pub fn run(args: &cli::Run) -> Result<ExitCode> {
    if args.check {
        return check(&Jobs::read(&args.jobs)?);
    }
    if let Some(decisions) = &args.replay {
        return replay(decisions, &Jobs::read(&args.jobs)?);
    }
    if args.record {
        return record::run(&recorded(args)?);
    }
    let (lines, said) = sync_channel(LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let writer = thread::Builder::new().name("cronx-log".to_owned());
    writer.spawn(move || write(&said, &counted)).context("cannot start a thread")?;
    let ledger = ledger::place(&args.ledger, Some(&args.jobs))?;
    let start = Start { file: args.jobs.clone(), listen: args.listen, ledger };
    let done = cronx_daemon::run(start, &log(lines.clone(), lost));
    let (end, ended) = sync_channel(1);
    if lines.try_send(Said::End(end)).is_ok() {
        let _ = ended.recv_timeout(LAST_LINES);
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// The same without the recording, as its load: a profiler never shares a process with its victim.
fn recorded(args: &cli::Run) -> Result<cli::Record> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut command = vec![own.into_os_string(), "run".into(), args.jobs.clone().into_os_string()];
    if let Some(listen) = args.listen {
        command.extend(["--listen".into(), listen.to_string().into()]);
    }
    // What is in the variable is inherited, and stands in no report.
    let inherited = std::env::var(LEDGER).ok();
    if let Some(url) = args.ledger.ledger.as_ref().filter(|url| inherited.as_ref() != Some(url)) {
        if url.contains('@') {
            bail!("a recording keeps its command: give a ledger's address with a user in {LEDGER}");
        }
        command.extend(["--ledger".into(), url.into()]);
    }
    if let Some(state) = &args.ledger.state {
        command.extend(["--state".into(), state.clone().into_os_string()]);
    }
    let (output, force) = (args.output.clone(), args.force);
    let place = cli::Place { output, force, quiet: false, json: false };
    Ok(cli::Record::of(command, args.objective, place))
}

/// Jobs are on time whether somebody reads about them or not.
fn log(lines: SyncSender<Said>, lost: Arc<AtomicU64>) -> Log {
    Arc::new(move |event: &Event| {
        let line = format!("{}\n", Untrusted::from(event.text()).terminal());
        if lines.try_send(Said::Line(line)).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    })
}

fn write(said: &Receiver<Said>, lost: &AtomicU64) {
    for said in said {
        let number = lost.swap(0, Ordering::Relaxed);
        let mut err = std::io::stderr().lock();
        // Whoever closed it wants nothing more of it.
        if number > 0 {
            let _ = writeln!(
                err,
                "{number} lines were not written: they came faster than they were read"
            );
        }
        match said {
            Said::Line(line) => drop(err.write_all(line.as_bytes())),
            Said::End(end) => drop(end.send(())),
        }
    }
}

/// Each job with the next instant at which it is due.
/// Status 1 says that something is decided otherwise.
fn replay(decisions: &Path, jobs: &Jobs) -> Result<ExitCode> {
    let log = decision_log(decisions).map_err(|why| anyhow!(why))?;
    let all = replayed(&log, jobs).map_err(|why| anyhow!(why))?;
    let mut out = std::io::stdout().lock();
    for one in &all {
        let name = Untrusted::from(&*one.breaker);
        let what = match &one.turns {
            Ok(turns) => {
                let records = one.records - one.left_out;
                let cut = match one.left_out {
                    0 => String::new(),
                    some => format!("; {some} records have lost what was before them"),
                };
                format!("{records} records, {turns} turns, as they were{cut}")
            }
            Err(why) => format!("decided otherwise: {why}"),
        };
        writeln!(out, "{}: {what}", name.terminal())?;
    }
    let same = all.iter().all(|one| one.turns.is_ok());
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(jobs: &Jobs) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let now = Utc::from(SystemTime::now());
    for (name, plan) in &jobs.plans {
        let name = Untrusted::from(&**name);
        let next = plan.spec.after(now).map_or_else(|| "never".to_owned(), |utc| utc.to_string());
        writeln!(out, "{:32} {next}", name.terminal().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
