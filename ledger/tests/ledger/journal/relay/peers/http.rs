//! An HTTP server of the test's own: lines, and what Elasticsearch's `_bulk` says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use cronx_ledger::journal::relay::Turn;
use cronx_ledger::journal::{Draft, Journal, Payload, Position};

use super::{EVENTS, had, history, lives, relay};
use crate::journal::relay::consumer;
use crate::journal::sqlite::File;
use crate::journal::{Stage, draft};

/// What is in it.
#[derive(Default)]
struct Had {
    lines: Vec<String>,
    ids: BTreeMap<String, usize>,
    requests: u64,
    /// Bytes that a body may have.
    most: Option<usize>,
}

type Shared = Arc<Mutex<Had>>;

/// Where it listens.
fn server(most: Option<usize>) -> (String, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let had = Shared::default();
    had.lock().unwrap().most = most;
    let shared = Arc::clone(&had);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            // A client that is killed breaks off.
            std::thread::spawn(move || _ = talk(&stream, &shared));
        }
    });
    (address, had)
}

fn talk(stream: &TcpStream, had: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length, mut line) = (String::new(), 0, String::new());
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        while reader.read_line(&mut line)? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, answer) = answer(&head, &String::from_utf8(body).unwrap(), had);
        let length = answer.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
        (&*stream).write_all((head + &answer).as_bytes())?;
    }
}

fn answer(head: &str, body: &str, had: &Shared) -> (&'static str, String) {
    let mut had = had.lock().unwrap();
    had.requests += 1;
    let number = had.requests;
    if had.most.is_some_and(|most| body.len() > most) {
        return ("413 Content Too Large", "more than I take".to_owned());
    }
    // Now and then it is busy.
    if number.is_multiple_of(11) {
        return ("429 Too Many Requests", String::new());
    }
    if !head.starts_with("POST /_bulk ") {
        had.lines.extend(body.lines().map(str::to_owned));
        return ("200 OK", String::new());
    }
    let lines: Vec<&str> = body.lines().collect();
    let mut items = Vec::new();
    for (place, pair) in lines.chunks(2).enumerate() {
        let action: serde_json::Value = serde_json::from_str(pair[0]).unwrap();
        let id = action["create"]["_id"].as_str().unwrap().to_owned();
        // One of them finds no room.
        let status = if (number + place as u64).is_multiple_of(37) {
            429
        } else if had.ids.contains_key(&id) {
            409
        } else {
            had.lines.push(pair[1].to_owned());
            *had.ids.entry(id).or_default() += 1;
            201
        };
        items.push(format!("{{\"create\":{{\"status\":{status}}}}}"));
    }
    ("200 OK", format!("{{\"errors\":false,\"items\":[{}]}}", items.join(",")))
}

#[tokio::test]
async fn a_server_has_each_event_though_relays_are_killed() {
    let (file, (address, shared)) = (history().await, server(None));
    lives(&file, &format!("http http://{address}/events"), |_| ()).await;
    let lines = shared.lock().unwrap().lines.clone();
    had(&lines);
}

#[tokio::test]
async fn an_index_has_each_event_once_though_relays_are_killed() {
    let (file, (address, shared)) = (history().await, server(None));
    lives(&file, &format!("bulk http://{address}/_bulk"), |_| ()).await;
    let lines = shared.lock().unwrap().lines.clone();
    assert_eq!(had(&lines), 0);
    assert_eq!(shared.lock().unwrap().ids.len(), EVENTS as usize);
}

/// One that is too long for the server is a dead letter, with its words; those of other aggregates in the
/// same body are not.
#[tokio::test]
async fn what_a_server_refuses_is_a_dead_letter() {
    for (kind, path) in [("http", "events"), ("bulk", "_bulk")] {
        let (file, (address, shared)) = (File::new(), server(Some(2000)));
        let long = Payload::parse(&format!("\"{}\"", "x".repeat(3000))).unwrap();
        let drafts = vec![
            draft(1, "a", None),
            Draft { payload: long, ..draft(2, "b", None) },
            draft(3, "c", None),
            draft(4, "b", None),
        ];
        file.append(drafts, true).await.unwrap();
        let mut relay = relay(&file.path, &format!("{kind} http://{address}/{path}"));
        assert_eq!(relay.turn().await, Turn::Moved(4));
        let dead = file.journal.dead(consumer(), None, Position(0), 10).await.unwrap();
        let dead: Vec<_> =
            dead.iter().map(|letter| (letter.event.id.0, letter.reason.as_str())).collect();
        let reason = "413 Payload Too Large: more than I take";
        assert_eq!(dead, [(2, reason), (4, "it comes after 2, which was refused")]);
        assert_eq!(shared.lock().unwrap().lines.len(), 2);
    }
}
