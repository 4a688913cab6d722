//! Jobs of several steps: their sagas are in the ledger, and whichever daemon has the file of jobs goes on with
//! them.
//!
//! A firing begins its saga, named by the job and the instant, and is over when the saga is, or when its daemon
//! ends: a saga goes on without it. An attempt is over when nothing is left of its processes, so that no step
//! of a saga runs beside another.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use cronx_ledger::SagaId;
use cronx_ledger::saga::{
    Call, Definition, Doing, Options, Outcome, Runner, State, Step, Steps, Told,
};
use cronx_scheduler::{Context, Utc};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::file::{Action, Command, Deed, Jobs, Saga, Settings};
use crate::group::Groups;
use crate::ledger::{SagaStore, TENANT};
use crate::log::{Event, Log};
use crate::metrics::Metrics;
use crate::{call, command};

/// Beyond what an attempt may take, and what its processes have to end.
const SLACK: Duration = Duration::from_secs(5);

/// The sagas of a daemon.
pub(crate) struct Sagas {
    runner: Arc<Runner>,
    groups: Arc<Groups>,
    log: Log,
    /// How long those that are over are known.
    retention: Duration,
    /// Whether none goes on here any more.
    ends: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Sagas {
    /// Goes on with those that have begun, once their jobs are [known](Self::become_as).
    pub(crate) fn start(
        store: SagaStore,
        settings: &Settings,
        groups: Arc<Groups>,
        metrics: Arc<Metrics>,
        log: &Log,
    ) -> Self {
        let (lease, retention) = (settings.lease.0, settings.retention.0);
        let SagaStore { store, owner, sole } = store;
        let heard = Arc::clone(log);
        let tell = Arc::new(move |told: Told<'_>| tell(told, &metrics, &heard));
        let options = Options { lease, sole, tell, ..Options::default() };
        let runner = Arc::new(Runner::new(store, owner, options));
        let running = tokio::spawn(Arc::clone(&runner).run());
        let (log, ends) = (Arc::clone(log), watch::channel(false).0);
        Self { runner, groups, log, retention, ends, running }
    }

    /// Its jobs are what the file says. Those of a job that is gone wait until it is there again.
    pub(crate) fn become_as(&self, file: &Jobs, gone: &[Arc<str>]) {
        for name in gone {
            self.runner.remove(name);
        }
        for (name, plan) in &file.plans {
            let Action::Saga(saga) = &plan.action else {
                self.runner.remove(name);
                continue;
            };
            let (saga, groups, log) = (Arc::clone(saga), &self.groups, &self.log);
            let (groups, log) = (Arc::clone(groups), Arc::clone(log));
            let definition = longer(&saga.definition, groups.kill_after() + SLACK);
            let steps = Shell { job: Arc::clone(name), saga, groups, log };
            self.runner.add(definition, Arc::new(steps));
        }
    }

    /// A firing: begins its saga, or finds that it has begun, and waits for its end.
    pub(crate) async fn fire(&self, context: &Context) -> Result<(), String> {
        let (job, nominal) = (context.job(), context.nominal().to_string());
        let said = |error: cronx_ledger::Error| error.to_string();
        let id = SagaId::new(TENANT, &format!("{job}/{nominal}")).map_err(said)?;
        if context.attempt() > 1 && self.may_be_gone(&id, context.nominal()).await.map_err(said)? {
            return Err("its saga is not known, and may have been over".to_owned());
        }
        let begun = self.runner.begin(id.clone(), job, &nominal).await.map_err(said)?;
        begun.map_err(|refusal| format!("its saga cannot begin: {refusal:?}"))?;
        let mut ends = self.ends.subscribe();
        let saga = tokio::select! {
            saga = self.runner.end(&id) => saga.map_err(said)?,
            // It goes on with the next one.
            _ = ends.wait_for(|ends| *ends) => return Ok(()),
        };
        let Some(saga) = saga else {
            return Err("its saga was removed from the ledger".to_owned());
        };
        match (saga.state, saga.why) {
            (State::Completed, _) => Ok(()),
            (State::NeedsOperator, Some(why)) => {
                Err(format!("its saga needs an operator: {}", why.sentence()))
            }
            (state, _) => Err(format!("its saga is {state}")),
        }
    }

    /// Whether it may have been begun, have come to its end, and have been let go of, before anybody wrote that
    /// its firing is over: what it did must not happen again.
    async fn may_be_gone(&self, id: &SagaId, nominal: Utc) -> Result<bool, cronx_ledger::Error> {
        let is_old = Utc::from(SystemTime::now()) - self.retention > nominal;
        Ok(is_old && self.runner.store().get(id.clone()).await?.is_none())
    }

    /// Nothing of any saga begins here any more; what is at work goes on.
    pub(crate) fn stop(&self) {
        self.runner.stop();
        self.ends.send_replace(true);
    }

    /// Whether all that was at work has come to its end, within that time.
    pub(crate) async fn ended(&self, most: Duration) -> bool {
        let ended = async {
            while !self.running.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(most, ended).await.is_ok()
    }
}

impl Drop for Sagas {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// That a ledger has sagas, if a job is one.
pub(crate) fn check(jobs: &Jobs, has_sagas: bool) -> Result<()> {
    let is_saga = |(_, plan): &(_, &Arc<crate::file::Plan>)| matches!(plan.action, Action::Saga(_));
    if let Some((name, _)) = jobs.plans.iter().find(is_saga).filter(|_| !has_sagas) {
        bail!(
            "[job.{name}] is a saga, and sagas are kept in SQLite or PostgreSQL alone: choose such a ledger"
        );
    }
    Ok(())
}

fn tell(told: Told<'_>, metrics: &Metrics, log: &Log) {
    match told {
        Told::Failing(error) => log(&Event::Note(&format!("sagas: {error}"))),
        Told::Changed(saga) if saga.state.is_terminal() => {
            metrics.saga(&saga.name, saga.state.word());
            let (name, state, id) = (&saga.name, saga.state, saga.id.saga());
            let text = match (state, saga.why) {
                (State::NeedsOperator, Some(why)) => {
                    let step = &saga.plan.parts[saga.at].name;
                    format!(
                        "{name}: the saga {id} needs an operator at '{step}': {}; see cronx ledger saga --id '{id}'",
                        why.sentence()
                    )
                }
                (State::Completed, _) => return,
                _ => format!("{name}: the saga {id} is {state}"),
            };
            log(&Event::Note(&text));
        }
        Told::Changed(_) => {}
    }
}

/// The same, where an attempt also waits for what is left of it.
fn longer(definition: &Definition, more: Duration) -> Definition {
    let steps = definition.steps().iter().cloned();
    let steps = steps.map(|step| Step { timeout: step.timeout.saturating_add(more), ..step });
    let longer = Definition::new(definition.name(), steps.collect());
    longer.expect("a definition is one with longer times too")
}

/// Commands and calls.
struct Shell {
    job: Arc<str>,
    saga: Arc<Saga>,
    groups: Arc<Groups>,
    log: Log,
}

impl Shell {
    async fn attempt(&self, call: Call, undoes: bool) -> Outcome {
        let steps = self.saga.definition.steps();
        let Some(place) = steps.iter().position(|step| step.name == call.step) else {
            return Outcome::Unknown("the file has no such step".to_owned());
        };
        let (action, compensation) = &self.saga.deeds[place];
        let deed = if undoes { compensation.as_ref() } else { Some(action) };
        let Some(deed) = deed else {
            return Outcome::Refused("the file has no compensation".to_owned());
        };
        let most = steps[place].timeout;
        let seats = Arc::new(Semaphore::new(1));
        let done = timeout(most, self.once(deed, &call, &seats)).await;
        // Its processes have the seat until they are gone; it is never closed.
        let _ = seats.acquire().await;
        let failure = match done {
            Ok(Ok(())) => return Outcome::Done(String::new()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::unknown(format!("no end within {most:?}")),
        };
        let (job, step, said) = (&self.job, &call.step, &failure.said);
        let way = if undoes { "undoing" } else { "doing" };
        let text = format!(
            "{job}: the saga {}, {way} '{step}', attempt {}: {said}",
            call.id.saga(),
            call.attempt
        );
        (self.log)(&Event::Note(&text));
        match failure {
            Failure { said, is_certain: true } => Outcome::Failed(said),
            Failure { said, .. } => Outcome::Unknown(said),
        }
    }

    async fn once(&self, deed: &Deed, call: &Call, seats: &Arc<Semaphore>) -> Result<(), Failure> {
        match deed {
            Deed::Call(request) => {
                call::run(Arc::clone(request), ("idempotency-key", call.key.to_string())).await
            }
            Deed::Command(program) => self.command(program, call, seats).await,
        }
    }

    async fn command(
        &self,
        program: &Arc<Command>,
        call: &Call,
        seats: &Arc<Semaphore>,
    ) -> Result<(), Failure> {
        let seat = Arc::clone(seats).try_acquire_owned().ok();
        let env = vec![
            ("CRONX_NOMINAL", call.payload.to_string()),
            ("CRONX_ATTEMPT", call.attempt.to_string()),
            ("CRONX_FENCE", call.fence.0.to_string()),
            ("CRONX_SAGA", call.id.saga().to_owned()),
            ("CRONX_SAGA_STEP", call.step.to_string()),
            ("CRONX_SAGA_KEY", call.key.to_string()),
        ];
        let told = command::Told { job: Arc::clone(&self.job), env };
        let (groups, log) = (Arc::clone(&self.groups), Arc::clone(&self.log));
        command::run(Arc::clone(program), told, || (), groups, seat, log).await
    }
}

impl Steps for Shell {
    fn act(&self, call: Call) -> Doing<'_> {
        Box::pin(self.attempt(call, false))
    }

    fn undo(&self, call: Call) -> Doing<'_> {
        Box::pin(self.attempt(call, true))
    }
}

#[cfg(test)]
mod tests {
    use cronx_ledger::Clock;
    use cronx_ledger::saga::sqlite::Sqlite;

    use super::*;

    /// What was never begun may have been; what is there is not gone; and what is young cannot be.
    #[tokio::test]
    async fn a_saga_that_is_not_there_any_more_may_have_been_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let store = Arc::new(Sqlite::open(file.path(), Clock::Own).unwrap());
        let store = SagaStore { store, owner: "me".into(), sole: true };
        let groups = Arc::new(Groups::new(Duration::ZERO, tokio::runtime::Handle::current()));
        let log: Log = Arc::new(|event| panic!("{}", event.text()));
        let metrics = Arc::new(Metrics::new());
        let sagas = Sagas::start(store, &Settings::default(), groups, metrics, &log);
        let [gone, there] = ["gone", "there"].map(|name| SagaId::new(TENANT, name).unwrap());
        let begin = Definition::new("order", vec![Step::new("pay")]).unwrap().begin("{}").unwrap();
        sagas.runner.store().ask(there.clone(), begin).await.unwrap().unwrap();
        let (old, now) = (Utc(0), Utc::from(SystemTime::now()));
        assert!(sagas.may_be_gone(&gone, old).await.unwrap());
        assert!(!sagas.may_be_gone(&there, old).await.unwrap());
        assert!(!sagas.may_be_gone(&gone, now - sagas.retention / 2).await.unwrap());
        sagas.stop();
    }
}
