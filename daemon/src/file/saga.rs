//! `[job.NAME.saga]`: a job of several steps, which are undone if one of them cannot be done.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cronx_ledger::saga::{Definition, Step};
use cronx_scheduler::Retry;
use serde::Deserialize;
use toml::Spanned;

use super::plan::{self, Deed, Told, wrong};
use super::raw::{Output, RawHttp, RawJob, RawOverlap, RawRetry, Span};
use super::refusal::Fault;

/// The whole of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with steps, [[job.NAME.saga.step]]")]
pub(super) struct RawSaga {
    step: Vec<Spanned<RawStep>>,
    pivot: Option<Spanned<String>>,
    retry: Option<Spanned<RawRetry>>,
    timeout: Option<Spanned<Span>>,
}

/// `[[job.NAME.saga.step]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with a name and what is to be done")]
struct RawStep {
    name: Spanned<String>,
    #[serde(rename = "do")]
    action: Spanned<RawDeed>,
    #[serde(rename = "undo")]
    compensation: Option<Spanned<RawDeed>>,
    retry: Option<Spanned<RawRetry>>,
    timeout: Option<Spanned<Span>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with a command or http")]
struct RawDeed {
    command: Option<Spanned<Vec<String>>>,
    env: Option<Spanned<BTreeMap<String, String>>>,
    cwd: Option<Spanned<PathBuf>>,
    output: Option<Spanned<Output>>,
    user: Option<Spanned<String>>,
    http: Option<Spanned<RawHttp>>,
}

/// A job of several steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    /// Its steps, by the name of the job.
    pub definition: Definition,
    /// What each of them does, in their order, and what undoes it.
    pub(crate) deeds: Vec<(Deed, Option<Deed>)>,
}

/// That the job is nothing else, and has nothing that a saga has for each of its steps.
pub(super) fn alone(job: &RawJob, told: &Told<'_>) -> Result<(), Fault> {
    let at = |at, what: &str| Err(Fault::new(Some(at), format!("a job with a saga has {what}")));
    if let Some(argv) = told.command {
        return at(argv.span().start, "no command: its steps have");
    }
    if let Some(http) = told.http {
        return at(http.span().start, "no http: its steps have");
    }
    if let Some((what, place)) = told.of_commands() {
        return at(place, &format!("no {what}: its steps may have"));
    }
    if let Some(timeout) = &job.timeout {
        return at(timeout.span().start, "no timeout: its saga may have, for each attempt");
    }
    if let Some(retry) = &job.retry {
        return at(retry.span().start, "no retry: its saga may have, for each step");
    }
    match (&job.saga, job.overlap) {
        (Some(saga), Some(RawOverlap::CancelOther)) => {
            Err(wrong(saga, "a saga is not cancelled: overlap is another"))
        }
        _ => Ok(()),
    }
}

pub(super) fn saga(name: &str, raw: &Spanned<RawSaga>) -> Result<Saga, Fault> {
    let saga = raw.get_ref();
    if let Some(pivot) = &saga.pivot
        && !saga.step.iter().any(|step| step.get_ref().name.get_ref() == pivot.get_ref())
    {
        return Err(wrong(pivot, format!("no step is '{}'", pivot.get_ref())));
    }
    let (mut steps, mut deeds) = (Vec::new(), Vec::new());
    for raw in &saga.step {
        let RawStep { name, action, compensation, retry, timeout } = raw.get_ref();
        deeds.push((deed(action)?, compensation.as_ref().map(deed).transpose()?));
        let step = Step {
            compensates: compensation.is_some(),
            is_pivot: saga.pivot.as_ref().is_some_and(|pivot| pivot.get_ref() == name.get_ref()),
            retry: tried(retry.as_ref().or(saga.retry.as_ref()))?,
            ..Step::new(name.get_ref())
        };
        let timeout = timeout.as_ref().or(saga.timeout.as_ref());
        let step = match timeout {
            Some(timeout) if timeout.get_ref().0.is_zero() => {
                return Err(wrong(timeout, "a timeout is longer than nothing"));
            }
            Some(timeout) => Step { timeout: timeout.get_ref().0, ..step },
            None => step,
        };
        // What is wrong with one alone is said where it stands.
        Definition::new("saga", vec![step.clone()]).map_err(|e| wrong(name, e.to_string()))?;
        steps.push(step);
    }
    let definition = Definition::new(name, steps).map_err(|e| wrong(raw, e.to_string()))?;
    Ok(Saga { definition, deeds })
}

fn tried(raw: Option<&Spanned<RawRetry>>) -> Result<Retry, Fault> {
    let Some(raw) = raw else { return Ok(Step::USUAL_RETRY) };
    if raw.get_ref().rejected {
        return Err(wrong(raw, "a step is behind no breaker, and never rejected"));
    }
    plan::retry(raw)
}

