//! An entry as a text: `fence state attempt fingerprint since until bid said`, with `-` for none. What was said
//! comes last, and may be anything.

use std::fmt::Write as _;

use crate::key::Key;
use crate::row::{EntryRow, job_of};

/// The words before what was said.
pub(super) const WORDS: usize = 7;
/// Which of them they are.
pub(super) const FENCE: usize = 0;
pub(super) const STATE: usize = 1;
pub(super) const SINCE: usize = 4;
pub(super) const UNTIL: usize = 5;
pub(super) const BID: usize = 6;

const NONE: &str = "-";

/// All but what was said.
pub(super) fn words(row: &EntryRow) -> [String; WORDS] {
    [
        row.fence.to_string(),
        row.state.to_string(),
        row.attempt.to_string(),
        hex(row.fingerprint.as_deref()),
        row.since_ns.to_string(),
        row.until_ns.map_or(NONE.to_owned(), |until| until.to_string()),
        hex(row.bid.as_deref()),
    ]
}

pub(super) fn text(row: &EntryRow) -> String {
    words(row).join(" ") + " " + &row.said
}

/// Nothing if no cronx can have written it.
pub(super) fn row(key: String, text: &str) -> Option<EntryRow> {
    let words: Vec<&str> = text.splitn(WORDS + 1, ' ').collect();
    let [fence, state, attempt, print, since, until, bid, said] = words[..] else { return None };
    let given = |word| Some(word).filter(|&word| word != NONE);
    let job = key.parse().ok().and_then(|key: Key| job_of(&key)).map(|job| job.to_string());
    Some(EntryRow {
        job,
        key,
        fence: fence.parse().ok()?,
        attempt: attempt.parse().ok()?,
        fingerprint: given(print).map(bytes).transpose().ok()?,
        state: state.parse().ok()?,
        said: said.to_owned(),
        bid: given(bid).map(bytes).transpose().ok()?,
        until_ns: given(until).map(str::parse).transpose().ok()?,
        since_ns: since.parse().ok()?,
    })
}

/// Of two digits each.
pub(super) fn hex(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return NONE.to_owned() };
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
    }
    text
}

fn bytes(hex: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or("-"));
    pairs.map(|pair| u8::from_str_radix(pair, 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let whole = EntryRow {
            key: "t/~call/x".to_owned(),
            job: None,
            fence: 7,
            attempt: 2,
            fingerprint: Some(vec![0, 255]),
            state: 1,
            said: "two words,\na line - and".to_owned(),
            bid: Some(vec![18]),
            until_ns: Some(i64::MAX),
            since_ns: -5,
        };
        assert_eq!(text(&whole), "7 1 2 00ff -5 9223372036854775807 12 two words,\na line - and");
        let over = EntryRow {
            fingerprint: None,
            said: String::new(),
            bid: None,
            until_ns: None,
            ..whole.clone()
        };
        assert_eq!(text(&over), "7 1 2 - -5 - - ");
        for entry in [whole, over] {
            assert_eq!(row(entry.key.clone(), &text(&entry)), Some(entry));
        }
    }

    #[test]
    fn what_is_no_entry_is_none() {
        for text in ["", "7 1 2 - -5 - -", "x 1 2 - -5 - - ", "7 1 2 xy -5 - - ", "7 1 2 - -5 ü - "]
        {
            assert_eq!(row("t/~call/x".to_owned(), text), None, "{text:?}");
        }
    }
}
