//! A run of a program: its exit status is the outcome, its output goes into the log.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::file::{Command, Output, User};
use crate::group::{Group, Groups};
use crate::log::{Event, Log};

/// A longer line is told in pieces.
const LINE_MOST: u64 = 4096;
/// How long a command that has ended is given for its last lines: a process that it left behind may
/// keep the pipe open.
const LAST_LINES: Duration = Duration::from_millis(200);

const OVER: &str = "the daemon ended before it began";

/// What a program is told of what it is run for.
pub(crate) struct Told {
    pub(crate) job: Arc<str>,
    /// Beside its name.
    pub(crate) env: Vec<(&'static str, String)>,
}

/// Runs it: it has started once its program is executed. Dropped before its end, all its processes are ended.
pub(crate) async fn run(
    command: Arc<Command>,
    told: Told,
    begin: impl FnOnce(),
    groups: Arc<Groups>,
    seat: Option<OwnedSemaphorePermit>,
    log: Log,
) -> Result<(), Failure> {
    if groups.is_closed() {
        return Err(Failure::certain(OVER));
    }
    // It returns when the program is executed, or cannot be.
    let mut child = start(&command, &told).map_err(Failure::certain)?;
    begin();
    let job = told.job;
    let readers = [
        child
            .stdout
            .take()
            .map(|stream| tokio::spawn(tell(Arc::clone(&job), stream, Arc::clone(&log)))),
        child.stderr.take().map(|stream| tokio::spawn(tell(job, stream, log))),
    ];
    let Some(mut group) = Group::of(child, &groups, seat) else {
        return Err(Failure::unknown(OVER));
    };
    let unwaited = |error| Failure::unknown(format!("it cannot be waited for: {error}"));
    let status = group.wait().await.map_err(unwaited)?;
    let _ = timeout(LAST_LINES, last_lines(readers)).await;
    ending(status)
}

fn start(command: &Command, told: &Told) -> Result<Child, String> {
    let output = || match command.output {
        Output::Log => Stdio::piped(),
        Output::Discard => Stdio::null(),
    };
    let mut program = tokio::process::Command::new(&command.program);
    program
        .args(&command.args)
        // Who is ready is ours to say.
        .env_remove("NOTIFY_SOCKET")
        // So is the ledger, whose address may have a password.
        .env_remove("CRONX_LEDGER")
        .env("CRONX_JOB", &*told.job)
        .envs(told.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .process_group(0);
    if let Some(user) = &command.user {
        become_user(&mut program, user);
    }
    program.envs(&command.env);
    if let Some(cwd) = &command.cwd {
        program.current_dir(cwd);
    }
    program.spawn().map_err(|error| {
        let user = command.user.as_ref().map(|user| format!(" as {}", user.name));
        let cwd = command.cwd.as_ref().map(|cwd| format!(" in {}", cwd.display()));
        let [user, cwd] = [user, cwd].map(Option::unwrap_or_default);
        format!("cannot run '{}'{user}{cwd}: {error}", command.program)
    })
}

/// With the user's group and no other: a user that is given lets the library drop all groups before it
/// changes to it, and a failure of any of that is one of the start.
fn become_user(program: &mut tokio::process::Command, user: &User) {
    program.gid(user.gid).uid(user.uid);
    program.env("USER", &user.name).env("LOGNAME", &user.name).env("HOME", &user.home);
}

async fn tell(job: Arc<str>, stream: impl AsyncRead + Unpin, log: Log) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut reader).take(LINE_MOST).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        log(&Event::Line { job: &job, line: &text });
        line.clear();
    }
}

async fn last_lines(readers: [Option<JoinHandle<()>>; 2]) {
    for reader in readers.into_iter().flatten() {
        // One that panicked has told all that it will.
        let _ = reader.await;
    }
}

/// A status is the command's own word; a signal is another's.
fn ending(status: ExitStatus) -> Result<(), Failure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::certain(format!("exit status {code}"))),
        (None, Some(signal)) => Err(Failure::unknown(format!("ended by signal {signal}"))),
        (None, None) => Err(Failure::unknown("it ended, and nobody knows how")),
    }
}
