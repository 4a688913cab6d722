//! Why a file is not taken: one sentence, with the line.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file is not taken. It has texts from the file: a sink wants its encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    file: Option<PathBuf>,
    /// The line, from 1, and what stands there.
    place: Option<(usize, String)>,
    why: String,
}

impl std::error::Error for Refusal {}

/// Something wrong, at a byte of the text if it is anywhere.
#[derive(Debug)]
pub(super) struct Fault {
    at: Option<usize>,
    why: String,
}

impl Fault {
    pub(super) fn new(at: Option<usize>, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }
}

impl From<&toml::de::Error> for Fault {
    fn from(error: &toml::de::Error) -> Self {
        let lines: Vec<&str> = error.message().lines().collect();
        let why = match lines.join(", ") {
            // Said of a word that stands alone and should not.
            why if why.ends_with("expected newtype variant") => {
                "this word has a value, as in { WORD = VALUE }".to_owned()
            }
            why => why,
        };
        Self::new(error.span().map(|span| span.start), why)
    }
}

impl Refusal {
    pub(super) fn of(fault: &Fault, text: &str) -> Self {
        let place = fault.at.map(|at| place(text, at));
        Self { file: None, place, why: fault.why.clone() }
    }

    pub(super) fn within(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

/// The line of a byte, and which key of which table it is about.
fn place(text: &str, at: usize) -> (usize, String) {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let here = text.lines().nth(line - 1).unwrap_or_default().trim();
    // A line of a longer array begins so too, and ends otherwise.
    let is_header = |line: &&str| line.starts_with('[') && !line.ends_with(',');
    let header = text.lines().take(line).map(str::trim).filter(is_header).last();
    let key = here.split_once('=').map_or("", |(key, _)| key.trim());
    let words = [header.unwrap_or_default(), key].map(short);
    (line, words.join(" ").trim().to_owned())
}

/// As much as fits beside a sentence.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match &self.place {
            Some((line, what)) if what.is_empty() => write!(f, "line {line}: {}", self.why),
            Some((line, what)) => write!(f, "line {line}, {what}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}
