//! `cronx ledger archive` and `replay`, on a journal that a program has written.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use cronx_ledger::Clock;
use cronx_ledger::journal::sqlite::{append, install};
use cronx_ledger::journal::{Day, Draft, EventId, Payload};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::daemon::CRONX;

/// An event on each of two days in 1970.
fn journal(path: &Path) -> String {
    let mut user = Connection::open(path).unwrap();
    install(&user).unwrap();
    for day in 0..2 {
        let clock = Clock::Told(Arc::new(Day(day).begins().0.into()));
        let draft = Draft {
            id: EventId(day as u128 + 1),
            aggregate: format!("bill/{day}"),
            version: Some(1),
            who: "\u{1b}]0;x\u{7}".to_owned(),
            what: "paid".to_owned(),
            trace: None,
            payload: Payload::parse("{\"cents\": 1}").unwrap(),
        };
        let transaction = user.transaction().unwrap();
        append(&transaction, &draft, &clock).unwrap();
        transaction.commit().unwrap();
    }
    format!("sqlite:{}", path.display())
}

fn cronx(words: &[&str], url: &str) -> Output {
    let mut command = Command::new(CRONX);
    command.arg("ledger").args(words).env("CRONX_JOURNAL", url);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn days_go_to_the_archive_and_are_replayed() {
    let folder = TempDir::new().unwrap();
    let url = journal(&folder.path().join("shop.sqlite"));
    let archive = folder.path().join("archive");
    let to = archive.to_str().unwrap();
    let text = said(&cronx(&["archive", "--to", to], &url));
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "1970-01-01  sealed    1 events",
            "1970-01-02  sealed    1 events",
            "1970-01-01  dropped   0 dead letters",
            "1970-01-02  dropped   0 dead letters",
        ]
    );
    assert_eq!(said(&cronx(&["archive", "--to", to], &url)), "nothing is due\n");
    let text = said(&cronx(&["replay", "--archive", to, "--from", "1970-01-02T00:00:00Z"], &url));
    expect_test::expect![[r#"
        {"position":2,"id":"00000000000000000000000000000002","aggregate":"bill/1","version":1,"who":"\u001b]0;x\u0007","what":"paid","trace":null,"at":"1970-01-02T00:00:00Z","payload":{"cents":1}}
    "#]]
    .assert_eq(&text);
    let text = said(&cronx(&["archive", "--to", to, "--restore", "1970-01-01", "--json"], &url));
    assert!(text.contains("\"what\": \"restored\""), "{text}");
    // A bit of the other one flips.
    let day = archive.join("1970-01-02");
    let part = fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path());
    let part = part.into_iter().find(|path| path.extension().is_some_and(|end| end == "zst"));
    let part = part.unwrap();
    let mut bytes = fs::read(&part).unwrap();
    bytes[20] ^= 4;
    fs::write(&part, bytes).unwrap();
    let refused = cronx(&["replay", "--archive", to], &url);
    assert_eq!(refused.status.code(), Some(2));
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("is not what was archived: its digest is another"), "{why}");
}

#[test]
fn what_is_no_journal_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    for (url, why) in [
        (format!("sqlite:{}", path.display()), "it has no journal"),
        ("redis://me:secret@h".to_owned(), "a journal is sqlite:PATH"),
    ] {
        let refused = cronx(&["replay"], &url);
        assert_eq!(refused.status.code(), Some(2), "{url}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(why) && !said.contains("secret"), "{said}");
    }
}
