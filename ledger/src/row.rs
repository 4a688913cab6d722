//! Entries and courses as tables have them: numbers and texts, which are doubted when they are read.

use std::fmt::Write;
use std::sync::Arc;

use cronx_scheduler::{Course, Utc};

use crate::Error;
use crate::claim::{Bid, Entry, Fence, State};
use crate::fingerprint::Fingerprint;
use crate::key::{JobId, Key, Named};

/// States as numbers: those that are open are below the other.
pub(crate) const IN_FLIGHT: i16 = 1;
pub(crate) const FAILED: i16 = 2;
pub(crate) const DONE: i16 = 3;

/// Of entries, those that [`Ledger::prune`](crate::Ledger::prune) lets go of, but for their time and whose they
/// are: firings that somebody asked for, calls, and what a job's schedule asked for and cannot ask for again. The
/// tables and the column are named as their store has them.
pub(crate) fn prunable(entries: &str, key: &str, courses: &str) -> String {
    format!(
        "state = {DONE} AND ({key} LIKE '%/~call/%' OR job IS NOT NULL AND ({key} LIKE '%+%' OR NOT EXISTS
            (SELECT 1 FROM {courses} WHERE {courses}.job = {entries}.job AND cursor_ns <= since_ns)))"
    )
}

/// A row of the table of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryRow {
    pub(crate) key: String,
    /// Of a firing alone.
    pub(crate) job: Option<String>,
    pub(crate) fence: i64,
    pub(crate) attempt: i64,
    pub(crate) fingerprint: Option<Vec<u8>>,
    pub(crate) state: i16,
    /// The owner, the reason or the result.
    pub(crate) said: String,
    /// Of one that is in flight alone, and so is the next.
    pub(crate) bid: Option<Vec<u8>>,
    pub(crate) until_ns: Option<i64>,
    pub(crate) since_ns: i64,
}

impl EntryRow {
    pub(crate) fn of(key: &Key, entry: &Entry) -> Self {
        let (state, said, bid, until) = match &entry.state {
            State::InFlight { owner, bid, until } => (IN_FLIGHT, owner, Some(bid), Some(until)),
            State::Failed { why } => (FAILED, why, None, None),
            State::Done { result } => (DONE, result, None, None),
        };
        Self {
            key: key.as_str().to_owned(),
            job: job_of(key).map(|job| job.to_string()),
            fence: i64::try_from(entry.fence.0).unwrap_or(i64::MAX),
            attempt: entry.attempt.into(),
            fingerprint: entry.fingerprint.map(|fingerprint| fingerprint.0.to_vec()),
            state,
            said: said.to_string(),
            bid: bid.map(|bid| bid.0.to_be_bytes().to_vec()),
            until_ns: until.map(|until| until.0),
            since_ns: entry.since.0,
        }
    }

    /// What it says, if one of ours can have written it.
    pub(crate) fn read(self, place: &str) -> Result<(Key, Entry), Error> {
        let row = self.key.clone();
        self.entry().map_err(|reason| torn(place, "the entry", &row, reason))
    }

    fn entry(self) -> Result<(Key, Entry), String> {
        let key: Key = self.key.parse().map_err(|error: Error| error.to_string())?;
        if self.job != job_of(&key).map(|job| job.to_string()) {
            return Err(format!("its job is {:?}", self.job));
        }
        let fence = u64::try_from(self.fence).ok().filter(|&fence| fence > 0).map(Fence);
        let said: Arc<str> = self.said.into();
        let state = match (self.state, self.bid, self.until_ns) {
            (IN_FLIGHT, Some(bid), Some(until)) => {
                let bid = bid.try_into().map_err(|_| "its bid has not 16 bytes")?;
                let bid = Bid(u128::from_be_bytes(bid));
                State::InFlight { owner: said, bid, until: Utc(until) }
            }
            (FAILED, None, None) => State::Failed { why: said },
            (DONE, None, None) => State::Done { result: said },
            (state, ..) => return Err(format!("there is no state {state} with what stands there")),
        };
        let digest = |bytes: Vec<u8>| bytes.try_into().map(Fingerprint);
        let fingerprint = self.fingerprint.map(digest).transpose();
        let entry = Entry {
            fence: fence.ok_or_else(|| format!("its fence is {}", self.fence))?,
            attempt: self
                .attempt
                .try_into()
                .map_err(|_| format!("its attempt is {}", self.attempt))?,
            fingerprint: fingerprint.map_err(|_| "its fingerprint has not 32 bytes")?,
            state,
            since: Utc(self.since_ns),
        };
        Ok((key, entry))
    }
}

