//! A process that does sagas, killed at random moments and begun again: every saga must end as it has to, each
//! action and each compensation having taken effect once, counted in the user's own table.
//!
//! The process is this program itself, told by its environment. `CRONX_KILL_ROUNDS` says how often it is
//! killed, `CRONX_KILL_SEED` what the moments are drawn from.

mod place;

use std::collections::HashMap;
use std::env;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cronx_ledger::saga::{
    Call, Definition, Doing, Event, Outcome, Runner, Saga, State, Step, Steps, Way, Why,
};
use cronx_scheduler::{Retry, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{definition, id};
use crate::random::Random;
use place::Place;

const NAME: &str = "saga::killed::lives";
const PLACE: &str = "CRONX_SAGA_PLACE";
/// Of each of ten kinds.
const EACH: u64 = 6;
/// For every change; a campaign has more.
const ROUNDS: u64 = 8;
/// A life lasts at most so long.
const LIFE: Duration = Duration::from_millis(300);
const BOUND: Duration = Duration::from_mins(2);

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// So many attempts that no number of kills uses them up.
fn order() -> Definition {
    let (base, cap) = (Duration::from_micros(100), Duration::from_millis(1));
    let retry = Retry { attempts: 30, base, cap, rejected: false };
    let steps = definition("order", &["reserve", "weigh", "!pay", "ship"]).steps().to_vec();
    let steps = steps.into_iter().map(|step| Step { retry, ..step }).collect();
    Definition::new("order", steps).unwrap()
}

fn kind(saga: &str) -> u64 {
    saga.parse::<u64>().unwrap() % 10
}

/// What its steps do by the number of the saga: those that are not named are done.
fn is_refused(kind: u64, step: &str, way: Way) -> bool {
    matches!(
        (kind, step, way),
        (4 | 5, "weigh", Way::Forward)
            | (6 | 9, "pay", Way::Forward)
            | (8, "ship", Way::Forward)
            | (9, "reserve", Way::Back)
    )
}

/// How it ends, and why; and which deeds take effect. A refusal says nothing about an attempt before that a kill
/// has cut off: a step may have happened then, and is undone if it can be.
fn expected(kind: u64, is_cut: impl Fn(&str) -> bool) -> (State, Option<Why>, Vec<&'static str>) {
    let mut deeds = match kind {
        4 | 5 => vec!["reserve/do", "reserve/undo"],
        6 | 9 if is_cut("pay") => vec!["reserve/do", "weigh/do"],
        6 => vec!["reserve/do", "weigh/do", "weigh/undo", "reserve/undo"],
        // Nobody knows whether anything was weighed: its compensation is empty.
        7 => vec!["reserve/do", "weigh/undo", "reserve/undo"],
        8 => vec!["reserve/do", "weigh/do", "pay/do"],
        9 => vec!["reserve/do", "weigh/do", "weigh/undo"],
        _ => vec!["reserve/do", "weigh/do", "pay/do", "ship/do"],
    };
    match kind {
        4 | 5 if is_cut("weigh") => {
            deeds.push("weigh/undo");
            (State::Compensated, None, deeds)
        }
        6 | 9 if is_cut("pay") => (State::NeedsOperator, Some(Why::Pivot), deeds),
        4..=7 => (State::Compensated, None, deeds),
        8 => (State::NeedsOperator, Some(Why::Forward), deeds),
        9 => (State::NeedsOperator, Some(Why::Compensation), deeds),
        _ => (State::Completed, None, deeds),
    }
}

/// Steps whose effects are rows of the user's own table.
struct Shop(Place);

impl Shop {
    async fn step(&self, call: Call, way: Way) -> Outcome {
        let kind = kind(call.id.saga());
        let digest =
            cronx_ledger::Fingerprint::of(format!("{}{}", call.key, call.attempt).as_bytes());
        let moment = |place: usize| Duration::from_micros(u64::from(digest.0[place]) * 12);
        tokio::time::sleep(moment(0)).await;
        if is_refused(kind, &call.step, way) {
            return Outcome::Refused("as it has to".to_owned());
        }
        if kind == 7 && &*call.step == "weigh" && way == Way::Forward {
            return Outcome::Unknown("nobody answers".to_owned());
        }
        let applied = self.0.apply(&call.key).await;
        tokio::time::sleep(moment(1)).await;
        match applied {
            Ok(true) => Outcome::Done("a row".to_owned()),
            Ok(false) => Outcome::Refused("it comes too late".to_owned()),
            Err(why) => Outcome::Unknown(why),
        }
    }
}

impl Steps for Shop {
    fn act(&self, call: Call) -> Doing<'_> {
        Box::pin(self.step(call, Way::Forward))
    }

    fn undo(&self, call: Call) -> Doing<'_> {
        Box::pin(self.step(call, Way::Back))
    }
}

