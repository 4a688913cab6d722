//! Cold days, in compressed files: a folder by default, or any store of objects.
//!
//! ```text
//!  2025-11-28/00000000000000000017.ndjson.zst   lines of events, at most 8 MiB before they are compressed;
//!  2025-11-28/00000000000000009317.ndjson.zst   a file is named by its first position
//!  2025-11-28/manifest.json                     written last: which files there are, and their digests
//! ```
//! An object is there whole or not at all: a folder's files are written under temporary names, brought to
//! disk and renamed. A manifest is believed only if it has the seal that the store has, and a file only if it
//! has what the manifest says.

mod folder;
mod manifest;

use std::error::Error as _;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

pub use manifest::{Manifest, Part};

use super::day::Summing;
use super::{Day, Event, Position, Seal, Tables, line, read_line};
use crate::Error;

/// Bytes of lines in a file, about: it is made in memory.
const PART: usize = 8 << 20;
/// No file of ours is longer when it is read: a part, and the longest line.
const PART_MOST: u64 = 16 << 20;
const LEVEL: i32 = 6;
const PAGE: usize = 4096;
const MANIFEST: &str = "manifest.json";

/// Where cold days are.
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    place: String,
    keeps: Keeps,
}

/// What may be removed there.
enum Keeps {
    /// What is ours in a folder, which is locked.
    Folder { root: PathBuf, _lock: File },
    /// What is ours in a store.
    Objects,
    /// Nothing: another may write there.
    Looks,
}

impl Archive {
    /// In a folder, which is made where there is none, and is locked: one process at a time. It must be no
    /// link, and none but its owner, who is root or this user, may write there.
    pub fn folder(path: &std::path::Path) -> Result<Self, Error> {
        let (store, lock) = folder::open(path)?;
        let keeps = Keeps::Folder { root: path.to_owned(), _lock: lock };
        Ok(Self { store: Arc::new(store), place: path.display().to_string(), keeps })
    }

    /// In a folder that there is, only to look, while another process may write there.
    pub fn look(path: &std::path::Path) -> Result<Self, Error> {
        let store = Arc::new(folder::store(path)?);
        Ok(Self { store, place: path.display().to_string(), keeps: Keeps::Looks })
    }

    /// In a store of objects, of which nobody else writes that part; `place` is what a person calls it.
    pub fn of(store: Arc<dyn ObjectStore>, place: &str) -> Self {
        Self { store, place: place.to_owned(), keeps: Keeps::Objects }
    }

    /// Removes what writers that ended too soon left under temporary names; how many.
    pub fn sweep(&self) -> Result<u64, Error> {
        match &self.keeps {
            Keeps::Folder { root, .. } => folder::sweep(root),
            Keeps::Objects | Keeps::Looks => Ok(0),
        }
    }

    /// Where it is, as a person would say it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is said of a day, or nothing; believed by nobody yet.
    pub async fn manifest(&self, day: Day) -> Result<Option<Manifest>, Error> {
        let path = manifest_path(day);
        let got = match self.store.get(&path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(self.failed("read", &path))?,
        };
        let bytes = got.bytes().await.map_err(self.failed("read", &path))?;
        let read = Manifest::read(&bytes).map_err(|reason| self.spoilt(&path, reason))?;
        Ok(Some(read))
    }

    /// Writes a warm day: its files, and then its manifest. What stood there of an export that ended too soon
    /// is written over.
    pub async fn export(&self, tables: &dyn Tables, day: Day, seal: &Seal) -> Result<(), Error> {
        let (mut sum, mut parts) = (Summing::default(), Vec::new());
        let (mut part, mut lines) = (Summing::default(), String::new());
        let mut after = Position(0);
        loop {
            let page = tables.page(day, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in &page {
                let text = line(event);
                sum.add_line(event.position, &text);
                part.add_line(event.position, &text);
                lines.extend([text.as_str(), "\n"]);
                if lines.len() >= PART {
                    parts.push(self.put_part(day, &part.seal(), &lines).await?);
                    (part, lines) = (Summing::default(), String::new());
                }
            }
        }
        if !lines.is_empty() {
            parts.push(self.put_part(day, &part.seal(), &lines).await?);
        }
        if sum.seal() != *seal {
            let reason = format!("{day} is not what was sealed; it was not archived");
            let (what, place) = ("archive a day of", tables.place().to_owned());
            return Err(Error::Unavailable { what, place, reason });
        }
        let path = manifest_path(day);
        self.put(&path, Manifest::of(day, seal, parts).text().into_bytes()).await
    }

    async fn put_part(&self, day: Day, seal: &Seal, lines: &str) -> Result<Part, Error> {
        let packed = zstd::encode_all(lines.as_bytes(), LEVEL);
        let packed = packed.map_err(Error::system("compress events for", &self.place))?;
        let part = Part::of(seal, &packed);
        self.put(&part_path(day, &part.name), packed).await?;
        Ok(part)
    }

    async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), Error> {
        let put = self.store.put(path, bytes.into()).await;
        put.map(|_| ()).map_err(self.failed("write", path))
    }

