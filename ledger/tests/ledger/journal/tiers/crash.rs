//! A process that keeps days is killed at every write, before it, in it and after it; the next one goes on.

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cronx_ledger::journal::archive::Archive;
use cronx_ledger::journal::keep::{Done, Policy, keep};
use cronx_ledger::journal::sqlite::Sqlite;
use cronx_ledger::journal::{
    Backlog, Consumer, Day, DeadLetter, Dropped, Event, Journal, Move, Position, Seal, Standing,
    Tables, Tier,
};
use cronx_ledger::{Clock, Pending};
use cronx_scheduler::Utc;
use futures_util::stream::BoxStream;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;

use super::disk::days;
use crate::journal::sqlite::File;

const FOLDER: &str = "CRONX_JOURNAL_CHILD";
const WRITES: &str = "CRONX_JOURNAL_WRITES";
const NOW: Day = Day(200);
const EVENTS: u64 = 60;

/// Points that are left to live through.
static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);

fn is_last() -> bool {
    LEFT.fetch_sub(1, Ordering::SeqCst) == 1
}

fn die() {
    kill(Pid::this(), Signal::SIGKILL).unwrap();
}

fn point() {
    if is_last() {
        die();
    }
}

/// A store whose writes are points.
struct Mortal(Sqlite);

fn mortal<'a, T: Send + 'a>(write: Pending<'a, T>) -> Pending<'a, T> {
    Box::pin(async move {
        point();
        let done = write.await;
        point();
        done
    })
}

impl Journal for Mortal {
    fn read(&self, after: Position, most: usize) -> Pending<'_, Vec<Event>> {
        self.0.read(after, most)
    }
    fn join(&self, consumer: Consumer) -> Pending<'_, Position> {
        self.0.join(consumer)
    }
    fn leave(&self, consumer: Consumer) -> Pending<'_, ()> {
        self.0.leave(consumer)
    }
    fn advance(&self, step: Move) -> Pending<'_, bool> {
        self.0.advance(step)
    }
    fn consumers(&self) -> Pending<'_, Vec<(Consumer, Position)>> {
        self.0.consumers()
    }
    fn backlog(&self, consumer: Consumer) -> Pending<'_, Backlog> {
        self.0.backlog(consumer)
    }
    fn dead(
        &self,
        consumer: Consumer,
        aggregate: Option<String>,
        after: Position,
        most: usize,
    ) -> Pending<'_, Vec<DeadLetter>> {
        self.0.dead(consumer, aggregate, after, most)
    }
    fn parked(&self, consumer: Consumer, aggregates: Vec<String>) -> Pending<'_, Vec<String>> {
        self.0.parked(consumer, aggregates)
    }
    fn revive(&self, consumer: Consumer, position: Position) -> Pending<'_, ()> {
        self.0.revive(consumer, position)
    }
    fn place(&self) -> &str {
        self.0.place()
    }
}

impl Tables for Mortal {
    fn now(&self) -> Pending<'_, Utc> {
        self.0.now()
    }
    fn days(&self) -> Pending<'_, Vec<Standing>> {
        self.0.days()
    }
    fn prepare(&self, from: Day, through: Day) -> Pending<'_, ()> {
        mortal(self.0.prepare(from, through))
    }
    fn seal(&self, day: Day) -> Pending<'_, Seal> {
        mortal(Box::pin(async move { self.0.seal(day).await }))
    }
    fn page(&self, day: Day, after: Position, most: usize) -> Pending<'_, Vec<Event>> {
        self.0.page(day, after, most)
    }
    fn drop_day(&self, day: Day, stragglers: bool) -> Pending<'_, Dropped> {
        mortal(Box::pin(async move { self.0.drop_day(day, stragglers).await }))
    }
    fn begin_restore(&self, day: Day) -> Pending<'_, ()> {
        mortal(Box::pin(async move { self.0.begin_restore(day).await }))
    }
    fn restore(&self, day: Day, events: Vec<Event>) -> Pending<'_, ()> {
        mortal(Box::pin(async move { self.0.restore(day, events).await }))
    }
    fn end_restore(&self, day: Day) -> Pending<'_, ()> {
        mortal(Box::pin(async move { self.0.end_restore(day).await }))
    }
    fn forget_ids(&self, before: Utc) -> Pending<'_, u64> {
        mortal(Box::pin(async move { self.0.forget_ids(before).await }))
    }
}

/// A folder whose writes are points, and may be half done under a temporary name.
#[derive(Debug)]
struct MortalFolder(LocalFileSystem, PathBuf);

