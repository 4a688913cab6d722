//! What a firing, a call, a lease or a saga's step is named by, for ever and in every store.
//!
//! ```text
//!  firing   {tenant}/{job}/2026-11-28T14:00:00.000000000Z/{partition}
//!  trigger  {tenant}/{job}/2026-11-28T14:00:00.123456789Z+{id}/{partition}
//!  call     {tenant}/~call/{what the caller says}
//!  lease    {tenant}/~lease/{what is leased}
//!  saga     {tenant}/~saga/{saga}/{step}/do        its step's action
//!           {tenant}/~saga/{saga}/{step}/undo      and that one's compensation
//! ```
//! A name's bytes that are not letters, digits, `.`, `_` or `-` of ASCII are written as `%XX`. So a slash
//! in a name is none in the key, nothing of a user's begins with `~`, and the keys of a job sort by time.
//! Neither the attempt nor the wheel's shard is in a key: another attempt is the same firing, and so it
//! is when there are more shards.

use std::fmt::{self, Write};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use cronx_scheduler::Utc;
use jiff::Timestamp;

use crate::Error;
use crate::fingerprint::digest_of_fields;

/// Longest name of a tenant, bytes.
pub const TENANT_MOST: usize = 64;
/// Longest name of a job, bytes.
pub const JOB_MOST: usize = 255;
/// Longest name of a call or a lease, bytes.
pub const NAME_MOST: usize = 512;
/// Longest name of a saga, bytes.
pub const SAGA_MOST: usize = 384;
/// Longest name of a saga's step, bytes.
pub const STEP_MOST: usize = 64;
/// Longest key, bytes: what a store's column must hold.
pub const KEY_MOST: usize = 3 * TENANT_MOST + 3 * NAME_MOST + 16;

const CALL: &str = "~call";
const LEASE: &str = "~lease";
const SAGA: &str = "~saga";
const DO: &str = "do";
const UNDO: &str = "undo";

/// A job of a tenant's: what a cursor belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    tenant: Arc<str>,
    job: Arc<str>,
}

/// A saga of a tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SagaId {
    tenant: Arc<str>,
    saga: Arc<str>,
}

/// The name of a firing, a call, a lease or a saga's step. It is ASCII, and no longer than [`KEY_MOST`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// What a key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// One due instant of a job.
    Firing {
        /// Whose.
        job: JobId,
        /// The instant that it is named by.
        nominal: Utc,
        /// Which request it was that asked for it out of its schedule, if one did.
        trigger: Option<NonZeroU64>,
        /// The job's own number for a part of its work; 0 if it has no parts.
        partition: u32,
    },
    /// A request from outside.
    Call {
        /// Whose.
        tenant: Arc<str>,
        /// What the caller named it.
        name: String,
    },
    /// What one owner at a time may have.
    Lease {
        /// Whose.
        tenant: Arc<str>,
        /// What it is.
        name: String,
    },
    /// What a step of a saga does.
    Step {
        /// Which saga.
        saga: SagaId,
        /// Which of its steps.
        step: String,
        /// Whether it is the compensation, and not the action.
        undoes: bool,
    },
}

impl JobId {
    /// Names are of 1 to [`TENANT_MOST`] and [`JOB_MOST`] bytes, whatever these are.
    pub fn new(tenant: &str, job: &str) -> Result<Self, Error> {
        within("tenant", tenant, TENANT_MOST)?;
        within("job", job, JOB_MOST)?;
        Ok(Self { tenant: tenant.into(), job: job.into() })
    }

    /// Whose job it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Its name.
    pub fn job(&self) -> &str {
        &self.job
    }
}

impl fmt::Display for JobId {
    /// As it stands in the keys of its firings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Escaped(&self.tenant), Escaped(&self.job))
    }
}

impl FromStr for JobId {
    type Err = Error;

    /// Only as it would be written.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Key { text: text.to_owned(), reason };
        let (tenant, job) = text.split_once('/').ok_or(refused("it is not of a job"))?;
        let [tenant, job] = [unescaped(tenant), unescaped(job)];
        let id = Self::new(&tenant.map_err(refused)?, &job.map_err(refused)?)?;
        if id.to_string() == text { Ok(id) } else { Err(refused("it is not written as keys are")) }
    }
}

