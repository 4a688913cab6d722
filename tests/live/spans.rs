//! Any program's own spans are explained, and what cannot be is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cronx_recording::{Part, Spans};

use crate::bench::{Neighbour, Recording, actor, can_listen, steady};

/// Records a process whose CPU a neighbour takes most of the time: the gaps that it leaves are shorter than an
/// answer, so that each is interrupted, whatever the two beats are to each other.
fn beside_a_neighbour(server: &mut Command) -> Recording {
    let server = Neighbour::start(server);
    let folder = tempfile::tempdir().unwrap();
    let mut burst = Command::new("chrt");
    burst.args(["-f", "10"]).arg(actor().get_program()).args(["burst", "--cpu", "0"]);
    burst.args(["--busy-us", "1250", "--sleep-us", "250", "--name", "compactor", "--log"]);
    let _neighbour = Neighbour::start(burst.arg(folder.path().join("log")));
    let pid = server.0.id().to_string();
    Recording::make(&["--duration", "2s", "--pid", &pid])
}

fn serve(options: &[&str]) -> Command {
    let mut command = actor();
    command.args(["serve", "--cpu", "0"]).args(options);
    command
}

fn spans(recording: &Recording) -> &Spans {
    recording.report.spans.as_ref().expect("spans were listened to")
}

/// The longest requests were long because they waited, for whom is known, and little is unknown.
fn explained(recording: &Recording) -> Result<(), String> {
    let spans = spans(recording);
    let Some(requests) = spans.spans.iter().find(|spans| spans.name.raw() == "request") else {
        return Err(format!("no requests: {spans:?}"));
    };
    assert!(requests.all.count > 50, "{} requests", requests.all.count);
    let total: u64 = requests.all.parts.iter().map(|share| share.length_ns).sum();
    assert_eq!(total, requests.all.total_ns);
    for span in &spans.worst_spans {
        assert_eq!(span.parts.iter().map(|part| part.length_ns).sum::<u64>(), span.total_ns);
    }
    let of = |part| {
        let share = requests.tail.parts.iter().find(|share| share.part == part);
        share.map_or(0, |share| share.length_ns) as f64 / requests.tail.total_ns as f64
    };
    if of(Part::Unknown) > 0.02 || of(Part::Waits) < 0.5 {
        return Err(format!("{:?}", requests.tail));
    }
    let first = requests.tail.culprits.first().map(|blame| blame.culprit.name.raw().to_owned());
    if first.as_deref() == Some("compactor") { Ok(()) } else { Err(format!("{first:?} is blamed")) }
}

#[test]
fn slow_requests_of_a_tokio_program() {
    if can_listen("slow_requests_of_a_tokio_program", &["chrt"]) {
        steady(|| explained(&beside_a_neighbour(&mut serve(&["--seconds", "60"]))));
    }
}

fn built_of_c(folder: &Path) -> PathBuf {
    let (root, program) = (Path::new(env!("CARGO_MANIFEST_DIR")), folder.join("request"));
    let built = Command::new("cc")
        .args(["-O1", "-Wall", "-Werror", "-I"])
        .arg(root.join("spans"))
        .arg(root.join("tests/live/request.c"))
        .arg("-o")
        .arg(&program)
        .status();
    assert!(built.unwrap().success());
    program
}

/// Whether C programs with probes can be built here.
fn can_build(test: &str) -> bool {
    let includes = ["-E", "-include", "sys/sdt.h", "-x", "c", "/dev/null", "-o", "/dev/null"];
    let header = Command::new("cc").args(includes).stderr(Stdio::null()).status();
    let header = header.is_ok_and(|status| status.success());
    can_listen(
        test,
        if header { &["cc", "strip", "chrt"] } else { &["sys/sdt.h (systemtap-sdt-dev)"] },
    )
}

#[test]
fn slow_requests_of_a_program_in_c_stripped_or_not() {
    if !can_build("slow_requests_of_a_program_in_c_stripped_or_not") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = built_of_c(folder.path());
    steady(|| explained(&beside_a_neighbour(Command::new(&program).arg("60"))));
    assert!(Command::new("strip").arg(&program).status().unwrap().success());
    steady(|| explained(&beside_a_neighbour(Command::new(&program).arg("60"))));
}

#[test]
fn a_program_without_probes_announces_nothing() {
    if !can_listen("a_program_without_probes_announces_nothing", &["sleep"]) {
        return;
    }
    let recording = Recording::make(&["--", "sleep", "0.3"]);
    let spans = spans(&recording);
    assert!(spans.listened.looked_at > 0);
    assert_eq!((spans.listened.binaries.len(), spans.records), (0, 0));
    assert!(spans.spans.is_empty() && spans.jobs.is_empty());
}

#[test]
fn of_two_processes_of_one_binary_only_the_watched_one_is_heard() {
    if !can_listen("of_two_processes_of_one_binary_only_the_watched_one_is_heard", &[]) {
        return;
    }
    let _other = Neighbour::start(&mut serve(&["--seconds", "60"]));
    let watched = Neighbour::start(&mut serve(&["--seconds", "60"]));
    let pid = watched.0.id();
    let recording = Recording::make(&["--duration", "1s", "--pid", &pid.to_string()]);
    let spans = spans(&recording);
    assert!(spans.listened.filtered > 10, "{:?}", spans.listened);
    assert!(!spans.worst_spans.is_empty());
    assert!(spans.worst_spans.iter().all(|span| span.tgid == pid));
}

#[test]
fn a_process_that_ends_in_mid_span_is_said() {
    if !can_listen("a_process_that_ends_in_mid_span_is_said", &[]) {
        return;
    }
    let program = actor().get_program().to_string_lossy().into_owned();
    let load = [&program, "serve", "--cpu", "0", "--seconds", "1", "--break-off"];
    let recording = Recording::make(&[&["--"], &load[..]].concat());
    let spans = spans(&recording);
    assert_eq!(spans.flaws.get("unfinished_span"), Some(&1), "{:?}", spans.flaws);
    assert!(spans.spans.iter().all(|span| span.all.count > 50));
}

#[test]
fn a_file_that_only_looks_like_a_program_does_no_harm() {
    if !can_listen("a_file_that_only_looks_like_a_program_does_no_harm", &[]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let mut bytes = fs::read(actor().get_program()).unwrap();
    // The number and the size of its sections: it still executes.
    bytes[58..62].copy_from_slice(&[0xff; 4]);
    fs::write(&program, bytes).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let recording = Recording::make(&["--", program, "serve", "--cpu", "0", "--seconds", "0.5"]);
    assert_eq!(recording.output.status.code(), Some(0));
    assert_eq!(spans(&recording).records, 0);
}