/// No test: the process that others begin and kill. It ends when every saga has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that is killed"]
async fn lives() {
    let Ok(place) = env::var(PLACE) else { return };
    let place: Place = place.parse().unwrap();
    let owner = format!("{} at {}", std::process::id(), Utc::from(SystemTime::now()).0);
    let runner = Arc::new(Runner::new(place.open().await, owner.into(), place.options()));
    runner.add(order(), Arc::new(Shop(place)));
    let running = tokio::spawn(Arc::clone(&runner).run());
    for number in 0..10 * EACH {
        runner.end(&id(&number.to_string())).await.unwrap().unwrap();
    }
    runner.stop();
    running.await.unwrap();
}

/// Lives, as many as asked for, and one in peace.
async fn campaign(place: &Place) {
    let seed = number("CRONX_KILL_SEED").unwrap_or_else(|| Utc::from(SystemTime::now()).0 as u64);
    println!("CRONX_KILL_SEED={seed}, {place}");
    let mut random = Random::new(seed);
    let sagas = place.open().await;
    let begin = order().begin("{}").unwrap();
    for number in 0..10 * EACH {
        sagas.ask(id(&number.to_string()), begin.clone()).await.unwrap().unwrap();
    }
    let born = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", NAME, "--ignored", "--nocapture"]).env(PLACE, place.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    };
    for _ in 0..number("CRONX_KILL_ROUNDS").unwrap_or(ROUNDS) {
        let mut life = born();
        let most = (place.lease() + LIFE).as_micros() as u64;
        tokio::time::sleep(Duration::from_micros(random.below(most))).await;
        kill(Pid::from_raw(life.id() as i32), Signal::SIGKILL).unwrap();
        life.wait().unwrap();
    }
    let mut last = born();
    let ends = async {
        while last.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(BOUND, ends).await;
    if ended.is_err() {
        last.kill().unwrap();
        panic!("CRONX_KILL_SEED={seed}: sagas do not end");
    }
    let (mut effects, mut cut) = (place.effects().await, 0);
    for number in 0..10 * EACH {
        let shown = sagas.show(id(&number.to_string())).await.unwrap();
        let (saga, events) = shown.unwrap();
        cut += events.iter().filter(|event| is_cut(event)).count();
        if let Err(why) = judge(&saga, &events, &mut effects) {
            panic!("CRONX_KILL_SEED={seed}: {why}: {events:#?}");
        }
    }
    assert!(effects.is_empty(), "CRONX_KILL_SEED={seed}: {effects:?} have no saga");
    println!("killed: {} sagas ended as they have to; {cut} attempts were cut off", 10 * EACH);
    assert!(cut > 0, "no kill met a step");
}

fn is_cut(event: &Event) -> bool {
    &*event.said == "whoever was at it is gone"
}

/// It ended as it has to, and each of its effects is there once.
fn judge(saga: &Saga, events: &[Event], effects: &mut HashMap<String, i64>) -> Result<(), String> {
    let cut = |step: &str| {
        events
            .iter()
            .any(|event| is_cut(event) && event.way == Way::Forward && &*event.step == step)
    };
    let (state, why, deeds) = expected(kind(saga.id.saga()), cut);
    if (saga.state, saga.why) != (state, why) {
        return Err(format!("{} is {} {:?}, not {state} {why:?}", saga.id, saga.state, saga.why));
    }
    for deed in deeds {
        let key = format!("{}/{deed}", saga.id);
        let count = effects.remove(&key).unwrap_or(0);
        if count != 1 {
            return Err(format!("{key} took effect {count} times"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let folder = TempDir::new().unwrap();
    campaign(&Place::sqlite(folder.path().join("shop.sqlite"))).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    use cronx_servers::{needs, postgres};
    let Some(server) = needs("saga::killed::postgres", postgres(), "PostgreSQL") else { return };
    let url = format!("postgres://cronx@127.0.0.1:{}/postgres", server.port);
    campaign(&Place::postgres(url).await).await;
}
