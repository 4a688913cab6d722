use cronx_ledger::journal::sqlite::{append, install};
use cronx_ledger::journal::{Draft, EventId, Journal, Payload};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// A file in which an event was appended on each of these days after 1970-01-01, which may come again.
fn journal(folder: &Path, days: &[i64]) -> PathBuf {
    let path = folder.join("shop.sqlite");
    let mut user = Connection::open(&path).unwrap();
    install(&user).unwrap();
    let transaction = user.transaction().unwrap();
    for (place, day) in days.iter().enumerate() {
        let clock = Clock::Told(std::sync::Arc::new(Day(*day).begins().0.into()));
        let draft = Draft {
            id: EventId(place as u128 + 1),
            aggregate: format!("bill/{}", day % 2),
            version: None,
            who: "shop".to_owned(),
            what: "paid".to_owned(),
            trace: None,
            payload: Payload::parse("{}").unwrap(),
        };
        append(&transaction, &draft, &clock).unwrap();
    }
    transaction.commit().unwrap();
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

/// What a replay has in the end, in the order of the journal, if this happens after its first line.
fn replayed_while(
    place: &Place,
    folder: Option<&Path>,
    before: &[String],
    happens: impl FnOnce() + Send,
) -> Result<Vec<String>> {
    let (mut lines, mut happens) = (Vec::new(), Some(happens));
    place.replay(folder, &everything(), |line| {
        if let Some(happens) = happens.take() {
            // As another process would, with a runtime of its own.
            std::thread::scope(|scope| scope.spawn(happens).join().unwrap());
        }
        lines.push(line.to_owned());
        Ok(())
    })?;
    lines.sort_by_key(|line| before.iter().position(|known| known == line));
    Ok(lines)
}

#[test]
fn a_day_that_changes_meanwhile_is_replayed_once() {
    let today = Day::of(std::time::SystemTime::now().into()).0;
    // The second day is read in part at first.
    let days = [vec![0; 700], vec![1; 700], vec![today]].concat();
    assert!((701..1400).contains(&PAGE));
    for with_archive in [true, false] {
        let folder = TempDir::new().unwrap();
        let place = Place::File(journal(folder.path(), &days));
        let before = replayed(&place, None, &everything()).unwrap();
        assert_eq!(before.len(), days.len());
        let archive = folder.path().join("archive");
        drop(Archive::folder(&archive).unwrap());
        let keeps = || {
            let kept = place.archive(&archive, &Policy::default()).unwrap();
            assert_eq!(kept.iter().filter(|kept| kept.what == "dropped").count(), 2);
        };
        let named = with_archive.then_some(&*archive);
        let lines = replayed_while(&place, named, &before, keeps);
        if with_archive {
            assert!(lines.unwrap() == before);
            let restores = || _ = place.restore(&archive, "1970-01-02").unwrap();
            let lines = replayed_while(&place, named, &before, restores);
            assert!(lines.unwrap() == before);
        } else {
            let refused = lines.unwrap_err().to_string();
            assert!(refused.starts_with("1970-01-02 is in the archive alone"), "{refused}");
        }
    }
}

#[test]
fn who_takes_may_refuse() {
    let folder = TempDir::new().unwrap();
    let place = Place::File(journal(folder.path(), &[0, 1]));
    let archive = folder.path().join("archive");
    place.archive(&archive, &Policy::default()).unwrap();
    let refused = place.replay(Some(&archive), &everything(), |_| bail!("the pipe is closed"));
    assert_eq!(refused.unwrap_err().to_string(), "the pipe is closed");
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
