//! `cronx ledger saga`: sagas as they stand, and what an operator decides.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use cronx_daemon::ledger::state::{self, Event, Saga, State, Verb, Way};
use cronx_daemon::ledger::{Decision, Judged, Place};
use cronx_recording::Untrusted;
use serde_json::{Value, json};

use super::BROKEN;
use crate::cli;

/// Status 1 if there is none, or it cannot be decided so.
pub fn saga(place: &Place, args: &cli::ledger::Saga) -> Result<ExitCode> {
    let Some(id) = &args.id else { return list(place, args) };
    match decision(args) {
        Some(decision) => decide(place, id, &decision, args.which.json),
        None => show(place, id, args.which.json),
    }
}

fn decision(args: &cli::ledger::Saga) -> Option<Decision> {
    let why = args.reason.clone().unwrap_or_default();
    let (verb, step) = match (&args.done, &args.skip) {
        (Some(step), _) => (Verb::Done, Some(step.clone())),
        (_, Some(step)) => (Verb::Skip, Some(step.clone())),
        _ if args.retry => (Verb::Retry, None),
        _ if args.compensate => (Verb::Compensate, None),
        _ => return None,
    };
    Some(Decision { verb, step, why })
}

fn decide(place: &Place, id: &str, decision: &Decision, json: bool) -> Result<ExitCode> {
    let (is_so, said) = match place.decide(id, decision)? {
        Judged::So(state) => (true, format!("it is {state} now")),
        Judged::Not(why) => (false, why),
    };
    let mut out = std::io::stdout().lock();
    if json {
        let verb = decision.verb.word();
        let all = json!({ "schema": "cronx.ledger-saga-decision/1", "id": id, "verb": verb,
            "done": is_so, "said": said });
        writeln!(out, "{all:#}")?;
    } else {
        let said = Untrusted::from(format!("{id}: {said}"));
        writeln!(out, "{}", said.terminal())?;
    }
    Ok(if is_so { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

fn list(place: &Place, args: &cli::ledger::Saga) -> Result<ExitCode> {
    let state = args.only.as_deref();
    let state = state.and_then(|word| State::ALL.into_iter().find(|state| state.word() == word));
    let rows = place.sagas(state, args.count.into())?;
    let mut out = std::io::stdout().lock();
    if args.which.json {
        let sagas: Vec<Value> = rows.iter().flatten().map(brief).collect();
        let torn: Vec<&String> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
        let all = json!({ "schema": "cronx.ledger-sagas/1", "sagas": sagas, "torn": torn });
        writeln!(out, "{all:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in &rows {
        let line = match row {
            Ok(saga) => {
                let (since, step) = (saga.since.to_string(), &saga.plan.parts[saga.at].name);
                let (state, way) = (saga.state.word(), saga.way.word());
                let at = if is_whole(saga) { String::new() } else { format!("{way} {step}") };
                format!("{since:30} {state:14}  {}  {at}", saga.id.saga())
            }
            Err(torn) => torn.clone(),
        };
        writeln!(out, "{}", Untrusted::from(line).terminal().to_string().trim_end())?;
    }
    if rows.is_empty() {
        writeln!(out, "there are none")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_whole(saga: &Saga) -> bool {
    matches!(saga.state, State::Completed | State::Compensated)
}

fn brief(saga: &Saga) -> Value {
    json!({
        "id": saga.id.saga(),
        "name": &*saga.name,
        "state": saga.state.word(),
        "why": saga.why.map(state::Why::word),
        "step": &*saga.plan.parts[saga.at].name,
        "way": saga.way.word(),
        "tried": saga.tried,
        "due": saga.due.to_string(),
        "begun": saga.begun.to_string(),
        "since": saga.since.to_string(),
        "owner": saga.hold.as_ref().map(|hold| &*hold.owner),
    })
}

fn show(place: &Place, id: &str, json: bool) -> Result<ExitCode> {
    let Some((saga, events)) = place.saga(id)? else {
        let said = Untrusted::from(format!("cronx: there is no saga {id}"));
        eprintln!("{}", said.terminal());
        return Ok(ExitCode::from(BROKEN));
    };
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{:#}", whole(&saga, &events))?;
    } else {
        for line in lines(&saga, &events) {
            writeln!(out, "{}", Untrusted::from(line).terminal().to_string().trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(saga: &Saga, events: &[Event]) -> Value {
    let step = |place: usize| {
        let (part, standing) = (&saga.plan.parts[place], saga.steps[place]);
        json!({
            "name": &*part.name,
            "pivot": saga.plan.pivot == Some(place),
            "compensates": part.compensates,
            "done": standing.done.word(),
            "undone": standing.undone.word(),
            "to_be_undone": saga.is_to_be_undone(place),
            "do_key": saga.key(place, Way::Forward).as_str(),
            "undo_key": saga.key(place, Way::Back).as_str(),
        })
    };
    let event = |event: &Event| {
        json!({
            "at": event.at.to_string(),
            "began": event.began.to_string(),
            "who": &*event.who,
            "step": &*event.step,
            "way": event.way.word(),
            "attempt": event.attempt,
            "what": event.what.word(),
            "said": &*event.said,
        })
    };
    let mut all = brief(saga);
    all["schema"] = "cronx.ledger-saga/1".into();
    all["payload"] = (*saga.payload).into();
    all["steps"] = (0..saga.steps.len()).map(step).collect();
    all["events"] = events.iter().map(event).collect();
    all["choices"] = state::choices(saga).into_iter().map(Verb::word).collect();
    all
}

fn lines(saga: &Saga, events: &[Event]) -> Vec<String> {
    let here = &saga.plan.parts[saga.at].name;
    let mut lines = vec![
        format!("saga     {}", saga.id.saga()),
        format!("of       {}, told {}", saga.name, saga.payload),
        format!("state    {} since {}, begun {}", saga.state, saga.since, saga.begun),
    ];
    match (saga.why, &saga.hold) {
        (Some(why), _) => lines.push(format!("why      at '{here}': {}", why.sentence())),
        (_, Some(hold)) => lines.push(format!("owner    {} until {}", hold.owner, hold.until)),
        _ if saga.state.is_terminal() => {}
        _ => lines.push(format!("next     {} {here}, due {}", saga.way.word(), saga.due)),
    }
    lines.push("steps".to_owned());
    for (place, (part, standing)) in saga.plan.parts.iter().zip(&saga.steps).enumerate() {
        let pivot = if saga.plan.pivot == Some(place) { ", the pivot" } else { "" };
        let undone = match (part.compensates, standing.undone.word()) {
            (false, _) => "has no compensation".to_owned(),
            (_, word) if saga.is_to_be_undone(place) && saga.way == Way::Back => {
                format!("compensation {word}, to be undone")
            }
            (_, word) => format!("compensation {word}"),
        };
        lines.push(format!("  {}{pivot}: action {}; {undone}", part.name, standing.done.word()));
        for way in [Way::Forward, Way::Back].into_iter().take(1 + usize::from(part.compensates)) {
            lines.push(format!("    {:4}  {}", way.word(), saga.key(place, way)));
        }
    }
    lines.push("tried and decided".to_owned());
    lines.extend(events.iter().map(line));
    lines.extend(choices(saga, here));
    lines
}

fn line(event: &Event) -> String {
    let Event { at, began, who, step, way, attempt, what, said } = event;
    let took = at.since(*began);
    let which =
        if *attempt > 0 { format!(", attempt {attempt} of {took:?}") } else { String::new() };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    format!("  {at}  {} {step}{which} by {who}: {}{said}", way.word(), what.word())
}

fn choices(saga: &Saga, here: &str) -> Vec<String> {
    let choice = |verb: Verb| match (verb, saga.way) {
        (Verb::Retry, _) => "  --retry: try it again, with all its attempts".to_owned(),
        (Verb::Done, Way::Forward) => format!("  --done '{here}' --reason WHY: it is done; go on"),
        (Verb::Done, Way::Back) => format!("  --done '{here}' --reason WHY: it is undone; go on"),
        (Verb::Skip, Way::Forward) => {
            format!("  --skip '{here}' --reason WHY: it is not to be done; go on")
        }
        (Verb::Skip, Way::Back) => {
            format!("  --skip '{here}' --reason WHY: it is not to be undone; go on")
        }
        (Verb::Compensate, _) => "  --compensate --reason WHY: undo what was done".to_owned(),
    };
    let verbs = state::choices(saga);
    let head = (!verbs.is_empty()).then(|| "choices".to_owned());
    head.into_iter().chain(verbs.into_iter().map(choice)).collect()
}
