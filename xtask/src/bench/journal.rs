//! Rounds on disk, a JSON line each: what was measured is not measured again.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the rounds are of. Rounds of different things are never mixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// `uname -r`.
    pub(super) kernel: String,
    /// A hash of what is measured, and of how.
    pub(super) programs: String,
}

impl Subject {
    /// Of this kernel, these programs, and what they are asked.
    pub(super) fn of(asked: &str, programs: &[&Path]) -> Result<Self> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let mut hash = Sha256::new_with_prefix(asked);
        for program in programs {
            let shown = || format!("cannot read {}", program.display());
            hash.update(fs::read(program).with_context(shown)?);
        }
        Ok(Self { kernel, programs: format!("{:x}", hash.finalize()) })
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    subject: Subject,
    seed: u64,
}

/// A file that grows by a line each round.
pub(super) struct Journal<R> {
    file: File,
    pub(super) seed: u64,
    pub(super) rounds: Vec<R>,
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Takes up what is there, or begins anew. An interrupted line is no round.
    pub(super) fn open(
        path: &Path,
        subject: &Subject,
        seed: Option<u64>,
        fresh: bool,
    ) -> Result<Self> {
        let written = if fresh { String::new() } else { read(path)? };
        let whole = written.rfind('\n').map_or(0, |newline| newline + 1);
        let (head, rounds) = match parse(&written[..whole])? {
            Some(there) => there,
            None => {
                begin(path, Head { subject: subject.clone(), seed: seed.unwrap_or_else(draw) })?
            }
        };
        if head.subject != *subject || seed.is_some_and(|seed| seed != head.seed) {
            bail!(
                "{} has rounds of another kernel, build or seed; --fresh begins anew",
                path.display()
            );
        }
        let file = File::options().append(true).open(path)?;
        if whole > 0 {
            file.set_len(whole as u64)?;
        }
        Ok(Self { file, seed: head.seed, rounds })
    }

    /// Writes a round down, in one piece.
    pub(super) fn push(&mut self, round: R) -> Result<()> {
        self.file.write_all(line(&round)?.as_bytes()).context("cannot write a round down")?;
        self.rounds.push(round);
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

fn parse<R: DeserializeOwned>(written: &str) -> Result<Option<(Head, Vec<R>)>> {
    const FOREIGN: &str = "the rounds there are of another version; --fresh begins anew";
    let mut lines = written.lines();
    let Some(head) = lines.next() else { return Ok(None) };
    let head = serde_json::from_str(head).context(FOREIGN)?;
    let rounds = lines.map(serde_json::from_str).collect::<Result<_, _>>().context(FOREIGN)?;
    Ok(Some((head, rounds)))
}

fn begin<R>(path: &Path, head: Head) -> Result<(Head, Vec<R>)> {
    fs::write(path, line(&head)?).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((head, Vec::new()))
}

fn line(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

/// Any number will do, as long as it is written down.
fn draw() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_nanos() as u64 % 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(programs: &str) -> Subject {
        Subject { kernel: "6.18".to_owned(), programs: programs.to_owned() }
    }

    #[test]
    fn rounds_are_taken_up_where_they_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rounds.jsonl");
        let open = |seed, fresh| Journal::<u32>::open(&path, &subject("a"), seed, fresh);
        let mut journal = open(Some(7), false).unwrap();
        journal.push(1).unwrap();
        journal.push(2).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "12").unwrap();
        let mut journal = open(None, false).unwrap();
        assert_eq!((journal.seed, journal.rounds.as_slice()), (7, &[1, 2][..]));
        journal.push(3).unwrap();
        assert_eq!(open(Some(7), false).unwrap().rounds, [1, 2, 3]);
        assert!(open(Some(8), false).is_err());
        assert!(open(Some(8), true).unwrap().rounds.is_empty());
    }

    #[test]
    fn rounds_of_another_build_are_not_mixed_with_these() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rounds.jsonl");
        let open = |programs| Journal::<u32>::open(&path, &subject(programs), None, false);
        open("a").unwrap();
        let error = open("b").err().unwrap().to_string();
        assert!(error.ends_with("--fresh begins anew"), "{error}");
    }
}
