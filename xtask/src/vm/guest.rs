//! The machine: what is in it, and one life of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::initramfs::Entry;
use super::program;
use crate::{process, workspace};

/// The first program. It says on the console what [`super::console`] reads.
const INIT: &str = include_str!("init.sh");

/// Far more than a boot and all tests take; it ends a guest that hangs.
const LIMIT: Duration = Duration::from_mins(30);

/// All that the guest has: programs as the tests here run them, and the libraries that they ask for.
pub(super) fn contents(folder: &Path) -> Result<Vec<Entry>> {
    let live = build()?;
    let built = workspace::target()?.join("debug");
    let programs = [("live", live), ("cronx", built.join("cronx"))];
    let programs = programs.into_iter().chain([("cronx-actor", built.join("cronx-actor"))]);
    let busybox = fs::read(program("busybox")?)?;
    let folders = ["bin", "dev", "etc", "proc", "sys"];
    let mut entries: Vec<_> = folders.iter().map(|name| Entry::folder(name, 0o755)).collect();
    entries.extend([
        Entry::folder("tmp", 0o1777),
        Entry::text("etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n"),
        Entry::text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        Entry::program("init", INIT.into()),
        Entry::program("bin/busybox", busybox),
        Entry::link("bin/sh", "busybox"),
    ]);
    let mut libraries = BTreeSet::new();
    for (name, path) in programs {
        libraries.extend(libraries_of(&process::output(Command::new("ldd").arg(&path))?));
        entries.push(Entry::program(&format!("bin/{name}"), stripped(&path, &folder.join(name))?));
    }
    entries.extend(entries_of(&libraries)?);
    Ok(entries)
}

/// Builds the command, the actor and the live tests, as `cargo xtask test` does. Gives the tests' program.
fn build() -> Result<PathBuf> {
    workspace::build()?;
    workspace::test_program("live")
}

/// A program without its debug information, which the guest has no memory for.
fn stripped(program: &Path, copy: &Path) -> Result<Vec<u8>> {
    let mut strip = Command::new("strip");
    process::run(strip.arg("--strip-debug").arg("-o").arg(copy).arg(program))?;
    Ok(fs::read(copy)?)
}

/// What `ldd` names by an absolute path: libraries, and who loads them.
fn libraries_of(ldd: &str) -> impl Iterator<Item = PathBuf> {
    let path =
        |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    ldd.lines().filter_map(path)
}

/// They stand where they stand here.
fn entries_of(libraries: &BTreeSet<PathBuf>) -> Result<Vec<Entry>> {
    let in_guest = |path: &Path| path.to_string_lossy().trim_start_matches('/').to_owned();
    let mut entries = Vec::new();
    let folders = libraries.iter().flat_map(|library| library.ancestors().skip(1));
    // A set puts a folder before what is in it.
    for folder in folders.collect::<BTreeSet<_>>() {
        if folder != Path::new("/") {
            entries.push(Entry::folder(&in_guest(folder), 0o755));
        }
    }
    for library in libraries {
        entries.push(Entry::program(&in_guest(library), fs::read(library)?));
    }
    Ok(entries)
}

/// Boots, and waits until the guest is off. Gives the seconds that took; what it said is a file.
///
/// `tests` are parts of the names of the tests to run; all, if there are none.
pub(super) fn run(kernel: &Path, initramfs: &Path, console: &Path, tests: &[&str]) -> Result<f64> {
    let mut qemu = Command::new(program("qemu-system-x86_64")?);
    // One thread for both CPUs. With one each, a CPU may run what it translated before the other
    // changed the kernel's code, and to attach a probe is to change it: the guest then dies of a
    // breakpoint that is there no more, or does not run the probe.
    qemu.args(["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", "1024"]);
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial"]);
    qemu.arg(format!("file:{}", console.display()));
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    let words = "console=ttyS0 quiet loglevel=3 softlockup_panic=1 panic=-1";
    qemu.args(["-append", &format!("{words} CRONX_TESTS={}", tests.join(","))])
        .stdin(Stdio::null());
    eprintln!("+ {}", process::show(&qemu));
    let start = Instant::now();
    let mut guest = Guest(qemu.spawn().context("cannot run qemu-system-x86_64")?);
    while guest.0.try_wait()?.is_none() {
        if start.elapsed() > LIMIT {
            bail!("the guest did not end in {LIMIT:?}; it said: {}", console.display());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Ends with us.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // It may be off already; nothing else can go wrong with our own child.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_with_a_path() {
        let said = "\tlinux-vdso.so.1 (0x00007f64)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f63)\n\
                    \t/lib64/ld.so.2 (0x00007f65)\n";
        let libraries: Vec<PathBuf> = libraries_of(said).collect();
        assert_eq!(libraries, ["/lib/x/libc.so.6", "/lib64/ld.so.2"].map(PathBuf::from));
    }
}
