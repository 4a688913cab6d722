//! The processes that make somebody wait.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Scene, fresh, read_log};
use crate::log::Log;

/// How long an actor may take to begin, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// All of them; they end when this goes.
pub(super) struct Actors(Vec<Actor>);

struct Actor {
    child: Child,
    /// `None` if it does not tell what it did.
    log: Option<PathBuf>,
}

impl Actors {
    /// Starts them, and waits until each is there.
    pub(super) fn start(scene: &Scene) -> Result<Self> {
        let mut actors = Self(Vec::new());
        for (number, words) in scene.case.actors.iter().enumerate() {
            let log = fresh(&scene.place.join(format!("actor-{number}.log")))?;
            let words = scene.words(words, &log);
            let logs = words.iter().any(|word| word == "--log");
            let child = Command::new(scene.actor())
                .args(&words)
                .stdout(Stdio::null())
                .spawn()
                .context("cannot run cronx-actor")?;
            actors.0.push(Actor { child, log: logs.then_some(log) });
        }
        for actor in &mut actors.0 {
            actor.wait_until_there()?;
        }
        Ok(actors)
    }

    /// Ends them, and reads what they did.
    pub(super) fn stop(mut self) -> Result<Log> {
        let mut log = Log::default();
        for actor in self.0.iter().filter(|actor| actor.log.is_some()) {
            terminate(&actor.child)?;
        }
        for actor in &mut self.0 {
            let Some(path) = actor.log.clone() else { continue };
            actor.wait_until_ended()?;
            let mut own = read_log(&path)?;
            log.threads.append(&mut own.threads);
        }
        Ok(log)
    }
}

impl Actor {
    fn wait_until_there(&mut self) -> Result<()> {
        let Some(log) = self.log.clone() else { return Ok(()) };
        wait(|| {
            if let Some(status) = self.child.try_wait()? {
                bail!("an actor ended before it began: {status}");
            }
            Ok(log.exists())
        })
    }

    fn wait_until_ended(&mut self) -> Result<()> {
        wait(|| Ok(self.child.try_wait()?.is_some()))
    }
}

fn wait(mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !condition()? {
        if begun.elapsed() > PATIENCE {
            bail!("an actor took longer than {PATIENCE:?} to begin or to end");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn terminate(child: &Child) -> Result<()> {
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    if !kill.context("cannot run kill")?.success() {
        bail!("an actor ended before it was asked to");
    }
    Ok(())
}

impl Drop for Actors {
    fn drop(&mut self) {
        for actor in &mut self.0 {
            // Most have ended by themselves.
            let _ = actor.child.kill();
            let _ = actor.child.wait();
        }
    }
}
