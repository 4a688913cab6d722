//! The gate never passes on a number that is not there: each way to have none has its status.
//!
//! They need no privilege: the recording is the committed one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench::cronx;
use crate::gate::clean;

const PASS: i32 = 0;
const REGRESSION: i32 = 1;
const UNUSABLE: i32 = 2;
const INCONCLUSIVE: i32 = 3;

/// A budget that the committed recording keeps for sure, and one that it breaks.
const KEPT: &str = "wake_to_run.p99 < 1s";
const BROKEN: &str = "wake_to_run.p99 < 1us";

/// The committed recording's report, to be changed at will, as if the recording had gone on evenly: its
/// own few hundred milliseconds say nothing of how its waits cluster.
pub fn long_report() -> Value {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/neighbour.cronx");
    let output = cronx().args(["report", "--json"]).arg(capture).output().unwrap();
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for metric in report["metrics"].as_array_mut().unwrap() {
        let all = &mut metric["all"];
        all["blocks"] = vec![all["histogram"].clone(); 16].into();
    }
    report
}

/// A folder with the committed recording's report.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        scene.write("report.json", &long_report());
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) {
        fs::write(self.path(name), value.to_string()).unwrap();
    }

    /// The report under another name, changed.
    fn changed(&self, name: &str, change: impl Fn(&mut Value)) {
        let mut report = long_report();
        change(&mut report);
        self.write(name, &report);
    }

    fn gate(&self, args: &[&str]) -> Output {
        let mut gate = cronx();
        gate.arg("gate").args(args).current_dir(self.0.path());
        clean(&mut gate);
        gate.output().unwrap()
    }

    #[track_caller]
    fn budget(&self, budget: &str, file: &str, status: i32, says: &str) {
        self.check(&["--budget", budget, file], status, says);
    }

    /// The status, and a word of it; what cannot be used is one sentence on stderr.
    #[track_caller]
    fn check(&self, args: &[&str], status: i32, says: &str) {
        let output = self.gate(args);
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{out}{err}");
        // The text is wrapped at its width.
        let said = format!("{out}{err}").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(says), "{out}{err}");
        assert_eq!(err.lines().count(), usize::from(status == UNUSABLE), "{err}");
    }
}

#[test]
fn gate_passes_and_fails_a_budget() {
    let scene = Scene::new();
    scene.budget(KEPT, "report.json", PASS, "PASS: wake_to_run.p99 < 1s");
    scene.budget(BROKEN, "report.json", REGRESSION, "REGRESSION: wake_to_run.p99 < 1us");
    scene.budget("wake_to_run.max < 10s", "report.json", PASS, "PASS");
    let both = ["--budget", KEPT, "--budget", BROKEN, "report.json"];
    scene.check(&both, REGRESSION, "PASS: wake_to_run.p99 < 1s");
    // A folder is as good as its report.
    scene.budget(KEPT, ".", PASS, "PASS");
}

#[test]
fn gate_of_a_missing_file() {
    let scene = Scene::new();
    scene.budget(KEPT, "none.json", UNUSABLE, "cannot read 'none.json'");
    fs::create_dir(scene.path("empty")).unwrap();
    scene.budget(KEPT, "empty", UNUSABLE, "'empty' holds neither report.json nor capture.cronx");
    let missing = ["--baseline", "none.json", "--candidate", "report.json"];
    scene.check(&missing, UNUSABLE, "cannot read 'none.json'");
}

#[test]
fn gate_of_an_empty_file() {
    let scene = Scene::new();
    for name in ["empty.json", "empty.hlog", "empty.hgrm", "empty.cronx"] {
        fs::write(scene.path(name), "").unwrap();
        scene.budget(KEPT, name, UNUSABLE, "the file is empty");
    }
}

