//! Every crate says what it is, and the map shows every room.

use std::collections::BTreeSet;

use super::{Finding, Tree};

const MAP: &str = "ARCHITECTURE.md";
/// Longer than this nobody reads it.
const MAP_LINES: usize = 150;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    docs(tree).into_iter().chain(map(tree)).collect()
}

/// `//!` at the top of each crate's root.
fn docs(tree: &Tree) -> Vec<Finding> {
    let roots = tree
        .rust()
        .filter(|file| file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs"));
    let silent = roots.filter(|file| !file.text.starts_with("//!"));
    silent.map(|file| file.finding(1, "a crate begins with `//!`: what it is, what not")).collect()
}

fn map(tree: &Tree) -> Vec<Finding> {
    let finding = |says| Finding { path: MAP.to_owned(), line: 0, says };
    let Some(map) = tree.text(MAP) else { return vec![finding("is missing".to_owned())] };
    let unseen = rooms(tree).into_iter().filter(|room| !shows(map, room));
    let long = (map.lines().count() >= MAP_LINES)
        .then(|| format!("has {} lines, and must stay under {MAP_LINES}", map.lines().count()));
    unseen.map(|room| format!("does not show `{room}/`")).chain(long).map(finding).collect()
}

/// Top-level folders and the folders of crates, the last part of each.
fn rooms(tree: &Tree) -> BTreeSet<&str> {
    let top = tree.files.iter().filter_map(|file| Some(file.path.split_once('/')?.0));
    let crates = tree.files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
    let names = crates.filter_map(|folder| folder.rsplit('/').next());
    top.chain(names).filter(|name| !name.starts_with('.')).collect()
}

/// Whether the folder stands in the map by its own name, not as the end of a longer one.
fn shows(map: &str, room: &str) -> bool {
    let name = format!("{room}/");
    let joins = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    map.match_indices(&name).any(|(at, _)| !map[..at].chars().next_back().is_some_and(joins))
}