impl fmt::Display for MortalFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for MortalFolder {
    async fn put_opts(&self, at: &Place, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        point();
        if is_last() {
            let path = self.1.join(format!("{at}#1"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let whole: Vec<u8> = bytes.iter().flatten().copied().collect();
            fs::write(path, &whole[..whole.len() / 2]).unwrap();
            die();
        }
        let put = self.0.put_opts(at, bytes, how).await;
        point();
        put
    }
    async fn put_multipart_opts(
        &self,
        at: &Place,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, how).await
    }
    async fn get_opts(&self, at: &Place, how: GetOptions) -> Result<GetResult> {
        self.0.get_opts(at, how).await
    }
    fn delete_stream(
        &self,
        places: BoxStream<'static, Result<Place>>,
    ) -> BoxStream<'static, Result<Place>> {
        self.0.delete_stream(places)
    }
    fn list(&self, at: Option<&Place>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(at)
    }
    async fn list_with_delimiter(&self, at: Option<&Place>) -> Result<ListResult> {
        self.0.list_with_delimiter(at).await
    }
    async fn copy_opts(&self, from: &Place, to: &Place, how: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, how).await
    }
}

/// One run, in a process of its own.
#[tokio::test]
#[ignore = "a part of a_keeper_killed_at_any_write_goes_on, which runs it in processes of their own"]
async fn keeper() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let writes = std::env::var(WRITES).unwrap().parse().unwrap();
    let clock = Clock::Told(Arc::new(AtomicI64::new(NOW.begins().0)));
    let tables = Mortal(Sqlite::open(&folder.join("shop.sqlite"), clock).unwrap());
    let path = folder.join("archive");
    // It sweeps, and has the lock as long as it lives.
    let own = Archive::folder(&path).unwrap();
    own.sweep().unwrap();
    let store = LocalFileSystem::new_with_prefix(&path).unwrap().with_fsync(true);
    let archive = Archive::of(Arc::new(MortalFolder(store, path)), "the archive");
    LEFT.store(writes, Ordering::SeqCst);
    let done = keep(&tables, &archive, &Policy::default()).await.unwrap();
    assert!(!done.iter().any(|(_, done)| matches!(done, Done::Failed(_))), "{done:?}");
}

/// Whether it was killed.
fn run(folder: &Path, writes: i64) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "journal::tiers::crash::keeper", "--ignored"]);
    let child = child.env(FOLDER, folder).env(WRITES, writes.to_string()).output().unwrap();
    let is_killed = child.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(is_killed || child.status.success(), "{writes} writes: {said}");
    is_killed
}

/// The file with its log, as they are on disk.
fn copy(file: &File, folder: &Path) {
    let from = file.path.parent().unwrap();
    for name in ["shop.sqlite", "shop.sqlite-wal"] {
        let _ = fs::copy(from.join(name), folder.join(name));
    }
}

/// Each event is in the archive, once, and nothing else is anywhere.
async fn check(folder: &Path, writes: i64) {
    let tables = Sqlite::look(&folder.join("shop.sqlite")).unwrap();
    let archive = Archive::folder(&folder.join("archive")).unwrap();
    assert_eq!(archive.sweep().unwrap(), 0, "{writes} writes: temporary files are left");
    let mut ids = Vec::new();
    for Standing { day, tier, .. } in tables.days().await.unwrap() {
        let Tier::Cold(seal) = tier else { panic!("{writes} writes: {day} is {tier:?}") };
        let events = archive.events(day, &seal, async |events| {
            ids.extend(events.iter().map(|event| event.id.0));
            Ok(())
        });
        events.await.unwrap();
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=u128::from(EVENTS)).collect::<Vec<_>>(), "{writes} writes");
    assert_eq!(tables.read(Position(0), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_keeper_killed_at_any_write_goes_on() {
    let file = File::new();
    days(&file, 3, u128::from(EVENTS) / 3).await;
    let mut writes = 0;
    loop {
        writes += 1;
        let folder = TempDir::new().unwrap();
        copy(&file, folder.path());
        let is_killed = run(folder.path(), writes);
        // And the one after it is killed two points later; and the third ends.
        if is_killed {
            run(folder.path(), 2);
        }
        assert!(!run(folder.path(), i64::MAX));
        check(folder.path(), writes).await;
        if !is_killed {
            break;
        }
    }
    // Of each day: sealing, two files with three points each, dropping; and forgetting ids.
    assert!(writes > 3 * (2 + 6 + 2), "there were {writes} points alone");
}
