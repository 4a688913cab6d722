//! The composite action: its shell steps, taken out of `action.yml` and run as a runner would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::bench::{can_run, program};
use crate::gate::clean;
use crate::gate_refusals::long_report;

/// A step's name, its variables with what they are taken from, and its script.
struct Step {
    name: String,
    env: BTreeMap<String, String>,
    script: String,
}

/// The steps, as far as this file's own layout goes: it is ours, and it has no other.
fn steps() -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml");
    let text = fs::read_to_string(path).unwrap();
    let (_, steps) = text.split_once("\n  steps:\n").unwrap();
    steps
        .split("\n    - name: ")
        .map(|text| step(text.trim_start_matches("    - name: ")))
        .collect()
}

fn step(text: &str) -> Step {
    let (name, rest) = text.split_once('\n').unwrap();
    let (head, script) = rest.split_once("      run: |\n").unwrap();
    let env = head.split_once("      env:\n").map(|(_, env)| env).unwrap_or_default();
    let env = env.lines().filter_map(|line| line.trim().split_once(": "));
    let script = script.lines().map(|line| line.strip_prefix("        ").unwrap_or(line));
    Step {
        name: name.to_owned(),
        env: env.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        script: script.collect::<Vec<_>>().join("\n"),
    }
}

/// A job: its folder, and what the runner's files hold.
struct Job {
    folder: TempDir,
    output: Output,
}

impl Job {
    /// Runs the step of the gate with these inputs; what is not given has its default.
    fn run(inputs: &[(&str, &str)], prepare: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let gate = steps().into_iter().find(|step| step.name == "Gate").unwrap();
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &gate.script]);
        bash.current_dir(folder.path());
        clean(&mut bash);
        for (variable, expression) in &gate.env {
            bash.env(variable, value(expression, inputs));
        }
        bash.env("GITHUB_OUTPUT", folder.path().join("outputs"));
        bash.env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"));
        bash.env("GITHUB_ACTIONS", "true");
        Self { output: bash.output().unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    #[track_caller]
    fn expect(&self, status: i32, outputs: &str) {
        let said = [&self.output.stdout[..], &self.output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(self.output.status.code(), Some(status), "{said}");
        assert_eq!(self.text("outputs"), outputs, "{said}");
    }
}

/// What a runner puts in place of `${{ ... }}`.
fn value(expression: &str, inputs: &[(&str, &str)]) -> String {
    let name = expression.trim_start_matches("${{ ").trim_end_matches(" }}");
    if name == "steps.build.outputs.program" {
        return program().to_string_lossy().into_owned();
    }
    let input = name.strip_prefix("inputs.").unwrap();
    let given = inputs.iter().find(|(known, _)| *known == input).map(|(_, value)| *value);
    let default = match input {
        "inconclusive" => "fail",
        "output" => "cronx-gate",
        _ => "",
    };
    given.unwrap_or(default).to_owned()
}

fn with_report(folder: &Path) {
    fs::write(folder.join("a report.json"), long_report().to_string()).unwrap();
}

#[test]
fn gate_action_has_the_inputs_that_its_steps_use() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml");
    let text = fs::read_to_string(path).unwrap();
    let (inputs, _) = text.split_once("\noutputs:\n").unwrap();
    for step in steps() {
        assert!(!step.script.contains("${{"), "an input is never a piece of {}", step.name);
        for expression in step.env.values() {
            let Some((_, input)) = expression.split_once("inputs.") else { continue };
            let input = input.trim_end_matches(" }}");
            assert!(inputs.contains(&format!("\n  {input}:\n")), "{input}");
        }
    }
}

#[test]
fn gate_action_takes_a_program_that_is_there() {
    let build = steps().into_iter().find(|step| step.name == "Build cronx").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let outputs = folder.path().join("outputs");
    let mut bash = Command::new("bash");
    bash.args(["-c", &build.script]).env("PROGRAM", "/a b/cronx").env("SOURCE", "/none");
    assert!(bash.env("GITHUB_OUTPUT", &outputs).status().unwrap().success());
    assert_eq!(fs::read_to_string(outputs).unwrap(), "program=/a b/cronx\n");
}

#[test]
fn gate_action_holds_a_budget() {
    let budget = "wake_to_run.p99 < 1s\n\nwake_to_run.max < 10s\n";
    let inputs = [("budget", budget), ("files", "a report.json")];
    let job = Job::run(&inputs, with_report);
    job.expect(0, "decision=pass\nverdict=cronx-gate/verdict.json\n");
    assert!(job.path("cronx-gate/verdict.xml").is_file());
    assert!(job.text("summary.md").starts_with("### cronx gate: pass"));

    let inputs = [("budget", "wake_to_run.p99 < 1us"), ("files", "a report.json")];
    let job = Job::run(&inputs, with_report);
    job.expect(1, "decision=regression\nverdict=cronx-gate/verdict.json\n");
    assert!(String::from_utf8_lossy(&job.output.stderr).contains("::error title=cronx gate"));
}

#[test]
fn gate_action_is_red_where_nothing_can_be_said() {
    let nobody = r#"wake_to_run{process="nobody"}.p99 < 1s"#;
    let inputs = [("budget", nobody), ("files", "a report.json")];
    let outputs = "decision=inconclusive\nverdict=cronx-gate/verdict.json\n";
    Job::run(&inputs, with_report).expect(3, outputs);
    let warn = [&inputs[..], &[("inconclusive", "warn")]].concat();
    Job::run(&warn, with_report).expect(0, outputs);
}

#[test]
fn gate_action_refuses_what_is_not_a_question() {
    let nothing = |_: &Path| {};
    Job::run(&[], nothing).expect(2, "");
    Job::run(&[("base", "true")], nothing).expect(2, "");
    Job::run(&[("budget", "wake_to_run.p99 < 1s")], nothing).expect(2, "");
    let absent = [("budget", "wake_to_run.p99 < 1s"), ("files", "absent.json")];
    Job::run(&absent, nothing).expect(2, "");
    let both = [("base", "true"), ("candidate", "true"), ("inconclusive", "pass")];
    Job::run(&both, nothing).expect(2, "");
}

/// A word of the inputs is a word, whatever it says.
#[test]
fn gate_action_executes_no_input() {
    let hostile = "$(touch planted) `touch planted`; touch planted";
    let inputs = [("budget", "wake_to_run.p99 < 1s"), ("files", hostile), ("options", "--quiet")];
    let job = Job::run(&inputs, with_report);
    job.expect(2, "");
    assert!(!job.path("planted").exists());
}

#[test]
fn gate_action_records_in_turns() {
    if !can_run("gate_action_records_in_turns", &["bash", "sh", "true"]) {
        return;
    }
    let inputs = [("base", "true"), ("candidate", "true"), ("options", "--pairs=6\n--quiet")];
    let job = Job::run(&inputs, |_| {});
    job.expect(3, "decision=inconclusive\nverdict=cronx-gate/verdict.json\n");
    assert!(job.path("cronx-gate/01-candidate/report.json").is_file());
}
