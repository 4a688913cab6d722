//! A file that does not grow for ever: what is full becomes the older one, and replaces the one that was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Lines, in a file and in the one before it.
pub(super) struct Bounded {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    most: u64,
}

/// The file before this one: its name with `.1` behind it.
pub(super) fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

impl Bounded {
    /// Behind what is there. Each of the two files has so many bytes at most, or one line.
    pub(super) fn open(path: &Path, most: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // A daemon may be root where others may write: a link is nobody's file of ours.
        options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let mut file = options.create(true).append(true).read(true).open(path)?;
        let mut written = file.metadata()?.len();
        if written > 0 {
            // Whoever was at it may have ended in the middle of a line: ours is none of it.
            let mut last = [0];
            file.read_exact_at(&mut last, written - 1)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                written += 1;
            }
        }
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), written, most })
    }

    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.written > 0 && self.written.saturating_add(length) > self.most {
            self.file.flush()?;
            fs::rename(&self.path, older(&self.path))?;
            *self = Self::open(&self.path, self.most)?;
        }
        self.written += length;
        writeln!(self.file, "{line}")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, lines: std::ops::Range<u32>) {
        let mut file = Bounded::open(path, 20).unwrap();
        lines.for_each(|line| file.write(&format!("line {line}")).unwrap());
        file.flush().unwrap();
    }

    #[test]
    fn what_is_full_becomes_the_older_one_of_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        write(&path, 0..2);
        assert_eq!(read(&path), "line 0\nline 1\n");
        assert!(!older(&path).exists());
        // A process that comes later goes on.
        write(&path, 2..3);
        assert_eq!(
            (read(&older(&path)), read(&path)),
            ("line 0\nline 1\n".into(), "line 2\n".into())
        );
        write(&path, 3..7);
        assert_eq!(
            (read(&older(&path)), read(&path)),
            ("line 4\nline 5\n".into(), "line 6\n".into())
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn half_a_line_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "line 0\nlin").unwrap();
        write(&path, 1..2);
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 0\nlin\nline 1\n");
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = Bounded::open(&path, 4).unwrap();
        for line in ["long line", "another"] {
            file.write(line).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(older(&path)).unwrap(), "long line\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "another\n");
    }
}
