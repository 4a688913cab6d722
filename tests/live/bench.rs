//! What every live test needs: to know whether it can run, and to record.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cronx_recording::{Capture, Report};
use tempfile::TempDir;

/// Times a recording is tried again when something outside the test disturbed it.
const TRIES: usize = 3;

/// The command under test.
pub fn cronx() -> Command {
    let mut command = Command::new(program());
    // Whoever runs the tests under sudo did not ask for their folders to be the caller's.
    command.env_remove("SUDO_UID").env_remove("SUDO_GID");
    command
}

/// The command's file: the one that was built beside this test, unless these tests run where
/// nothing was built (`cargo xtask vm`).
pub fn program() -> PathBuf {
    let given = std::env::var_os("CRONX_BIN");
    PathBuf::from(given.unwrap_or_else(|| env!("CARGO_BIN_EXE_cronx").into()))
}

/// `cronx record`, with the probes that CRONX_PROBES names, if it does: `cargo xtask test` runs the
/// live tests with each object in turn.
pub fn record() -> Command {
    let mut command = cronx();
    command.arg("record");
    if let Some(probes) = std::env::var_os("CRONX_PROBES") {
        command.arg("--probes").arg(probes);
    }
    command
}

/// A program with a known behaviour.
pub fn actor() -> Command {
    Command::new(program().with_file_name("cronx-actor"))
}

/// Whether the test can run: the kernel takes probes, and the programs are there. If not, says why
/// and leaves a line for the count; a failure where live tests are demanded.
pub fn can_run(test: &str, programs: &[&str]) -> bool {
    passes(test, obstacle(programs))
}

/// The same for a test of what programs announce: not every kernel has it, nor every build.
pub fn can_listen(test: &str, programs: &[&str]) -> bool {
    static DEAF: LazyLock<Option<String>> = LazyLock::new(|| {
        let recording =
            Recording::make(&["--", &actor().get_program().to_string_lossy(), "--help"]);
        let Report { health, spans, .. } = &recording.report;
        let deaf = health.degraded.iter().find(|sentence| sentence.starts_with("spans are not"));
        let binaries = spans.iter().flat_map(|spans| &spans.listened.binaries);
        let mut refused = binaries.filter_map(|binary| binary.refused.as_ref());
        deaf.cloned().or_else(|| refused.next().map(|why| why.raw().to_owned()))
    });
    passes(test, obstacle(programs).or_else(|| DEAF.clone()))
}

fn passes(test: &str, obstacle: Option<String>) -> bool {
    let Some(reason) = obstacle else { return true };
    let demanded = std::env::var("CRONX_LIVE").is_ok_and(|value| value == "demand");
    assert!(!demanded, "{test} cannot run: {reason}");
    println!("skipped: {test}: {reason}");
    note("CRONX_SKIPPED", &format!("{test}: {reason}"));
    false
}

