//! From a file to the last run: start, reload, drain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use cronx_scheduler::{Options, RealTime};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::breakers::Breakers;
use crate::decisions::Decisions;
use crate::file::{Jobs, Settings};
use crate::group::Groups;
use crate::ledger::{Opened, Place};
use crate::log::{Event, Log, count};
use crate::notify;
use crate::retention::Retention;
use crate::sagas::{self, Sagas};
use crate::serve::{self, Told};
use crate::set::Set;
use crate::shards::Part;
use crate::trace::Traces;

/// How long the threads have that still do something when all is over.
const LAST: Duration = Duration::from_millis(500);
/// A job that could not be added, since the ledger was not there, is tried again after so long.
const MEND: Duration = Duration::from_secs(10);

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Start {
    /// The file of jobs.
    pub file: PathBuf,
    /// Where to answer, whatever the file says.
    pub listen: Option<SocketAddr>,
    /// What outlives the daemon.
    pub ledger: Place,
}

struct Daemon {
    start: Start,
    settings: Settings,
    told: Arc<Told>,
    groups: Arc<Groups>,
    log: Log,
    /// Where others have jobs too.
    part: Option<(Arc<Part>, JoinHandle<Error>)>,
    /// What is done from time to time.
    tending: Vec<JoinHandle<()>>,
}

/// What it is told to do.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// How a drain went.
enum Drained {
    Whole,
    /// Runs took longer than they might.
    Late,
    /// There was no patience for them.
    Hurried,
}

/// Runs the jobs of a file until SIGTERM or SIGINT. An error is of the start: whoever made it can mend
/// the file, or find another address.
pub fn run(start: Start, log: &Log) -> Result<()> {
    let jobs = Jobs::read(&start.file)?;
    let runtime = runtime(&jobs.settings).context("cannot start the workers")?;
    let done = runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        // A ledger that does not answer keeps nobody from ending.
        let mut daemon = tokio::select! {
            started = Daemon::start(start, jobs, &runtime, log) => started?,
            () = signals.stop() => return Ok(()),
        };
        let done = daemon.serve(&mut signals).await;
        daemon.stop(&mut signals).await;
        done
    });
    runtime.shutdown_timeout(LAST);
    done
}

fn runtime(settings: &Settings) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name("cronx-worker");
    if let Some(workers) = settings.workers {
        builder.worker_threads(workers.0);
    }
    builder.build()
}

fn options(settings: &Settings, runtime: &Runtime) -> Options {
    let usual = Options::default();
    Options {
        shards: settings.shards.map_or(usual.shards, |count| count.0),
        running: settings.running.map_or(usual.running, |count| count.0),
        queue: settings.queue.map_or(usual.queue, |count| count.0),
        aging: settings.aging.map_or(usual.aging, |aging| aging.0),
        spin: settings.spin.map_or(usual.spin, |spin| spin.0),
        realtime: RealTime::from(&settings.realtime),
        runtime: Some(runtime.handle().clone()),
        ..usual
    }
}

impl Daemon {
    async fn start(start: Start, jobs: Jobs, runtime: &Runtime, log: &Log) -> Result<Self> {
        let settings = jobs.settings.clone();
        let wanted = start.listen.unwrap_or(settings.listen);
        let listener = TcpListener::bind(wanted).await;
        let listener = listener.with_context(|| format!("cannot listen on {wanted}"))?;
        let listen = listener.local_addr().context("cannot say where it listens")?;
        let groups = Arc::new(Groups::new(settings.kill_after.0, runtime.handle().clone()));
        let decisions =
            Decisions::start(settings.decisions.as_deref(), settings.decisions_most.0, log)?;
        let breakers = Arc::new(Breakers::new(decisions));
        let traces = Traces::start(settings.telemetry.as_ref(), log)?;
        let opened = start.ledger.open(settings.lease.0).await;
        let Opened { store, ledger, shards, sagas } = opened.context("cannot open the ledger")?;
        sagas::check(&jobs, sagas.is_some())?;
        let options = Options { store, ..options(&settings, runtime) };
        let ours = shards.as_ref().map(|(shards, _)| Arc::clone(shards));
        let set = Set::start(options, ours, Arc::clone(&groups), breakers, traces, log)?;
        let mut tending = Vec::new();
        if let Some(ledger) = ledger {
            let sagas = sagas.as_ref().map(|sagas| Arc::clone(&sagas.store));
            let (metrics, log) = (Arc::clone(&set.metrics), Arc::clone(log));
            let period = settings.retention.0;
            let retention = Retention { ledger, sagas, period, metrics, log };
            tending.push(tokio::spawn(retention.tend()));
        }
        if let Some(store) = sagas {
            let (groups, metrics) = (Arc::clone(&groups), Arc::clone(&set.metrics));
            let sagas = Sagas::start(store, &settings, groups, metrics, log);
            set.with_sagas(Arc::new(sagas));
        }
        let file = json!({ "path": start.file.to_string_lossy(), "refused": Value::Null });
        let told = Arc::new(Told { set: Arc::new(set), file: file.into(), listen });
        tokio::task::block_in_place(|| told.set.become_as(&jobs))?;
        tokio::spawn(serve::serve(listener, Arc::clone(&told)));
        log(&Event::Ready { listen, jobs: jobs.plans.len() });
        notify::ready();
        let part = shards.map(|(shards, changes)| {
            let (set, log) = (Arc::clone(&told.set), Arc::clone(log));
            let part = Arc::new(Part { shards, set, log });
            (Arc::clone(&part), tokio::spawn(part.tend(changes)))
        });
        tending.push(tokio::spawn(mend(Arc::clone(&told.set), Arc::clone(log))));
        Ok(Self { start, settings, told, groups, log: Arc::clone(log), part, tending })
    }

