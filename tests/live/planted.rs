//! Whatever stands where an output is to go, nothing of root's is touched, and nobody else's folder
//! is written into: under sudo, cronx writes as the user who called it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::bench::{can_run, cronx};

/// An ordinary account that every system has: `nobody`.
const USER: u32 = 65534;
/// Another one; it needs no name.
const STRANGER: u32 = 65533;

/// A folder of root's with a file that is dear to it, and a folder of the user's to set traps in.
struct Trap {
    folder: TempDir,
}

impl Trap {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let trap = Self { folder };
        fs::create_dir(trap.canary("")).unwrap();
        fs::write(trap.canary("blame.svg"), "root's").unwrap();
        trap.plant("", USER);
        trap
    }

    fn canary(&self, name: &str) -> PathBuf {
        self.folder.path().join("canary").join(name)
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    /// A folder in the user's that is `owner`'s and open to everybody.
    fn plant(&self, name: &str, owner: u32) -> PathBuf {
        let path = self.home(name);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    #[track_caller]
    fn check_canary(&self) {
        let names: Vec<_> = fs::read_dir(self.canary(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["blame.svg"]);
        let file = self.canary("blame.svg");
        assert_eq!(fs::read_to_string(&file).unwrap(), "root's");
        for path in [&file, &self.canary("")] {
            let found = fs::symlink_metadata(path).unwrap();
            assert_eq!((found.uid(), found.gid()), (0, 0), "{}", path.display());
        }
    }
}

/// A verb under sudo, and the status of its refusals.
struct Verb {
    run: fn(&Trap, &Path, &[&str]) -> Output,
    refused: i32,
}

const RECORD: Verb = Verb {
    refused: 125,
    run: |trap, output, flags| {
        under_sudo()
            .args(["record", "-o"])
            .arg(output)
            .args(flags)
            .args(["--", "touch"])
            .arg(trap.home("ran"))
            .output()
            .unwrap()
    },
};

const REPORT: Verb = Verb {
    refused: 2,
    run: |trap, output, flags| {
        let capture = trap.home("evidence.cronx");
        fs::write(&capture, include_bytes!("../captures/neighbour.cronx")).unwrap();
        let mut report = under_sudo();
        report.arg("report").arg(capture).arg("-o").arg(output).args(flags).output().unwrap()
    },
};

fn under_sudo() -> std::process::Command {
    let mut command = cronx();
    command.env("SUDO_UID", USER.to_string()).env("SUDO_GID", USER.to_string());
    command
}

impl Verb {
    /// Refused in one sentence, before anything ran, with and without `--force`.
    #[track_caller]
    fn check(&self, trap: &Trap, output: &Path, says: &str) {
        for flags in [&[][..], &["--force"]] {
            self.check_with(trap, output, flags, says);
        }
    }

    #[track_caller]
    fn check_with(&self, trap: &Trap, output: &Path, flags: &[&str], says: &str) {
        let done = (self.run)(trap, output, flags);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(self.refused), "{}: {said}", output.display());
        assert_eq!(said.lines().count(), 1, "one sentence: {said}");
        assert!(said.starts_with("cronx: ") && said.contains(says), "{said}");
        assert!(!trap.home("ran").exists(), "the load did not run");
        trap.check_canary();
    }
}

fn attack(verb: &Verb) {
    let trap = Trap::set();
    let link = |name: &str, to: &str| {
        symlink(to, trap.home(name)).unwrap();
        trap.home(name)
    };
    let no_folder = "is a file or a link, not a folder";
    verb.check(&trap, &link("to-canary", "../canary"), no_folder);
    verb.check(&trap, &link("to-file", "../canary/blame.svg"), no_folder);
    verb.check(&trap, &link("to-nothing", "../canary/new"), no_folder);
    let through = link("through", "../canary").join("out");
    verb.check(&trap, &through, "cannot make the output folder");
    verb.check_with(&trap, &trap.canary(""), &["--force"], "cannot write into");
    let strangers = trap.plant("strangers", STRANGER);
    verb.check(&trap, &strangers, "belongs to another user");
    assert_eq!(fs::read_dir(&strangers).unwrap().count(), 0);
    replace_a_link(verb, &trap);
}

/// A link in the user's own folder is theirs to replace; what it leads to is not.
#[track_caller]
fn replace_a_link(verb: &Verb, trap: &Trap) {
    let planted = trap.plant("planted", USER);
    symlink("../../canary/blame.svg", planted.join("blame.svg")).unwrap();
    verb.check_with(trap, &planted, &[], "is not empty");
    let done = (verb.run)(trap, &planted, &["--force"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    trap.check_canary();
    let written = fs::symlink_metadata(planted.join("blame.svg")).unwrap();
    assert!(written.is_file() && written.uid() == USER);
}

#[test]
fn record_writes_as_the_user() {
    if can_run("record_writes_as_the_user", &["touch"]) {
        attack(&RECORD);
    }
}

#[test]
fn report_writes_as_the_user() {
    if can_run("report_writes_as_the_user", &[]) {
        attack(&REPORT);
    }
}
