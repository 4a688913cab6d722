//! The toolchain for kernel programs: a Rust compiler with the source of its core library, the BPF
//! linker, and a strip that knows BPF.
//!
//! Looked for in this order: `CRONX_PROBE_RUSTC`, rustup's nightly, `/usr/bin/rustc` (Debian's
//! `rustc-web` with `rust-web-src`), `rustc` on PATH. A compiler without the core library's source
//! is no candidate, and neither is one older than aya-ebpf asks for.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, process, workspace};

/// What aya-ebpf asks for.
const OLDEST_RUSTC: (u32, u32) = (1, 87);
/// Newer linkers may want a newer LLVM than the compilers have.
const LINKER: &str = "bpf-linker@0.13.0";
/// Debian's compiler and the sources of its libraries.
const DEBIAN_RUST: [&str; 3] = ["rustc-web", "rust-web-src", "cargo-web"];
/// How to get what is missing.
const REMEDY: &str = "`cargo xtask ebpf --install` installs it";

/// A compiler that can build the core library for BPF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rust {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    pub(crate) sysroot: PathBuf,
    /// The line that `rustc --version` prints.
    pub(crate) version: String,
    /// Major version of its LLVM; the linker's must not be older.
    llvm: u32,
}

/// All that makes the object.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    pub(crate) rust: Rust,
    pub(crate) linker: PathBuf,
    pub(crate) linker_version: String,
    pub(crate) strip: PathBuf,
    pub(crate) strip_version: String,
}

/// The toolchain whose compiler is `wanted` if that is here, else the first that is whole.
pub(crate) fn find(wanted: Option<&str>) -> Result<Toolchain> {
    let rust = rust(wanted);
    let strip = rust.as_ref().and_then(|rust| strip(rust.llvm));
    let (Some(rust), Some(linker), Some(strip)) = (rust.clone(), linker(), strip.clone()) else {
        bail!("{}: {REMEDY}", missing(rust.as_ref(), strip.as_deref()).join("; "));
    };
    let linker_version = process::output(Command::new(&linker).arg("--version"))?;
    let strip_version = process::output(Command::new(&strip).arg("--version"))?;
    Ok(Toolchain { rust, linker, linker_version, strip, strip_version: llvm_line(&strip_version) })
}

fn missing(rust: Option<&Rust>, strip: Option<&Path>) -> Vec<String> {
    let mut missing = Vec::new();
    if rust.is_none() {
        let (major, minor) = OLDEST_RUSTC;
        missing.push(format!(
            "no rustc {major}.{minor} or newer with the source of its core library is here \
             (rustup's nightly with rust-src, or Debian's rustc-web with rust-web-src)"
        ));
    }
    if linker().is_none() {
        missing.push("bpf-linker is not here".to_owned());
    }
    if strip.is_none() {
        missing.push("llvm-strip is not here".to_owned());
    }
    missing
}

/// The first compiler of that version, else the first of all.
fn rust(wanted: Option<&str>) -> Option<Rust> {
    let candidates: Vec<_> = compilers().iter().filter_map(|rustc| probe(rustc).ok()).collect();
    let wanted = candidates.iter().find(|rust| Some(rust.version.as_str()) == wanted);
    wanted.or(candidates.first()).cloned()
}

fn compilers() -> Vec<PathBuf> {
    let chosen = env::var_os("CRONX_PROBE_RUSTC").map(PathBuf::from);
    let debian = Some(PathBuf::from("/usr/bin/rustc"));
    let all = [chosen, nightly(), debian, process::find("rustc")];
    all.into_iter().flatten().filter(|rustc| rustc.is_file()).collect()
}

fn nightly() -> Option<PathBuf> {
    let mut command = Command::new("rustup");
    // To ask must not be to install.
    command.args(["run", "nightly", "rustc", "--print", "sysroot"]).env("RUSTUP_AUTO_INSTALL", "0");
    let sysroot = process::output(&mut command).ok()?;
    Some(Path::new(&sysroot).join("bin/rustc"))
}

fn probe(rustc: &Path) -> Result<Rust> {
    let ask =
        |question: &[&str]| process::output(scrubbed(&mut Command::new(rustc)).args(question));
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
    let cargo = sysroot.join("bin/cargo");
    let verbose = ask(&["-vV"])?;
    let old = release(&verbose).is_none_or(|release| release < OLDEST_RUSTC);
    if old || !cargo.is_file() || !sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
    {
        bail!("`{}` cannot build the core library", rustc.display());
    }
    let llvm = llvm(&verbose).context("rustc names no LLVM")?;
    Ok(Rust { rustc: rustc.to_owned(), cargo, sysroot, version: ask(&["--version"])?, llvm })
}

