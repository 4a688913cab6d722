//! An event, before and after it is appended.

use std::fmt;
use std::sync::Arc;

use cronx_scheduler::{TraceId, Utc};
use serde_json::value::RawValue;

use crate::Error;
use crate::fingerprint::Fingerprint;

/// Bytes that the name of an aggregate, of who and of what may have each.
pub const NAME_MOST: usize = 512;
/// Bytes that a payload may have. With its envelope an event stays below a million, which NATS and Kafka
/// take unless they are told otherwise.
pub const PAYLOAD_MOST: usize = 900_000;

/// Names an event for ever, given by who appends it: a retry must give the same one. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u128);

impl EventId {
    /// Of what the event is about, such as its aggregate and the request that brought it about.
    pub fn of_fields(fields: &[(&str, &[u8])]) -> Self {
        let digest = Fingerprint::of_fields(fields).0;
        let (number, _) = digest.as_chunks::<16>();
        Self(u128::from_be_bytes(number[0]))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where an event stands; the first is 1, and some numbers are never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// JSON, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// Of a JSON text. What is between its tokens goes; its numbers and strings stay as they were written.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let length = text.len();
        if length > PAYLOAD_MOST {
            return Err(Error::Payload { length, most: PAYLOAD_MOST });
        }
        let unreadable = |error: serde_json::Error| Error::Json { reason: error.to_string() };
        serde_json::from_str::<&RawValue>(text).map_err(unreadable)?;
        Ok(Self(packed(text).into()))
    }

    /// What a store has: one of ours wrote it.
    pub(crate) fn trusted(text: &str) -> Self {
        Self(text.into())
    }

    /// As it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the white space of a text that is JSON.
fn packed(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|letter| {
            let keeps = in_string || !letter.is_ascii_whitespace();
            in_string ^= *letter == '"' && !escaped;
            escaped = in_string && *letter == '\\' && !escaped;
            keeps
        })
        .collect()
}

/// An event that is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Given again by a retry.
    pub id: EventId,
    /// Whose history it is a part of, such as `bill/17`: 1 to [`NAME_MOST`] bytes, none of them 0.
    pub aggregate: String,
    /// The number in that history that it must become, from 1; `None` takes the next.
    pub version: Option<u64>,
    /// Who did it: 1 to [`NAME_MOST`] bytes, none of them 0.
    pub who: String,
    /// What was done: 1 to [`NAME_MOST`] bytes, none of them 0.
    pub what: String,
    /// The trace that it was done in.
    pub trace: Option<TraceId>,
    /// All else.
    pub payload: Payload,
}

impl Draft {
    /// Whether a journal takes it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("aggregate", &self.aggregate)?;
        within("who", &self.who)?;
        within("what", &self.what)
    }

    /// Of what it says: a retry has the same.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let trace = self.trace.map_or(0, |trace| trace.0).to_be_bytes();
        let version = self.version.unwrap_or(0).to_be_bytes();
        Fingerprint::of_fields(&[
            ("aggregate", self.aggregate.as_bytes()),
            ("version", &version),
            ("who", self.who.as_bytes()),
            ("what", self.what.as_bytes()),
            ("trace", &trace),
            ("payload", self.payload.as_str().as_bytes()),
        ])
    }
}

fn within(what: &'static str, name: &str) -> Result<(), Error> {
    let length = name.len();
    if !(1..=NAME_MOST).contains(&length) {
        return Err(Error::Name { what, length, most: NAME_MOST });
    }
    without_nul(what, name)
}

