//! Where this workspace is, and the cargo that builds it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let own = PathBuf::from(own);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}

/// The cargo that runs us (rustup's answers for its toolchain), in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).env("PATH", process::search_path());
    command
}

/// All packages, with stores of the ledger's and sinks of its journal that need a server: whatever is built
/// for tests is built so, that each dependency is built once, with one set of features.
pub(crate) const WHOLE: [&str; 2] = [
    "--workspace",
    "--features=cronx-ledger/archive,cronx-ledger/kafka,cronx-ledger/mariadb,cronx-ledger/nats,\
        cronx-ledger/postgres,cronx-ledger/redis,cronx-ledger/saga",
];

/// Builds the command, and the actors. Examples have the features that tests have, and so has then all else: what
/// was built for the one is not built again for the other.
pub(crate) fn build() -> Result<()> {
    process::run(cargo().arg("build").args(WHOLE).args(["--bins", "--examples"]))
}

/// The program of a test target.
pub(crate) fn test_program(target: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build.arg("test").args(WHOLE).args(["--test", target, "--no-run", "--message-format=json"]);
    let messages = process::output(&mut build)?;
    executable(&messages, target).with_context(|| format!("cargo built no program of {target}"))
}

/// What cargo says of a test target.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut of_target = messages.filter(|message| message["target"]["name"] == target);
    of_target.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Installs a tool, when run. Not optimised: it takes a third of the time, and a check runs a tool once.
pub(crate) fn install(tool: &str) -> Command {
    let mut command = cargo();
    command.args(["install", tool, "--locked", "--debug"]);
    command
}

/// The one target folder, as cargo sees it.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(PathBuf::from(folder))
}

/// The test targets of all packages, by name.
pub(crate) fn integration_tests() -> Result<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter_map(|package| package["targets"].as_array()).flatten();
    let tests = targets.filter(|target| target["kind"][0] == "test");
    Ok(tests.filter_map(|test| test["name"].as_str().map(str::to_owned)).collect())
}

fn metadata() -> Result<Value> {
    let words = ["metadata", "--no-deps", "--offline", "--format-version=1"];
    let metadata = process::output(cargo().args(words))?;
    serde_json::from_str(&metadata).context("cargo metadata is not JSON")
}

/// The version of a package that the lock file names, and where its manifest is.
pub(crate) fn package(name: &str) -> Result<(String, PathBuf)> {
    process::run(cargo().args(["fetch", "--locked"]))?;
    let words = ["metadata", "--offline", "--locked", "--format-version=1"];
    let metadata: Value = serde_json::from_str(&process::output(cargo().args(words))?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let found = packages.into_iter().find(|package| package["name"] == name);
    let package = found.with_context(|| format!("the lock file has no {name}"))?;
    let text = |key: &str| package[key].as_str().map(str::to_owned);
    let (version, manifest) = text("version").zip(text("manifest_path")).context("no manifest")?;
    Ok((version, manifest.into()))
}

/// Cargo's own folder: its registry and the programs that it installed.
pub(crate) fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or("/".into())).join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_program_of_a_test() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"cronx"},"executable":"/a"}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/b/live-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "live"), Some(PathBuf::from("/b/live-1")));
        assert_eq!(executable("{}", "live"), None);
    }
}