/// (1, 96) of `rustc -vV`.
fn release(verbose: &str) -> Option<(u32, u32)> {
    let release = verbose.lines().find_map(|line| line.strip_prefix("release: "))?;
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// 22 of `rustc -vV`.
fn llvm(verbose: &str) -> Option<u32> {
    let version = verbose.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

fn llvm_line(printed: &str) -> String {
    let line = printed.lines().find(|line| line.contains("version"));
    line.unwrap_or(printed).trim().to_owned()
}

fn linker() -> Option<PathBuf> {
    let installed = workspace::cargo_home().join("bin/bpf-linker");
    process::find("bpf-linker").or_else(|| installed.is_file().then_some(installed))
}

fn strip(llvm: u32) -> Option<PathBuf> {
    process::find(&format!("llvm-strip-{llvm}")).or_else(|| process::find("llvm-strip"))
}

/// Takes from the environment what the cargo that runs us put there for itself, and what would
/// change the object.
pub(crate) fn scrubbed(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_foreign) {
            command.env_remove(name);
        }
    }
    command
}

fn is_foreign(name: &str) -> bool {
    let exact = ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];
    let families = ["RUSTC", "CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_BUILD_", "LD_LIBRARY_PATH"];
    exact.contains(&name)
        || (name != "CARGO_BUILD_JOBS" && families.iter().any(|family| name.starts_with(family)))
}

/// Installs what [`find`] misses; nothing if all is here.
pub(crate) fn install() -> Result<()> {
    if rust(None).is_none() {
        install_rust()?;
    }
    let rust = rust(None).context("installed a compiler, and still none can build core for BPF")?;
    if strip(rust.llvm).is_none() {
        apt::install(&[&format!("llvm-{}", rust.llvm)])?;
    }
    if linker().is_none() {
        install_linker(rust.llvm)?;
    }
    find(None).map(|tools| println!("toolchain for kernel programs: {}", tools.rust.version))
}

fn install_rust() -> Result<()> {
    if process::is_root() && DEBIAN_RUST.iter().all(|package| apt::knows(package)) {
        return apt::install(&DEBIAN_RUST);
    }
    if process::find("rustup").is_some() {
        let words =
            ["toolchain", "install", "nightly", "--profile=minimal", "--component=rust-src"];
        return process::run(Command::new("rustup").args(words));
    }
    bail!("there is neither rustup nor, for root, apt with {}", DEBIAN_RUST.join(" "))
}

fn install_linker(llvm: u32) -> Result<()> {
    let prefix = format!("/usr/lib/llvm-{llvm}");
    if !Path::new(&prefix).join("bin/llvm-config").is_file() {
        apt::install(&[&format!("llvm-{llvm}-dev"), &format!("libpolly-{llvm}-dev")])?;
    }
    let mut command = workspace::install(LINKER);
    command
        .arg("--no-default-features")
        .arg(format!("--features=llvm-{llvm}"))
        // The linker's build script reads the first, the LLVM bindings' the second.
        .env("LLVM_PREFIX", &prefix)
        .env(format!("LLVM_SYS_{llvm}1_PREFIX"), &prefix);
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBOSE: &str = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\n\
                           release: 1.96.0\nLLVM version: 22.1.8";

    #[test]
    fn the_compiler_tells_its_release_and_its_llvm() {
        assert_eq!(release(VERBOSE), Some((1, 96)));
        assert_eq!(release("release: 1.98.0-nightly"), Some((1, 98)));
        assert_eq!(llvm(VERBOSE), Some(22));
        assert_eq!(release("nothing"), None);
    }

    #[test]
    fn the_strip_tells_its_version_on_its_own_line() {
        let printed = "llvm-strip, compatible with GNU strip\nDebian LLVM version 22.1.8\n  Opt";
        assert_eq!(llvm_line(printed), "Debian LLVM version 22.1.8");
    }

    #[test]
    fn the_outer_cargo_leaves_no_trace() {
        for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"] {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_BUILD_JOBS", "PATH", "RUSTUP_HOME"] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
