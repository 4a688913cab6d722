use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::Utc;
use tempfile::TempDir;

use super::*;
use crate::claim::{Bid, Claim, Fence, Refusal, Verdict};
use crate::fingerprint::Fingerprint;
use crate::once::Once;

fn claim(key: &str, bid: u128) -> Act {
    let lease = Duration::from_hours(1);
    let claim = Claim { owner: "me".into(), bid: Bid(bid), fingerprint: None, lease, sole: false };
    Act::Claim { key: Key::call("t", key).unwrap(), claim }
}

fn open(folder: &TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join("l"), &Options::default()).unwrap()
}

fn refused(folder: &TempDir) -> Error {
    let opened = Sqlite::open(&folder.path().join("l"), &Options::default());
    opened.err().expect("it is not opened")
}

fn granted(reply: &Reply) -> Fence {
    match reply {
        Reply::Verdict(Verdict::Granted { fence, .. }) => *fence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_said_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let (first, again) = (claim("a", 1), claim("a", 2));
    granted(&open(&folder).act_and_wait(first).unwrap());
    let reply = open(&folder).act_and_wait(again).unwrap();
    assert!(matches!(reply, Reply::Verdict(Verdict::Refused(Refusal::InFlight { .. }))));
}

#[test]
fn one_process_at_a_time_writes_and_others_look() {
    let folder = TempDir::new().unwrap();
    let ledger = open(&folder);
    assert!(matches!(refused(&folder), Error::InUse { .. }));
    granted(&ledger.act_and_wait(claim("a", 1)).unwrap());
    let looks = Sqlite::look(&folder.path().join("l")).unwrap();
    let entries = futures(looks.entries(Look::Last, None, 10)).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(futures(looks.check()).unwrap(), Vec::<String>::new());
    assert!(matches!(looks.act_and_wait(claim("b", 1)), Err(Error::ReadOnly { .. })));
    drop(ledger);
    open(&folder);
}

/// Waits for an answer.
fn futures<T: Send>(pending: Pending<'_, T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(pending)
}

#[test]
fn many_at_once_have_each_their_answer() {
    let folder = TempDir::new().unwrap();
    let ledger = Arc::new(open(&folder));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let ledger = Arc::clone(&ledger);
            std::thread::spawn(move || {
                let ask = |n: u128| ledger.act_and_wait(claim(&n.to_string(), thread)).unwrap();
                (0..50)
                    .filter(|&n| matches!(ask(n), Reply::Verdict(Verdict::Granted { .. })))
                    .count()
            })
        })
        .collect();
    let granted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(granted, 50, "each key has one owner");
}

#[test]
fn another_programs_file_stays_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("l");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 99").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    assert!(matches!(refused(&folder), Error::Foreign { .. }), "{}", refused(&folder));
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::write(
        &path,
        "not a database at all, and longer than a header of a hundred bytes. ".repeat(9),
    )
    .unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(refused(&folder), Error::Foreign { .. }), "{}", refused(&folder));
    assert!(Sqlite::look(&path).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_schema_of_the_future_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let path = folder.path().join("l");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    assert!(matches!(refused(&folder), Error::Newer { found: 2, known: 1, .. }));
    assert!(matches!(Sqlite::look(&path), Err(Error::Newer { .. })));
}

#[test]
fn a_file_that_is_full_says_so_and_goes_on_when_there_is_room() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("l");
    drop(open(&folder));
    let full = Options { most_pages: Some(12), ..Options::default() };
    let ledger = Sqlite::open(&path, &full).unwrap();
    let mut kept = 0;
    let error = loop {
        match ledger.act_and_wait(claim(&format!("{kept:0400}"), 1)) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(kept > 0);
    drop(ledger);
    let ledger = open(&folder);
    assert_eq!(futures(ledger.check()).unwrap(), Vec::<String>::new());
    let entries = futures(ledger.entries(Look::Last, None, 1000)).unwrap();
    assert_eq!(entries.len(), kept);
    granted(&ledger.act_and_wait(claim("room", 1)).unwrap());
}

