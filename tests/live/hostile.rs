//! A thread may call itself anything, and to every reader of a report that is text.

use std::process::{Command, Output};

use crate::bench::{Neighbour, Recording, actor, can_run, cronx, steady};

/// Who sets a terminal's title, ends an element, and speaks to a CI server: as much of it as the 15
/// bytes of a thread's name hold.
const VICTIM: &str = "\x1b]0;v\x07</a>::";
const CULPRIT: &str = "\x1b]0;c\x07</a>::";

/// As a terminal is to see them.
const SHOWN: [&str; 2] = [r"\x1b]0;v\x07</a>::", r"\x1b]0;c\x07</a>::"];

/// Threads of a hostile name that wait for a thread of a hostile name.
fn record() -> Recording {
    let mut hog = actor();
    let hog = hog.args(["hog", "--cpu", "0", "--seconds", "60", "--name", CULPRIT]);
    let _hog = Neighbour::start(hog);
    Recording::of_crowd(VICTIM)
}

#[test]
fn a_hostile_name_is_text_in_every_output() {
    if !can_run("a_hostile_name_is_text_in_every_output", &[]) {
        return;
    }
    steady(|| {
        let recording = record();
        let culprits = &recording.report.culprits;
        if !culprits.iter().take(3).any(|culprit| culprit.culprit.name.raw() == CULPRIT) {
            return Err("it is not blamed among the first".to_owned());
        }
        check_screen(&recording.output.stderr);
        check_picture(&recording.text("blame.svg"));
        check_folded(&recording.text("blame.folded"));
        check_json(&recording.text("report.json"));
        check_text(&recording.text("latency.hlog"));
        check_text(&recording.text("latency.hgrm"));
        check_screen(&report(&recording, &["--thread", VICTIM]).stdout);
        check_json(&String::from_utf8(report(&recording, &["--json"]).stdout).unwrap());
        Ok(())
    });
}

fn report(recording: &Recording, args: &[&str]) -> Output {
    let output = cronx().arg("report").args(args).arg(recording.path("capture.cronx")).output();
    output.unwrap()
}

/// No byte but line ends commands anything.
#[track_caller]
fn check_text(text: &str) {
    let commands = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(commands, None, "{text:?}");
}

#[track_caller]
fn check_screen(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    check_text(text);
    assert!(SHOWN.iter().all(|name| text.contains(name)), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
}

#[track_caller]
fn check_folded(folded: &str) {
    check_text(folded);
    for line in folded.lines() {
        let (stack, waited) = line.rsplit_once(' ').unwrap();
        assert!(waited.parse::<u64>().is_ok() && !stack.is_empty(), "{line}");
    }
    // Frames are parted by `;`, so a name's own is another sign.
    assert!(folded.contains(r"\x1b]0:c\x07</a>::"), "{folded}");
}

#[track_caller]
fn check_json(text: &str) {
    check_text(text);
    let report: serde_json::Value = serde_json::from_str(text).unwrap();
    let culprits = report["culprits"].as_array().unwrap();
    assert!(culprits.iter().any(|culprit| culprit["culprit"]["name"] == CULPRIT), "{text}");
}

/// Well-formed, every element closed by its own end; what a name would end is not there.
#[track_caller]
fn check_picture(svg: &str) {
    check_text(&svg.replace(['\t', '\r'], " "));
    assert!(!svg.contains("</a>::"));
    assert!(svg.contains("&lt;/a&gt;::"), "the name is there, as text");
    let mut reader = quick_xml::Reader::from_str(svg);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => break,
            Ok(_) => {}
            Err(error) => panic!("not well-formed at {}: {error}", reader.error_position()),
        }
    }
}

/// What is refused is named, and a name in a refusal is text too.
#[test]
fn a_hostile_word_is_text_in_a_refusal() {
    if !can_run("a_hostile_word_is_text_in_a_refusal", &[]) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let check = |command: &mut Command| {
        let output = command.current_dir(temp.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        check_text(&said);
        assert!(said.starts_with("cronx: ") && said.contains(r"\x1b]0;v\x07<"), "{said}");
    };
    check(cronx().args(["record", "-o", "out", "--", VICTIM]));
    check(cronx().args(["report", VICTIM]));
    check(cronx().args(["record", "-o", VICTIM, "--", "true"]));
}
