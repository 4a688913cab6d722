//! `cargo xtask ebpf`: the kernel programs' three objects and their MANIFEST, built or proved.
//!
//! The objects are committed, so that nobody needs this verb to build cronx. The proof is in three
//! steps, each stronger: the sources have the hash that the MANIFEST names (no toolchain needed);
//! a rebuilt object has the same programs and maps; with the MANIFEST's own toolchain it is the
//! same byte for byte. That it loads is shown by the live tests.

pub(crate) mod manifest;
mod shape;
mod usdt;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::toolchain::{self, Toolchain};
use crate::{process, workspace};
use manifest::Manifest;

const TARGET: &str = "bpfel-unknown-none";
const PROGRAM: &str = "cronx-probes";
/// Each object's file, and how it is made.
const OBJECTS: [(&str, Source); 3] = [
    ("probes.bpf.o", Source::Rust(&[])),
    ("legacy.bpf.o", Source::Rust(&["--features=legacy"])),
    ("usdt.bpf.o", Source::C),
];

/// What an object is made of.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The crate, with these features.
    Rust(&'static [&'static str]),
    /// The program in `usdt/`.
    C,
}

/// What the object depends on beside its sources; paths are remapped on top of it.
const FLAGS: [&str; 3] = ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Ctarget-cpu=v3"];

/// The objects' bytes, in the order of [`OBJECTS`].
type Objects = [Vec<u8>; 3];

/// Everything that makes them.
struct Tools {
    rust: Toolchain,
    c: usdt::Tools,
}

/// Builds the objects and writes them with their MANIFEST into `probes-ebpf/prebuilt`.
pub(crate) fn build() -> Result<()> {
    let room = room()?;
    let tools = tools(None)?;
    let objects = compile_all(&room, &tools, &room.join("target"))?;
    let prebuilt = room.join("prebuilt");
    fs::create_dir_all(&prebuilt)?;
    for ((name, _), object) in OBJECTS.iter().zip(&objects) {
        fs::write(prebuilt.join(name), object)?;
        println!("wrote {} ({} bytes)", prebuilt.join(name).display(), object.len());
    }
    fs::write(prebuilt.join("MANIFEST"), describe(&room, &tools, &objects)?.to_string())?;
    Ok(())
}

/// Builds the object that logs, which the command's feature `debug-log` runs. Never committed.
pub(crate) fn build_logging() -> Result<()> {
    let room = room()?;
    let tools = toolchain::find(None)?;
    let object = compile(&room, &tools, &room.join("target"), &["--features=debug-log"])?;
    let path = room.join("target/debug-log.bpf.o");
    fs::write(&path, &object)?;
    println!("wrote {} ({} bytes)", path.display(), object.len());
    println!("run it: cargo run --features debug-log -- record -- COMMAND");
    Ok(())
}

/// Proves that the committed object is what its sources give.
pub(crate) fn check() -> Result<()> {
    let room = room()?;
    let (manifest, committed) = committed(&room)?;
    fresh(&manifest, &room, &committed)?;
    let tools = tools(Some(&manifest.rustc))?;
    let scratch = tempfile::tempdir()?;
    let rebuilt = compile_all(&room, &tools, scratch.path())?;
    same(&manifest, &describe(&room, &tools, &rebuilt)?, &committed, &rebuilt)
}

/// Installs the toolchain for kernel programs, as far as it is missing.
pub(crate) fn install() -> Result<()> {
    usdt::install()?;
    toolchain::install()
}

fn tools(rustc: Option<&str>) -> Result<Tools> {
    Ok(Tools { rust: toolchain::find(rustc)?, c: usdt::find()? })
}

fn room() -> Result<PathBuf> {
    let room = workspace::root().join("probes-ebpf");
    if !room.join("Cargo.toml").is_file() {
        bail!("{} has no Cargo.toml, so there is no kernel program to build", room.display());
    }
    Ok(room)
}

fn committed(room: &Path) -> Result<(Manifest, Objects)> {
    let read = |name: &str| {
        let path = room.join("prebuilt").join(name);
        fs::read(&path)
            .with_context(|| format!("cannot read {}: `cargo xtask ebpf` makes it", path.display()))
    };
    let manifest = Manifest::parse(&String::from_utf8_lossy(&read("MANIFEST")?))?;
    Ok((manifest, [read(OBJECTS[0].0)?, read(OBJECTS[1].0)?, read(OBJECTS[2].0)?]))
}

/// What can be proved without any toolchain.
fn fresh(manifest: &Manifest, room: &Path, committed: &Objects) -> Result<()> {
    if manifest.sources != manifest::hash_of_sources(room)? || manifest.flags != flags() {
        bail!(
            "the objects are stale, their sources have changed: run `cargo xtask ebpf` and commit"
        );
    }
    for ((name, _), (hash, object)) in OBJECTS.iter().zip(manifest.objects.iter().zip(committed)) {
        if *hash != manifest::hash(object) {
            bail!("{name} is not the object of its MANIFEST: run `cargo xtask ebpf` and commit");
        }
    }
    Ok(())
}