impl SagaId {
    /// Names are of 1 to [`TENANT_MOST`] and [`SAGA_MOST`] bytes, whatever these are.
    pub fn new(tenant: &str, saga: &str) -> Result<Self, Error> {
        within("tenant", tenant, TENANT_MOST)?;
        within("saga", saga, SAGA_MOST)?;
        Ok(Self { tenant: tenant.into(), saga: saga.into() })
    }

    /// Whose saga it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Its name.
    pub fn saga(&self) -> &str {
        &self.saga
    }
}

impl fmt::Display for SagaId {
    /// As it stands before the keys of its steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{SAGA}/{}", Escaped(&self.tenant), Escaped(&self.saga))
    }
}

impl FromStr for SagaId {
    type Err = Error;

    /// Only as it would be written.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Key { text: text.to_owned(), reason };
        let parts: Vec<&str> = text.split('/').collect();
        let [tenant, SAGA, saga] = parts[..] else { return Err(refused("it is not of a saga")) };
        let [tenant, saga] = [unescaped(tenant), unescaped(saga)];
        let id = Self::new(&tenant.map_err(refused)?, &saga.map_err(refused)?)?;
        if id.to_string() == text { Ok(id) } else { Err(refused("it is not written as keys are")) }
    }
}

impl Key {
    /// Of a firing that a schedule asked for.
    pub fn firing(job: &JobId, nominal: Utc, partition: u32) -> Self {
        Self(format!("{job}/{}/{partition}", Instant(nominal)).into())
    }

    /// Of a firing that somebody asked for at that instant, by the number of the request.
    pub fn trigger(job: &JobId, nominal: Utc, trigger: NonZeroU64, partition: u32) -> Self {
        Self(format!("{job}/{}+{trigger:x}/{partition}", Instant(nominal)).into())
    }

    /// Of a request from outside, as the caller names it.
    pub fn call(tenant: &str, name: &str) -> Result<Self, Error> {
        Self::special(tenant, CALL, "call", name)
    }

    /// Of a request from outside that has no name: by what it is about. The order of the fields does not
    /// matter; all that differs between two requests that are meant to be two must be among them.
    pub fn of_fields(tenant: &str, fields: &[(&str, &[u8])]) -> Result<Self, Error> {
        let digest = digest_of_fields("cronx 2026-11 key of fields", fields);
        Self::call(tenant, &digest.to_hex())
    }

    /// Of what one owner at a time may have.
    pub fn lease(tenant: &str, name: &str) -> Result<Self, Error> {
        Self::special(tenant, LEASE, "lease", name)
    }

    /// Of what a step of a saga does: its action, or with `undoes` its compensation. Every attempt has the same.
    pub fn step(saga: &SagaId, step: &str, undoes: bool) -> Result<Self, Error> {
        within("step", step, STEP_MOST)?;
        let deed = if undoes { UNDO } else { DO };
        Ok(Self(format!("{saga}/{}/{deed}", Escaped(step)).into()))
    }

    fn special(tenant: &str, kind: &str, what: &'static str, name: &str) -> Result<Self, Error> {
        within("tenant", tenant, TENANT_MOST)?;
        within(what, name, NAME_MOST)?;
        Ok(Self(format!("{}/{kind}/{}", Escaped(tenant), Escaped(name)).into()))
    }

    /// As stores have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it says.
    #[expect(clippy::missing_panics_doc, reason = "every key was made or read as one")]
    pub fn named(&self) -> Named {
        named(&self.0).expect("a key is made of parts, or was read by them")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = Error;

    /// Only as it would be written: two texts are never one key.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Key { text: text.to_owned(), reason };
        let key = named(text).and_then(|named| rewritten(&named)).map_err(refused)?;
        if key.as_str() == text { Ok(key) } else { Err(refused("it is not written as keys are")) }
    }
}

