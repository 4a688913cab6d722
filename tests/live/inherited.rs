//! What the load is given, and what cronx keeps for itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Stdio;

use crate::bench::{Neighbour, actor, can_run, record, wait_until};

/// An ordinary account that every system has: `nobody`, with its group and no privilege.
const UID: u32 = 65534;
const GID: u32 = 65534;

#[test]
fn under_sudo_the_load_and_the_files_are_the_users() {
    if !can_run("under_sudo_the_load_and_the_files_are_the_users", &[]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(UID), Some(GID)).unwrap();
    let (seen, out) = (folder.path().join("seen"), folder.path().join("out"));
    // The build's folder may be closed to others; the load must be a program that the user can run.
    let program = folder.path().join("actor");
    fs::copy(actor().get_program(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let output = record()
        .env("SUDO_UID", UID.to_string())
        .env("SUDO_GID", GID.to_string())
        .arg("-o")
        .arg(&out)
        .arg("--")
        .arg(&program)
        .args(["inherit", "--into"])
        .arg(&seen)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = fs::read_to_string(&seen).unwrap();
    let line = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim();
    assert_eq!(line("Uid:"), [UID.to_string().as_str(); 4].join("\t"));
    assert_eq!(line("Gid:"), [GID.to_string().as_str(); 4].join("\t"));
    assert_eq!(line("Groups:"), GID.to_string());
    assert_eq!(line("CapEff:"), "0000000000000000");
    assert_eq!(line("CapPrm:"), "0000000000000000");
    assert_eq!(line("Descriptors:"), "[0, 1, 2]");
    assert_ne!(line("Home:"), "/root");
    assert_eq!(fs::metadata(&seen).unwrap().uid(), UID);
    for name in ["", "report.json", "capture.cronx", "blame.svg"] {
        let owner = fs::metadata(out.join(name)).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (UID, GID), "{name}");
    }
}

/// After attach only CAP_SYS_PTRACE is left, which names the functions of other users' processes.
#[test]
fn cronx_keeps_no_privilege_that_it_does_not_need() {
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    if !can_run("cronx_keeps_no_privilege_that_it_does_not_need", &["sleep"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = record();
    command.arg("-o").arg(&out).args(["--", "sleep", "30"]).stderr(Stdio::null());
    let recording = Neighbour::start(&mut command);
    wait_until("the capture is begun", || out.join("capture.cronx").exists());
    let status = fs::read_to_string(format!("/proc/{}/status", recording.0.id())).unwrap();
    for set in ["CapEff:", "CapPrm:"] {
        let value = status.lines().find_map(|line| line.strip_prefix(set)).unwrap().trim();
        let value = u64::from_str_radix(value, 16).unwrap();
        assert_eq!(value & !CAP_SYS_PTRACE, 0, "{set} {value:x}");
    }
}

/// The load ends when cronx does, however that comes about.
#[test]
fn a_killed_cronx_leaves_no_load_behind() {
    if !can_run("a_killed_cronx_leaves_no_load_behind", &["sleep"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = record();
    command.arg("-o").arg(&out).args(["--", "sleep", "31.4159"]).stderr(Stdio::null());
    let mut recording = Neighbour::start(&mut command);
    let parent = recording.0.id();
    // It was forked while there was one thread, so it is the main thread's.
    let child = || {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        children.unwrap().trim().to_owned()
    };
    wait_until("the load runs", || {
        let comm = fs::read_to_string(format!("/proc/{}/comm", child()));
        comm.is_ok_and(|comm| comm.trim() == "sleep")
    });
    let child = child();
    recording.0.kill().unwrap();
    recording.0.wait().unwrap();
    wait_until("the load is gone", || !fs::exists(format!("/proc/{child}")).unwrap());
}
