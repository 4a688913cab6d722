//! The processes of a run: one group, ended whole.
//!
//! A command leads a process group of its own. When its run is given up (a timeout, a newer firing), the
//! group is told to end with SIGTERM, has a time for it, and is killed. As long as that
//! takes, its leader is not waited for: so its number stays taken, and no signal can reach a stranger.
//! A process that has made a session of its own has left the group, and is left alone.

use std::collections::HashSet;
use std::fs;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// How often a group that has been told to end is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// All groups that are there.
pub(crate) struct Groups {
    leaders: Mutex<Leaders>,
    kill_after: Duration,
    runtime: Handle,
}

#[derive(Default)]
struct Leaders {
    all: HashSet<i32>,
    /// Whether no other may be added.
    closed: bool,
}

impl Groups {
    pub(crate) fn new(kill_after: Duration, runtime: Handle) -> Self {
        Self { leaders: Mutex::default(), kill_after, runtime }
    }

    /// How long one that is told to end has for it.
    pub(crate) fn kill_after(&self) -> Duration {
        self.kill_after
    }

    /// Ends all that are left, takes no other, and says how many there were.
    pub(crate) fn end_all(&self, patience: Duration) -> usize {
        let mut leaders = self.leaders();
        leaders.closed = true;
        let all: Vec<i32> = leaders.all.iter().copied().collect();
        drop(leaders);
        let count = all.len();
        // Their leaders are waited for by their runs, so a group that is gone is let alone at once: its
        // number is free.
        for leader in stubborn(all, patience) {
            signal(leader, Signal::SIGKILL);
        }
        count
    }

    /// Whether all is over: a firing may still have been on its way.
    pub(crate) fn is_closed(&self) -> bool {
        self.leaders().closed
    }

    fn leaders(&self) -> MutexGuard<'_, Leaders> {
        self.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One group. Dropped before its leader has ended, it is ended.
pub(crate) struct Group {
    child: Option<Child>,
    leader: i32,
    groups: Arc<Groups>,
    /// Its job's place among those that may run at once: kept until all of it is gone.
    seat: Option<OwnedSemaphorePermit>,
}

impl Group {
    /// Of a child that leads its own; `None` if it has been waited for, or all is over.
    pub(crate) fn of(
        child: Child,
        groups: &Arc<Groups>,
        seat: Option<OwnedSemaphorePermit>,
    ) -> Option<Self> {
        let leader = child.id()? as i32;
        let mut leaders = groups.leaders();
        if leaders.closed {
            signal(leader, Signal::SIGKILL);
            return None;
        }
        leaders.all.insert(leader);
        drop(leaders);
        Some(Self { child: Some(child), leader, groups: Arc::clone(groups), seat })
    }

    /// Waits for the leader. Processes that it leaves behind are its own affair.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let Some(child) = self.child.as_mut() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let status = child.wait().await?;
        self.child = None;
        self.groups.leaders().all.remove(&self.leader);
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let (leader, groups, seat) = (self.leader, Arc::clone(&self.groups), self.seat.take());
        let runtime = self.groups.runtime.clone();
        self.groups.runtime.spawn(async move {
            let kill_after = groups.kill_after;
            // If the runtime is shutting down, whoever does that ends all groups.
            let told = runtime.spawn_blocking(move || stubborn(vec![leader], kill_after));
            if told.await.is_ok() {
                signal(leader, Signal::SIGKILL);
            }
            let _ = child.wait().await;
            groups.leaders().all.remove(&leader);
            drop(seat);
        });
    }
}

/// Tells them to end, and waits until nobody is left or patience is; gives those that are.
fn stubborn(mut leaders: Vec<i32>, patience: Duration) -> Vec<i32> {
    let until = Instant::now() + patience;
    for &leader in &leaders {
        signal(leader, Signal::SIGTERM);
    }
    while Instant::now() < until && !leaders.is_empty() {
        let alive = groups_alive();
        leaders.retain(|leader| alive.contains(leader));
        if !leaders.is_empty() {
            thread::sleep(LOOK);
        }
    }
    leaders
}

fn signal(leader: i32, signal: Signal) {
    // A group that is gone needs none, and one that has become another user's cannot be sent any.
    let _ = killpg(Pid::from_raw(leader), signal);
}

/// The groups that have a process which runs; a leader that nobody has waited for does not.
fn groups_alive() -> HashSet<i32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = folders.filter(|folder| {
        folder.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
    });
    let stats = processes.filter_map(|folder| fs::read(folder.path().join("stat")).ok());
    stats.filter_map(|stat| group_alive(&stat)).collect()
}

/// The group of a process that is no zombie, as `/proc/PID/stat` has it: `1 (name) S 0 1 ...`.
fn group_alive(stat: &[u8]) -> Option<i32> {
    // The name may have anything in it, this parenthesis too.
    let behind = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[behind..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let (state, group) = (fields.next()?, fields.nth(1)?);
    (!matches!(state, "Z" | "X")).then(|| group.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        assert_eq!(group_alive(b"7 (a) Z 1 2) S 1 42 42 0 -1"), Some(42));
        assert_eq!(group_alive(b"7 (sh) Z 1 42 42 0 -1"), None);
        assert_eq!(group_alive(b"7 (sh"), None);
        assert_eq!(group_alive(b""), None);
    }
}