    /// Reads a day back, all of it. An error unless it is what was sealed, to the byte; then files
    /// of ours are removed that the manifest does not name.
    pub async fn verify(&self, day: Day, seal: &Seal) -> Result<Manifest, Error> {
        let manifest = self.believed(day, seal).await?;
        let mut sum = Summing::default();
        for part in &manifest.parts {
            for text in self.lines(day, part).await?.lines() {
                let position = self.event(day, part, text)?.position;
                sum.add_line(position, text);
            }
        }
        if sum.seal() != *seal {
            let reason = "its lines are not those that were sealed";
            return Err(self.spoilt(&manifest_path(day), reason));
        }
        self.tidy(day, &manifest).await?;
        Ok(manifest)
    }

    /// A day's events, file by file. Each file is what the manifest says, and that has the seal.
    pub async fn events(
        &self,
        day: Day,
        seal: &Seal,
        mut take: impl AsyncFnMut(Vec<Event>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let manifest = self.believed(day, seal).await?;
        for part in &manifest.parts {
            let lines = self.lines(day, part).await?;
            let events = lines.lines().map(|text| self.event(day, part, text));
            take(events.collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }

    /// Brings a cold day back into the store, as it was.
    pub async fn restore(&self, tables: &dyn Tables, day: Day, seal: &Seal) -> Result<(), Error> {
        self.verify(day, seal).await?;
        tables.begin_restore(day).await?;
        self.events(day, seal, async |events| tables.restore(day, events).await).await?;
        tables.end_restore(day).await
    }

    async fn believed(&self, day: Day, seal: &Seal) -> Result<Manifest, Error> {
        let path = manifest_path(day);
        let manifest = self.manifest(day).await?;
        let manifest = manifest.ok_or_else(|| self.spoilt(&path, "there is no such file"))?;
        let is_of = manifest.is_of(day, seal);
        is_of.then_some(manifest).ok_or_else(|| self.spoilt(&path, "it has not the day's seal"))
    }

    async fn lines(&self, day: Day, part: &Part) -> Result<String, Error> {
        let path = part_path(day, &part.name);
        let got = match self.store.get(&path).await {
            Err(object_store::Error::NotFound { .. }) => {
                return Err(self.spoilt(&path, "there is no such file"));
            }
            got => got.map_err(self.failed("read", &path))?,
        };
        if got.meta.size != part.bytes {
            let reason = format!("it has {} bytes, not {}", got.meta.size, part.bytes);
            return Err(self.spoilt(&path, reason));
        }
        let packed = got.bytes().await.map_err(self.failed("read", &path))?;
        if !part.is(&packed) {
            return Err(self.spoilt(&path, "its digest is another"));
        }
        unpacked(&packed).map_err(|reason| self.spoilt(&path, reason))
    }

    fn event(&self, day: Day, part: &Part, text: &str) -> Result<Event, Error> {
        read_line(text).map_err(|reason| self.spoilt(&part_path(day, &part.name), reason))
    }

    /// Removes what an export that ended too soon has left. Others' files are theirs.
    async fn tidy(&self, day: Day, manifest: &Manifest) -> Result<(), Error> {
        let is_named = |name: &str| manifest.parts.iter().any(|part| part.name == name);
        let goes =
            |name: &str| manifest::is_part(name) && !is_named(name) || folder::is_temporary(name);
        match &self.keeps {
            Keeps::Folder { root, .. } => {
                folder::remove(root, &day.to_string(), goes).map(|_| ())?;
            }
            Keeps::Objects => {
                let above = Path::from(day.to_string());
                let found = self.store.list_with_delimiter(Some(&above)).await;
                let found = found.map_err(self.failed("list", &above))?.objects;
                for path in found.into_iter().map(|found| found.location) {
                    if path.filename().is_some_and(goes) {
                        self.store.delete(&path).await.map_err(self.failed("remove", &path))?;
                    }
                }
            }
            Keeps::Looks => {}
        }
        Ok(())
    }

    fn name(&self, path: &Path) -> String {
        format!("{}/{path}", self.place)
    }

    fn spoilt(&self, path: &Path, reason: impl Display) -> Error {
        Error::Spoilt { place: self.name(path), reason: reason.to_string() }
    }

    fn failed<'a>(
        &'a self,
        what: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(object_store::Error) -> Error + 'a {
        move |error| {
            let (place, reason) = (self.name(path), error.to_string());
            let mut cause = error.source();
            while let Some(error) = cause {
                let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
                if let Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) =
                    kind
                {
                    return Error::Full { place, reason: error.to_string() };
                }
                cause = error.source();
            }
            Error::Unavailable { what, place, reason }
        }
    }
}

fn manifest_path(day: Day) -> Path {
    part_path(day, MANIFEST)
}

fn part_path(day: Day, name: &str) -> Path {
    Path::from(format!("{day}/{name}"))
}

fn unpacked(packed: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    let decoder = zstd::Decoder::new(packed).map_err(|error| error.to_string())?;
    let read = decoder.take(PART_MOST + 1).read_to_string(&mut text);
    let length = read.map_err(|error| error.to_string())?;
    let fits = length as u64 <= PART_MOST;
    fits.then_some(text).ok_or_else(|| format!("it has more than {PART_MOST} bytes of lines"))
}
