//! On what something was recorded: numbers of different machines are not compared.

use cronx_recording::{Report, Target, Untrusted};

const COMMAND: &str = "command";

/// What must be the same of two recordings, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<(&'static str, String)>);

impl Fingerprint {
    /// Of a Report: the machine, the probes, and what was recorded.
    pub fn of(report: &Report) -> Self {
        let of = &report.provenance;
        let host = &of.host;
        Self(vec![
            ("kernel", of.kernel.raw().to_owned()),
            ("architecture", of.machine.clone()),
            ("CPU", host.cpu.raw().to_owned()),
            ("CPUs", of.online_cpus.to_string()),
            ("governor", host.governor.raw().to_owned()),
            ("quota", host.quota_milli.map_or_else(|| "none".to_owned(), cpus)),
            ("cronx", of.cronx_version.clone()),
            ("schema", report.schema.clone()),
            ("probes", report.health.object.clone()),
            ("floor", report.spared.map_or(0, |spared| spared.floor_ns).to_string()),
            (COMMAND, command(&of.target)),
        ])
    }

    /// The first in which they differ: its name, and both values.
    pub fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let pairs = self.0.iter().zip(&other.0);
        let mut different = pairs.filter(|(one, two)| one != two);
        different.next().map(|((name, one), (_, two))| (*name, one.clone(), two.clone()))
    }

    /// The same where the commands are meant to differ.
    pub fn difference_of_host(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let host = |of: &Self| Self(of.0.iter().filter(|(n, _)| *n != COMMAND).cloned().collect());
        host(self).difference(&host(other))
    }
}

fn cpus(milli: u64) -> String {
    format!("{:.3} CPUs", milli as f64 / 1_000.0)
}

fn command(target: &Target) -> String {
    match target {
        Target::Command { argv } => words(argv),
        // The same service has other process ids every time.
        Target::Processes { .. } => "processes by their id".to_owned(),
        Target::Threads { names } => format!("threads {}", words(names)),
        Target::Cgroup { path } => format!("cgroup {}", path.raw()),
        Target::All => "every thread".to_owned(),
    }
}

fn words(words: &[Untrusted]) -> String {
    words.iter().map(Untrusted::raw).collect::<Vec<_>>().join(" ")
}
