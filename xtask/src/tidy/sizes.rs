//! Files to 600 lines, functions to 70. What is over stands in a list that only shrinks.

use super::{File, Finding, Tree, source};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
/// Lines of `path lines` or `path::function lines`; `#` starts a comment.
const ALLOWED: &str = "xtask/tidy-allow.txt";

/// A file or a function, and how long it is.
struct Measured<'a> {
    file: &'a File,
    line: usize,
    name: String,
    lines: usize,
    most: usize,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let allowed = allowed(tree);
    let measured: Vec<_> = tree.rust().flat_map(measure).collect();
    let over = measured.iter().filter_map(|measured| judge(measured, &allowed));
    over.chain(stale(tree, &allowed, &measured)).collect()
}

fn measure(file: &File) -> Vec<Measured<'_>> {
    let lines = file.text.lines().count();
    let whole = Measured { file, line: 0, name: file.path.clone(), lines, most: FILE_LINES };
    let functions = source::functions(&file.text).into_iter().map(|function| Measured {
        file,
        line: function.line,
        name: format!("{}::{}", file.path, function.name),
        lines: function.lines,
        most: FUNCTION_LINES,
    });
    std::iter::once(whole).chain(functions).collect()
}

fn allowed(tree: &Tree) -> Vec<(&str, usize)> {
    let text = tree.text(ALLOWED).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs.filter_map(|(name, lines)| Some((name.trim(), lines.parse().ok()?))).collect()
}

fn judge(measured: &Measured, allowed: &[(&str, usize)]) -> Option<Finding> {
    let Measured { name, lines, most, .. } = measured;
    let allowance = allowed.iter().find(|(allowed, _)| allowed == name);
    let most = allowance.map_or(*most, |(_, lines)| *lines);
    let says = || format!("`{name}` has {lines} lines, and {most} are the most");
    (*lines > most).then(|| measured.file.finding(measured.line, says()))
}

/// An allowance above what is there now must come down, or go.
fn stale(tree: &Tree, allowed: &[(&str, usize)], measured: &[Measured]) -> Vec<Finding> {
    let Some(list) = tree.files.iter().find(|file| file.path == ALLOWED) else { return Vec::new() };
    let needless = allowed.iter().filter(|(name, lines)| {
        !measured.iter().any(|m| m.name == *name && m.lines >= *lines && m.lines > m.most)
    });
    let says = |name: &str| format!("the list only shrinks: lower or remove `{name}`");
    needless.map(|(name, _)| list.finding(0, says(name))).collect()
}
