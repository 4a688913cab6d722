//! Folded stacks: one line a stack, frames parted by `;`, then a space and the nanoseconds.

use std::collections::BTreeMap;
use std::io::Write;

use cronx_recording::{Fold, Report, Untrusted};

use crate::Error;

/// What stands for a name that nobody knows.
pub(crate) const UNKNOWN: &str = "[unknown]";

/// Writes `victim;class;culprit;frame;... ns`, sorted; the numbers sum to `report.waited_ns`.
///
/// Classes without a culprit have no culprit's frame, and a name is never what parts frames,
/// opens a comment or looks like a second number.
pub fn write_folded(report: &Report, mut out: impl Write) -> Result<(), Error> {
    for line in lines(report) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The lines, in byte order. Folds that encode alike are one line.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    let mut stacks = BTreeMap::<String, u64>::new();
    for fold in &report.folds {
        let waited_ns = stacks.entry(stack(fold)).or_default();
        *waited_ns = waited_ns.saturating_add(fold.waited_ns);
    }
    stacks.into_iter().map(|(stack, ns)| format!("{stack} {ns}")).collect()
}

/// The frames of a fold, encoded, outermost first.
pub(crate) fn frames(fold: &Fold) -> Vec<String> {
    let mut frames = vec![victim(&fold.victim), fold.class.name().to_owned()];
    if !fold.culprit.raw().is_empty() {
        frames.push(frame(&fold.culprit));
    }
    frames.extend(fold.stack.iter().map(frame));
    if let Some(last) = frames.last_mut() {
        guard_number(last);
    }
    frames
}

fn stack(fold: &Fold) -> String {
    frames(fold).join(";")
}

/// Readers trim their lines, so a name must not depend on the spaces around it.
pub(crate) fn frame(name: &Untrusted) -> String {
    match name.frame().to_string().trim() {
        "" => UNKNOWN.to_owned(),
        shown => shown.to_owned(),
    }
}

/// A line that starts with `#` is a comment to readers, and its nanoseconds would be lost.
fn victim(name: &Untrusted) -> String {
    let shown = frame(name);
    match shown.strip_prefix('#') {
        Some(rest) => format!(r"\x23{rest}"),
        None => shown,
    }
}

/// Two numbers at the end of a line make it a differential one: `worker 7` is not a count.
pub(crate) fn guard_number(last: &mut String) {
    let Some(space) = last.rfind(' ') else { return };
    if last[space + 1..].chars().all(|c| c.is_ascii_digit() || c == '.') {
        last.replace_range(space..=space, "_");
    }
}

#[cfg(test)]
mod tests;
