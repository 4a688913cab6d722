//! `cargo xtask tidy`: the walls and the sizes that the compiler does not check.
//!
//! Each rule is a pure function from the tree (names and texts) to findings, so that each is
//! tested on a tree of a line or two. A rule states an absence; its sentence says which.

mod papers;
mod sizes;
mod source;
mod walls;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// The files that git tracks or would track, as far as they are text.
#[derive(Debug, Default)]
struct Tree {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    /// Relative to the workspace, with `/`.
    path: String,
    text: String,
}

/// What a rule has against a file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 if it is about the file.
    line: usize,
    says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.says),
            line => write!(f, "{}:{line}: {}", self.path, self.says),
        }
    }
}

/// Prints every finding; one is enough to fail.
pub(crate) fn run() -> Result<()> {
    let tree = load()?;
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy has {} findings", findings.len());
    }
    println!("tidy: {} files, nothing to say", tree.files.len());
    Ok(())
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let rules = [walls::check, words::check, sizes::check, papers::check];
    let mut findings: Vec<_> = rules.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings
}

fn load() -> Result<Tree> {
    let root = workspace::root();
    let mut git = Command::new("git");
    git.current_dir(&root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let names = process::output(&mut git)?;
    let read = |path: &str| {
        // A picture or a Capture is no text, and a file that git remembers may be gone.
        let text = fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    Ok(Tree { files: names.lines().filter_map(read).collect() })
}

impl Tree {
    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// Rust that ships: rules about it do not bind tests and examples, nor a build script's talk with cargo.
    fn production(&self) -> Vec<&File> {
        let tests: Vec<_> = self.rust().flat_map(File::test_modules).collect();
        let is_test = |file: &File| tests.iter().any(|module| file.belongs_to(module));
        self.rust().filter(|file| !file.is_beside() && !is_test(file)).collect()
    }
}

impl File {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    fn is_beside(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs" | "build.rs"))
    }

    /// Paths, without `.rs`, of the modules that this file declares for tests alone.
    fn test_modules(&self) -> Vec<String> {
        let own = self.path.trim_end_matches(".rs");
        let roots = ["lib", "main", "mod"];
        let is_root = |(_, name): &(&str, &str)| roots.contains(name);
        let folder = own.rsplit_once('/').filter(is_root).map_or(own, |(folder, _)| folder);
        let modules = source::test_modules(&self.text);
        modules.iter().map(|module| format!("{folder}/{module}")).collect()
    }

    fn belongs_to(&self, module: &str) -> bool {
        let rest = self.path.strip_prefix(module);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    fn finding(&self, line: usize, says: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, says: says.into() }
    }
}
