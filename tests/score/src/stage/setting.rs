//! A file of the kernel's that has another content while a case plays.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The old content comes back when this goes.
pub(super) struct Setting {
    path: PathBuf,
    old: String,
}

/// Why it cannot be changed, if so.
pub(super) fn obstacle(path: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("this kernel has no {path}"))
}

impl Setting {
    pub(super) fn change(path: &str, value: &str) -> Result<Self> {
        let cannot = || format!("cannot write {value} to {path}");
        let old = fs::read_to_string(path).with_context(cannot)?;
        fs::write(path, value).with_context(cannot)?;
        Ok(Self { path: path.into(), old })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, self.old.trim()) {
            eprintln!("score: {} should be {} again: {error}", self.path.display(), self.old);
        }
    }
}
