//! What stands in a ledger, and whether it can be.

use std::collections::BTreeMap;
use std::collections::HashMap;

use anyhow::Result;
use cronx_ledger::claim::{Entry, State};
use cronx_ledger::{JobId, Key, Ledger, Look, Named};
use cronx_scheduler::{Course, Utc};

/// Entries that are read at once.
const PAGE: usize = 1000;

/// Entries by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Begun, and not ended; or their process ended first.
    pub in_flight: u64,
    /// Failed, and to be tried again.
    pub failed: u64,
    /// Over.
    pub done: u64,
}

/// A ledger as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Census {
    /// Of each job its entries and, as long as it has jobs to come, its cursor.
    pub jobs: BTreeMap<String, (Count, Option<Utc>)>,
    /// Calls from outside, and leases.
    pub others: Count,
    /// Rows that cannot be read; `verify` says which.
    pub torn: u64,
}

/// One entry, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Which.
    pub key: String,
    /// `in flight`, `failed` or `done`.
    pub state: &'static str,
    /// How often it was granted.
    pub attempt: u32,
    /// When it last changed.
    pub since: Utc,
    /// The owner, the reason or the result.
    pub said: String,
}

/// What was read, and what is against it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Entries that were read.
    pub entries: u64,
    /// Courses that were read.
    pub courses: u64,
    /// What cannot be, a sentence each.
    pub findings: Vec<String>,
}

impl Count {
    fn count(&mut self, entry: &Entry) {
        *match entry.state {
            State::InFlight { .. } => &mut self.in_flight,
            State::Failed { .. } => &mut self.failed,
            State::Done { .. } => &mut self.done,
        } += 1;
    }
}

/// Every row of the table of entries, in pages: a ledger may be larger than memory.
async fn each(
    ledger: &dyn Ledger,
    mut take: impl FnMut(Result<(Key, Entry), cronx_ledger::Error>),
) -> Result<()> {
    let mut last = None;
    loop {
        let page = ledger.entries(Look::After(last.clone()), None, PAGE).await?;
        let next = page.iter().rev().find_map(|row| row.as_ref().ok()).map(|(key, _)| key.clone());
        page.into_iter().for_each(&mut take);
        if next.is_none() {
            return Ok(());
        }
        last = next;
    }
}

pub(super) async fn census(ledger: &dyn Ledger) -> Result<Census> {
    let mut census = Census::default();
    for row in ledger.courses().await? {
        match row {
            Ok((job, course)) => {
                census.jobs.entry(job.job().to_owned()).or_default().1 = Some(course.cursor());
            }
            Err(_) => census.torn += 1,
        }
    }
    each(ledger, |row| match row {
        Ok((key, entry)) => match key.named() {
            Named::Firing { job, .. } => {
                census.jobs.entry(job.job().to_owned()).or_default().0.count(&entry);
            }
            Named::Call { .. } | Named::Lease { .. } | Named::Step { .. } => {
                census.others.count(&entry);
            }
        },
        Err(_) => census.torn += 1,
    })
    .await?;
    Ok(census)
}

pub(super) async fn last(ledger: &dyn Ledger, most: usize) -> Result<Vec<Written>> {
    let rows = ledger.entries(Look::Last, None, most).await?;
    rows.into_iter().map(|row| Ok(written(row?))).collect()
}

fn written((key, entry): (Key, Entry)) -> Written {
    let (state, said) = match &entry.state {
        State::InFlight { owner, .. } => ("in flight", owner),
        State::Failed { why } => ("failed", why),
        State::Done { result } => ("done", result),
    };
    let (attempt, since) = (entry.attempt, entry.since);
    Written { key: key.to_string(), state, attempt, since, said: said.to_string() }
}

pub(super) async fn verify(ledger: &dyn Ledger) -> Result<Audit> {
    let mut audit = Audit::default();
    // The entries first: what begins meanwhile is then decided in the courses, never the other way round.
    let mut begun: HashMap<JobId, Vec<Utc>> = HashMap::new();
    each(ledger, |row| match row {
        Ok((key, _)) => {
            audit.entries += 1;
            if let Named::Firing { job, nominal, trigger: None, .. } = key.named() {
                begun.entry(job).or_default().push(nominal);
            }
        }
        Err(error) => audit.findings.push(error.to_string()),
    })
    .await?;
    for row in ledger.courses().await? {
        match row {
            Ok((job, course)) => {
                audit.courses += 1;
                let begun = begun.get(&job).map_or(&[][..], Vec::as_slice);
                audit.findings.extend(undecided(&job, &course, begun));
            }
            Err(error) => audit.findings.push(error.to_string()),
        }
    }
    // One row may have been met at the end of a page, and again.
    audit.findings.sort();
    audit.findings.dedup();
    Ok(audit)
}

/// A firing that was begun is decided: it is behind the cursor, or among what lies ahead of it.
fn undecided(job: &JobId, course: &Course, begun: &[Utc]) -> Vec<String> {
    let ahead =
        |at: Utc| course.ahead().iter().any(|&(after, through)| after < at && at <= through);
    let undecided = begun.iter().filter(|&&at| at > course.cursor() && !ahead(at));
    undecided.map(|at| format!("{job}: the firing of {at} was begun and is not decided")).collect()
}