/// Byte for byte with the same toolchain; else the same programs, maps and globals.
fn same(manifest: &Manifest, now: &Manifest, committed: &Objects, rebuilt: &Objects) -> Result<()> {
    let exact = now.toolchain() == manifest.toolchain();
    if !exact {
        println!(
            "the toolchain is not the MANIFEST's, so programs and maps are compared, not bytes:"
        );
        println!("  here: {}\n  MANIFEST: {}", now.toolchain(), manifest.toolchain());
    }
    for ((name, _), (committed, rebuilt)) in OBJECTS.iter().zip(committed.iter().zip(rebuilt)) {
        if exact {
            same_bytes(name, committed, rebuilt)?;
        } else {
            same_shape(name, committed, rebuilt)?;
        }
    }
    Ok(())
}

fn same_bytes(name: &str, committed: &[u8], rebuilt: &[u8]) -> Result<()> {
    if committed != rebuilt {
        bail!("the toolchain is the MANIFEST's, and yet {name} was rebuilt different");
    }
    println!("{name} is its sources', byte for byte");
    Ok(())
}

fn same_shape(name: &str, committed: &[u8], rebuilt: &[u8]) -> Result<()> {
    let differences = shape::differences(&shape::of(committed)?, &shape::of(rebuilt)?);
    if !differences.is_empty() {
        bail!("the rebuilt {name} differs: {}", differences.join("; "));
    }
    println!("{name} has the programs, maps and globals of its sources");
    Ok(())
}

/// Those of Rust, then those of C.
fn flags() -> String {
    [&FLAGS[..], &usdt::FLAGS].concat().join(" ")
}

fn describe(room: &Path, tools: &Tools, objects: &Objects) -> Result<Manifest> {
    let Tools { rust, c } = tools;
    Ok(Manifest {
        rustc: rust.rust.version.clone(),
        linker: rust.linker_version.clone(),
        strip: rust.strip_version.clone(),
        clang: c.clang.clone(),
        libbpf: c.libbpf.clone(),
        flags: flags(),
        sources: manifest::hash_of_sources(room)?,
        objects: objects.each_ref().map(|object| manifest::hash(object)),
    })
}

fn compile_all(room: &Path, tools: &Tools, target: &Path) -> Result<Objects> {
    let object = |n: usize| match OBJECTS[n].1 {
        Source::Rust(features) => compile(room, &tools.rust, target, features),
        Source::C => strip(&tools.rust, &usdt::compile(room, &tools.c, target)?),
    };
    Ok([object(0)?, object(1)?, object(2)?])
}

/// The stripped object: BTF stays, DWARF goes.
fn strip(tools: &Toolchain, built: &Path) -> Result<Vec<u8>> {
    let stripped = built.with_extension("bpf.o");
    process::run(Command::new(&tools.strip).arg("-g").arg(built).arg("-o").arg(&stripped))?;
    Ok(fs::read(&stripped)?)
}

fn compile(room: &Path, tools: &Toolchain, target: &Path, features: &[&str]) -> Result<Vec<u8>> {
    process::run(cargo(room, tools).args(["fetch", "--locked"]))?;
    let flags = rustflags(room, &tools.rust.sysroot, target)?;
    let mut command = cargo(room, tools);
    command
        .args(["build", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET])
        .args(["--bin", PROGRAM, "--target-dir"])
        .arg(target)
        .args(features)
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    process::run(&mut command)?;
    strip(tools, &target.join(TARGET).join("release").join(PROGRAM))
}

fn cargo(room: &Path, tools: &Toolchain) -> Command {
    let mut command = Command::new(&tools.rust.cargo);
    toolchain::scrubbed(&mut command)
        .current_dir(room)
        .env("RUSTC", &tools.rust.rustc)
        // Debian's compiler is a stable one; to a nightly this says nothing.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path_with(&tools.linker));
    command
}

fn path_with(linker: &Path) -> OsString {
    let mut path = linker.parent().map_or_else(OsString::new, |folder| folder.as_os_str().into());
    path.push(":");
    path.push(process::search_path());
    path
}

/// The flags, and every folder that differs between machines renamed. The last match wins.
fn rustflags(room: &Path, sysroot: &Path, target: &Path) -> Result<OsString> {
    let workspace = room.parent().unwrap_or(room);
    let library = sysroot.join("lib/rustlib/src/rust");
    let mut renames = vec![(workspace.to_owned(), "/cronx"), (target.to_owned(), "/target")];
    renames.extend(registries()?.into_iter().map(|folder| (folder, "/registry")));
    // Debian's folder is a link, and the compiler sees both ends of it.
    renames.extend(library.canonicalize().ok().map(|folder| (folder, "/rust")));
    renames.push((library, "/rust"));
    let mut flags = OsString::from(FLAGS.join("\x1f"));
    for (from, to) in renames {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}"));
    }
    Ok(flags)
}

/// Where cargo unpacks crates: one folder for each registry, its name made of the host's.
fn registries() -> Result<Vec<PathBuf>> {
    let folder = workspace::cargo_home().join("registry/src");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut folders: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    folders.sort();
    Ok(folders)
}