fn deed(raw: &Spanned<RawDeed>) -> Result<Deed, Fault> {
    let RawDeed { command, env, cwd, output, user, http } = raw.get_ref();
    let told = Told {
        command: command.as_ref(),
        env: env.as_ref(),
        cwd: cwd.as_ref(),
        output: output.as_ref(),
        user: user.as_ref(),
        http: http.as_ref(),
    };
    plan::deed("a step", raw, &told)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::{Expect, expect};

    use crate::file::{Action, Jobs};

    const HEAD: &str = "[job.order]\nschedule = '@daily'\n";
    const STEP: &str = "[[job.order.saga.step]]\nname = 'reserve'\ndo = { command = ['true'] }\n";

    #[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
    fn refused(text: &str, expected: Expect) {
        expected.assert_eq(&Jobs::parse(&format!("{HEAD}{text}")).unwrap_err().to_string());
    }

    #[test]
    fn a_saga_is_its_steps() {
        let text = format!(
            "{HEAD}[job.order.saga]\npivot = 'pay'\ntimeout = '5s'\n{STEP}undo = {{ command = ['false'] }}\n\
             [[job.order.saga.step]]\nname = 'pay'\ndo = {{ http = {{ url = 'http://a/' }} }}\n\
             timeout = '1m'\nretry = {{ attempts = 2 }}\n"
        );
        let jobs = Jobs::parse(&text).unwrap();
        let Action::Saga(saga) = &jobs.plans["order"].action else { panic!("it is no saga") };
        let [reserve, pay] = saga.definition.steps() else { panic!("it has two steps") };
        assert!(reserve.compensates && !reserve.is_pivot && !pay.compensates && pay.is_pivot);
        assert_eq!(
            (reserve.timeout, pay.timeout),
            (Duration::from_secs(5), Duration::from_mins(1))
        );
        assert_eq!((reserve.retry.attempts, pay.retry.attempts), (5, 2));
        assert_eq!(&**saga.definition.name(), "order");
    }

    #[test]
    fn what_is_no_saga_is_refused_where_it_stands() {
        refused("saga = {}", expect![[r#"line 3, [job.order] saga: missing field `step`"#]]);
        refused(
            "[job.order.saga]\nstep = []\n",
            expect!["line 3, [job.order.saga]: 'order' is no saga: it has 0 steps, not 1 to 64"],
        );
        refused(
            &format!("{STEP}{STEP}"),
            expect![
                "line 3, [[job.order.saga.step]]: 'order' is no saga: two of its steps are 'reserve'"
            ],
        );
        refused(
            &format!("{STEP}undo = {{}}\n"),
            expect![
                "line 6, [[job.order.saga.step]] undo: a step has a command or http, and this has neither"
            ],
        );
        refused(
            &format!("[job.order.saga]\npivot = 'pay'\n{STEP}"),
            expect!["line 4, [job.order.saga] pivot: no step is 'pay'"],
        );
        refused(
            &format!("[job.order.saga]\nretry = {{ attempts = 2, rejected = true }}\n{STEP}"),
            expect![
                "line 4, [job.order.saga] retry: a step is behind no breaker, and never rejected"
            ],
        );
        refused(
            &format!("{STEP}timeout = '0s'\n"),
            expect!["line 6, [[job.order.saga.step]] timeout: a timeout is longer than nothing"],
        );
        refused(
            &STEP.replace("reserve", ""),
            expect![
                "line 4, [[job.order.saga.step]] name: the name of a step has 0 bytes, and must have 1 to 64"
            ],
        );
        refused(
            &STEP.replace("command", "commands"),
            expect![
                "line 5, [[job.order.saga.step]] do: unknown field `commands`, expected one of `command`, `env`, `cwd`, `output`, `user`, `http`"
            ],
        );
    }

    #[test]
    fn a_saga_is_all_that_its_job_is() {
        for (line, what) in [
            ("command = ['true']", "no command: its steps have"),
            ("http = { url = 'http://a/' }", "no http: its steps have"),
            ("env = { A = 'b' }", "no env: its steps may have"),
            ("timeout = '1s'", "no timeout: its saga may have, for each attempt"),
            ("retry = { attempts = 2 }", "no retry: its saga may have, for each step"),
        ] {
            let text = format!("{HEAD}{line}\n{STEP}");
            let said = Jobs::parse(&text).unwrap_err().to_string();
            assert!(said.starts_with("line 3, [job.order] ") && said.ends_with(what), "{said}");
        }
        let said = Jobs::parse(&format!("{HEAD}overlap = 'cancel-other'\n{STEP}")).unwrap_err();
        assert!(said.to_string().ends_with("a saga is not cancelled: overlap is another"));
    }
}
