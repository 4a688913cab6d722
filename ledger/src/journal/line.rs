//! An event as a line of JSON: what archives and sinks have.

use cronx_scheduler::{TraceId, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Event, EventId, Payload, Position};

#[derive(Serialize)]
struct Written<'a> {
    position: i64,
    id: String,
    aggregate: &'a str,
    version: u64,
    who: &'a str,
    what: &'a str,
    trace: Option<String>,
    at: String,
    payload: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    position: i64,
    id: &'a str,
    aggregate: String,
    version: u64,
    who: String,
    what: String,
    trace: Option<&'a str>,
    at: &'a str,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Its line, without an end. `id` and `trace` have 32 hexadecimal digits, `at` is RFC 3339.
#[allow(clippy::missing_panics_doc, reason = "names and numbers can be written")]
pub fn line(event: &Event) -> String {
    // A payload is JSON since it was made.
    let payload = serde_json::from_str(event.payload.as_str());
    let written = Written {
        position: event.position.0,
        id: event.id.to_string(),
        aggregate: &event.aggregate,
        version: event.version,
        who: &event.who,
        what: &event.what,
        trace: event.trace.map(|trace| trace.to_string()),
        at: event.at.to_string(),
        payload: payload.unwrap_or(RawValue::NULL),
    };
    serde_json::to_string(&written).expect("names and numbers can be written")
}

/// The event of a line, or why it is none.
pub fn read_line(text: &str) -> Result<Event, String> {
    let read: Read = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let hex = |digits: &str| match digits.len() {
        32 => u128::from_str_radix(digits, 16).map_err(|error| format!("'{digits}': {error}")),
        _ => Err(format!("'{digits}' has not 32 digits")),
    };
    let at: jiff::Timestamp = read.at.parse().map_err(|error| format!("'{}': {error}", read.at))?;
    let at = i64::try_from(at.as_nanosecond()).map_err(|_| format!("'{}' has no room", read.at))?;
    Ok(Event {
        position: Position(read.position),
        id: EventId(hex(read.id)?),
        aggregate: read.aggregate,
        version: read.version,
        who: read.who,
        what: read.what,
        trace: read.trace.map(hex).transpose()?.map(TraceId),
        at: Utc(at),
        payload: Payload::parse(read.payload.get()).map_err(|error| error.to_string())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            position: Position(7),
            id: EventId(0x1234),
            aggregate: "bill/\"17\"".to_owned(),
            version: 2,
            who: "shop\n".to_owned(),
            what: "paid".to_owned(),
            trace: Some(TraceId(5)),
            at: Utc(1_764_338_400_000_000_001),
            payload: Payload::parse(r#"{"cents":1.10}"#).unwrap(),
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let text = line(&event());
        expect_test::expect![[r#"{"position":7,"id":"00000000000000000000000000001234","aggregate":"bill/\"17\"","version":2,"who":"shop\n","what":"paid","trace":"00000000000000000000000000000005","at":"2025-11-28T14:00:00.000000001Z","payload":{"cents":1.10}}"#]].assert_eq(&text);
        assert_eq!(read_line(&text), Ok(event()));
        let bare = Event { trace: None, ..event() };
        assert_eq!(read_line(&line(&bare)), Ok(bare));
    }

    #[test]
    fn what_nobody_wrote_is_no_event() {
        let text = line(&event());
        for (from, to) in [
            ("\"position\":7", "\"position\":\"7\""),
            ("00001234", "0000123"),
            ("00001234", "0000123g"),
            ("2025-", "3025-"),
            ("\"version\":2", "\"version\":-2"),
            ("\"who\"", "\"whom\""),
            ("}}", "}"),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text);
            assert!(read_line(&broken).is_err(), "{broken}");
        }
    }
}
