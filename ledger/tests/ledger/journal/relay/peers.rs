//! Real peers, and relays that are killed in mid-batch: each event is there, and in order.

mod http;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronx_ledger::Clock;
use cronx_ledger::journal::relay::{Body, Http, Lines, Options, Relay, Sink, Turn};
use cronx_ledger::journal::sqlite::Sqlite;
use cronx_ledger::journal::{Event, Journal, read_line};
use tempfile::TempDir;

use super::{consumer, in_order};
use crate::journal::sqlite::File;
use crate::journal::{Stage, draft};

const FOLDER: &str = "CRONX_RELAY_CHILD";
const SINK: &str = "CRONX_RELAY_SINK";
const EVENTS: u128 = 3000;
const AGGREGATES: u128 = 40;
/// How often it is killed.
const KILLS: i64 = 6;
/// Nothing takes longer, on a slow machine that does something else too.
const BOUND: Duration = Duration::from_mins(3);

/// A sink by its name and address.
fn sink(spec: &str) -> Box<dyn Sink> {
    let (kind, rest) = spec.split_once(' ').unwrap();
    match kind {
        "file" => Box::new(Lines::open(Path::new(rest)).unwrap()),
        "http" => Box::new(Http::new(rest, Body::Lines, None).unwrap()),
        "bulk" => {
            let body = Body::Bulk { index: "events".to_owned() };
            Box::new(Http::new(rest, body, Some("ApiKey x")).unwrap())
        }
        #[cfg(feature = "nats")]
        "nats" => Box::new(cronx_ledger::journal::relay::Nats::new(rest, "cronx.events")),
        #[cfg(feature = "kafka")]
        "kafka" => Box::new(cronx_ledger::journal::relay::Kafka::new(rest, "events")),
        _ => panic!("there is no sink {kind}"),
    }
}

struct Boxed(Box<dyn Sink>);

impl Sink for Boxed {
    fn send<'a>(
        &'a mut self,
        events: &'a [&'a Event],
    ) -> cronx_ledger::Pending<'a, Vec<cronx_ledger::journal::relay::Answer>> {
        self.0.send(events)
    }
    fn keeps_order(&self) -> bool {
        self.0.keeps_order()
    }
}

fn relay(path: &Path, spec: &str) -> Relay<Boxed> {
    let journal = Arc::new(Sqlite::open(path, Clock::Own).unwrap());
    let first = Duration::from_millis(50);
    let options = Options { batch: 60, first, most: Duration::from_secs(1), ..Options::default() };
    let mut draw = 1_u64;
    Relay::new(journal, consumer(), Boxed(sink(spec)), options, move || {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        draw >> 16
    })
}

/// One life, in a process of its own, which ends when there is nothing left.
#[tokio::test]
#[ignore = "a part of the tests of peers, which run it in processes of their own"]
async fn life() {
    let Some(path) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut relay = relay(&path, &std::env::var(SINK).unwrap());
    loop {
        match relay.turn().await {
            Turn::Moved(_) => {}
            Turn::Idle => return,
            Turn::Failed { wait, reason } => {
                println!("{reason}");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

fn born(file: &File, spec: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "journal::relay::peers::life", "--ignored", "--nocapture"]);
    child.env(FOLDER, &file.path).env(SINK, spec);
    child.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

async fn offset(file: &File) -> i64 {
    let consumers = file.journal.consumers().await.unwrap();
    consumers.first().map_or(0, |(_, position)| position.0)
}

async fn history() -> File {
    let file = File::new();
    let drafts = (1..=EVENTS).map(|id| draft(id, &format!("a{}", id * id % AGGREGATES), None));
    file.append(drafts.collect(), true).await.unwrap();
    file
}

/// Lives that are killed whenever they are a little further, and one that ends by itself. `amid` is called
/// while they are at work.
async fn lives(file: &File, spec: &str, mut amid: impl FnMut(i64)) {
    let until = Instant::now() + BOUND;
    for kill in 1..=KILLS {
        let mut child = born(file, spec);
        while offset(file).await < kill * EVENTS as i64 / (KILLS + 2) {
            assert!(Instant::now() < until, "it does not get on");
            assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        amid(kill);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = born(file, spec);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        assert!(Instant::now() < until, "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(offset(file).await, EVENTS as i64);
}

/// Each event was had, in order. How many were had more than once.
fn had(lines: &[String]) -> usize {
    let events: Vec<Event> = lines.iter().map(|line| read_line(line).unwrap()).collect();
    let last = in_order(&events);
    assert_eq!(last.values().sum::<u64>(), EVENTS as u64);
    lines.len() - EVENTS as usize
}

#[tokio::test]
async fn a_file_has_each_event_though_relays_are_killed() {
    let (file, folder) = (history().await, TempDir::new().unwrap());
    let path = folder.path().join("events.ndjson");
    lives(&file, &format!("file {}", path.display()), |_| ()).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let again = had(&lines);
    assert!(again <= 60 * KILLS as usize, "{again} were written again");
}
