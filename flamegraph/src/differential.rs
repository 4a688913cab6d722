//! The differential flamegraph of blame: what grew is red, what shrank is blue.

use std::collections::BTreeMap;
use std::io::Write;

use cronx_recording::Report;
use inferno::flamegraph::color::BackgroundColor;
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

use crate::svg::{BACKGROUND, MIN_WIDTH_PERCENT};
use crate::{Error, folded, units};

const TITLE: &str = "What they waited for, now and before";

/// Writes the flamegraph of `candidate`, each frame coloured by how much it grew over `base`, wait for
/// wait: the base is scaled to as many waits. Frames that are gone have no width to be drawn in.
///
/// Without a complete wait on both sides it is a picture that says so.
pub fn write_diff_svg(
    base: &[&Report],
    candidate: &[&Report],
    mut out: impl Write,
) -> Result<(), Error> {
    let (before, after) = (stacks(base)?, stacks(candidate)?);
    if before.waited_ns() == 0 || after.waited_ns() == 0 {
        return Ok(out.write_all(EMPTY.as_bytes())?);
    }
    let mut options = options(&before, &after);
    let lines = lines(&before, &after);
    Ok(from_lines(&mut options, lines.iter().map(String::as_str), out)?)
}

const EMPTY: &str = r##"<?xml version="1.0" standalone="no"?>
<svg version="1.1" width="1200" height="120" viewBox="0 0 1200 120" xmlns="http://www.w3.org/2000/svg">
<rect width="100%" height="100%" fill="#fcfcfa"/>
<text x="50%" y="45" text-anchor="middle" font-family="monospace" font-size="17">What they waited for, now and before</text>
<text x="50%" y="80" text-anchor="middle" font-family="monospace" font-size="12">One side has no complete wait for a CPU.</text>
</svg>
"##;

/// Nanoseconds by stack, and over how many waits.
#[derive(Default)]
struct Stacks {
    waits: u64,
    by_stack: BTreeMap<String, u64>,
}

impl Stacks {
    fn waited_ns(&self) -> u128 {
        self.by_stack.values().map(|ns| u128::from(*ns)).sum()
    }
}

fn stacks(reports: &[&Report]) -> Result<Stacks, Error> {
    let mut all = Stacks::default();
    for report in reports {
        all.waits = all.waits.saturating_add(report.waits);
        for fold in &report.folds {
            let sum = all.by_stack.entry(folded::frames(fold).join(";")).or_default();
            *sum = sum.checked_add(fold.waited_ns).ok_or(Error::TooLong)?;
        }
    }
    match u64::try_from(all.waited_ns()) {
        Ok(_) => Ok(all),
        Err(_) => Err(Error::TooLong),
    }
}

/// `stack before after`, in the order of the stacks.
fn lines(before: &Stacks, after: &Stacks) -> Vec<String> {
    let scaled = |ns: u64| {
        (u128::from(ns) * u128::from(after.waits) / u128::from(before.waits.max(1))) as u64
    };
    let gone = before.by_stack.keys().filter(|stack| !after.by_stack.contains_key(*stack));
    let mut all: Vec<_> = after.by_stack.keys().chain(gone).collect();
    all.sort_unstable();
    let of = |side: &Stacks, stack: &String| side.by_stack.get(stack).copied().unwrap_or_default();
    let line = |stack| format!("{stack} {} {}", scaled(of(before, stack)), of(after, stack));
    all.into_iter().map(line).collect()
}

fn options(before: &Stacks, after: &Stacks) -> Options<'static> {
    let each =
        |side: &Stacks| units::duration((side.waited_ns() / u128::from(side.waits.max(1))) as u64);
    let mut options = Options::default();
    options.title = TITLE.into();
    options.subtitle = Some(format!(
        "Red has grown, blue has shrunk, wait for wait: {} each in {} waits, {} each in {} before",
        each(after),
        units::count(after.waits),
        each(before),
        units::count(before.waits),
    ));
    options.count_name = "ns".into();
    options.name_type = "Name:".into();
    options.min_width = MIN_WIDTH_PERCENT;
    options.direction = Direction::Inverted;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat(BACKGROUND));
    options.deterministic = true;
    options
}

#[cfg(test)]
mod tests;