#[test]
fn a_file_that_may_not_be_written_says_so() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let path = folder.path().join("l");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    for (file, mode) in [("l", 0o444), ("l.lock", 0o666)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(folder.path().join(file), mode).unwrap();
    }
    let before = fs::read(&path).unwrap();
    // To root nothing is read-only; to a thread that is nobody to the file system, it is.
    let opened = std::thread::spawn({
        let path = path.clone();
        move || {
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            Sqlite::open(&path, &Options::default()).err()
        }
    });
    let error = opened.join().unwrap().expect("it is not opened");
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_row_of_nobodys_is_said_and_not_mended() {
    let folder = TempDir::new().unwrap();
    granted(&open(&folder).act_and_wait(claim("a", 1)).unwrap());
    granted(&open(&folder).act_and_wait(claim("b", 1)).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("l")).unwrap();
    other.execute("UPDATE entries SET state = 7 WHERE key LIKE '%/a'", []).unwrap();
    drop(other);
    let ledger = open(&folder);
    assert!(matches!(ledger.act_and_wait(claim("a", 2)), Err(Error::Torn { .. })));
    granted(&ledger.act_and_wait(claim("b", 1)).unwrap());
    let entries = futures(ledger.entries(Look::After(None), None, 10)).unwrap();
    assert_eq!(entries.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_closed_ledger_lets_go_of_its_file() {
    let folder = TempDir::new().unwrap();
    for bid in 0..20 {
        granted(&open(&folder).act_and_wait(claim(&bid.to_string(), bid)).unwrap());
    }
}

#[test]
fn an_effect_happens_once() {
    let mut users = rusqlite::Connection::open_in_memory().unwrap();
    users.execute_batch("CREATE TABLE paid (amount INTEGER)").unwrap();
    let key = Key::call("t", "order 7").unwrap();
    let print = |text: &str| Some(Fingerprint::of(text.as_bytes()));
    let mut pay = |fingerprint, fails: bool, commits: bool| {
        let transaction = users.transaction().unwrap();
        let once = execute_once(&transaction, &key, fingerprint, |transaction| {
            transaction.execute("INSERT INTO paid VALUES (5)", [])?;
            if fails { Err(rusqlite::Error::InvalidQuery) } else { Ok("paid") }
        });
        if commits {
            transaction.commit().unwrap();
        } else {
            drop(transaction);
        }
        let paid: i64 = users.query_row("SELECT count(*) FROM paid", [], |row| row.get(0)).unwrap();
        (once.ok(), paid)
    };
    let (now, before) = (Once::Now("paid".to_owned()), Once::Before("paid".to_owned()));
    assert_eq!(pay(print("5"), true, true), (None, 0));
    assert_eq!(pay(print("5"), false, false), (Some(now.clone()), 0));
    assert_eq!(pay(print("5"), false, true), (Some(now), 1));
    assert_eq!(pay(print("5"), false, true), (Some(before.clone()), 1));
    assert_eq!(pay(None, false, true), (Some(before), 1));
    assert_eq!(pay(print("6"), false, true), (Some(Once::Mismatch), 1));
}

#[test]
fn a_course_goes_with_its_firing() {
    let folder = TempDir::new().unwrap();
    let job = JobId::new("t", "j").unwrap();
    let ledger = open(&folder);
    let join = || Act::Join { job: job.clone(), now: Utc(100), owner: "me".into(), guard: None };
    let joined = |cursor, open| Reply::Joined { cursor: Utc(cursor), open };
    assert_eq!(ledger.act_and_wait(join()).unwrap(), joined(100, vec![]));
    for (after, through) in [(110, 120), (100, 105)] {
        let skip =
            Act::Skip { job: job.clone(), after: Utc(after), through: Utc(through), guard: None };
        assert_eq!(ledger.act_and_wait(skip).unwrap(), Reply::Noted);
    }
    drop(ledger);
    let ledger = open(&folder);
    assert_eq!(ledger.act_and_wait(join()).unwrap(), joined(105, vec![]));
    let courses = futures(ledger.courses()).unwrap();
    let (_, course) = courses[0].as_ref().unwrap();
    assert_eq!(course.ahead(), [(Utc(110), Utc(120))]);
}
