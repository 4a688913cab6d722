//! What must be true when all is over.

use std::collections::HashMap;
use std::fmt;

use cronx_ledger::claim::{Entry, State};
use cronx_ledger::{JobId, Key, Ledger, Look, Named};
use cronx_scheduler::{Course, Spec, Utc};

use super::owner::jobs;
use super::place::Place;

/// From where each job is owed.
pub type Begun = HashMap<JobId, Utc>;

/// What was found, and is right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Instants that were due.
    pub firings: u64,
    /// Of these, begun more than once.
    pub again: u64,
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { firings, again } = self;
        write!(f, "{firings} firings, each took effect once; {again} began more than once")
    }
}

/// Each instant through `until` is done and took effect once, what is later took effect at most once, and nothing
/// else did; or what is wrong.
pub async fn take(place: &Place, begun: &Begun, until: Utc) -> Result<Census, String> {
    let ledger = place.look().await;
    let entries = entries(&*ledger).await?;
    let courses = ledger.courses().await.map_err(|error| error.to_string())?;
    let courses: HashMap<JobId, Course> = courses.into_iter().map(Result::unwrap).collect();
    let mut effects = place.effects().await.counts().await;
    let mut census = Census::default();
    for (job, spec) in jobs() {
        let course = courses.get(&job).ok_or_else(|| format!("{job} has no course"))?;
        if course.cursor() < until {
            return Err(format!("{job} is not at its end: {course:?}"));
        }
        for nominal in instants(&spec, begun[&job], until) {
            let key = Key::firing(&job, nominal, 0);
            let entry = entries.get(&key).ok_or_else(|| format!("{key} is lost"))?;
            let State::Done { result } = &entry.state else {
                return Err(format!("{key} is not done: {entry:?}"));
            };
            let count = effects.remove(key.as_str()).unwrap_or(0);
            if count != 1 || **result != *"succeeded" {
                return Err(format!("{key} took effect {count} times: {entry:?}"));
            }
            census.firings += 1;
            census.again += u64::from(entry.attempt > 1);
        }
    }
    let is_later = |key: &str| match key.parse::<Key>().map(|key| key.named()) {
        Ok(Named::Firing { nominal, .. }) => nominal > until,
        _ => false,
    };
    match effects.iter().find(|(key, count)| **count != 1 || !is_later(key)) {
        Some((key, count)) => Err(format!("{key} took effect {count} times")),
        None => Ok(census),
    }
}

fn instants(spec: &Spec, from: Utc, through: Utc) -> impl Iterator<Item = Utc> + '_ {
    let next = move |at: &Utc| spec.after(*at).filter(|next| *next <= through);
    std::iter::successors(next(&from), next)
}

async fn entries(ledger: &dyn Ledger) -> Result<HashMap<Key, Entry>, String> {
    let mut all = HashMap::new();
    let mut last = None;
    loop {
        let page = ledger.entries(Look::After(last), None, 10_000).await;
        let page = page.map_err(|error| error.to_string())?;
        let Some(Ok((key, _))) = page.last() else { return Ok(all) };
        last = Some(key.clone());
        all.extend(page.into_iter().map(Result::unwrap));
    }
}
