//! Who observes, as a process: started, waited for until it really does, ended.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use super::kernel;
use super::stage::Stage;
use super::variants::{By, IDLE, LOAD, Variant};
use super::workload::OBSERVER_CPU;
use crate::process;

/// Far more than any takes: to attach, and to write its report.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// One that is found asleep so often in succession has nothing left to prepare.
const ASLEEP: u32 = 5;

/// A process that observes.
pub(super) struct Observer {
    child: Child,
    begun: Begun,
    said: PathBuf,
}

/// By what it is seen that it observes.
enum Begun {
    /// It writes what it records.
    Wrote(PathBuf),
    /// It says so.
    Says(&'static str),
    /// It holds so many hooks, and went to sleep over them.
    Sleeps { hooks: usize, seen: u32 },
    /// It was told to begin, and answers.
    Answers(Control),
}

impl Observer {
    /// Starts it, and waits until it observes; `None` if nobody does.
    pub(super) fn attach(variant: &Variant, stage: &Stage, load: u32) -> Result<Option<Self>> {
        let Some((command, begun)) = command(variant, stage, load)? else { return Ok(None) };
        let mut observer = Self::start(command, begun, stage)?;
        observer.wait().with_context(|| format!("{} does not observe", variant.name))?;
        Ok(Some(observer))
    }

    /// Has the kernel time programs, until it is stopped.
    pub(super) fn stats(stage: &Stage) -> Result<Self> {
        let begun = Begun::Says("statistics are on");
        let mut stats = Self::start(tool(stage, "stats"), begun, stage)?;
        stats.wait().context("programs are not timed")?;
        Ok(stats)
    }

    fn start(mut command: Command, begun: Begun, stage: &Stage) -> Result<Self> {
        let said = stage.scratch.join(format!("said-{}", stage.next()));
        let out = File::create(&said)?;
        command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out);
        stage.say(&command);
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot run `{}`", process::show(&command)))?;
        Ok(Self { child, begun, said })
    }

    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        while !self.begun.reached(self.child.id(), &self.said)? {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}: {}", self.last_words());
            }
            if started.elapsed() > LIMIT {
                bail!("it did not attach in {LIMIT:?}: {}", self.last_words());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a person would. Whether that is a failure is known only of cronx.
    pub(super) fn stop(mut self) -> Result<bool> {
        self.interrupt();
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            if asked.elapsed() > LIMIT {
                bail!("an observer did not end in {LIMIT:?}: {}", self.last_words());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn interrupt(&self) {
        // It may have ended by itself; its number is ours until we have waited for it.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
    }

    /// The first line of what it said that is about an error, else the last.
    fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.said).unwrap_or_default();
        let mut lines = said.lines().filter(|line| !line.trim().is_empty());
        let error = lines.clone().find(|line| line.contains("rror"));
        error.or_else(|| lines.next_back()).unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Begun {
    fn reached(&mut self, pid: u32, said: &Path) -> Result<bool> {
        Ok(match self {
            Self::Wrote(file) => file.exists(),
            Self::Says(words) => fs::read_to_string(said)?.contains(*words),
            Self::Sleeps { hooks, seen } => {
                let asleep = kernel::hooks(pid) >= *hooks && kernel::sleeps(pid);
                *seen = if asleep { *seen + 1 } else { 0 };
                *seen >= ASLEEP
            }
            Self::Answers(control) => control.answered(),
        })
    }
}

/// The two pipes by which perf is told to begin, and answers.
struct Control {
    orders: File,
    answers: File,
}

impl Control {
    fn new(folder: &Path) -> Result<(Self, String)> {
        let (orders, answers) = (folder.join("orders"), folder.join("answers"));
        let words = format!("fifo:{},{}", orders.display(), answers.display());
        let mut control = Self { orders: pipe(&orders)?, answers: pipe(&answers)? };
        // The order waits in the pipe until perf is ready for it.
        control.orders.write_all(b"enable\n")?;
        Ok((control, words))
    }

    fn answered(&mut self) -> bool {
        let mut answer = [0; 8];
        self.answers.read(&mut answer).is_ok_and(|length| answer[..length].starts_with(b"ack"))
    }
}

/// Opened for both ways, which waits for nobody; a read with nothing to read fails at once.
fn pipe(path: &Path) -> Result<File> {
    mkfifo(path, Mode::S_IRWXU).with_context(|| format!("cannot make {}", path.display()))?;
    let flags = OFlag::O_NONBLOCK.bits();
    Ok(File::options().read(true).write(true).custom_flags(flags).open(path)?)
}

fn command(variant: &Variant, stage: &Stage, load: u32) -> Result<Option<(Command, Begun)>> {
    Ok(Some(match variant.by {
        By::Nobody => return Ok(None),
        By::Empty => (tool(stage, "empty"), Begun::Says("empty programs")),
        By::Cronx(words) => {
            let mut command = pinned(&stage.cronx);
            command.args(["record", "--quiet", "-o"]).arg(stage.recording());
            command.args(words.iter().map(|&word| match word {
                LOAD => load.to_string(),
                IDLE => stage.idle().to_string(),
                word => word.to_owned(),
            }));
            (command, Begun::Wrote(stage.recording().join("capture.cronx")))
        }
        By::Rival(words, hooks) => {
            let mut command = pinned(Path::new(words[0]));
            command.args(&words[1..]);
            (command, Begun::Sleeps { hooks, seen: 0 })
        }
        By::PerfSched => {
            let (control, words) = Control::new(&stage.scratch)?;
            let mut command = pinned(Path::new("perf"));
            command.args(["sched", "record", "-D", "-1", "--control", &words, "-o"]);
            command.arg(stage.scratch.join("perf.data"));
            (command, Begun::Answers(control))
        }
    }))
}

fn tool(stage: &Stage, role: &str) -> Command {
    let mut command = pinned(&stage.tool);
    command.arg(role);
    command
}

/// On the observer's CPU, and not longer than we are. Not under sudo's name: the recording is root's.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT", "taskset", "-c", OBSERVER_CPU]).arg(program);
    command.env("PATH", process::search_path()).env_remove("SUDO_UID").env_remove("SUDO_GID");
    command
}
