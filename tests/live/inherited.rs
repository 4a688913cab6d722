//! What the load is given, and what cronx keeps for itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cronx_recording::Capture;

use crate::bench::{Neighbour, actor, can_run, record, wait_until};

/// An ordinary account, made for a test and gone after it, with a group beside its own.
struct Account {
    name: String,
}

impl Account {
    const SECOND_GROUP: &str = "nogroup";

    fn make() -> Self {
        let name = format!("cronx-{}", std::process::id());
        let flags = ["--no-create-home", "--groups", Self::SECOND_GROUP];
        let made = Command::new("useradd").args(flags).arg(&name).status().unwrap();
        assert!(made.success(), "useradd {name}");
        Self { name }
    }

    fn ask(&self, what: &str) -> String {
        let said = Command::new("id").args([what, &self.name]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // If it cannot be taken away, it is harmless: it has no password and no home.
        let _ = Command::new("userdel").arg(&self.name).output();
    }
}

/// Records the actor that writes down what it was given, from a caller that leaves a descriptor
/// open for whoever comes after.
fn record_inherit(account: &Account, program: &Path, out: &Path, seen: &Path) -> Output {
    let record = record();
    let mut caller = Command::new("sh");
    caller.args(["-c", "exec 9</dev/null; exec \"$0\" \"$@\""]);
    caller.arg(record.get_program()).args(record.get_args());
    caller.env("SUDO_UID", account.ask("-u")).env("SUDO_GID", account.ask("-g"));
    caller.arg("-o").arg(out).arg("--").arg(program).args(["inherit", "--into"]).arg(seen);
    caller.output().unwrap()
}

#[test]
fn under_sudo_the_load_and_the_files_are_the_users() {
    let programs = ["useradd", "userdel", "id", "sh"];
    if !can_run("under_sudo_the_load_and_the_files_are_the_users", &programs) {
        return;
    }
    let account = Account::make();
    let (uid, gid) = (account.ask("-u"), account.ask("-g"));
    let ids: (u32, u32) = (uid.parse().unwrap(), gid.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(ids.0), Some(ids.1)).unwrap();
    let (seen, out) = (folder.path().join("seen"), folder.path().join("out"));
    // The build's folder may be closed to others; the load must be a program that the user can run.
    let program = folder.path().join("actor");
    fs::copy(actor().get_program(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = record_inherit(&account, &program, &out, &seen);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = fs::read_to_string(&seen).unwrap();
    let line = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim();
    assert_eq!(line("Uid:"), [uid.as_str(); 4].join("\t"));
    assert_eq!(line("Gid:"), [gid.as_str(); 4].join("\t"));
    let sorted = |groups: &str| {
        let mut groups: Vec<u32> = groups.split(' ').map(|g| g.parse().unwrap()).collect();
        groups.sort_unstable();
        groups
    };
    assert_eq!(sorted(line("Groups:")), sorted(&account.ask("-G")));
    assert_eq!(line("CapEff:"), "0000000000000000");
    assert_eq!(line("CapPrm:"), "0000000000000000");
    assert_eq!(line("Descriptors:"), "[0, 1, 2]");
    assert_eq!(line("Home:"), format!("/home/{}", account.name));
    for path in [seen, out.clone(), out.join("report.json"), out.join("capture.cronx")] {
        let owner = fs::metadata(&path).unwrap();
        assert_eq!((owner.uid(), owner.gid()), ids, "{}", path.display());
    }
}

/// The numbers that mean "as it is" to the kernel would leave the load root.
#[test]
fn nobodys_number_is_refused() {
    if !can_run("nobodys_number_is_refused", &[]) {
        return;
    }
    let mut command = record();
    command.env("SUDO_UID", u32::MAX.to_string()).env("SUDO_GID", "1").args(["--", "true"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("4294967295 is nobody's number"), "{said}");
}

/// After attach only CAP_SYS_PTRACE is left, which names the functions of other users' processes. A program
/// with probes of its own may begin at any time: while that is listened for, what attaches to it is left.
#[test]
fn cronx_keeps_no_privilege_that_it_does_not_need() {
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    const CAP_PERFMON: u64 = 1 << 38;
    if !can_run("cronx_keeps_no_privilege_that_it_does_not_need", &["sleep"]) {
        return;
    }
    check_privileges(&["--spans", "none"], CAP_SYS_PTRACE);
    check_privileges(&[], CAP_SYS_PTRACE | CAP_PERFMON | CAP_BPF);
}

const CAP_BPF: u64 = 1 << 39;

#[track_caller]
fn check_privileges(options: &[&str], needed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = record();
    command.args(options).arg("-o").arg(&out);
    command.args(["--", "sleep", "30"]).stderr(Stdio::null());
    let recording = Neighbour::start(&mut command);
    let capture = || Capture::read(fs::File::open(out.join("capture.cronx")).ok()?).ok();
    wait_until("the capture is begun", || capture().is_some());
    let status = fs::read_to_string(format!("/proc/{}/status", recording.0.id())).unwrap();
    let legacy = capture().unwrap().header.object == "legacy";
    for set in ["CapEff:", "CapPrm:"] {
        let value = status.lines().find_map(|line| line.strip_prefix(set)).unwrap().trim();
        let value = u64::from_str_radix(value, 16).unwrap();
        // Its table of threads is read at the end.
        let needed = if legacy { needed | CAP_BPF } else { needed };
        assert_eq!(value & !needed, 0, "{set} {value:x}");
    }
}

/// The load ends when cronx does, however that comes about.
#[test]
fn a_killed_cronx_leaves_no_child_behind() {
    if !can_run("a_killed_cronx_leaves_no_child_behind", &["sleep"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = record();
    command.arg("-o").arg(&out).args(["--", "sleep", "31.4159"]).stderr(Stdio::null());
    let mut recording = Neighbour::start(&mut command);
    let parent = recording.0.id();
    // They were forked while there was one thread, so they are the main thread's.
    let children = || -> Vec<String> {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        children.unwrap().split_whitespace().map(str::to_owned).collect()
    };
    wait_until("the load runs", || {
        let comm = |child: &String| fs::read_to_string(format!("/proc/{child}/comm"));
        children().iter().any(|child| comm(child).is_ok_and(|comm| comm.trim() == "sleep"))
    });
    let children = children();
    recording.0.kill().unwrap();
    recording.0.wait().unwrap();
    wait_until("no child is left", || {
        !children.iter().any(|child| fs::exists(format!("/proc/{child}")).unwrap())
    });
}
