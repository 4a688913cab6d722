//! The gate bites: a regression fails, the same passes, and what nothing can be said of is neither.
//!
//! The load is `cronx-actor gauge`: its threads run before everybody but a thread that burns their CPU in
//! bursts, so P99 is the length of a burst, and the load's own clock says the same.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::bench::{Neighbour, actor, can_run, cronx, steady, wait_until};

/// How often each of the two main cases is tried.
const TRIALS: usize = 3;

/// Threads whose P99 is nine tenths of a burst: real-time ones, so that nobody else is in it.
fn gauge(burst_us: u32, more: &str) -> String {
    // A tenth of the time, and no multiple of the threads' period.
    let every_us = burst_us * 10 - 27;
    let actor = actor().get_program().to_string_lossy().into_owned();
    format!(
        "{actor} --fifo 1 gauge --cpu 0 --seconds 1.2 --burst-us {burst_us} --every-us {every_us} \
         --burst-fifo 2 {more}"
    )
}

/// What a gate said, and left.
struct Gated {
    output: Output,
    folder: TempDir,
}

impl Gated {
    /// `cronx gate ab` of these two.
    fn ab<S: AsRef<OsStr>>(base: &str, candidate: &str, more: &[S]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut gate = cronx();
        gate.args(["gate", "ab", "--base", base, "--candidate", candidate, "-o"]);
        gate.arg(folder.path().join("out")).args(more);
        if let Some(probes) = std::env::var_os("CRONX_PROBES") {
            gate.arg("--probes").arg(probes);
        }
        clean(&mut gate);
        Self { output: gate.output().unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn verdict(&self) -> Value {
        serde_json::from_str(&self.text("verdict.json")).unwrap()
    }

    /// `Err` with all that was said, for whoever may try again.
    fn expect(&self, status: i32) -> Result<(), String> {
        if self.output.status.code() == Some(status) {
            return Ok(());
        }
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (said(&self.output.stdout), said(&self.output.stderr));
        Err(format!("{:?} and not {status}:\n{out}{err}", self.output.status))
    }
}

/// A build server's own variables are not this test's.
pub fn clean(command: &mut Command) {
    command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
}

/// The medians of P99 by the load's own clock, of base and candidate.
fn own_clock(folder: &Path) -> (f64, f64) {
    let median = |name: &str| {
        let lines = fs::read_to_string(folder.join(name)).unwrap();
        let first = |line: &str| line.split(' ').next()?.parse::<f64>().ok();
        let mut p99s: Vec<_> = lines.lines().filter_map(first).collect();
        p99s.sort_by(f64::total_cmp);
        p99s[p99s.len() / 2]
    };
    (median("base"), median("candidate"))
}

/// Half as much again by the load's own clock, and the gate says so: status 1, who it was, and how it
/// looks. It says it in every form, and a hostile name is text in each.
#[test]
fn gate_fails_a_regression() {
    const CULPRIT: &str = "\x1b]0;c\x07</a>::";
    if !can_run("gate_fails_a_regression", &["sh"]) {
        return;
    }
    for _ in 0..TRIALS {
        steady(|| {
            let clocks = tempfile::tempdir().unwrap();
            let load = |burst_us, clock: &str| {
                let clock = clocks.path().join(clock);
                gauge(burst_us, &format!("--burst-name '{CULPRIT}' --clock {}", clock.display()))
            };
            let summary = clocks.path().join("summary.md");
            let more = [OsStr::new("--annotations"), OsStr::new("--summary"), summary.as_os_str()];
            let gated = Gated::ab(&load(1_000, "base"), &load(1_500, "candidate"), &more);
            let (base, candidate) = own_clock(clocks.path());
            let realised = candidate / base;
            if !(1.35..1.65).contains(&realised) {
                return Err(format!("the load's own clock says {realised:.2}"));
            }
            gated.expect(1)?;
            check_regression(&gated, &fs::read_to_string(&summary).unwrap(), realised);
            Ok(())
        });
    }
}

fn check_regression(gated: &Gated, summary: &str, realised: f64) {
    let verdict = gated.verdict();
    assert_eq!(verdict["schema"], "cronx.verdict/1");
    assert_eq!(verdict["decision"], "regression");
    let figures = &verdict["checks"][0]["figures"]["comparison"];
    let ratio = figures["ratio"].as_f64().unwrap();
    assert!((ratio / realised - 1.0).abs() < 0.1, "{ratio} by the probes, {realised} by the load");
    assert!(figures["sign_flip_p"].as_f64().unwrap() < 0.05);
    assert!(verdict["grown"][0]["after_ns"].as_f64() > verdict["grown"][0]["before_ns"].as_f64());
    let said = String::from_utf8(gated.output.stdout.clone()).unwrap();
    check_text(&said);
    assert!(said.starts_with("REGRESSION: wake_to_run.p99, candidate against base\n"), "{said}");
    assert!(said.contains(r"\x1b]0;c\x07</a>::"), "the culprit is named: {said}");
    let told = String::from_utf8(gated.output.stderr.clone()).unwrap();
    check_text(&told);
    assert_eq!(told.lines().filter(|line| line.starts_with("::error title=")).count(), 1);
    assert!(gated.text("verdict.xml").contains("<failure"));
    for text in [summary, &gated.text("verdict.md")] {
        check_text(text);
        assert!(text.starts_with("### cronx gate: regression\n") && !text.contains("</a>"));
    }
    let picture = gated.text("diff.svg");
    assert!(!picture.contains("</a>::") && picture.contains("&lt;/a&gt;::"), "its name is text");
    assert!(gated.path("06-candidate").join("report.json").is_file());
}

/// No byte but line ends commands anything.
#[track_caller]
fn check_text(text: &str) {
    let commands = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(commands, None, "{text:?}");
}

#[test]
fn gate_passes_the_same() {
    if !can_run("gate_passes_the_same", &["sh"]) {
        return;
    }
    for _ in 0..TRIALS {
        steady(|| {
            let load = gauge(1_000, "");
            let gated = Gated::ab(&load, &load, &["--json"]);
            gated.expect(0)?;
            let said: Value = serde_json::from_slice(&gated.output.stdout).unwrap();
            assert_eq!(said, gated.verdict(), "what is printed is what is left");
            assert!(!gated.path("diff.svg").exists(), "there is nothing to show");
            assert!(gated.text("verdict.xml").contains("failures=\"0\""));
            Ok(())
        });
    }
}

/// A load that hardly waits says nothing of its P99, and that is no pass.
#[test]
fn gate_decides_nothing_of_a_starved_recording() {
    if !can_run("gate_decides_nothing_of_a_starved_recording", &["sh", "true"]) {
        return;
    }
    let gated = Gated::ab("true", "true", &["--pairs", "6"]);
    gated.expect(3).unwrap();
    let said = String::from_utf8(gated.output.stdout.clone()).unwrap();
    assert!(said.starts_with("INCONCLUSIVE: ") && said.contains("why not: 01-"), "{said}");
    let counts_as = |word, status| {
        Gated::ab("true", "true", &["--inconclusive", word]).expect(status).unwrap();
    };
    counts_as("pass", 0);
    counts_as("fail", 1);
}

#[test]
fn gate_decides_nothing_of_a_load_that_fails() {
    if !can_run("gate_decides_nothing_of_a_load_that_fails", &["sh"]) {
        return;
    }
    let gated = Gated::ab(&gauge(1_000, ""), &(gauge(1_000, "") + "; exit 7"), &["--pairs", "6"]);
    gated.expect(3).unwrap();
    let said = String::from_utf8(gated.output.stdout.clone()).unwrap();
    assert!(said.contains("01-candidate: the load exited with status 7"), "{said}");
}

/// The same bursts by a thread of the load's own process, and by a process that is none of the load's.
#[test]
fn gate_tells_ones_own_doing_from_a_neighbours() {
    if !can_run("gate_tells_ones_own_doing_from_a_neighbours", &["sh", "setsid", "touch", "rm"]) {
        return;
    }
    steady(|| own_doing().expect(1));
    steady(|| {
        let gated = neighbours_doing();
        gated.expect(3)?;
        let check = &gated.verdict()["checks"][0];
        let reasons = check["set_aside"].to_string();
        if reasons.contains("of the tail is the doing of others") {
            Ok(())
        } else {
            Err(check.to_string())
        }
    });
}

/// As [`gauge`], but none of it real-time: the class of such a task would say no more than that.
fn plain_gauge(burst_us: u32) -> String {
    let every_us = burst_us * 10 - 27;
    let bursts = format!("--burst-us {burst_us} --every-us {every_us}");
    before_others(&format!("gauge --cpu 0 --seconds 2.4 {bursts}"))
}

/// An actor that comes before others, as far as the kernel has it: by short slices (6.12), by its nice
/// value, and by that of its session, which it is given one of its own for.
fn before_others(words: &str) -> String {
    let actor = actor().get_program().to_string_lossy().into_owned();
    format!(
        "setsid -w sh -c 'echo -20 2>/dev/null >/proc/self/autogroup; \
         exec {actor} {words} --burst-nice -20 --slice-us 100'"
    )
}

/// The machine may be busy, and its hypervisor: what others then cost is far less than what the
/// neighbour below costs, whose bursts are five of the load's own.
const SELF_CAUSED: [&str; 7] =
    ["--self-caused", "--pairs", "10", "--max-steal", "20%", "--max-foreign", "70%"];

fn own_doing() -> Gated {
    Gated::ab(&plain_gauge(600), &plain_gauge(900), &SELF_CAUSED)
}

/// A neighbour that burns while there is a file, and a candidate that lays the file down.
fn neighbours_doing() -> Gated {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let burner = "gauge --cpu 0 --seconds 600 --threads 0 --burst-us 3000 --every-us 14973 --gate";
    let mut neighbour = Command::new("sh");
    neighbour.args(["-c", &before_others(&format!("{burner} {}", file.display()))]);
    let _neighbour = Neighbour::start(&mut neighbour);
    let (load, file) = (plain_gauge(600), file.display());
    let candidate = format!("touch {file}; {load}; status=$?; rm {file}; exit $status");
    Gated::ab(&load, &candidate, &SELF_CAUSED)
}

/// What changed between two recordings, as text, as JSON, and as a picture.
#[test]
fn gate_and_diff_agree_on_who_grew() {
    if !can_run("gate_and_diff_agree_on_who_grew", &["sh"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str, burst_us| {
        let out = folder.path().join(name);
        let load = gauge(burst_us, "");
        let made =
            crate::bench::record().arg("-o").arg(&out).args(["--", "sh", "-c", &load]).output();
        assert!(made.unwrap().status.success());
        out
    };
    let (before, now) = (record("before", 500), record("now", 2_000));
    let diff = |args: &[&OsStr]| {
        let output = cronx().arg("diff").args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let picture = folder.path().join("picture");
    let text = diff(&[before.as_os_str(), now.as_os_str(), OsStr::new("-o"), picture.as_os_str()]);
    assert!(text.contains("What grew most") && text.contains("burner"), "{text}");
    assert!(fs::read_to_string(picture.join("diff.svg")).unwrap().contains("burner"));
    // A capture says the same as the report that was made of it.
    let capture = before.join("capture.cronx");
    let json = diff(&[capture.as_os_str(), now.as_os_str(), OsStr::new("--json")]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["culprits"][0]["name"], "burner");
}

/// Each recording needs privileges anew, and each load has none: what is left is the user's.
#[test]
fn gate_records_as_the_user_who_called_sudo() {
    const USER: u32 = 65_534;
    if !can_run("gate_records_as_the_user_who_called_sudo", &["sh", "id"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut gate = cronx();
    gate.args(["gate", "ab", "--pairs", "6", "--base", "id -u >&2", "--candidate", "id -u >&2"]);
    gate.arg("-o").arg(folder.path().join("out"));
    clean(&mut gate);
    let summary = folder.path().join("summary.md");
    gate.env("SUDO_UID", USER.to_string()).env("SUDO_GID", USER.to_string());
    let output = gate.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let loads = said.lines().filter(|line| *line == "65534").count();
    assert_eq!(loads, 4, "two pairs, the first to warm up: {said}");
    for file in ["out", "out/verdict.json", "out/01-base", "out/01-base/report.json", "summary.md"]
    {
        let metadata = fs::metadata(folder.path().join(file)).unwrap();
        assert_eq!(metadata.uid(), USER, "{file}");
    }
}

/// Whoever ends the gate ends the recording and its load with it.
#[test]
fn gate_ends_when_it_is_asked_to() {
    if !can_run("gate_ends_when_it_is_asked_to", &["sh", "sleep"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let load = format!("touch {}; exec sleep 600", started.display());
    let mut gate = cronx();
    gate.args(["gate", "ab", "--quiet", "--base", &load, "--candidate", &load, "-o"]);
    let mut gate = Neighbour::start(gate.arg(folder.path().join("out")));
    wait_until("the load runs", || started.exists());
    // SAFETY: takes numbers only; the process is ours, and has not been waited for.
    unsafe { libc::kill(gate.0.id() as i32, libc::SIGTERM) };
    wait_until("the gate has ended", || gate.0.try_wait().unwrap().is_some());
    assert_eq!(gate.0.wait().unwrap().code(), Some(143));
    assert!(!folder.path().join("out/verdict.json").exists());
}