/// Leaves a line in the file that a variable names, if it names one.
pub fn note(variable: &str, line: &str) {
    let Some(ledger) = std::env::var_os(variable) else { return };
    let mut file = fs::File::options().create(true).append(true).open(ledger).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn obstacle(programs: &[&str]) -> Option<String> {
    // The kernel does not change while the tests run, and to ask it is slow in a machine that is
    // emulated.
    static KERNEL: LazyLock<Option<String>> = LazyLock::new(obstacle_of_kernel);
    if KERNEL.is_some() {
        return KERNEL.clone();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        |program: &&&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing = programs.iter().find(|program| !found(program))?;
    Some(format!("{missing} is not installed"))
}

fn obstacle_of_kernel() -> Option<String> {
    let doctor = cronx().args(["doctor", "--json"]).output().unwrap();
    if !doctor.status.success() {
        let found: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
        return Some(format!("no recording here: {}", found["missing"]));
    }
    let built = actor().arg("--help").output().is_ok_and(|o| o.status.success());
    (!built).then(|| "cronx-actor is not built: cargo build -p cronx-actors".to_owned())
}

/// A recording that was made.
pub struct Recording {
    pub output: Output,
    pub report: Report,
    folder: TempDir,
}

impl Recording {
    /// Records with these arguments; the command must leave a report.
    pub fn make<S: AsRef<OsStr>>(args: &[S]) -> Self {
        let recording = Self::make_lossy(args);
        recording.check();
        recording
    }

    /// The same where loss is what is wanted.
    pub fn make_lossy<S: AsRef<OsStr>>(args: &[S]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = record().arg("-o").arg(folder.path()).args(args).output().unwrap();
        let report = fs::File::open(folder.path().join("report.json")).unwrap_or_else(|error| {
            panic!("no report ({error}): {}", String::from_utf8_lossy(&output.stderr))
        });
        let report = Report::read(report).unwrap();
        let recording = Self { output, report, folder };
        recording.check_object();
        recording.check_sums();
        recording
    }

    /// The probes that were asked for are those that ran.
    fn check_object(&self) {
        if let Ok(asked) = std::env::var("CRONX_PROBES") {
            assert_eq!(self.report.health.object, asked);
        }
    }

    /// Records threads of that name with more work than CPU 0 has time for, so that they wait long
    /// for whoever else runs there.
    pub fn of_crowd(name: &str) -> Self {
        let program = actor().get_program().to_string_lossy().into_owned();
        let crowd = ["timers", "--threads", "3", "--cpu", "0", "--seconds", "3", "--name", name];
        let work = ["--period-us", "1500", "--work-us", "900"];
        // No waits of before they had the name.
        Self::make(&[&["--thread", name, "--", &program], &crowd[..], &work].concat())
    }

    /// What holds of every recording, whatever was recorded.
    fn check(&self) {
        let health = &self.report.health;
        assert_eq!((health.lost, health.missing), (0, 0), "nothing is lost");
        self.check_sums();
    }

    /// What holds even of one that lost records.
    fn check_sums(&self) {
        let health = &self.report.health;
        assert_eq!(health.unbalanced, 0, "the tiles of every wait sum to it");
        assert_eq!(health.anomalies.get("uncounted_events"), None);
        let blamed: u64 = self.report.blame.iter().map(|blame| blame.waited_ns).sum();
        assert_eq!(blamed, self.report.waited_ns);
        assert_eq!(folded_ns(&self.text("blame.folded")), self.report.waited_ns);
        for miss in &self.report.worst {
            let tiled: u64 = miss.tiles.iter().map(|tile| tile.length_ns).sum();
            assert_eq!(tiled, miss.waited_ns);
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn capture(&self) -> Capture {
        Capture::read(fs::File::open(self.path("capture.cronx")).unwrap()).unwrap()
    }
}

fn folded_ns(folded: &str) -> u64 {
    folded.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// Tries again where the machine was disturbed: by the host's steal, or by somebody else's work.
/// Elsewhere the first failure is final, and the bound is never loosened: `attempt` gives the reason
/// why it failed.
pub fn steady(mut attempt: impl FnMut() -> Result<(), String>) {
    let mut reasons = Vec::new();
    for _ in 0..TRIES {
        let before = Ticks::now();
        let Err(reason) = attempt() else { return };
        let disturbed = Ticks::now().disturbed_since(&before);
        reasons.push(reason);
        let Some(how) = disturbed else { break };
        println!("{how}; trying again: {}", reasons.last().unwrap());
    }
    panic!("did not hold in {} recordings: {reasons:#?}", reasons.len());
}

/// Ticks of CPU time since the machine, or this process, started.
struct Ticks {
    stolen: u64,
    busy: u64,
    /// Of this process and its children that have ended.
    own: u64,
}

impl Ticks {
    fn now() -> Self {
        let numbers = |path: &str, skip: usize| -> Vec<u64> {
            let text = fs::read_to_string(path).unwrap();
            let line = text.lines().next().unwrap();
            line.split_whitespace().skip(skip).map(|n| n.parse().unwrap_or(0)).collect()
        };
        // user nice system idle iowait irq softirq steal
        let cpu = numbers("/proc/stat", 1);
        // utime stime cutime cstime are the 14th to the 17th field.
        let own = numbers("/proc/self/stat", 13);
        Self { stolen: cpu[7], busy: cpu[0] + cpu[1] + cpu[2], own: own[..4].iter().sum() }
    }

    /// More than a hundredth of a second stolen, or than a tenth of one of somebody else's work.
    fn disturbed_since(&self, before: &Self) -> Option<String> {
        let stolen = self.stolen - before.stolen;
        let others = (self.busy - before.busy).saturating_sub(self.own - before.own);
        (stolen > 1 || others > 10)
            .then(|| format!("disturbed: {stolen} ticks stolen, {others} ticks of others"))
    }
}

/// A process that ends with the test.
pub struct Neighbour(pub Child);

impl Neighbour {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a condition, a minute at most: what is emulated is ten times as slow.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "waited a minute until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
