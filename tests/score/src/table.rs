//! The rows for a person, and for a program.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::cases;
use crate::judge::Row;

const RULES: &str = "just before  preemptor    overlap     victim";

pub fn head() {
    println!(
        "{:<16} {:>6} {:>7} {:>7} {:>7} {:>9}   {RULES}",
        "", "waits", "top-1", "share", "unknown", "false"
    );
    println!(
        "{:<16} {:>6} {:>7} {:>7} {:>7} {:>9}   top-1 and share error of rules of thumb, %",
        "", "", "%", "error %", "%", "ns"
    );
}

pub fn row(row: &Row) {
    if let Some(reason) = &row.skipped {
        println!("{:<16} skipped: {reason}", row.case);
        return;
    }
    let rules =
        row.rules.map(|rule| format!("{:>5}{:>6}", short(rule.top1), short(rule.share_error)));
    println!(
        "{:<16} {:>6} {:>7} {:>7} {:>7} {:>9}   {} {} {} {}",
        row.case,
        row.waits,
        figure(row.top1),
        figure(row.share_error),
        figure(row.unknown),
        row.false_certainty,
        rules.ran_just_before,
        rules.last_preemptor,
        rules.overlap_of_tasks,
        rules.victim_list
    );
    let _ = std::io::stdout().flush();
    row.notes.iter().for_each(|note| println!("    {note}"));
    row.failures.iter().for_each(|failure| println!("    FAILED: {failure}"));
}

/// How many, and what each case was.
pub fn tail(rows: &[Row]) {
    println!();
    for case in cases::ALL.iter().filter(|case| rows.iter().any(|row| row.case == case.name)) {
        println!("{:<16} {}", case.name, case.injects);
    }
    let skipped = rows.iter().filter(|row| row.skipped.is_some()).count();
    let failed = rows.iter().filter(|row| !row.failures.is_empty()).count();
    println!("\n{} cases, {failed} failed, {skipped} skipped", rows.len());
}

/// An array of rows.
pub fn write(rows: &[Row], path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let rows: Vec<_> = rows.iter().filter(|row| row.skipped.is_none()).collect();
    serde_json::to_writer_pretty(BufWriter::new(file), &rows)?;
    println!("the figures are in {}", path.display());
    Ok(())
}

fn figure(percent: Option<f64>) -> String {
    percent.map_or("-".to_owned(), |percent| format!("{percent:.2}"))
}

fn short(percent: Option<f64>) -> String {
    percent.map_or("-".to_owned(), |percent| format!("{percent:.0}"))
}
