//! The verdict in every form that somebody reads: a person, a program, a build server.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cronx_gate::{Decision, Verdict};
use cronx_recording::Report;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::{annotations, junit, markdown};
use crate::cli::gate::Telling;
use crate::output::Output;
use crate::{screen, terminal};

/// What a gate leaves in its folder.
const FILES: [&str; 4] = ["verdict.json", "verdict.xml", "verdict.md", "diff.svg"];

/// The recordings of both sides, for whoever asks what changed.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) base: Vec<Report>,
    pub(super) candidate: Vec<Report>,
}

impl Sides {
    pub(super) fn both(&self) -> (Vec<&Report>, Vec<&Report>) {
        (self.base.iter().collect(), self.candidate.iter().collect())
    }
}

/// Tells it everywhere.
pub(super) fn all(
    telling: &Telling,
    verdict: &Verdict,
    sides: &Sides,
    place: Option<(&Path, bool)>,
) -> Result<()> {
    let written = place.map(|place| write(verdict, sides, place)).transpose()?;
    // Where a build server has none, the variable is there and empty.
    let summary = telling.summary.as_ref().filter(|path| !path.as_os_str().is_empty());
    if let Some(summary) = summary {
        append(summary, &markdown::render(verdict))
            .with_context(|| format!("cannot append to '{}'", summary.display()))?;
    }
    let on_github = std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
    if telling.annotations || on_github {
        write!(std::io::stderr().lock(), "{}", annotations::render(verdict))?;
    }
    print(telling, verdict, written.as_deref())
}

fn print(telling: &Telling, verdict: &Verdict, written: Option<&str>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if telling.json {
        writeln!(out, "{}", json(verdict)?)?;
    } else if !telling.quiet {
        write!(out, "{}", screen::verdict(verdict, &terminal::style(&out)))?;
        if let Some(written) = written {
            writeln!(out, "\n{written}")?;
        }
    }
    Ok(())
}

fn json(verdict: &Verdict) -> Result<String> {
    Ok(serde_json::to_string_pretty(verdict)?)
}

/// Everything that is made of a verdict; says what was written, and where.
fn write(verdict: &Verdict, sides: &Sides, (path, force): (&Path, bool)) -> Result<String> {
    let mut output = Output::create(path, force)?;
    output.demand_writable()?;
    output.replace(&FILES)?;
    let json = json(verdict)?;
    output.write(FILES[0], |file| writeln!(file, "{json}"))?;
    let xml = junit::render(verdict)?;
    output.write(FILES[1], |file| file.write_all(xml.as_bytes()))?;
    output.write(FILES[2], |file| file.write_all(markdown::render(verdict).as_bytes()))?;
    let (base, candidate) = sides.both();
    if verdict.decision == Decision::Regression && !base.is_empty() {
        output.write(FILES[3], |f| cronx_flamegraph::write_diff_svg(&base, &candidate, f))?;
    }
    output.keep();
    let path = cronx_recording::Untrusted::from(path.to_string_lossy().into_owned());
    Ok(format!("{}: {}", path.terminal(), output.written().join(" ")))
}

/// The build server made the file; if it did not, nobody else's link is followed.
fn append(path: &Path, text: &str) -> Result<()> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_APPEND
        | OFlag::O_CREAT
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_CLOEXEC;
    let file = open(path, flags, Mode::from_bits_truncate(0o644))?;
    let kind = SFlag::from_bits_truncate(fstat(&file)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        bail!("it is not a file");
    }
    let mut file = BufWriter::new(File::from(file));
    file.write_all(text.as_bytes())?;
    Ok(file.flush()?)
}
