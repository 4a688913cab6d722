use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use cronx_scheduler::{Firing, Mono, Outcome, Permit, Run, TraceId};
use tempfile::TempDir;

use super::*;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn open(place: &Place) -> Result<Arc<dyn Store>> {
    wait(place.open(Duration::from_secs(1))).map(|opened| opened.store)
}

#[test]
fn a_place_is_an_address() {
    assert_eq!(Place::of_url("memory:").unwrap(), Place::Memory);
    assert_eq!(Place::of_url("sqlite:/a/b").unwrap(), Place::File("/a/b".into()));
    for url in ["postgres", "postgresql", "mysql", "redis"]
        .map(|kind| kind.to_owned() + "://me:secret@host")
    {
        let place = Place::of_url(&url).unwrap();
        assert!(matches!(place, Place::Server(_)));
        assert!(!format!("{place:?}").contains("secret"));
    }
    for bad in ["", "sqlite:", "/a/b", "memory:x", "oracle://me:secret@host"] {
        let error = Place::of_url(bad).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let folder = TempDir::new().unwrap();
    let place = Place::in_folder(&folder.path().join("a/b"));
    drop(open(&place).unwrap());
    mode(&folder.path().join("a"), 0o777);
    let error = open(&place).err().unwrap().to_string();
    assert!(error.contains("can be written by others"), "{error}");
    mode(&folder.path().join("a"), 0o755);
    mode(&folder.path().join("a/b"), 0o1777);
    assert!(open(&place).is_err());
    mode(&folder.path().join("a/b"), 0o755);
    drop(open(&place).unwrap());
    // Whatever the name, it is the place that counts.
    symlink(folder.path().join("a"), folder.path().join("link")).unwrap();
    drop(open(&Place::in_folder(&folder.path().join("link/b"))).unwrap());
    mode(&folder.path().join("a"), 0o777);
    assert!(open(&Place::in_folder(&folder.path().join("link/b"))).is_err());
}

#[test]
fn each_file_of_jobs_has_its_own() {
    let folder = TempDir::new().unwrap();
    let paths = ["jobs.toml", "a b.toml"].map(|name| folder.path().join(name));
    let [one, other] = paths.map(|path| {
        fs::write(&path, "").unwrap();
        Place::of_jobs(&path).unwrap()
    });
    assert_ne!(one, other);
    let Place::File(path) = other else { panic!("no file") };
    assert!(path.to_str().unwrap().contains("/cronx/a-b-"), "{path:?}");
    assert!(Place::of_jobs(&folder.path().join("none.toml")).is_err());
}

fn firing(job: &str, nominal: i64, after: i64) -> Firing {
    Firing {
        job: Arc::<str>::from(job).into(),
        nominal: Utc(nominal),
        attempt: 1,
        number: 0,
        after: Utc(after),
        trigger: None,
        due: Mono(0),
        popped: Mono(0),
        shard_tid: 1,
        trace: TraceId(nominal as u128),
    }
}

fn ended(firing: Firing, fence: u64, outcome: Outcome, again: bool) -> Run {
    let at = Mono(0);
    Run {
        firing,
        enqueued: at,
        dequeued: at,
        started: at,
        finished: at,
        worker_tid: 1,
        outcome,
        decisions: Vec::new(),
        fence,
        again,
    }
}

/// Runs of a job: one that succeeded, one that is to be tried again, one that did not end.
async fn runs(store: &dyn Store) {
    let job: Arc<str> = "a/b".into();
    store.resume(&job, Utc(0)).unwrap();
    for nominal in 1..=3 {
        let firing = firing(&job, nominal, nominal - 1);
        let Permit::Granted(fence) = store.begin(&firing).await.unwrap() else { panic!("refused") };
        let failed = || Outcome::Failed("no".to_owned());
        let run = match nominal {
            1 => ended(firing, fence, Outcome::Succeeded, false),
            2 => ended(firing, fence, failed(), true),
            _ => continue,
        };
        store.end(&run).await.unwrap();
    }
}

#[test]
fn what_was_run_is_found_again() {
    let folder = TempDir::new().unwrap();
    let place = Place::in_folder(folder.path());
    let store = open(&place).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(runs(&*store));
    let census = place.census().unwrap();
    let count = Count { in_flight: 1, failed: 1, done: 1 };
    assert_eq!(census.jobs["a/b"], (count, Some(Utc(3))));
    let last = place.last(10).unwrap();
    assert_eq!(last.len(), 3);
    assert_eq!(last[0].state, "in flight");
    let audit = place.verify().unwrap();
    assert_eq!((audit.entries, audit.courses, audit.findings), (3, 1, vec![]));
    // Another daemon has to wait; one that comes after is told what is open.
    assert!(open(&place).is_err());
    drop(store);
    let store = open(&place).unwrap();
    let resumed = store.resume(&"a/b".into(), Utc(99)).unwrap();
    let open: Vec<_> = resumed.open.iter().map(|open| (open.nominal, open.attempt)).collect();
    assert_eq!((resumed.cursor, open), (Utc(3), vec![(Utc(2), 1), (Utc(3), 1)]));
}
