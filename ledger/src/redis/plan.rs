//! What is believed of the server, and what is to be written if it is so.

use std::time::Duration;

use cronx_scheduler::{Course, Utc};

use super::entry::{self, BID, FENCE, SINCE, STATE, UNTIL, WORDS};
use crate::act::{Act, Change, Outcome, Seen};
use crate::claim::{Bid, Entry, Fence, State};
use crate::key::Key;
use crate::row::{CourseRow, DONE, EntryRow, FAILED, IN_FLIGHT};

/// Instants are of this many nanoseconds.
pub(super) const SECOND: i64 = 1_000_000_000;
/// As it was.
const SAME: &str = "=";
/// The instant of the script, and what is granted then.
const NOW: &str = "+0:0";

/// All of it holds, and all of it is written; or nothing is.
pub(super) struct Plan {
    /// It was made of what was seen then; by itself it holds at every instant.
    as_of: Option<Utc>,
    guard: Option<Fence>,
    /// As it is compared, and as it is to be.
    course: [String; 2],
    open: Option<usize>,
    entries: Vec<Write>,
}

/// One entry.
struct Write {
    key: String,
    job: String,
    /// What its text begins with; see the script.
    believed: String,
    words: [String; WORDS],
    /// Nothing if it is as it was.
    said: Option<String>,
}

impl Plan {
    /// From nothing that was read but a course, which may be another by now: that the key is absent, or in flight
    /// by that fence. `None` if a guess would be too bold.
    pub(super) fn guess(act: &Act, course: Option<&Course>) -> Option<Self> {
        match act {
            Act::Begin { .. } | Act::Skip { .. } => course.map(|it| Self::of_absent(act, it)),
            Act::Renew { key, fence, lease } => {
                let mut words = [SAME; WORDS].map(str::to_owned);
                words[UNTIL] = from_now(*lease);
                Some(Self::of_held(key, *fence, words, None))
            }
            Act::Complete { key, fence, result } => {
                Some(Self::of_held(key, *fence, end(DONE), Some(result)))
            }
            Act::Fail { key, fence, why } => {
                Some(Self::of_held(key, *fence, end(FAILED), Some(why)))
            }
            Act::Claim { .. } | Act::Join { .. } | Act::Forget { .. } => None,
        }
    }

    /// As the rules have it at the beginning of time, so that instants are times from now.
    fn of_absent(act: &Act, course: &Course) -> Self {
        let held = |fence| {
            let state = State::InFlight { owner: "".into(), bid: Bid(0), until: Utc::MAX };
            Entry { fence, attempt: 1, fingerprint: None, state, since: Utc(0) }
        };
        let guard = act.guard().map(|guard| held(guard.fence));
        let seen = Seen { course: Some(course.clone()), guard, ..Seen::default() };
        let mut plan = Self { as_of: None, ..Self::of(act, &seen, &act.on(&seen)) };
        for Write { words, .. } in &mut plan.entries {
            "+".clone_into(&mut words[FENCE]);
            NOW.clone_into(&mut words[SINCE]);
            words[UNTIL] = from_now(lease(act));
        }
        plan
    }

    fn of_held(key: &Key, fence: Fence, words: [String; WORDS], said: Option<&str>) -> Self {
        let believed = format!("{} {IN_FLIGHT} ", fence.0);
        let write = Write::of(key, believed, words, said.map(str::to_owned));
        let course = [String::new(), String::new()];
        Self { as_of: None, guard: None, course, open: None, entries: vec![write] }
    }

    /// Of what was seen, and of what becomes of it.
    pub(super) fn of(act: &Act, seen: &Seen, outcome: &Outcome) -> Self {
        let wants = act.wants();
        let before = |key: &Key| {
            let open = seen.open.iter().find(|(of, _)| of == key).map(|(_, entry)| entry);
            seen.entry.as_ref().filter(|_| wants.entry == Some(key)).or(open)
        };
        let written = outcome.entries.iter();
        let entries = written.map(|(key, entry)| Write::whole(key, before(key), entry));
        let text = |course: &Course| format!("={}", course_text(course));
        let believed = wants.course.map(|_| seen.course.as_ref().map_or("-".to_owned(), text));
        let changed = match &outcome.course {
            Change::None => String::new(),
            Change::Drop => "-".to_owned(),
            Change::Set(course) => text(course),
        };
        Self {
            as_of: Some(seen.now),
            guard: act.guard().map(|guard| guard.fence),
            course: [believed.unwrap_or_default(), changed],
            open: wants.open.then_some(seen.open.len()),
            entries: entries.collect(),
        }
    }

    /// One text after the other, as the script reads them.
    pub(super) fn texts(&self) -> Vec<String> {
        let optional = |number: Option<String>| number.unwrap_or_default();
        let mut texts = Vec::from(instant(self.as_of));
        texts.push(optional(self.guard.map(|fence| fence.0.to_string())));
        texts.push(self.course[0].clone());
        texts.push(optional(self.open.map(|open| open.to_string())));
        texts.push(self.course[1].clone());
        for Write { key, job, believed, words, said } in &self.entries {
            texts.extend([key, job, believed].into_iter().chain(words).cloned());
            texts.push(said.as_ref().map_or(String::new(), |said| format!("={said}")));
        }
        texts
    }
}

impl Write {
    fn of(key: &Key, believed: String, words: [String; WORDS], said: Option<String>) -> Self {
        let job = crate::row::job_of(key).map(|job| job.to_string()).unwrap_or_default();
        Self { key: key.to_string(), job, believed, words, said }
    }

    fn whole(key: &Key, before: Option<&Entry>, after: &Entry) -> Self {
        let absent = || "-".to_owned();
        let believed = before.map_or_else(absent, |it| entry::text(&EntryRow::of(key, it)));
        let row = EntryRow::of(key, after);
        Self::of(key, believed, entry::words(&row), Some(row.said))
    }
}

/// It is not in flight any more, from now on.
fn end(state: i16) -> [String; WORDS] {
    let mut words = [SAME; WORDS].map(str::to_owned);
    words[STATE] = state.to_string();
    NOW.clone_into(&mut words[SINCE]);
    [UNTIL, BID].map(|none| "-".clone_into(&mut words[none]));
    words
}

fn from_now(time: Duration) -> String {
    format!("+{}:{}", time.as_secs(), time.subsec_nanos())
}

fn lease(act: &Act) -> Duration {
    match act {
        Act::Begin { claim, .. } => claim.lease,
        _ => Duration::ZERO,
    }
}

/// Seconds, and nanoseconds of the next one; two empty texts for none.
pub(super) fn instant(at: Option<Utc>) -> [String; 2] {
    let parts =
        |Utc(at): Utc| [at.div_euclid(SECOND), at.rem_euclid(SECOND)].map(|n| n.to_string());
    at.map(parts).unwrap_or_default()
}

/// Its cursor, and what is ahead of it.
fn course_text(course: &Course) -> String {
    let (cursor_ns, ahead) = CourseRow::parts(course);
    format!("{cursor_ns} {ahead}")
}
