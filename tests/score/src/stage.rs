//! One recording of a case: the actors begin, the victim is recorded, all stop, and what they left is
//! read. All effects on the machine are here, and are taken back.

mod actors;
mod group;
mod setting;
mod ticks;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cronx_recording::{Capture, Class, Report};

use crate::cases::{Case, Truth};
use crate::log::{self, Log};

use actors::Actors;
use group::Group;
use setting::Setting;

pub use ticks::Ticks;

/// What was built, and how long to record.
pub struct Programs {
    pub folder: PathBuf,
    /// Where recordings are kept, if they are.
    pub keep: Option<PathBuf>,
    pub seconds: u32,
}

/// What one recording left.
pub struct Take {
    pub capture: Capture,
    pub report: Report,
    /// Of the actors.
    pub actors: Log,
    /// Of what was recorded.
    pub load: Log,
    /// The growth of the group's own count of throttled time; `None` without a group.
    pub throttled_ns: Option<u64>,
}

/// Why a case cannot run here, if it cannot.
pub fn obstacle(case: &Case) -> Option<String> {
    let no_group = case.quota_us.and_then(|_| group::obstacle());
    let no_truth = (case.truth == Truth::Gaps(Class::Irq)).then(virtual_cpu).flatten();
    no_group.or(no_truth).or_else(|| setting::obstacle(case.setting?.0))
}

/// What a log shows of short interrupts on a virtual CPU is mostly the hypervisor's way there and back,
/// which is outside of any handler, and which no guest can see.
fn virtual_cpu() -> Option<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is_flag = |line: &str| line.starts_with("flags") && line.contains(" hypervisor");
    let found = cpus.lines().any(is_flag);
    found.then(|| "on a virtual CPU most of a short interrupt is the hypervisor's".to_owned())
}

/// Plays the case once.
pub fn record(case: &Case, programs: &Programs) -> Result<Take> {
    let folder = tempfile::tempdir()?;
    let place = programs.keep.as_ref().map_or(folder.path().to_owned(), |all| all.join(case.name));
    std::fs::create_dir_all(&place)?;
    let _setting = case.setting.map(|(path, value)| Setting::change(path, value)).transpose()?;
    let group = case.quota_us.map(Group::make).transpose()?;
    let scene = Scene { case, programs, place: &place, group: group.as_ref() };
    let actors = Actors::start(&scene)?;
    scene.run_load()?;
    let actors = actors.stop()?;
    let throttled_ns = group.map(|group| group.throttled_ns()).transpose()?;
    let read = |name: &str| File::open(place.join(name)).with_context(|| format!("no {name}"));
    Ok(Take {
        capture: Capture::read(BufReader::new(read("capture.cronx")?))?,
        report: Report::read(BufReader::new(read("report.json")?))?,
        actors,
        load: read_log(&place.join(LOAD_LOG))?,
        throttled_ns,
    })
}

const LOAD_LOG: &str = "load.log";

/// What a command line needs to be filled in.
struct Scene<'a> {
    case: &'a Case,
    programs: &'a Programs,
    place: &'a Path,
    group: Option<&'a Group>,
}

impl Scene<'_> {
    fn actor(&self) -> PathBuf {
        self.programs.folder.join("cronx-actor")
    }

    /// The words of an actor or load, with a log of its own.
    fn words(&self, words: &str, log: &Path) -> Vec<String> {
        let group = |folder: fn(&Group) -> PathBuf| {
            self.group.map(folder).unwrap_or_default().display().to_string()
        };
        let filled = words
            .replace("{seconds}", &self.programs.seconds.to_string())
            .replace("{program}", &self.actor().display().to_string())
            .replace("{group}", &group(Group::limited))
            .replace("{beside}", &group(Group::beside));
        let log = ["--log".to_owned(), log.display().to_string()];
        // A storm has nothing to tell.
        let log = if filled.contains("storm") { &[][..] } else { &log };
        filled.split_whitespace().map(str::to_owned).chain(log.iter().cloned()).collect()
    }

    /// `cronx record`, to its end.
    fn run_load(&self) -> Result<()> {
        let cronx = self.programs.folder.join("cronx");
        let log = fresh(&self.place.join(LOAD_LOG))?;
        let mut command = match self.case.seat {
            Some(cpu) => {
                let mut seated = Command::new("taskset");
                seated.args(["-c", cpu]).arg(cronx);
                seated
            }
            None => Command::new(cronx),
        };
        // Whoever runs this under sudo did not ask for files that are the caller's.
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        command.args(["record", "--quiet", "--force", "-o"]).arg(self.place);
        command.args(self.case.record.split_whitespace()).arg("--").arg(self.actor());
        let output = command
            .args(self.words(self.case.load, &log))
            .stdout(Stdio::null())
            .output()
            .context("cannot run cronx")?;
        if !output.status.success() {
            bail!("cronx failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// The path, with nothing there.
fn fresh(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    Ok(path.to_owned())
}

fn read_log(path: &Path) -> Result<Log> {
    let mut log = Log::default();
    let text = std::fs::read_to_string(path)?;
    log::read(&text, &mut log).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(log)
}
