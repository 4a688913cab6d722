//! Bad input ends in one sentence that says what to do, a status of its own, and nothing written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use cronx_recording::Report;

use crate::bench::{self, Recording, can_run, cronx};

/// Status, and one line on stderr that holds `says`.
#[track_caller]
fn check(output: &Output, status: i32, says: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one sentence: {stderr}");
    assert!(stderr.starts_with("cronx: ") && stderr.contains(says), "{stderr}");
    let mut clauses: Vec<_> = stderr.trim().split(": ").collect();
    let count = clauses.len();
    clauses.sort_unstable();
    clauses.dedup();
    assert_eq!(clauses.len(), count, "it says a thing twice: {stderr}");
}

fn record(output: &Path, args: &[&str]) -> Output {
    bench::record().arg("-o").arg(output).args(args).output().unwrap()
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn no_privilege() {
    let temp = temp();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = temp.path().join("cronx");
    fs::copy(bench::program(), &program).unwrap();
    let out = temp.path().join("out");
    let mut command = Command::new(&program);
    command.args(["record", "-o"]).arg(&out).args(["--", "true"]).current_dir(temp.path());
    // SAFETY: asks who we are; only root can become somebody else.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65534).gid(65534);
    }
    check(&command.output().unwrap(), 125, "CAP_BPF, which loads the probes: run it with sudo");
    assert!(!out.exists());
}

#[test]
fn the_command_line() {
    let status = |args: &[&str]| cronx().args(args).output().unwrap().status.code();
    assert_eq!(status(&["record"]), Some(125));
    assert_eq!(status(&["record", "--no-such-option", "--", "true"]), Some(125));
    assert_eq!(status(&["record", "--duration", "5", "--", "true"]), Some(125));
    assert_eq!(status(&["report"]), Some(2));
    assert_eq!(status(&["no-such-verb"]), Some(2));
    assert_eq!(status(&["--version"]), Some(0));
}

#[test]
fn no_such_process() {
    if !can_run("no_such_process", &[]) {
        return;
    }
    let out = temp();
    let output = record(&out.path().join("out"), &["--pid", "4194305"]);
    check(&output, 125, "there is no process 4194305");
    assert!(!out.path().join("out").exists());
}

#[test]
fn a_command_that_cannot_be_executed() {
    if !can_run("a_command_that_cannot_be_executed", &[]) {
        return;
    }
    let temp = temp();
    let out = temp.path().join("out");
    check(&record(&out, &["--", "no-such-command"]), 127, "cannot execute 'no-such-command'");
    let plain = temp.path().join("plain");
    fs::write(&plain, "not a program").unwrap();
    let output = record(&out, &["--", plain.to_str().unwrap()]);
    check(&output, 126, "Permission denied");
    assert!(!out.exists(), "what was begun is taken away again");
}

/// Runs `cronx record` where the kernel's types were hidden by `hide`.
fn without_types(hide: &str, out: &Path, flags: &[&str]) -> Output {
    let script = format!("{hide} && exec \"$0\" record -o \"$@\" -- true");
    Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .args([&bench::program(), out])
        .args(flags)
        .output()
        .unwrap()
}

/// The first object cannot do without; the second can, and says what there is less of.
#[test]
fn no_type_information() {
    if !can_run("no_type_information", &["unshare", "mount"]) {
        return;
    }
    let temp = temp();
    let out = temp.path().join("out");
    let garbage = temp.path().join("garbage");
    fs::write(&garbage, "no types at all").unwrap();
    let gone = "mount -t tmpfs none /sys/kernel/btf";
    let foreign = format!("mount --bind {} /sys/kernel/btf/vmlinux", garbage.display());
    let first = ["--probes", "tp_btf"];
    let said = "type information (/sys/kernel/btf/vmlinux): ";
    check(&without_types(gone, &out, &first), 125, &format!("{said}No such file or directory"));
    let magic = format!("{said}it does not begin with the magic number");
    check(&without_types(&foreign, &out, &first), 125, &magic);
    assert!(!out.exists());

    let output = without_types(gone, &out, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = Report::read(fs::File::open(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report.health.object, "legacy");
    assert!(report.health.degraded[0].starts_with("the legacy object runs, since"));
}

#[test]
fn the_output_folder() {
    if !can_run("the_output_folder", &[]) {
        return;
    }
    let temp = temp();
    let full = temp.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("precious"), "kept").unwrap();
    let ran = temp.path().join("ran");
    let load = ["--", "touch", ran.to_str().unwrap()];
    check(&record(&full, &load), 125, "is not empty; name another with -o");
    assert_eq!(fs::read_to_string(full.join("precious")).unwrap(), "kept");
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);

    let link = temp.path().join("link");
    symlink(&full, &link).unwrap();
    check(&record(&link, &load), 125, "is a file or a link, not a folder");
    check(&record(&full.join("precious"), &load), 125, "is a file or a link, not a folder");
    check(&record(Path::new("/proc/out"), &load), 125, "cannot make the output folder '/proc/out'");
    check(&record(&temp.path().join("no/out"), &load), 125, "cannot write into");
    assert!(!ran.exists(), "the load did not run");
}

#[test]
fn a_capture_that_cannot_be_used() {
    let temp = temp();
    let report = |name: &str, bytes: &[u8]| {
        let path = temp.path().join(name);
        fs::write(&path, bytes).unwrap();
        cronx().arg("report").arg(path).output().unwrap()
    };
    check(&report("empty", b""), 2, "the file is empty");
    check(&report("foreign", b"PERFILE2 and so on"), 2, "not a cronx capture");
    check(&report("newer", b"cronxcap\x09\0\0\0"), 2, "written by a newer cronx (version 9;");
    check(&report("torn", b"cronxcap\x01\0\0\0H"), 2, "torn before its first record");
    let missing = cronx().args(["report", "/no/such/capture"]).output().unwrap();
    check(&missing, 2, "cannot read '/no/such/capture': No such file");
    let folder = cronx().arg("report").arg(temp.path()).output().unwrap();
    check(&folder, 2, "Is a directory");
}

#[test]
fn a_torn_capture_is_used_as_far_as_it_goes_and_says_so() {
    if !can_run("a_torn_capture_is_used_as_far_as_it_goes_and_says_so", &["sh"]) {
        return;
    }
    let recording = Recording::make(&["--", "sh", "-c", "for i in 1 2 3 4 5; do sleep 0.01; done"]);
    let whole = fs::read(recording.path("capture.cronx")).unwrap();
    let torn = recording.path("torn.cronx");
    fs::write(&torn, &whole[..whole.len() - 20]).unwrap();
    let output = cronx().arg("report").arg(&torn).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let screen = String::from_utf8(output.stdout).unwrap();
    assert!(screen.to_lowercase().contains("torn"), "{screen}");
}
