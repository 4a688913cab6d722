//! What disks do: bits that flip, and no room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use cronx_ledger::Error;
use cronx_ledger::journal::archive::Archive;
use cronx_ledger::journal::keep::{Done, Policy, keep};
use cronx_ledger::journal::{Day, Draft, Journal, Move, Payload, Position, Tables, Tier};
use nix::unistd::Uid;
use tempfile::TempDir;

use super::{all, consumer, count, tell};
use crate::journal::sqlite::File;
use crate::journal::{Stage, draft};
use crate::random::Random;
use cronx_servers::skip;

#[tokio::test]
async fn a_million_events_are_each_in_one_tier() {
    let (file, folder) = (File::new(), TempDir::new().unwrap());
    tell(&file, &file.now, folder.path(), count(1_000_000)).await;
}

/// Digits that do not compress well, 16 times as many.
fn noise(random: &mut Random, count: usize) -> String {
    (0..count).fold(String::new(), |noise, _| noise + &format!("{:016x}", random.next()))
}

/// Days of events that do not compress well.
pub async fn days(file: &File, days: i64, count: u128) {
    let mut random = Random::new(5);
    for day in 0..days {
        file.now.store(Day(day).begins().0, Ordering::SeqCst);
        let mut draft = |id: u128| {
            let noise = noise(&mut random, 20);
            let payload = Payload::parse(&format!("\"{noise}\"")).unwrap();
            Draft { payload, ..draft(day as u128 * count + id, &format!("a{}", id % 7), None) }
        };
        file.append((1..=count).map(&mut draft).collect(), true).await.unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| !path.ends_with(".lock"))
        .collect();
    files.sort();
    files
}

async fn tier(file: &File, day: Day) -> Tier {
    let days = file.journal.days().await.unwrap();
    days.into_iter().find(|standing| standing.day == day).unwrap().tier
}

#[tokio::test]
async fn an_archive_with_a_flipped_bit_is_refused() {
    let (file, folder) = (File::new(), TempDir::new().unwrap());
    days(&file, 1, 300).await;
    let from = file.journal.join(consumer("slow")).await.unwrap();
    let to = all(&file.journal, Day(0)).await.last().unwrap().position;
    file.now.store(Day(100).begins().0, Ordering::SeqCst);
    let archive = Archive::folder(folder.path()).unwrap();
    let done = async || keep(&file.journal, &archive, &Policy::default()).await.unwrap();
    let kept = done().await;
    let [(_, Done::Sealed(seal)), (Day(0), Done::Held)] = kept[..] else { panic!("{kept:?}") };
    assert_eq!(archive.manifest(Day(0)).await.unwrap(), None);
    // A keeper had ended between the archive and the drop.
    archive.export(&file.journal, Day(0), &seal).await.unwrap();
    let step = Move { consumer: consumer("slow"), from, to, dead: Vec::new() };
    assert!(file.journal.advance(step).await.unwrap());
    let files = files(folder.path());
    assert_eq!(files.len(), 2, "{files:?}");
    for path in &files {
        let whole = fs::read(path).unwrap();
        let bits = whole.len() * 8;
        for bit in (0..bits).step_by(bits / 37) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, &flipped).unwrap();
            let done = done().await;
            let [(Day(0), Done::Failed(Error::Spoilt { .. }))] = &done[..] else {
                panic!("{} bit {bit}: {done:?}", path.display());
            };
            assert!(matches!(tier(&file, Day(0)).await, Tier::Warm(_)));
        }
        // So is one that is cut off, and one that is not there.
        fs::write(path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(done().await[..], [(_, Done::Failed(Error::Spoilt { .. }))]));
        fs::write(path, &whole).unwrap();
    }
    assert_eq!(all(&file.journal, Day(0)).await.len(), 300);
    let whole = fs::read(&files[0]).unwrap();
    fs::remove_file(&files[0]).unwrap();
    assert!(matches!(done().await[..], [(_, Done::Failed(Error::Spoilt { .. }))]));
    fs::write(&files[0], &whole).unwrap();
    assert!(matches!(done().await[..], [(_, Done::Dropped { stragglers: 0 })]));
    // Now there is nothing else; what is spoilt is not brought back.
    let Tier::Cold(seal) = tier(&file, Day(0)).await else { panic!("it is not cold") };
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&files[0], &flipped).unwrap();
    let refused = archive.restore(&file.journal, Day(0), &seal).await.unwrap_err();
    assert!(matches!(refused, Error::Spoilt { .. }), "{refused}");
    assert!(matches!(tier(&file, Day(0)).await, Tier::Cold(_)));
    fs::write(&files[0], &whole).unwrap();
    archive.restore(&file.journal, Day(0), &seal).await.unwrap();
    assert_eq!(all(&file.journal, Day(0)).await.len(), 300);
}

/// A small file system.
struct Small(TempDir);

impl Small {
    fn mount(options: &str, path: &Path) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path);
        mount.status().is_ok_and(|status| status.success())
    }

    fn new(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Uid::effective().is_root()
            && Self::mount(&format!("mode=755,size={size}"), folder.path());
        mounted.then_some(Self(folder))
    }

    fn grow(&self, size: &str) {
        assert!(Self::mount(&format!("remount,size={size}"), self.0.path()));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_disk_that_is_full_in_mid_archive_leaves_nothing_half_done() {
    let test = "a_disk_that_is_full_in_mid_archive_leaves_nothing_half_done";
    let Some(disk) = Small::new("3m") else {
        return skip(test, "only root can make a small file system");
    };
    let file = File::new();
    // The first day has room, and the second has not: its first part fits, and the next does not.
    days(&file, 1, 4000).await;
    let mut random = Random::new(9);
    file.now.store(Day(1).begins().0, Ordering::SeqCst);
    for id in 0..60_u128 {
        let noise = noise(&mut random, 20_000);
        let payload = Payload::parse(&format!("\"{noise}\"")).unwrap();
        let draft = Draft { payload, ..draft(1 << 64 | id, "big", None) };
        file.append(vec![draft], true).await.unwrap();
    }
    file.now.store(Day(200).begins().0, Ordering::SeqCst);
    let archive = Archive::folder(disk.0.path()).unwrap();
    let done = keep(&file.journal, &archive, &Policy::default()).await.unwrap();
    let failed = done.iter().find_map(|(day, done)| match done {
        Done::Failed(error) => Some((*day, error)),
        _ => None,
    });
    let Some((Day(1), error @ Error::Full { .. })) = failed else { panic!("{done:?}") };
    assert!(error.to_string().contains("is full"), "{error}");
    assert!(matches!(tier(&file, Day(0)).await, Tier::Cold(_)));
    assert!(matches!(tier(&file, Day(1)).await, Tier::Warm(_)));
    assert_eq!(all(&file.journal, Day(1)).await.len(), 60);
    let left = files(&disk.0.path().join(Day(1).to_string()));
    assert!(left.iter().all(|path| path.extension().is_some_and(|end| end == "zst")), "{left:?}");
    disk.grow("64m");
    let done = keep(&file.journal, &archive, &Policy::default()).await.unwrap();
    assert!(matches!(done[..], [(Day(1), Done::Dropped { stragglers: 0 })]), "{done:?}");
    assert_eq!(file.journal.read(Position(0), 10).await.unwrap(), []);
}
