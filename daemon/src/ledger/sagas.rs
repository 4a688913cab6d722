//! Looking at sagas, and deciding about one that needs an operator.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use cronx_ledger::SagaId;
use cronx_ledger::saga::sqlite::Sqlite;
use cronx_ledger::saga::{Event, Question, Refusal, Saga, Sagas, State, Verb};

use super::{Place, TENANT, safe, wait};

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub verb: Verb,
    /// About which step; where none is named, about the one at which it stopped.
    pub step: Option<String>,
    /// Why.
    pub why: String,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is written down, and the saga is in that state.
    So(State),
    /// It cannot be decided so.
    Not(String),
}

impl Place {
    /// Sagas that changed last, the latest first, and what could not be read.
    pub fn sagas(&self, state: Option<State>, most: usize) -> Result<Vec<Result<Saga, String>>> {
        wait(async {
            let rows = self.open_sagas(false).await?.list(state, most).await?;
            Ok(rows.into_iter().map(|row| row.map_err(|error| error.to_string())).collect())
        })
    }

    /// One by its name, with all that was tried and decided; nothing if there is none.
    pub fn saga(&self, name: &str) -> Result<Option<(Saga, Vec<Event>)>> {
        let id = SagaId::new(TENANT, name)?;
        wait(async { Ok(self.open_sagas(false).await?.show(id).await?) })
    }

    /// Writes down what a person decides; whichever daemon has the job goes on with it.
    pub fn decide(&self, name: &str, decision: &Decision) -> Result<Judged> {
        let id = SagaId::new(TENANT, name)?;
        wait(async {
            let sagas = self.open_sagas(true).await?;
            let Some(saga) = sagas.get(id.clone()).await? else {
                return Ok(Judged::Not(refused(&Refusal::Absent)));
            };
            let step = decision.step.clone();
            let step = step.unwrap_or_else(|| saga.plan.parts[saga.at].name.to_string());
            let (verb, who, why) = (decision.verb, who(), decision.why.clone());
            let question = Question::Operate { verb, step, who, why };
            Ok(match sagas.ask(id, question).await? {
                Ok(saga) => Judged::So(saga.state),
                Err(refusal) => Judged::Not(refused(&refusal)),
            })
        })
    }

    async fn open_sagas(&self, writes: bool) -> Result<Arc<dyn Sagas>> {
        match self {
            Self::Memory => bail!("there are no sagas in memory"),
            Self::File(path) => {
                let path = safe(path, false)?;
                let opened = if writes { Sqlite::open_made(&path) } else { Sqlite::look(&path) };
                Ok(Arc::new(opened?))
            }
            Self::Server(server) => {
                let sagas = server.sagas(false).await?;
                sagas.context("sagas are kept in SQLite or PostgreSQL alone, and this is another")
            }
        }
    }
}

/// The user and the machine that it is decided on.
fn who() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| uid.to_string(), |user| user.name);
    let host = nix::unistd::gethostname().unwrap_or_default();
    format!("{user}@{}", host.to_string_lossy())
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Absent => "there is no such saga".to_owned(),
        Refusal::NotStuck(state) => format!("it is {state}, and needs no operator"),
        Refusal::OtherStep(step) => format!("it stopped at '{step}', and not there"),
        Refusal::NoTurn => "it cannot turn back: its pivot is done, or it has".to_owned(),
        Refusal::NoReason => "say why: a reason is kept with what is decided".to_owned(),
        other => format!("it is refused: {other:?}"),
    }
}
