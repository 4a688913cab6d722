//! An archive in a folder that has other things in it, and leads elsewhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use cronx_ledger::journal::Day;
use cronx_ledger::journal::archive::Archive;
use cronx_ledger::journal::keep::{Done, Policy, keep};
use tempfile::TempDir;

use super::disk::days;
use crate::journal::sqlite::File;

const PART: &str = "00000000000000000099.ndjson.zst";

#[tokio::test]
async fn what_is_not_ours_stays() {
    let (file, folder) = (File::new(), TempDir::new().unwrap());
    days(&file, 2, 20).await;
    file.now.store(Day(100).begins().0, Ordering::SeqCst);
    let (root, outside) = (folder.path().join("archive"), folder.path().join("outside"));
    let (first, second) = (root.join("1970-01-01"), root.join("1970-01-02"));
    let (deep, theirs) = (first.join("deep"), root.join("photos"));
    for folder in [&deep, &theirs, &outside, &first.join("manifest.json#9")] {
        fs::create_dir_all(folder).unwrap();
    }
    let write = |path: PathBuf| {
        fs::write(&path, "theirs").unwrap();
        path
    };
    let mut stays: Vec<PathBuf> = Vec::new();
    for name in ["notes", "x#12", PART, "manifest.json#4"] {
        stays.extend([&root, &deep, &theirs, &outside].map(|folder| write(folder.join(name))));
    }
    stays
        .extend(["notes", "x#12", "7.ndjson.zst", "manifest.json#x"].map(|n| write(first.join(n))));
    // The second day, and one that is no day of this journal, lead to a folder; a name of ours to a file.
    for link in [&second, &root.join("1969-07-20"), &first.join("link")] {
        symlink(&outside, link).unwrap();
    }
    let link = first.join("manifest.json#5");
    symlink(outside.join("notes"), &link).unwrap();
    stays.push(link);
    let left = [PART, "manifest.json#1", &format!("{PART}#2")].map(|name| write(first.join(name)));

    let archive = Archive::folder(&root).unwrap();
    let kept = keep(&file.journal, &archive, &Policy::default()).await.unwrap();
    let dropped = kept.iter().filter(|(_, done)| matches!(done, Done::Dropped { .. })).count();
    assert_eq!(dropped, 2, "{kept:?}");
    for path in left {
        assert!(!path.exists(), "{} was left", path.display());
    }
    for path in stays {
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs", "{}", path.display());
    }
    assert!(first.join("manifest.json#9").is_dir() && second.is_symlink());
}
