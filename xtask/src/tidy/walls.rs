//! Who never imports whom, as the manifests tell it.

use toml::{Table, Value};

use super::{File, Finding, Tree};

/// What a room may import of ours. A room that is not here may import what it likes.
const OURS: [(&str, &[&str]); 13] = [
    ("probes-ebpf/abi", &[]),
    ("probes-ebpf", &["cronx-abi"]),
    ("recording", &["cronx-abi"]),
    ("blame", &["cronx-abi", "cronx-recording"]),
    // What blame is held against knows nothing of it.
    ("blame/sim", &["cronx-abi", "cronx-recording"]),
    ("flamegraph", &["cronx-recording"]),
    ("gate", &["cronx-recording"]),
    ("collector", &["cronx-abi", "cronx-recording"]),
    ("spans", &[]),
    // The two halves meet in the kernel's records, and nowhere else.
    ("scheduler", &["cronx-spans"]),
    // It implements what the scheduler declares, and the scheduler never hears of it.
    ("ledger", &["cronx-scheduler"]),
    // Where the scheduler meets commands, sockets, files and the ledger.
    ("daemon", &["cronx-ledger", "cronx-scheduler"]),
    // It reads what the command left, as anybody could, and runs nothing of the kernel side's.
    ("tests/score", &["cronx-abi", "cronx-recording", "cronx-blame"]),
];

/// Crates of others that stand in these rooms alone.
const THEIRS: [(&str, &[&str]); 16] = [
    ("aya", &["collector", "probes-ebpf/abi"]),
    // What a bench measures with has empty programs to load.
    ("aya-obj", &["collector", "bench"]),
    ("aya-log", &["collector"]),
    ("libbpf-rs", &["collector"]),
    ("probe", &["spans"]),
    ("aya-ebpf", &["probes-ebpf"]),
    ("aya-log-ebpf", &["probes-ebpf"]),
    // What a pattern means is the scheduler's to say.
    ("croner", &["scheduler"]),
    // What a store is made of is the ledger's business.
    ("rusqlite", &["ledger"]),
    ("tokio-postgres", &["ledger"]),
    ("deadpool-postgres", &["ledger"]),
    ("mysql_async", &["ledger"]),
    ("object_store", &["ledger"]),
    ("async-nats", &["ledger"]),
    ("rdkafka", &["ledger"]),
    // The root package is the room without a name.
    ("anyhow", &["", "daemon", "xtask", "tests/score"]),
];

/// Rooms of functions over plain data, and crates that are nothing but effects.
const PURE: [&str; 5] = ["recording", "blame", "blame/sim", "flamegraph", "gate"];
const EFFECTS: [&str; 4] = ["tokio", "libc", "nix", "tempfile"];

/// A crate's manifest, read.
struct Room<'a> {
    file: &'a File,
    folder: &'a str,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    package: String,
    optional: bool,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|file| is_manifest(&file.path));
    manifests
        .flat_map(|file| room(file).map_or_else(|says| vec![says], |room| judge(&room)))
        .collect()
}

fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}

fn judge(room: &Room) -> Vec<Finding> {
    let verdicts = room.dependencies.iter().filter_map(|dependency| {
        ours(room.folder, &dependency.package)
            .or_else(|| theirs(room.folder, &dependency.package))
            .or_else(|| pure(room.folder, &dependency.package))
            .or_else(|| abi(room.folder, dependency))
    });
    verdicts.map(|says| room.file.finding(0, says)).collect()
}

fn ours(folder: &str, package: &str) -> Option<String> {
    let (_, allowed) = OURS.iter().find(|(room, _)| *room == folder)?;
    let broken = package.starts_with("cronx") && !allowed.contains(&package);
    broken.then(|| format!("{folder} never imports {package}"))
}

fn theirs(folder: &str, package: &str) -> Option<String> {
    let (_, rooms) = THEIRS.iter().find(|(name, _)| *name == package)?;
    let broken = !rooms.contains(&folder);
    broken.then(|| format!("{package} stands in {} alone", spoken(rooms)))
}

fn spoken(rooms: &[&str]) -> String {
    let name = |room: &&str| if room.is_empty() { "the command" } else { *room }.to_owned();
    rooms.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn pure(folder: &str, package: &str) -> Option<String> {
    let broken = PURE.contains(&folder) && EFFECTS.contains(&package);
    broken.then(|| format!("{folder} is pure, and never imports {package}"))
}

fn abi(folder: &str, dependency: &Dependency) -> Option<String> {
    let allowed = dependency.package == "aya" && dependency.optional;
    let broken = folder == "probes-ebpf/abi" && !allowed;
    broken.then(|| {
        format!("the abi never imports {}, unless it is an optional aya", dependency.package)
    })
}

fn room(file: &File) -> Result<Room<'_>, Finding> {
    let manifest: Table =
        file.text.parse().map_err(|error| file.finding(0, format!("is not TOML: {error}")))?;
    let folder = file.path.strip_suffix("Cargo.toml").unwrap_or_default().trim_end_matches('/');
    Ok(Room { file, folder, dependencies: dependencies(&manifest) })
}

/// What ships: dependencies of the build and of every target, not those of tests.
fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, target)| target.as_table()).chain([manifest]);
    let of = |table: &Table| {
        let kinds = ["dependencies", "build-dependencies"];
        let found = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table());
        found.flatten().map(|(name, value)| dependency(name, value)).collect::<Vec<_>>()
    };
    tables.flat_map(of).collect()
}

fn dependency(name: &str, value: &Value) -> Dependency {
    let package = value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned();
    let optional = value.get("optional").and_then(Value::as_bool).unwrap_or(false);
    Dependency { package, optional }
}
