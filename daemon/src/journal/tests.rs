use cronx_ledger::journal::sqlite::{append, install};
use cronx_ledger::journal::{Draft, EventId, Journal, Payload};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// A file in which an event was appended on each of these days after 1970-01-01.
fn journal(folder: &Path, days: &[i64]) -> PathBuf {
    let path = folder.join("shop.sqlite");
    let mut user = Connection::open(&path).unwrap();
    install(&user).unwrap();
    for day in days {
        let clock = Clock::Told(std::sync::Arc::new(Day(*day).begins().0.into()));
        let draft = Draft {
            id: EventId(*day as u128 + 1),
            aggregate: format!("bill/{}", day % 2),
            version: None,
            who: "shop".to_owned(),
            what: "paid".to_owned(),
            trace: None,
            payload: Payload::parse("{}").unwrap(),
        };
        let transaction = user.transaction().unwrap();
        append(&transaction, &draft, &clock).unwrap();
        transaction.commit().unwrap();
    }
    path
}

fn everything() -> Wanted {
    Wanted { from: Utc::MIN, until: Utc::MAX, aggregate: None }
}

fn replayed(place: &Place, folder: Option<&Path>, wanted: &Wanted) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    place.replay(folder, wanted, |line| {
        lines.push(line.to_owned());
        Ok(())
    })?;
    Ok(lines)
}

#[test]
fn what_was_archived_is_replayed_and_restored() {
    let folder = TempDir::new().unwrap();
    let today = Day::of(std::time::SystemTime::now().into()).0;
    let path = journal(folder.path(), &[0, 1, today]);
    let place = Place::of_url(&format!("sqlite:{}", path.display())).unwrap();
    let before = replayed(&place, None, &everything()).unwrap();
    assert_eq!(before.len(), 3);
    let archive = folder.path().join("archive");
    let kept = place.archive(&archive, &Policy::default()).unwrap();
    let kept: Vec<_> = kept.iter().map(|kept| format!("{} {}", kept.day, kept.what)).collect();
    assert_eq!(
        kept,
        ["1970-01-01 sealed", "1970-01-02 sealed", "1970-01-01 dropped", "1970-01-02 dropped"]
    );
    let refused = replayed(&place, None, &everything()).unwrap_err();
    assert!(refused.to_string().contains("name it with --archive"), "{refused}");
    assert_eq!(replayed(&place, Some(&archive), &everything()).unwrap(), before);
    let some =
        Wanted { until: Day(2).begins(), aggregate: Some("bill/1".to_owned()), ..everything() };
    assert_eq!(replayed(&place, Some(&archive), &some).unwrap(), before[1..2]);
    // What is asked for is in the store.
    let late = Wanted { from: Day(2).begins(), ..everything() };
    assert_eq!(replayed(&place, None, &late).unwrap(), before[2..]);
    assert_eq!(place.restore(&archive, "1970-01-02").unwrap().said, "1 events");
    assert!(place.restore(&archive, "1970-01-02").is_err());
    let some = Wanted { from: Day(1).begins(), ..everything() };
    assert_eq!(replayed(&place, None, &some).unwrap(), before[1..]);
}

#[test]
fn dead_letters_are_read() {
    let folder = TempDir::new().unwrap();
    let path = journal(folder.path(), &[0]);
    let place = Place::File(path.clone());
    wait(async {
        let tables = sqlite::Sqlite::open(&path, Clock::Own)?;
        tables.join(Consumer::new("slow")?).await?;
        Ok(())
    })
    .unwrap();
    let kept = place.archive(&folder.path().join("archive"), &Policy::default()).unwrap();
    assert_eq!(kept[1].said, "1 dead letters");
    let mut letters = Vec::new();
    let take = |reason: &str, line: &str| {
        letters.push((reason.to_owned(), line.contains("\"aggregate\":\"bill/0\"")));
        Ok(())
    };
    place.dead("slow", &everything(), take).unwrap();
    assert_eq!(letters, [("not had when its day was dropped".to_owned(), true)]);
}

#[test]
fn an_address_may_have_a_password_and_is_not_repeated() {
    for url in ["mysql://me:secret@h/d", "secret", "sqlite:"] {
        let refused = Place::of_url(url).err().unwrap().to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
