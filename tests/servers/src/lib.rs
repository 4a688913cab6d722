//! Real servers, on free ports and in folders of their own, gone with whoever started them.
//!
//! What goes wrong here is a panic: it is the machine's fault, and nothing could be tested.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

/// Nothing takes longer, on a slow machine that does something else too.
const BOUND: Duration = Duration::from_mins(1);

/// A server that runs.
pub struct Server {
    child: Child,
    folder: TempDir,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// How it is started again.
    command: fn(&Path, u16) -> Option<Command>,
    /// Whether it does more than listen.
    accepts: fn(u16) -> bool,
    ends_by: Signal,
}

/// Whether the test can go on; where a server is not installed it is skipped, and says so.
pub fn needs(test: &str, server: Option<Server>, what: &str) -> Option<Server> {
    if server.is_none() {
        skip(test, &format!("{what} is not installed"));
    }
    server
}

/// The test cannot go on.
pub fn skip(test: &str, reason: &str) {
    let demanded = std::env::var("CRONX_LIVE").is_ok_and(|live| live == "demand");
    assert!(!demanded, "{test} was demanded: {reason}");
    println!("skipped: {test}: {reason}");
    if let Some(path) = std::env::var_os("CRONX_SKIPPED") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

/// A program by its name: on the path, or where Debian keeps PostgreSQL's.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    versions.into_iter().rev().chain(on_path).map(|folder| folder.join(name)).find(|p| p.is_file())
}

/// Servers refuse to be root.
fn as_nobody(command: &mut Command) {
    if Uid::effective().is_root() {
        let (uid, gid) = nobody();
        command.uid(uid).gid(gid);
    }
}

fn nobody() -> (u32, u32) {
    let nobody = User::from_name("nobody").ok().flatten();
    nobody.map_or((65534, 65534), |user| (user.uid.as_raw(), user.gid.as_raw()))
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    if Uid::effective().is_root() {
        let (uid, gid) = nobody();
        chown(folder.path(), Some(uid), Some(gid)).unwrap();
    }
    folder
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(
        folder: TempDir,
        command: fn(&Path, u16) -> Option<Command>,
        accepts: fn(u16) -> bool,
        ends_by: Signal,
    ) -> Option<Self> {
        let port = free_port();
        let child = spawn(command(folder.path(), port)?, folder.path());
        let mut server = Self { child, folder, port, command, accepts, ends_by };
        server.answers();
        Some(server)
    }

    /// Waits until it does.
    fn answers(&mut self) {
        let until = Instant::now() + BOUND;
        while !(self.accepts)(self.port) {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended: {status}\n{}", log());
            }
            assert!(Instant::now() < until, "the server does not answer\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends it to the server's first process.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// As if the machine had lost power, and come back.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start_again();
    }

    /// As if the machine had lost power.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    /// The power is back.
    pub fn start_again(&mut self) {
        let command = (self.command)(self.folder.path(), self.port).unwrap();
        self.child = spawn(command, self.folder.path());
        self.answers();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Were it stopped, it would not end.
        self.signal(Signal::SIGCONT);
        self.signal(self.ends_by);
        let _ = self.child.wait();
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn spawn(mut command: Command, folder: &Path) -> Child {
    let log = File::options().append(true).create(true).open(folder.join("log")).unwrap();
    as_nobody(&mut command);
    // One that begins clears away what others have in the usual place.
    command.env("TMPDIR", folder).current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// PostgreSQL; `None` if it is not installed.
pub fn postgres() -> Option<Server> {
    let folder = folder();
    let mut make = Command::new(program("initdb")?);
    make.args(["--username=cronx", "--auth=trust", "--encoding=UTF8", "--no-sync", "--pgdata"]);
    make.arg(folder.path().join("data"));
    let made = spawn(make, folder.path()).wait().unwrap();
    assert!(made.success(), "{}", fs::read_to_string(folder.path().join("log")).unwrap());
    let accepts = |port| {
        let url = format!("postgres://cronx@127.0.0.1:{port}/postgres");
        let ready = Command::new(program("pg_isready").unwrap()).arg("-d").arg(url).output();
        ready.is_ok_and(|ready| ready.status.success())
    };
    Server::start(folder, postgres_command, accepts, Signal::SIGQUIT)
}

fn postgres_command(folder: &Path, port: u16) -> Option<Command> {
    let mut command = Command::new(program("postgres")?);
    command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).arg("-p");
    command.arg(port.to_string()).args(["-h", "127.0.0.1"]);
    Some(command)
}

/// MariaDB; `None` if it is not installed.
pub fn mariadb() -> Option<Server> {
    let folder = folder();
    let mut make = Command::new(program("mariadb-install-db")?);
    make.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    make.arg(format!("--datadir={}", folder.path().join("data").display()));
    let made = spawn(make, folder.path()).wait().unwrap();
    assert!(made.success(), "{}", fs::read_to_string(folder.path().join("log")).unwrap());
    Server::start(folder, mariadb_command, listens, Signal::SIGTERM)
}

fn mariadb_command(folder: &Path, port: u16) -> Option<Command> {
    let mut command = Command::new(program("mariadbd")?);
    let option = |name: &str, path: &str| format!("--{name}={}", folder.join(path).display());
    command.args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=32M"]);
    command.arg(option("datadir", "data")).arg(option("socket", "socket"));
    command.arg(option("pid-file", "pid")).arg(format!("--port={port}"));
    Some(command)
}

/// Redis, with these lines of settings; `None` if it is not installed.
pub fn redis(settings: &str) -> Option<Server> {
    let folder = folder();
    fs::write(folder.path().join("redis.conf"), settings).unwrap();
    Server::start(folder, redis_command, listens, Signal::SIGTERM)
}

fn redis_command(folder: &Path, port: u16) -> Option<Command> {
    let mut command = Command::new(program("redis-server")?);
    command.arg(folder.join("redis.conf")).args(["--bind", "127.0.0.1", "--port"]);
    command.arg(port.to_string());
    Some(command)
}

/// NATS with JetStream; `None` if it is not installed.
pub fn nats() -> Option<Server> {
    Server::start(folder(), nats_command, listens, Signal::SIGTERM)
}

fn nats_command(folder: &Path, port: u16) -> Option<Command> {
    let mut command = Command::new(program("nats-server")?);
    command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream"]);
    command.arg("--store_dir").arg(folder.join("streams"));
    Some(command)
}