pub(crate) fn job_of(key: &Key) -> Option<JobId> {
    match key.named() {
        Named::Firing { job, .. } => Some(job),
        Named::Call { .. } | Named::Lease { .. } | Named::Step { .. } => None,
    }
}

/// A row of the table of courses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CourseRow {
    pub(crate) job: String,
    pub(crate) cursor_ns: i64,
    /// `after:through` in nanoseconds, with commas between.
    pub(crate) ahead: String,
}

impl CourseRow {
    pub(crate) fn of(job: &JobId, course: &Course) -> Self {
        let (cursor_ns, ahead) = Self::parts(course);
        Self { job: job.to_string(), cursor_ns, ahead }
    }

    /// All but its job.
    pub(crate) fn parts(course: &Course) -> (i64, String) {
        let mut ahead = String::new();
        for (Utc(after), Utc(through)) in course.ahead() {
            let comma = if ahead.is_empty() { "" } else { "," };
            write!(ahead, "{comma}{after}:{through}").expect("a text takes what is written to it");
        }
        (course.cursor().0, ahead)
    }

    /// What it says, if one of ours can have written it.
    pub(crate) fn read(self, place: &str) -> Result<(JobId, Course), Error> {
        let wrong = |reason: &str| torn(place, "the course of", &self.job, reason.to_owned());
        let job = self.job.parse().map_err(|error: Error| wrong(&error.to_string()))?;
        let pair = |text: &str| {
            let (after, through) = text.split_once(':')?;
            Some((Utc(after.parse().ok()?), Utc(through.parse().ok()?)))
        };
        let pairs: Option<Vec<_>> =
            self.ahead.split(',').filter(|text| !text.is_empty()).map(pair).collect();
        let course = pairs.and_then(|ahead| Course::restored(Utc(self.cursor_ns), ahead));
        Ok((job, course.ok_or_else(|| wrong("what is ahead of its cursor is no row of pairs"))?))
    }
}

pub(crate) fn torn(place: &str, what: &str, row: &str, reason: String) -> Error {
    Error::Torn { place: place.to_owned(), row: format!("{what} {row}"), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: State) -> (Key, Entry) {
        let job = JobId::new("t", "a/b").unwrap();
        let fingerprint = Some(Fingerprint::of(b"x"));
        let entry = Entry { fence: Fence(7), attempt: 2, fingerprint, state, since: Utc(-5) };
        (Key::firing(&job, Utc(9), 0), entry)
    }

    fn in_flight() -> (Key, Entry) {
        entry(State::InFlight { owner: "me".into(), bid: Bid(u128::MAX - 1), until: Utc::MAX })
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let states = [State::Failed { why: "".into() }, State::Done { result: "ü".into() }];
        for (key, entry) in states.map(entry).into_iter().chain([in_flight()]) {
            assert_eq!(EntryRow::of(&key, &entry).read("here").unwrap(), (key, entry));
        }
        let call = Key::call("t", "x").unwrap();
        let (_, entry) = in_flight();
        let row = EntryRow::of(&call, &entry);
        assert_eq!((row.job.clone(), row.read("here").unwrap()), (None, (call, entry)));
    }

    #[test]
    fn what_no_cronx_wrote_is_said() {
        let (key, entry) = in_flight();
        let changes: [fn(&mut EntryRow); 9] = [
            |row| row.key = "x".to_owned(),
            |row| row.job = None,
            |row| row.fence = 0,
            |row| row.attempt = -1,
            |row| row.fingerprint = Some(vec![1]),
            |row| row.state = 4,
            |row| row.state = DONE,
            |row| row.bid = Some(vec![]),
            |row| row.until_ns = None,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut row = EntryRow::of(&key, &entry);
            change(&mut row);
            let error = row.read("here").expect_err(&number.to_string()).to_string();
            assert!(error.starts_with("here has in the entry "), "{error}");
        }
    }

    #[test]
    fn a_course_is_read_as_it_was_written() {
        let job = JobId::new("t", "j").unwrap();
        let mut course = Course::new(Utc(-3));
        assert_eq!(
            CourseRow::of(&job, &course).read("here").unwrap(),
            (job.clone(), course.clone())
        );
        for (after, through) in [(0, 5), (7, 9), (10, i64::MAX)] {
            course.decide(Utc(after), Utc(through));
        }
        let row = CourseRow::of(&job, &course);
        assert_eq!(row.ahead, "0:5,7:9,10:9223372036854775807");
        assert_eq!(row.clone().read("here").unwrap(), (job, course));
        for ahead in ["x", "1", "1:", "5:1", "0:5,3:9", "-9:-5"] {
            let row = CourseRow { ahead: ahead.to_owned(), ..row.clone() };
            assert!(row.read("here").is_err(), "{ahead}");
        }
    }
}
