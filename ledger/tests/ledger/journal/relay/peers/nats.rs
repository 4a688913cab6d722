//! NATS JetStream: a real server, which is killed too.

use async_nats::jetstream::{self, consumer::DeliverPolicy, stream};
use cronx_ledger::journal::relay::{Nats, Options, Relay, Turn};
use cronx_ledger::journal::sqlite::Sqlite;
use cronx_ledger::journal::{Draft, Event, Journal, Payload, Position, read_line};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{EVENTS, had, history, lives};
use crate::journal::relay::{consumer, in_order};
use crate::journal::sqlite::File;
use crate::journal::{Stage, draft};
use cronx_servers::{Server, nats, needs};

const MINUTE: Duration = Duration::from_mins(1);

async fn stream(server: &Server, longest: i32) -> stream::Stream {
    let client = async_nats::connect(format!("nats://127.0.0.1:{}", server.port)).await.unwrap();
    let config = stream::Config {
        name: "cronx".to_owned(),
        subjects: vec!["cronx.>".to_owned()],
        max_message_size: longest,
        ..stream::Config::default()
    };
    jetstream::new(client).get_or_create_stream(config).await.unwrap()
}

async fn lines(stream: &mut stream::Stream) -> Vec<String> {
    let count = stream.info().await.unwrap().state.messages;
    let config = jetstream::consumer::pull::OrderedConfig {
        deliver_policy: DeliverPolicy::All,
        ..Default::default()
    };
    let reader = stream.create_consumer(config).await.unwrap();
    let messages = reader.messages().await.unwrap().take(count as usize);
    let text = |message: async_nats::jetstream::Message| {
        String::from_utf8(message.payload.to_vec()).unwrap()
    };
    messages.map(|message| text(message.unwrap())).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_each_event_once_though_relays_and_the_server_are_killed() {
    let test = "a_stream_has_each_event_once_though_relays_and_the_server_are_killed";
    let Some(mut server) = needs(test, nats(), "NATS") else { return };
    stream(&server, -1).await;
    let file = history().await;
    let spec = format!("nats nats://127.0.0.1:{}", server.port);
    lives(&file, &spec, |kill| {
        if kill == 3 {
            server.kill_and_start();
        }
    })
    .await;
    let lines = lines(&mut stream(&server, -1).await).await;
    assert_eq!(lines.len(), EVENTS as usize);
    assert_eq!(had(&lines), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_for_a_minute_costs_only_lag() {
    let test = "a_server_that_is_down_for_a_minute_costs_only_lag";
    let Some(mut server) = needs(test, nats(), "NATS") else { return };
    stream(&server, -1).await;
    let file = File::live();
    let mut relay = super::relay(&file.path, &format!("nats nats://127.0.0.1:{}", server.port));
    let figures = relay.figures();
    let running = tokio::spawn(async move { relay.run(|_| ()).await });
    server.kill();
    let (since, mut appended) = (Instant::now(), 0);
    while since.elapsed() < MINUTE {
        appended += 1;
        let aggregate = format!("a{}", appended % 3);
        file.append(vec![draft(appended, &aggregate, None)], true).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The figure is as old as the last try, which waits for an answer.
    assert!(figures.lag_age() >= Duration::from_secs(40), "{:?}", figures.lag_age());
    assert!(figures.lag_positions() > 100, "{}", figures.lag_positions());
    server.start_again();
    while (figures.lag_positions(), figures.lag_age()) != (0, Duration::ZERO) {
        assert!(since.elapsed() < MINUTE + super::BOUND, "it does not catch up: {figures:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    let lines = lines(&mut stream(&server, -1).await).await;
    assert_eq!(lines.len(), appended as usize);
    let events: Vec<Event> = lines.iter().map(|line| read_line(line).unwrap()).collect();
    assert_eq!(in_order(&events).values().sum::<u64>(), appended as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_refuses_is_a_dead_letter() {
    let test = "what_a_stream_refuses_is_a_dead_letter";
    let Some(server) = needs(test, nats(), "NATS") else { return };
    let mut stream = stream(&server, 2000).await;
    let file = File::new();
    let long = Payload::parse(&format!("\"{}\"", "x".repeat(3000))).unwrap();
    let drafts = vec![
        Draft { payload: long, ..draft(1, "a", None) },
        draft(2, "a", None),
        draft(3, "b", None),
    ];
    file.append(drafts, true).await.unwrap();
    let journal = Arc::new(Sqlite::open(&file.path, file.clock.clone()).unwrap());
    let sink = Nats::new(&format!("nats://127.0.0.1:{}", server.port), "cronx.events");
    let mut relay = Relay::new(journal, consumer(), sink, Options::default(), || 0);
    assert_eq!(relay.turn().await, Turn::Moved(3));
    let dead = file.journal.dead(consumer(), None, Position(0), 10).await.unwrap();
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead[0].reason.contains("message size exceeds"), "{}", dead[0].reason);
    assert_eq!(lines(&mut stream).await.len(), 1);
}

/// There is no stream for the subject: that is nothing against the event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stream_events_wait() {
    let Some(server) = needs("without_a_stream_events_wait", nats(), "NATS") else { return };
    let file = File::new();
    file.append(vec![draft(1, "a", None)], true).await.unwrap();
    let journal = Arc::new(Sqlite::open(&file.path, file.clock.clone()).unwrap());
    let sink = Nats::new(&format!("nats://127.0.0.1:{}", server.port), "cronx.events");
    let mut relay = Relay::new(journal, consumer(), sink, Options::default(), || 0);
    assert!(matches!(relay.turn().await, Turn::Failed { .. }));
    let mut stream = stream(&server, -1).await;
    assert_eq!(relay.turn().await, Turn::Moved(1));
    assert_eq!(lines(&mut stream).await.len(), 1);
}
