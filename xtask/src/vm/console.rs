//! What a guest said on its console: lines that begin with `VM`, and the test harness's own.

use std::fmt;

use serde_json::Value;

/// What came of one guest.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    release: String,
    passed: usize,
    failed: usize,
    skipped: Vec<String>,
    degraded: Vec<String>,
    /// What the command itself says is missing for a recording.
    missing: Vec<String>,
    /// What the harness says of each failure.
    failures: String,
    /// The guest came to its end.
    done: bool,
    seconds: f64,
}

impl Outcome {
    pub(super) fn parse(console: &str, seconds: f64) -> Self {
        let console = console.replace('\r', "");
        let mut outcome = Self { seconds, failures: failures(&console), ..Self::default() };
        for line in console.lines() {
            outcome.take(line);
        }
        // A test that is skipped passes, as far as the harness knows.
        outcome.passed = outcome.passed.saturating_sub(outcome.skipped.len());
        outcome
    }

    fn take(&mut self, line: &str) {
        if let Some((passed, failed)) = result(line) {
            (self.passed, self.failed) = (passed, failed);
        }
        // The kernel may have begun the line.
        let Some((_, said)) = line.split_once("VM ") else { return };
        match said.split_once(' ').unwrap_or((said, "")) {
            ("release", release) => release.clone_into(&mut self.release),
            ("doctor", json) => self.missing = missing(json),
            ("skipped", test) => self.skipped.push(test.to_owned()),
            ("degraded", what) => self.degraded.push(what.to_owned()),
            ("DONE", _) => self.done = true,
            _ => {}
        }
    }

    /// Whether the tests passed there, or why that cannot be said.
    pub(super) fn verdict(&self) -> Result<(), String> {
        if !self.done {
            return Err("the guest did not come to its end".to_owned());
        }
        if !self.missing.is_empty() {
            return Err(format!("no object fits yet: {}", self.missing.join("; ")));
        }
        match (self.passed, self.failed) {
            (0, 0) => Err("no test ran".to_owned()),
            (_, 0) => Ok(()),
            (_, failed) => Err(format!("{failed} tests failed")),
        }
    }
}

/// The counts of passed and failed tests, in the harness's last line.
fn result(line: &str) -> Option<(usize, usize)> {
    let (_, counts) = line.split_once("test result: ")?;
    let count = |what: &str| {
        let part = counts.split([';', '.']).find_map(|part| part.strip_suffix(what))?;
        part.trim().parse().ok()
    };
    Some((count(" passed")?, count(" failed")?))
}

fn missing(doctor: &str) -> Vec<String> {
    let Ok(doctor) = serde_json::from_str::<Value>(doctor) else {
        return vec!["cronx doctor gave no answer".to_owned()];
    };
    let missing = doctor["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    missing.map(str::to_owned).collect()
}

fn failures(console: &str) -> String {
    let failures = console.split_once("failures:\n").map_or("", |(_, rest)| rest);
    failures.split("\nfailures:\n").next().unwrap_or_default().trim().to_owned()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.failures.is_empty() {
            writeln!(f, "{}\n", self.failures)?;
        }
        for test in &self.skipped {
            writeln!(f, "skipped: {test}")?;
        }
        for what in &self.degraded {
            writeln!(f, "degraded: {what}")?;
        }
        let release = if self.release.is_empty() { "no kernel" } else { &self.release };
        let (passed, failed, skipped) = (self.passed, self.failed, self.skipped.len());
        write!(f, "{release}: {passed} passed, {failed} failed, {skipped} skipped, ")?;
        write!(f, "{} degraded, {:.0} s", self.degraded.len(), self.seconds)?;
        self.verdict().or_else(|reason| write!(f, ": FAILED, {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(console: &str, expected: &str) {
        assert_eq!(Outcome::parse(console, 41.6).to_string(), expected);
    }

    #[test]
    fn what_passed_and_what_was_left_out() {
        check(
            "[    1.0] noise VM release 6.1.0\r\nVM doctor {\"missing\":[]}\r\n\
             test a ... ok\r\ntest result: ok. 20 passed; 0 failed; 0 ignored; finished in 9s\r\n\
             VM skipped hackbench: hackbench is not installed\r\n\
             VM degraded irq_work_entry is not observed: no such hook\r\nVM DONE\r\n",
            "skipped: hackbench: hackbench is not installed\n\
             degraded: irq_work_entry is not observed: no such hook\n\
             6.1.0: 19 passed, 0 failed, 1 skipped, 1 degraded, 42 s",
        );
    }

    #[test]
    fn a_failure_is_shown_as_the_harness_has_it() {
        check(
            "VM release 6.1.0\nVM doctor {\"missing\":[]}\nfailures:\n\n---- a stdout ----\nno\n\n\
             failures:\n    a\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\nVM DONE\n",
            "---- a stdout ----\nno\n\n\
             6.1.0: 1 passed, 1 failed, 0 skipped, 0 degraded, 42 s: FAILED, 1 tests failed",
        );
    }

    #[test]
    fn what_cannot_be_recorded_or_did_not_end_has_not_passed() {
        let verdict = |console: &str| Outcome::parse(console, 0.0).verdict().unwrap_err();
        assert_eq!(verdict("VM release 6.1.0\n"), "the guest did not come to its end");
        assert_eq!(verdict("VM doctor {\"missing\":[]}\nVM DONE"), "no test ran");
        assert_eq!(
            verdict("VM doctor {\"missing\":[\"no object fits\"]}\nVM DONE"),
            "no object fits yet: no object fits"
        );
        assert_eq!(
            verdict("VM doctor \nVM DONE"),
            "no object fits yet: cronx doctor gave no answer"
        );
    }
}