    /// Until it is told to stop. An error is of a ledger that has forgotten all.
    async fn serve(&mut self, signals: &mut Signals) -> Result<()> {
        loop {
            let next = tokio::select! {
                next = signals.next() => next,
                error = failed(self.part.as_mut()) => return Err(error),
            };
            if next != SignalKind::hangup() {
                return Ok(());
            }
            // A file that cannot be read to its end keeps nobody from ending.
            tokio::select! {
                () = self.reload() => {}
                () = signals.stop() => return Ok(()),
            }
        }
    }

    /// Reads the file again, and becomes as it says or stays as it is.
    async fn reload(&mut self) {
        notify::reloading();
        let (path, set) = (self.start.file.clone(), Arc::clone(&self.told.set));
        let read = move || -> Result<_> {
            let jobs = Jobs::read(&path)?;
            sagas::check(&jobs, set.sagas().is_some())?;
            Ok((set.become_as(&jobs)?, jobs.settings))
        };
        // A panic in there is a reason like any other.
        let read = tokio::task::spawn_blocking(read).await.map_err(Into::into).flatten();
        let refused = match read {
            Ok((changes, settings)) => {
                (self.log)(&Event::Reloaded(&changes));
                self.mind(&settings);
                None
            }
            Err(error) => Some(format!("{error:#}")),
        };
        self.told.set.metrics.reload(refused.is_none());
        if let Some(why) = &refused {
            (self.log)(&Event::Refused(why));
        }
        let mut file = self.told.file.lock().unwrap_or_else(PoisonError::into_inner);
        file["refused"] = refused.into();
        notify::ready();
    }

    /// How long a drain waits can change; the rest is what threads and sockets were made of.
    fn mind(&mut self, settings: &Settings) {
        self.settings.drain = settings.drain;
        if self.settings != *settings {
            (self.log)(&Event::Note("[daemon] has changed: that takes a restart"));
        }
    }

    async fn stop(&self, signals: &mut Signals) {
        notify::stopping();
        self.tending.iter().for_each(JoinHandle::abort);
        if let Some((_, tending)) = &self.part {
            tending.abort();
        }
        let most = self.settings.drain.0;
        let busy: u64 = self.told.set.views().iter().map(|view| view.status.busy).sum();
        let waits = format!("draining: {} may take {most:?}", count(busy as usize, "run"));
        (self.log)(&Event::Note(&waits));
        let (some, all) = oneshot::channel();
        let part = self.part.as_ref().map(|(part, _)| Arc::clone(part));
        let giving = part.map(|part| tokio::spawn(async move { part.withdraw(all).await }));
        let drained = self.drain(most, signals).await;
        let patience = match drained {
            Drained::Hurried => Duration::ZERO,
            _ => self.settings.kill_after.0,
        };
        let groups = Arc::clone(&self.groups);
        let ended = tokio::task::block_in_place(move || groups.end_all(patience));
        drop(some);
        if let Some(giving) = giving {
            // What a store that does not answer is not told of lapses by then. One that panicked has given
            // back what it has.
            tokio::select! {
                _ = giving => {}
                () = tokio::time::sleep(self.settings.lease.0) => {}
                () = signals.stop() => {}
            }
        }
        let text = match drained {
            Drained::Whole if ended == 0 => "drained".to_owned(),
            Drained::Whole => {
                format!("drained; ended {} that had timed out", count(ended, "command"))
            }
            Drained::Late => format!("not drained in {most:?}: ended {}", count(ended, "command")),
            Drained::Hurried => format!("told twice: killed {}", count(ended, "command")),
        };
        (self.log)(&Event::Note(&text));
        self.told.set.traces.flush().await;
    }

    async fn drain(&self, most: Duration, signals: &mut Signals) -> Drained {
        let set = Arc::clone(&self.told.set);
        let sagas = set.sagas().cloned();
        if let Some(sagas) = &sagas {
            sagas.stop();
        }
        let drain = tokio::task::spawn_blocking(move || set.drain(most));
        let all = async {
            let ended = async {
                match &sagas {
                    Some(sagas) => sagas.ended(most).await,
                    None => true,
                }
            };
            let (drained, ended) = tokio::join!(drain, ended);
            drained.unwrap_or(false) && ended
        };
        tokio::select! {
            whole = all => if whole { Drained::Whole } else { Drained::Late },
            () = signals.stop() => Drained::Hurried,
        }
    }
}

async fn mend(set: Arc<Set>, log: Log) {
    loop {
        tokio::time::sleep(MEND).await;
        let set = Arc::clone(&set);
        // One that panicked has added what it has.
        let added = tokio::task::spawn_blocking(move || set.mend()).await.unwrap_or(0);
        if added > 0 {
            log(&Event::Note(&format!("added what could not be before: {}", count(added, "job"))));
        }
    }
}

/// Where others have jobs too, until there is no more to be had of them.
async fn failed(part: Option<&mut (Arc<Part>, JoinHandle<Error>)>) -> Error {
    match part {
        Some((_, tending)) => tending.await.unwrap_or_else(Error::from),
        None => std::future::pending().await,
    }
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one, of whatever kind.
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
    }

    /// The next one that says to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