/// The key that says so.
fn rewritten(named: &Named) -> Result<Key, &'static str> {
    let bounds = |_| "a name in it is empty or too long";
    match named {
        Named::Firing { job, nominal, trigger: None, partition } => {
            Ok(Key::firing(job, *nominal, *partition))
        }
        Named::Firing { job, nominal, trigger: Some(trigger), partition } => {
            Ok(Key::trigger(job, *nominal, *trigger, *partition))
        }
        Named::Call { tenant, name } => Key::call(tenant, name).map_err(bounds),
        Named::Lease { tenant, name } => Key::lease(tenant, name).map_err(bounds),
        Named::Step { saga, step, undoes } => Key::step(saga, step, *undoes).map_err(bounds),
    }
}

fn named(text: &str) -> Result<Named, &'static str> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        [tenant, CALL, name] => {
            Ok(Named::Call { tenant: unescaped(tenant)?.into(), name: unescaped(name)? })
        }
        [tenant, LEASE, name] => {
            Ok(Named::Lease { tenant: unescaped(tenant)?.into(), name: unescaped(name)? })
        }
        [tenant, SAGA, saga, name, DO] => step(tenant, saga, name, false),
        [tenant, SAGA, saga, name, UNDO] => step(tenant, saga, name, true),
        [tenant, job, instant, partition] => firing(tenant, job, instant, partition),
        _ => Err("it has neither the parts of a firing, nor those of a call, a lease or a step"),
    }
}

fn step(tenant: &str, saga: &str, step: &str, undoes: bool) -> Result<Named, &'static str> {
    let saga = SagaId::new(&unescaped(tenant)?, &unescaped(saga)?);
    let saga = saga.map_err(|_| "a name in it is empty or too long")?;
    Ok(Named::Step { saga, step: unescaped(step)?, undoes })
}

fn firing(tenant: &str, job: &str, instant: &str, part: &str) -> Result<Named, &'static str> {
    let job = JobId::new(&unescaped(tenant)?, &unescaped(job)?);
    let job = job.map_err(|_| "a name in it is empty or too long")?;
    let (instant, trigger) = match instant.split_once('+') {
        Some((instant, id)) => {
            let id = u64::from_str_radix(id, 16).ok().and_then(NonZeroU64::new);
            (instant, Some(id.ok_or("the number of its trigger is none")?))
        }
        None => (instant, None),
    };
    let nominal = utc(instant).ok_or("its instant is none")?;
    let partition = part.parse().map_err(|_| "its partition is no number")?;
    Ok(Named::Firing { job, nominal, trigger, partition })
}

fn utc(text: &str) -> Option<Utc> {
    let timestamp: Timestamp = text.parse().ok()?;
    i64::try_from(timestamp.as_nanosecond()).ok().map(Utc)
}

/// With all its nanoseconds, so that texts sort as instants do.
struct Instant(Utc);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = Timestamp::from_nanosecond(i128::from(self.0.0));
        let timestamp = timestamp.expect("a calendar has more years than nanoseconds in 64 bits");
        write!(f, "{timestamp:.9}")
    }
}

/// All keys of a tenant's are between these two.
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis", feature = "sqlite"))]
pub(crate) fn of_tenant(tenant: &str) -> (String, String) {
    let tenant = Escaped(tenant);
    // What follows the slash.
    (format!("{tenant}/"), format!("{tenant}0"))
}

/// A name of anybody's, so that it can stand between slashes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                f.write_char(char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (hex(*high, *low)?, after),
            (b'%', _) => return Err("it ends within a %XX"),
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| "a name in it is not UTF-8")
}

fn hex(high: u8, low: u8) -> Result<u8, &'static str> {
    let digit = |byte| char::from(byte).to_digit(16);
    let byte = digit(high).zip(digit(low)).map(|(high, low)| (high << 4 | low) as u8);
    byte.ok_or("there is a % in it that two digits do not follow")
}

fn within(what: &'static str, name: &str, most: usize) -> Result<(), Error> {
    if (1..=most).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::Name { what, length: name.len(), most })
}

#[cfg(test)]
mod tests;
