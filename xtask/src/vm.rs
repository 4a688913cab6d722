//! `cargo xtask vm [KERNEL...]`: the live tests on other kernels.
//!
//! Debian's kernels boot under QEMU, emulated, so that it works wherever a program runs. The guest
//! has an initramfs with a shell, the command, an actor and the very binary of the live tests, and the
//! libraries of this machine that they are linked with. It says on its console what came of it, and goes off.

mod btf;
mod console;
mod debian;
mod guest;
mod image;
mod initramfs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Need};
use crate::{process, workspace};
use console::Outcome;
use debian::{Archive, Kernel, SERIES, Series};

const NEEDS: [Need; 3] = [
    Need { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Need { program: "busybox", package: "busybox-static" },
    Need { program: "dpkg-deb", package: "dpkg" },
];

/// What reads the kernels' own compression, for their types alone.
const NEEDS_OF_BTF: [Need; 2] =
    [Need { program: "lz4", package: "lz4" }, Need { program: "zstd", package: "zstd" }];

/// Where the table test of the offsets has its kernels.
const BTF_FOLDER: &str = "collector/src/btf/kernels";

/// The oldest and the newest, and of the live tests those that an emulated CPU is fast enough for, however
/// busy the machine is.
pub(crate) fn short() -> Result<()> {
    let tests = ["loads", "loss", "what_is_degraded", "refusals"];
    boot_each(&chosen(&["5.10".to_owned(), "newest".to_owned()])?, &tests)
}

/// Boots these kernels, or all, and runs these live tests in each, or all.
pub(crate) fn run(names: &[String], tests: &[String]) -> Result<()> {
    boot_each(&chosen(names)?, &tests.iter().map(String::as_str).collect::<Vec<_>>())
}

fn boot_each(series: &[&'static Series], tests: &[&str]) -> Result<()> {
    let folder = prepare(&NEEDS)?;
    let archive = Archive::open(&folder)?;
    let initramfs = folder.join("initramfs");
    fs::write(&initramfs, initramfs::pack(&guest::contents(&folder)?)?)?;
    let kernels = series.iter().map(|series| archive.kernel(series));
    let kernels = kernels.collect::<Result<Vec<_>>>()?;
    let waiting = Mutex::new(series.iter().zip(&kernels));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let boot_some = || -> Result<Vec<&str>> {
        let mut failed = Vec::new();
        while let Some((series, kernel)) = next() {
            let outcome = boot(series, kernel, &initramfs, tests)
                .with_context(|| format!("{} could not be tried", series.name))?;
            println!("\n{outcome}");
            failed.extend(outcome.verdict().is_err().then_some(series.name));
        }
        Ok(failed)
    };
    // A guest has one thread of ours.
    let at_once = thread::available_parallelism()?.get().min(series.len());
    let failed = thread::scope(|scope| {
        let boots: Vec<_> = (0..at_once).map(|_| scope.spawn(boot_some)).collect();
        let joined = boots.into_iter().map(|boots| boots.join().expect("no boot panics"));
        joined.collect::<Result<Vec<_>>>()
    })?;
    let failed = failed.concat();
    if !failed.is_empty() {
        bail!("the live tests did not pass on {}", failed.join(", "));
    }
    Ok(())
}

/// Writes what the offsets' test needs of each kernel's types into the collector.
pub(crate) fn write_btf(names: &[String]) -> Result<()> {
    let series = chosen(names)?;
    let archive = Archive::open(&prepare(&[&NEEDS[2..], &NEEDS_OF_BTF].concat())?)?;
    for series in series {
        let kernel = archive.kernel(series)?;
        let types = image::types(&fs::read(&kernel.vmlinuz)?)
            .with_context(|| format!("no types in {}", kernel.vmlinuz.display()))?;
        let reduced = btf::reduce(&types)?;
        let path = workspace::root().join(BTF_FOLDER).join(format!("{}.btf", kernel.release()));
        fs::write(&path, &reduced).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {} of {} bytes", path.display(), reduced.len(), types.len());
    }
    Ok(())
}

/// The programs, and the one folder that all of this is kept in.
fn prepare(needs: &[Need]) -> Result<PathBuf> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the kernels are for x86-64, and this machine is not");
    }
    apt::provide(&apt::BUILD)?;
    apt::provide(needs)?;
    let folder = workspace::target()?.join("vm");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The series of these names; all, if none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static Series>> {
    if names.is_empty() {
        return Ok(SERIES.iter().collect());
    }
    let known = || SERIES.map(|series| series.name).join(", ");
    let find = |name: &String| {
        let found = SERIES.iter().find(|series| series.name == name);
        found.with_context(|| format!("no kernel {name}; there are {}", known()))
    };
    names.iter().map(find).collect()
}

fn boot(series: &Series, kernel: &Kernel, initramfs: &Path, tests: &[&str]) -> Result<Outcome> {
    let console = kernel.vmlinuz.with_file_name("console.log");
    println!(
        "{}: booting {} {}; what it says is in {}",
        series.name,
        kernel.package,
        kernel.version,
        console.display()
    );
    let seconds = guest::run(&kernel.vmlinuz, initramfs, &console, tests)?;
    let said = fs::read(&console).with_context(|| format!("no {}", console.display()))?;
    Ok(Outcome::parse(&String::from_utf8_lossy(&said), seconds))
}

/// A program's own file, past any link to it.
fn program(name: &str) -> Result<PathBuf> {
    process::find(name).with_context(|| format!("{name} is not installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_chosen_by_name_and_all_by_none() {
        let names =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap().len(), SERIES.len());
        assert_eq!(chosen(&names(&["6.1"])).unwrap()[0].name, "6.1");
        let error = chosen(&names(&["2.4"])).err().unwrap().to_string();
        assert!(error.starts_with("no kernel 2.4; there are 5.10, "), "{error}");
    }
}
