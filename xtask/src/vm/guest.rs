//! The machine: what is in it, and one life of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::initramfs::Entry;
use super::program;
use crate::{process, workspace};

/// With a target named, the flags below are not for build scripts and macros, which cannot be
/// static.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Static, since the guest has no libraries. Frame pointers as in `.cargo/config.toml`, which these
/// outrank.
const FLAGS: &str = "-Cforce-frame-pointers=yes -Ctarget-feature=+crt-static -Cstrip=debuginfo";

/// The first program. It says on the console what [`super::console`] reads.
const INIT: &str = include_str!("init.sh");

/// Far more than a boot and all tests take; it ends a guest that hangs.
const LIMIT: Duration = Duration::from_mins(30);

/// All that the guest has.
pub(super) fn contents() -> Result<Vec<Entry>> {
    let tests = build()?;
    let folder = workspace::target()?.join(TARGET).join("debug");
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
        Entry::program("bin/live", fs::read(tests)?),
    ]);
    for name in ["cronx", "cronx-actor"] {
        entries.push(Entry::program(&format!("bin/{name}"), fs::read(folder.join(name))?));
    }
    Ok(entries)
}

/// Builds the command, the actor and the live tests. Gives the tests' program.
fn build() -> Result<PathBuf> {
    let packages = ["--target", TARGET, "--package=cronx", "--package=cronx-actors"];
    process::run(cargo().arg("build").args(packages).arg("--bins"))?;
    let mut tests = cargo();
    tests.args(["test", "--no-run", "--message-format=json"]).args(packages);
    let messages = process::output(tests.arg("--test=live"))?;
    test_program(&messages).context("cargo built no program of the live tests")
}

fn cargo() -> Command {
    let mut cargo = workspace::cargo();
    cargo.env("RUSTFLAGS", FLAGS).env("CARGO_PROFILE_DEV_DEBUG", "0");
    cargo
}

/// What cargo says of the test target `live`.
fn test_program(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut tests = messages.filter(|message| message["target"]["name"] == "live");
    tests.find_map(|message| message["executable"].as_str().map(PathBuf::from))
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
    fn cargo_names_the_tests_program() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"cronx"},"executable":"/a"}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/b/live-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(test_program(messages), Some(PathBuf::from("/b/live-1")));
        assert_eq!(test_program("{}"), None);
    }
}
