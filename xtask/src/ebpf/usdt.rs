//! The one program in C: libbpf's USDT, by the headers of the very libbpf that will load it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Need};
use crate::{process, workspace};

const SOURCE: &str = "usdt/usdt.bpf.c";
const CLANG: Need = Need { program: "clang", package: "clang" };
/// The kernel's headers of this architecture, which libbpf's want.
const KERNEL_HEADERS: &str = "linux-libc-dev";
/// What the object depends on beside its source and headers.
pub(super) const FLAGS: [&str; 6] =
    ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-fdebug-compilation-dir=/cronx"];

/// The compiler and the library, each by a line that names its version.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) clang: String,
    pub(super) libbpf: String,
    headers: PathBuf,
}

/// Installs the compiler, if it is missing.
pub(super) fn install() -> Result<()> {
    apt::provide(&[CLANG])?;
    if !system_headers().join("asm/ptrace.h").is_file() {
        apt::install(&[KERNEL_HEADERS])?;
    }
    Ok(())
}

pub(super) fn find() -> Result<Tools> {
    let Some(clang) = process::find(CLANG.program) else {
        bail!("clang is not here: `cargo xtask ebpf --install` installs it");
    };
    let version = process::output(Command::new(clang).arg("--version"))?;
    let clang = version.lines().next().unwrap_or_default().trim().to_owned();
    let (libbpf, manifest) = workspace::package("libbpf-sys")?;
    let headers = manifest.parent().map(|folder| folder.join("libbpf"));
    Ok(Tools { clang, libbpf, headers: headers.context("libbpf-sys is in no folder")? })
}

/// The object, not stripped yet.
pub(super) fn compile(room: &Path, tools: &Tools, target: &Path) -> Result<PathBuf> {
    fs::create_dir_all(target)?;
    let object = target.join("usdt.o");
    let includes =
        [tools.headers.join("src"), tools.headers.join("include/uapi"), system_headers()];
    let mut command = Command::new(CLANG.program);
    command.args(FLAGS).args(["-Wall", "-Werror", define()]);
    for folder in &includes {
        command.arg("-isystem").arg(folder);
    }
    for (folder, name) in [(room, "/cronx/probes-ebpf"), (&tools.headers, "/libbpf")] {
        command.arg(format!("-fdebug-prefix-map={}={name}", folder.display()));
    }
    process::run(command.arg("-c").arg(room.join(SOURCE)).arg("-o").arg(&object))?;
    Ok(object)
}

/// How libbpf's headers call the architecture whose registers they read.
const fn define() -> &'static str {
    if cfg!(target_arch = "aarch64") { "-D__TARGET_ARCH_arm64" } else { "-D__TARGET_ARCH_x86" }
}

fn system_headers() -> PathBuf {
    PathBuf::from(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH))
}
