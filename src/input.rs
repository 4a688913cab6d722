//! Recordings and latency logs, whatever form they are kept in.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cronx_collector::privileges;
use cronx_gate::evidence::{self, Evidence, Unit};
use cronx_gate::flaw::Limits;
use cronx_gate::quantity::Quantity;
use cronx_recording::{Capture, Report, Untrusted};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::output::{CAPTURE, REPORT};

/// What one file holds.
#[derive(Debug, Clone)]
pub enum Input {
    /// A recording of ours.
    Report(Box<Report>),
    /// An HdrHistogram interval log.
    Hlog(Vec<u8>),
    /// A percentile table.
    Hgrm(String),
}

/// A file's form, as its name and its first bytes tell.
enum Form {
    Report,
    Capture,
    Hlog,
    Hgrm,
}

/// Reads several lists of files as the user who called sudo; only to open them may take root.
pub fn read_all(lists: &[&Vec<PathBuf>]) -> Result<Vec<Vec<(PathBuf, Input)>>> {
    let open_list = |list: &Vec<PathBuf>| list.iter().map(|path| opened(path)).collect();
    let opened: Vec<Vec<_>> = lists.iter().map(|list| open_list(list)).collect::<Result<_>>()?;
    if let Some(user) = privileges::invoking_user()? {
        privileges::drop_to(Some(&user), &[])?;
    }
    let read_list = |list: Vec<(PathBuf, File)>| list.into_iter().map(read).collect();
    opened.into_iter().map(read_list).collect()
}

/// The file itself, or a recording's folder's: its report, or the capture if there is none.
fn opened(path: &Path) -> Result<(PathBuf, File)> {
    let cannot = || format!("cannot read '{}'", path.display());
    let file = open_regular(path);
    if path.is_dir() {
        let inside = [REPORT[0], CAPTURE].map(|name| path.join(name));
        let found = inside.iter().find(|path| path.exists());
        let found = found.with_context(|| {
            format!("'{}' holds neither {} nor {CAPTURE}", path.display(), REPORT[0])
        })?;
        return Ok((path.to_owned(), open_regular(found).with_context(cannot)?));
    }
    Ok((path.to_owned(), file.with_context(cannot)?))
}

/// A pipe that nobody writes into would keep us for ever.
fn open_regular(path: &Path) -> Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = open(path, flags, Mode::empty())?;
    let kind = SFlag::from_bits_truncate(fstat(file.as_fd())?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG && kind != SFlag::S_IFDIR {
        bail!("it is neither a file nor a folder");
    }
    Ok(file.into())
}

fn read((path, file): (PathBuf, File)) -> Result<(PathBuf, Input)> {
    let input =
        read_form(&path, file).with_context(|| format!("cannot use '{}'", path.display()))?;
    Ok((path, input))
}

fn read_form(path: &Path, mut file: File) -> Result<Input> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(cronx_recording::Error::Empty.into());
    }
    Ok(match form(path, &bytes) {
        Form::Hlog => Input::Hlog(bytes),
        Form::Hgrm => Input::Hgrm(String::from_utf8_lossy(&bytes).into_owned()),
        Form::Report => Input::Report(Report::read(bytes.as_slice())?.into()),
        Form::Capture => {
            let capture = Capture::read(BufReader::new(bytes.as_slice()))?;
            let options = cronx_blame::Options::default();
            Input::Report(cronx_blame::analyse(&capture, &options).into())
        }
    })
}

fn form(path: &Path, bytes: &[u8]) -> Form {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("hlog") => Form::Hlog,
        Some("hgrm") => Form::Hgrm,
        // A capture begins with its own name.
        _ if bytes.trim_ascii_start().first() == Some(&b'{') => Form::Report,
        Some("json") => Form::Report,
        _ => Form::Capture,
    }
}

impl Input {
    /// The recording, if it is one of ours.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Report(report) => Some(report),
            Self::Hlog(_) | Self::Hgrm(_) => None,
        }
    }

    /// What it says of a quantity.
    pub fn evidence(
        &self,
        path: &Path,
        quantity: &Quantity,
        limits: &Limits,
        unit: Option<Unit>,
    ) -> Result<Evidence> {
        let name = Untrusted::from(path.to_string_lossy().into_owned());
        let evidence = match self {
            Self::Report(report) => Evidence::of(report, name, quantity, limits),
            Self::Hlog(bytes) => {
                evidence::of_hlog(bytes, name, quantity, unit.unwrap_or(Unit::Nanoseconds))
            }
            Self::Hgrm(text) => {
                evidence::of_hgrm(text, name, quantity, unit.unwrap_or(Unit::Milliseconds))
            }
        };
        evidence.with_context(|| format!("cannot use '{}'", path.display()))
    }
}
