//! A file of JSON lines.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Answer, Sink, lines};
use crate::Error;
use crate::journal::Event;
use crate::store::Pending;

/// A file to which each event is a line; others may read it, and none may write. What is taken is on disk.
pub struct Lines {
    /// Held by a write until it is over, also one for which nobody waits any more.
    end: Arc<Mutex<End>>,
    place: String,
}

struct End {
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl Lines {
    /// Opens a file, or makes one. A line that was not finished is cut off; another process that has the file
    /// is an error.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::system("open", &place))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { place }),
            Err(TryLockError::Error(error)) => return Err(Error::system("lock", &place)(error)),
        }
        let length = whole(&file).map_err(Error::system("read", &place))?;
        file.set_len(length).map_err(Error::system("cut", &place))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        let synced = folder.and_then(|folder| folder.sync_all());
        synced.map_err(Error::system("bring to disk the folder of", &place))?;
        Ok(Self { end: Arc::new(Mutex::new(End { file, length })), place })
    }
}

/// Bytes up to the last end of a line.
fn whole(mut file: &File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut piece = vec![0; 64 << 10];
    while end > 0 {
        let from = end.saturating_sub(piece.len() as u64);
        let piece = &mut piece[..(end - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(piece)?;
        if let Some(place) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + place as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

impl End {
    /// All of it, or the file is as it was.
    fn add(&mut self, text: &str) -> std::io::Result<()> {
        // What an earlier write left that failed, and could not be undone then.
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| self.file.sync_data());
        if written.is_err() {
            self.file.set_len(self.length)?;
        } else {
            self.length += text.len() as u64;
        }
        written
    }
}

impl Sink for Lines {
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            let (text, mut end) = (lines(events), Arc::clone(&self.end).lock_owned().await);
            let written = tokio::task::spawn_blocking(move || end.add(&text)).await;
            let written = written.map_err(|_| Error::Closed)?;
            written.map_err(|error| match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Error::Full { place: self.place.clone(), reason: error.to_string() }
                }
                _ => Error::system("write", &self.place)(error),
            })?;
            Ok(vec![Answer::Taken; events.len()])
        })
    }

    fn keeps_order(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use cronx_scheduler::Utc;

    use super::*;
    use crate::journal::{EventId, Payload, Position};

    impl Lines {
        fn length(&self) -> u64 {
            self.end.try_lock().unwrap().length
        }
    }

    #[test]
    fn what_is_not_a_whole_line_is_cut_off() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("events");
        let long = "x".repeat(200_000);
        for (text, kept) in [
            (String::new(), 0),
            ("a".to_owned(), 0),
            ("a\n".to_owned(), 2),
            ("a\nb".to_owned(), 2),
            (format!("{long}\n{long}"), 200_001),
            (long.clone(), 0),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(Lines::open(&path).unwrap().length(), kept);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text[..kept as usize]);
        }
    }

    fn event(id: u128, payload: &str) -> Event {
        let payload = Payload::parse(payload).unwrap();
        Event {
            position: Position(id as i64),
            id: EventId(id),
            aggregate: "a".to_owned(),
            version: 1,
            who: "b".to_owned(),
            what: "c".to_owned(),
            trace: None,
            at: Utc(0),
            payload,
        }
    }

    /// The relay asks a sink again when it does not wait for an answer any more.
    #[tokio::test]
    async fn one_that_is_not_waited_for_is_whole_before_the_next() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("events");
        let mut sink = Lines::open(&path).unwrap();
        let long = event(1, &format!("\"{}\"", "x".repeat(800_000)));
        let short = event(2, "1");
        for _ in 0..20 {
            let first = [&long];
            let mut sent = sink.send(&first);
            let _begun = std::future::poll_fn(|now| Poll::Ready(sent.as_mut().poll(now))).await;
            drop(sent);
            assert_eq!(sink.send(&[&short]).await.unwrap(), [Answer::Taken]);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = lines(&[&long, &short]).repeat(20);
        assert!(text == expected, "{} bytes, not {}", text.len(), expected.len());
    }

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("events");
        let _first = Lines::open(&path).unwrap();
        assert!(matches!(Lines::open(&path), Err(Error::InUse { .. })));
    }
}