#[test]
fn gate_of_a_file_that_broke_off() {
    let scene = Scene::new();
    let whole = fs::read(scene.path("report.json")).unwrap();
    fs::write(scene.path("part.json"), &whole[..whole.len() / 2]).unwrap();
    scene.budget(KEPT, "part.json", UNUSABLE, "cannot use 'part.json'");
    fs::write(scene.path("x.json"), r#"{"p99": NaN}"#).unwrap();
    scene.budget(KEPT, "x.json", UNUSABLE, "not a cronx report");
}

#[test]
fn gate_of_a_newer_schema() {
    let scene = Scene::new();
    scene.changed("new.json", |report| report["schema"] = json!("cronx.report/99"));
    scene.budget(KEPT, "new.json", UNUSABLE, "written by a newer cronx (version 99");
}

#[test]
fn gate_of_an_unknown_metric() {
    let scene = Scene::new();
    scene.budget("wakeup.p99 < 1s", "report.json", UNUSABLE, "there is no metric 'wakeup'");
    scene.budget("lateness.p99 < 1s", "report.json", UNUSABLE, "it has no metric lateness");
    scene.budget("wake_to_run.p42 < 1s", "report.json", UNUSABLE, "there is no quantile 'p42'");
}

#[test]
fn gate_of_a_budget_that_cannot_be_parsed() {
    let scene = Scene::new();
    for budget in ["", "p99", "wake_to_run.p99 > 1s"] {
        scene.budget(
            budget,
            "report.json",
            UNUSABLE,
            "is not a budget: METRIC.QUANTILE < DURATION",
        );
    }
    scene.budget("wake_to_run.p99 < fast", "report.json", UNUSABLE, "'fast' is not a time");
    scene.budget(
        "\x1b]0;x\x07.p99 < 1s",
        "report.json",
        UNUSABLE,
        r"there is no metric '\x1b]0;x\x07'",
    );
    scene.budget(KEPT, "report.json", PASS, "PASS");
    let nothing = scene.gate(&["--budget", KEPT]);
    assert_eq!(nothing.status.code(), Some(UNUSABLE));
    assert_eq!(scene.gate(&[]).status.code(), Some(UNUSABLE));
}

#[test]
fn gate_of_zero_events() {
    let scene = Scene::new();
    let nobody = r#"wake_to_run{process="nobody"}.p99 < 1s"#;
    scene.budget(nobody, "report.json", INCONCLUSIVE, "no value of wake_to_run{process=");
    scene.changed("zero.json", |report| {
        for metric in report["metrics"].as_array_mut().unwrap() {
            let all = &mut metric["all"];
            (all["count"], all["histogram"], all["blocks"]) = (json!(0), json!(""), json!([]));
        }
    });
    scene.budget(KEPT, "zero.json", INCONCLUSIVE, "no value of wake_to_run.p99 was measured");
}

#[test]
fn gate_of_too_few_events() {
    let scene = Scene::new();
    let rare = "wake_to_run.p99.9 < 1s";
    scene.budget(rare, "report.json", INCONCLUSIVE, "effective values are too few");
    // Where nobody knows how they cluster, nobody knows how many they are.
    scene.changed("no-blocks.json", |report| {
        report["metrics"][0]["all"]["blocks"] = json!([]);
    });
    scene.budget(KEPT, "no-blocks.json", INCONCLUSIVE, "how its values cluster is not known");
}

#[test]
fn gate_of_lost_evidence() {
    let scene = Scene::new();
    scene.changed("lost.json", |report| report["health"]["lost"] = json!(1_000));
    scene.budget(KEPT, "lost.json", INCONCLUSIVE, "of the evidence was lost");
    let lenient = ["--max-loss", "90%", "--budget", KEPT, "lost.json"];
    scene.check(&lenient, PASS, "PASS");
    scene.changed("torn.json", |report| report["health"]["torn"] = json!("at its end"));
    scene.budget(KEPT, "torn.json", INCONCLUSIVE, "the capture is torn: at its end");
}

#[test]
fn gate_of_a_failed_load() {
    let scene = Scene::new();
    scene.changed("failed.json", |report| report["provenance"]["load"] = json!({ "exited": 3 }));
    scene.budget(KEPT, "failed.json", INCONCLUSIVE, "the load exited with status 3");
    scene.changed("killed.json", |report| report["provenance"]["load"] = json!({ "signaled": 9 }));
    scene.budget(KEPT, "killed.json", INCONCLUSIVE, "the load was ended by signal 9");
}

#[test]
fn gate_of_a_disturbed_machine() {
    let scene = Scene::new();
    scene.changed("steal.json", |report| report["health"]["stolen_ns"] = json!(10_u64.pow(12)));
    scene.budget(KEPT, "steal.json", INCONCLUSIVE, "the hypervisor took");
    scene.changed("quota.json", |report| report["tail"]["blame"][0]["class"] = json!("throttled"));
    scene.budget(KEPT, "quota.json", INCONCLUSIVE, "of the tail is a cgroup out of quota");
    // The neighbour of the committed recording has its tail.
    let own = ["--self-caused", "--budget", KEPT, "report.json"];
    scene.check(&own, INCONCLUSIVE, "of the tail is the doing of others");
}

#[test]
fn gate_of_another_machine() {
    let scene = Scene::new();
    let names: Vec<_> = (0..12).map(|n| format!("{n}.json")).collect();
    for name in &names {
        scene.changed(name, |_| {});
    }
    let sides = |names: &[String]| {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let (baseline, candidate) = names.split_at(names.len() / 2);
        [&["--baseline"], baseline, &["--candidate"], candidate].concat().join(" ")
    };
    let check = |args: &str, status, says: &str| {
        scene.check(&args.split(' ').collect::<Vec<_>>(), status, says);
    };
    check(&sides(&names), PASS, "PASS: wake_to_run.p99, candidate against base");
    check(&sides(&names[..10]), INCONCLUSIVE, "5 recordings are too few: 6 are needed");
    scene.changed("9.json", |report| report["provenance"]["kernel"] = json!("9.9.9"));
    check(&sides(&names), INCONCLUSIVE, "9.json: the kernel differs");
    let max = sides(&names) + " --metric wake_to_run.max";
    check(&max, UNUSABLE, "max can have a budget");
}

#[test]
fn gate_of_a_foreign_log() {
    let scene = Scene::new();
    let table = "
        Value     Percentile TotalCount 1/(1-Percentile)
        1.000 0.500000000000       5000         2.00
        9.000 0.990000000000       9900       100.00
       50.000 1.000000000000      10000
#[Mean    =        2.0, StdDeviation   =        3.0]
";
    let names: Vec<_> = (0..8).map(|n| format!("{n}.hgrm")).collect();
    for name in &names {
        fs::write(scene.path(name), table).unwrap();
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // One table knows nothing of time; eight are eight clusters.
    scene.budget("latency.p99 < 20ms", "0.hgrm", INCONCLUSIVE, "how its values cluster");
    let many = |budget| [&["--budget", budget], &names[..]].concat();
    scene.check(&many("latency.p99 < 60ms"), PASS, "PASS: latency.p99 < 60ms");
    scene.check(&many("latency.p99 < 5ms"), REGRESSION, "REGRESSION: latency.p99 < 5ms");
    scene.check(&many(KEPT), UNUSABLE, "it has no metric wake_to_run");
    fs::write(scene.path("x.hgrm"), "NaN 0.5 3\n").unwrap();
    scene.budget(
        "latency.p99 < 5ms",
        "x.hgrm",
        UNUSABLE,
        "line 1 is no line of a percentile table",
    );
    fs::write(scene.path("x.hlog"), "nonsense\n").unwrap();
    scene.budget("latency.p99 < 5ms", "x.hlog", UNUSABLE, "line 1 is no line of an HdrHistogram");
}

/// What a recording of ours leaves is such a log too.
#[test]
fn gate_of_our_own_logs() {
    let scene = Scene::new();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/neighbour.cronx");
    let made =
        cronx().args(["report", "-o", "out"]).arg(capture).current_dir(scene.0.path()).output();
    assert!(made.unwrap().status.success());
    let says = "how its values cluster is not known";
    scene.budget("latency.p99 < 1s", "out/latency.hlog", INCONCLUSIVE, says);
    scene.budget("latency.p99 < 1s", "out/latency.hgrm", INCONCLUSIVE, says);
    scene.budget("latency.max < 1s", "out/latency.hlog", PASS, "PASS");
    scene.budget("latency.max < 1us", "out/latency.hgrm", REGRESSION, "REGRESSION");
}

#[test]
fn gate_leaves_what_it_said() {
    let scene = Scene::new();
    let summary = scene.path("summary.md");
    let args = ["--budget", BROKEN, "report.json", "-o", "out", "--json", "--annotations"];
    let mut gate = cronx();
    gate.arg("gate").args(args).current_dir(scene.0.path());
    clean(&mut gate);
    let output = gate.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    assert_eq!(output.status.code(), Some(REGRESSION));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["decision"], "regression");
    let annotations = String::from_utf8(output.stderr).unwrap();
    assert!(annotations.starts_with("::error title=cronx gate%3A wake_to_run.p99 < 1us::"));
    for name in ["verdict.json", "verdict.xml", "verdict.md"] {
        assert!(scene.path("out").join(name).is_file(), "{name}");
    }
    assert!(fs::read_to_string(summary).unwrap().starts_with("### cronx gate: regression"));
    // What is there is not replaced unless it is asked for.
    scene.check(&["--budget", KEPT, "report.json", "-o", "out"], UNUSABLE, "is not empty");
    scene.check(&["--budget", KEPT, "report.json", "-o", "out", "--force"], PASS, "PASS");
}

/// A link where the page of a step should be is not followed.
#[test]
fn gate_follows_no_link() {
    let scene = Scene::new();
    fs::write(scene.path("canary"), "root's").unwrap();
    std::os::unix::fs::symlink("canary", scene.path("link")).unwrap();
    let args = ["--budget", KEPT, "report.json", "--summary", "link"];
    scene.check(&args, UNUSABLE, "cannot append to 'link'");
    assert_eq!(fs::read_to_string(scene.path("canary")).unwrap(), "root's");
}
