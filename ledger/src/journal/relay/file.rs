//! A file of JSON lines.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Answer, Sink, lines};
use crate::Error;
use crate::journal::Event;
use crate::store::Pending;

/// A file to which each event is a line; others may read it, and none may write. What is taken is on disk.
pub struct Lines {
    file: Arc<File>,
    place: String,
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
        Ok(Self { file: Arc::new(file), place, length })
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

/// All of it, or the file is as it was.
fn add(file: &File, at: u64, text: &str) -> std::io::Result<()> {
    let mut writer = file;
    writer.seek(SeekFrom::Start(at))?;
    let written = writer.write_all(text.as_bytes()).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(at)?;
    }
    written
}

impl Sink for Lines {
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            let (text, at, file) = (lines(events), self.length, Arc::clone(&self.file));
            let length = text.len() as u64;
            let written = tokio::task::spawn_blocking(move || add(&file, at, &text)).await;
            let written = written.map_err(|_| Error::Closed)?;
            written.map_err(|error| match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Error::Full { place: self.place.clone(), reason: error.to_string() }
                }
                _ => Error::system("write", &self.place)(error),
            })?;
            self.length += length;
            Ok(vec![Answer::Taken; events.len()])
        })
    }

    fn keeps_order(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Lines::open(&path).unwrap().length, kept);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text[..kept as usize]);
        }
    }

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("events");
        let _first = Lines::open(&path).unwrap();
        assert!(matches!(Lines::open(&path), Err(Error::InUse { .. })));
    }
}
