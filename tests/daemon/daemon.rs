//! A daemon of a test's own, and what it says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;
use tempfile::TempDir;

/// The built command.
pub const CRONX: &str = env!("CARGO_BIN_EXE_cronx");
/// Nothing takes longer, on a slow machine that does something else too.
pub const BOUND: Duration = Duration::from_mins(1);

const NOBODY: u32 = 65534;

pub struct Daemon {
    child: Child,
    folder: TempDir,
    said: Arc<Mutex<String>>,
    address: String,
}

/// Waits for it, within a bound.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < until, "not in {BOUND:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether it runs; a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

/// What starts a daemon with these jobs, and where they are.
fn prepared(text: &str, listen: &str) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("jobs.toml"), text).unwrap();
    let mut command = Command::new(CRONX);
    command.args(["run", "--listen", listen]).arg(folder.path().join("jobs.toml"));
    // What outlives a daemon has tests of its own.
    command.env("CRONX_LEDGER", "memory:");
    command.stdin(Stdio::null());
    (command, folder)
}

impl Daemon {
    /// With these jobs, on a port that is free.
    pub fn start(text: &str) -> Self {
        Self::start_with(text, |_| {})
    }

    /// As a user who may do nothing that others may not.
    pub fn start_as_nobody(text: &str) -> Self {
        Self::start_with(text, |command| {
            if Uid::effective().is_root() {
                command.uid(NOBODY).gid(NOBODY);
            }
        })
    }

    /// With its standard error there, which says nothing here: so its port is found by asking.
    pub fn start_unheard(text: &str, stderr: impl Into<Stdio>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (mut command, folder) = prepared(text, &free);
        let child = command.stderr(stderr).spawn().unwrap();
        let daemon = Self { child, folder, said: Arc::default(), address: free };
        eventually("that it answers", || TcpStream::connect(&daemon.address).is_ok());
        daemon
    }

    pub fn start_with(text: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let (mut command, folder) = prepared(text, "127.0.0.1:0");
        prepare(&mut command);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *heard.lock().unwrap() += &(line + "\n");
            }
        });
        let mut daemon = Self { child, folder, said, address: String::new() };
        daemon.says("/status and /metrics");
        let text = daemon.text();
        let (_, behind) = text.split_once("http://").unwrap();
        behind.split_once('/').unwrap().0.clone_into(&mut daemon.address);
        daemon
    }

    /// Another text for its file.
    pub fn write(&self, text: &str) {
        // Renamed into place, as an editor does: nobody reads a half.
        let new: PathBuf = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.path().join("jobs.toml")).unwrap();
    }

    /// A pipe in place of its file, which nobody writes to.
    pub fn write_pipe(&self) {
        let path = self.folder.path().join("jobs.toml");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// What it has said so far.
    pub fn text(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    pub fn says(&self, what: &str) {
        let until = Instant::now() + BOUND;
        while !self.text().contains(what) {
            assert!(Instant::now() < until, "it never said {what:?}, but\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number that it says after this.
    pub fn number_after(&self, what: &str) -> i32 {
        self.says(what);
        // The whole line is there, or none of it.
        let text = self.text();
        let (_, behind) = text.split_once(what).unwrap();
        behind.lines().next().unwrap().parse().unwrap()
    }

    /// The answer, with its head.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn status(&self) -> Value {
        let answer = self.get("/status");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    pub fn job(&self, name: &str) -> Value {
        let status = self.status();
        let jobs = status["jobs"].as_array().unwrap();
        jobs.iter().find(|job| job["name"] == name).unwrap().clone()
    }

    pub fn succeeded(&self, name: &str) -> u64 {
        self.job(name)["ended"]["succeeded"].as_u64().unwrap()
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it runs on:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Told until it ends: its jobs have nothing to finish. What has been waited for is sent nothing.
        let until = Instant::now() + BOUND;
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < until {
            self.signal(Signal::SIGTERM);
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