/// PostgreSQL has no text with one, and an event is the same in every store.
fn without_nul(what: &'static str, name: &str) -> Result<(), Error> {
    let refused = || Error::Unavailable {
        what: "use",
        place: "a journal".to_owned(),
        reason: format!("the name of a {what} has a NUL in it, which no journal takes"),
    };
    (!name.contains('\0')).then_some(()).ok_or_else(refused)
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is an event once the transaction is committed.
    Now {
        /// Where.
        position: Position,
        /// Its number in its aggregate.
        version: u64,
    },
    /// It has been one before.
    Before {
        /// Where.
        position: Position,
        /// Its number in its aggregate.
        version: u64,
    },
    /// Its id was used for an event that says something else. Nothing was done.
    Mismatch,
    /// Its version is not the next. Nothing was done.
    Conflict {
        /// The last version there is; 0 if there is none.
        head: u64,
    },
}

/// An event that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands.
    pub position: Position,
    /// Its name for ever.
    pub id: EventId,
    /// Whose history it is a part of.
    pub aggregate: String,
    /// Its number there, from 1.
    pub version: u64,
    /// Who did it.
    pub who: String,
    /// What was done.
    pub what: String,
    /// The trace that it was done in.
    pub trace: Option<TraceId>,
    /// When it was appended, by the store's clock; its day's table is chosen by this.
    pub at: Utc,
    /// All else.
    pub payload: Payload,
}

/// Who reads a journal, by a name of 1 to 64 bytes, none of them 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Consumer(Arc<str>);

impl Consumer {
    /// By that name.
    pub fn new(name: &str) -> Result<Self, Error> {
        let (length, most) = (name.len(), 64);
        let fits = (1..=most).contains(&length);
        if !fits {
            return Err(Error::Name { what: "consumer", length, most });
        }
        without_nul("consumer", name)?;
        Ok(Self(name.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Payload::parse(text).unwrap().as_str(), expected);
    }

    #[test]
    fn a_payload_is_one_line() {
        check("{ \"a b\" :\n [1.50, \"\\\" x\\\\\" ] }", r#"{"a b":[1.50,"\" x\\"]}"#);
        check("12345678901234567890123", "12345678901234567890123");
        check("\" a\\\\\" ", r#"" a\\""#);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{} {}", "\"\n\"", "nul"] {
            assert!(matches!(Payload::parse(text), Err(Error::Json { .. })), "{text}");
        }
    }

    #[test]
    fn a_payload_has_a_limit() {
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        assert!(Payload::parse(&text(PAYLOAD_MOST)).is_ok());
        let refused = Payload::parse(&text(16 << 20)).unwrap_err();
        let expected = "a payload of 16777216 bytes is too long: 900000 are the most";
        assert_eq!(refused.to_string().split(". ").next().unwrap(), expected);
    }

    fn draft() -> Draft {
        Draft {
            id: EventId(1),
            aggregate: "a".to_owned(),
            version: None,
            who: "b".to_owned(),
            what: "c".to_owned(),
            trace: None,
            payload: Payload::parse("1").unwrap(),
        }
    }

    #[test]
    fn a_name_has_no_nul() {
        let name = || "a\0b".to_owned();
        assert!(draft().check().is_ok());
        for draft in [
            Draft { aggregate: name(), ..draft() },
            Draft { who: name(), ..draft() },
            Draft { what: name(), ..draft() },
        ] {
            let refused = draft.check().unwrap_err().to_string();
            assert!(refused.contains("has a NUL"), "{refused}");
        }
        assert!(Consumer::new(&name()).is_err());
    }

    #[test]
    fn each_field_is_a_part_of_what_a_draft_says() {
        let draft = draft();
        let others = [
            Draft { aggregate: "b".to_owned(), ..draft.clone() },
            Draft { version: Some(1), ..draft.clone() },
            Draft { who: "c".to_owned(), ..draft.clone() },
            Draft { what: "d".to_owned(), ..draft.clone() },
            Draft { trace: Some(TraceId(1)), ..draft.clone() },
            Draft { payload: Payload::parse("2").unwrap(), ..draft.clone() },
        ];
        assert!(others.iter().all(|other| other.fingerprint() != draft.fingerprint()));
        assert_eq!(Draft { id: EventId(2), ..draft.clone() }.fingerprint(), draft.fingerprint());
    }
}
