//! The file of jobs: taken whole, or refused whole with the line and the reason.

mod breaker;
mod plan;
mod raw;
mod refusal;
mod saga;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use breaker::{BreakerPlan, FeedPlan};
pub use plan::{Action, Deed, Plan};
pub(crate) use plan::{Call, Command, User, own};
pub use raw::{Output, Settings, Telemetry};
use refusal::Fault;
pub use refusal::Refusal;
pub use saga::Saga;

/// No file is longer: 100,000 jobs are 10 MB.
const LONGEST: u64 = 16 << 20;

/// What a file says, all of it checked.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// What the daemon itself is to be.
    pub settings: Settings,
    /// The jobs by name.
    pub plans: BTreeMap<Arc<str>, Arc<Plan>>,
    /// What jobs depend on, by name.
    pub breakers: BTreeMap<Arc<str>, BreakerPlan>,
}

impl Jobs {
    /// Reads a file; its refusal names it.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let text = text(path).map_err(|fault| Refusal::of(&fault, "").within(path))?;
        Self::parse(&text).map_err(|refusal| refusal.within(path))
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        jobs(text).map_err(|fault| Refusal::of(&fault, text))
    }
}

fn jobs(text: &str) -> Result<Jobs, Fault> {
    let raw: raw::Raw = toml::from_str(text).map_err(|error| Fault::from(&error))?;
    if raw.job.is_empty() {
        return Err(Fault::new(Some(text.len()), "there is no job; one begins with [job.NAME]"));
    }
    breaker::check(&raw)?;
    let breaker = |(name, raw): (String, _)| Ok((name.into(), breaker::breaker(&raw)?));
    let breakers = raw.breaker.into_iter().map(breaker).collect::<Result<_, Fault>>()?;
    let plan = |(name, job)| -> Result<_, Fault> { plan::plan(name, job) };
    let plans = raw.job.into_iter().map(plan).collect::<Result<_, _>>()?;
    Ok(Jobs { settings: raw.daemon, plans, breakers })
}

fn text(path: &Path) -> Result<String, Fault> {
    let unread = |error: std::io::Error| Fault::new(None, format!("it cannot be read: {error}"));
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(unread)?.take(LONGEST + 1);
    file.read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Fault::new(None, format!("it is longer than {LONGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|&byte| byte == b'\n').count();
        Fault::new(None, format!("line {line} is not UTF-8"))
    })
}

#[cfg(test)]
mod tests;
