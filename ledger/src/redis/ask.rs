//! Asking the server: a guess first, and then what it says.

use std::collections::HashMap;
use std::sync::Arc;

use cronx_scheduler::{Course, Utc};
use tokio::sync::MutexGuard;

use super::plan::{Plan, SECOND, hex, instant};
use super::read::{Cells, course_of, entry_of};
use super::{Inner, TURNS, failed};
use crate::Error;
use crate::act::{Act, Change, Outcome, Reply, Seen, Wants};
use crate::claim::{Claim, Entry, Fence, State};
use crate::fingerprint::Fingerprint;
use crate::key::{JobId, Key};
use crate::row::EntryRow;
use crate::server::unavailable;

/// How often others may be quicker.
const TRIES: u32 = 16;

/// What there was, all at one instant; and whether the plan was carried out at that instant.
struct Answer {
    is_written: bool,
    seen: Seen,
}

pub(super) async fn act(inner: &Inner, act: &Act) -> Result<Reply, Error> {
    let wants = act.wants();
    let mut courses = turn(inner, wants.course).await;
    let known = wants.course.zip(courses.as_ref()).and_then(|(job, courses)| courses.get(job));
    let mut answer = first(inner, act, &wants, known).await?;
    for _ in 0..TRIES {
        let outcome = act.on(&answer.seen);
        if answer.is_written || outcome.is_empty() {
            if let Some((job, courses)) = wants.course.zip(courses.as_mut()) {
                remember(courses, job, answer.seen.course, outcome.course);
            }
            return Ok(outcome.reply);
        }
        let plan = Plan::of(act, &answer.seen, &outcome);
        answer = ask(inner, &wants, Some(&plan)).await?;
    }
    Err(unavailable("write", &inner.place, "others write the same at once"))
}

/// Asks with a guess of what there is.
async fn first(
    inner: &Inner,
    act: &Act,
    wants: &Wants<'_>,
    course: Option<&Course>,
) -> Result<Answer, Error> {
    match act {
        Act::Claim { key, claim } => self::claim(inner, wants, key, claim).await,
        _ => ask(inner, wants, Plan::guess(act, course).as_ref()).await,
    }
}

impl Outcome {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.course == Change::None
    }
}

type Courses<'a> = MutexGuard<'a, HashMap<JobId, Course>>;

async fn turn<'a>(inner: &'a Inner, job: Option<&JobId>) -> Option<Courses<'a>> {
    let digest = Fingerprint::of(job?.to_string().as_bytes()).0[0];
    Some(inner.turns[usize::from(digest) % TURNS].lock().await)
}

fn remember(courses: &mut Courses<'_>, job: &JobId, seen: Option<Course>, change: Change) {
    let course = match change {
        Change::None => seen,
        Change::Set(course) => Some(course),
        Change::Drop => None,
    };
    match course {
        Some(course) => _ = courses.insert(job.clone(), course),
        None => _ = courses.remove(job),
    }
}

/// As the script answers.
type Told =
    (bool, i64, i64, Option<Cells>, Option<Cells>, Option<String>, Vec<(String, Option<Cells>)>);

async fn ask(inner: &Inner, wants: &Wants<'_>, plan: Option<&Plan>) -> Result<Answer, Error> {
    let key = |key: Option<&Key>| key.map(Key::to_string).unwrap_or_default();
    let mut question = inner.script.prepare_invoke();
    question.arg(&inner.ledger).arg(&instant(inner.clock.told())[..]);
    question.arg(key(wants.entry)).arg(key(wants.guard));
    question.arg(wants.course.map(JobId::to_string).unwrap_or_default()).arg(u8::from(wants.open));
    if let Some(plan) = plan {
        question.arg(plan.texts());
    }
    let told = question.invoke_async::<Told>(&mut inner.connection.clone()).await;
    read(told.map_err(failed("ask", &inner.place))?, wants, &inner.place)
}

/// That there is none.
async fn claim(
    inner: &Inner,
    wants: &Wants<'_>,
    key: &Key,
    claim: &Claim,
) -> Result<Answer, Error> {
    let (owner, bid) = (Arc::clone(&claim.owner), claim.bid);
    let state = State::InFlight { owner, bid, until: Utc::MAX };
    let (fingerprint, since) = (claim.fingerprint, Utc(0));
    let entry = Entry { fence: Fence::default(), attempt: 1, fingerprint, state, since };
    let EntryRow { key, job, fingerprint, state, said, bid, .. } = EntryRow::of(key, &entry);
    let mut question = inner.claim.prepare_invoke();
    question.arg(&inner.ledger).arg(&instant(inner.clock.told())[..]).arg(key);
    question.arg(job.unwrap_or_default()).arg(hex(fingerprint)).arg(state).arg(said).arg(hex(bid));
    question.arg(claim.lease.as_secs()).arg(claim.lease.subsec_nanos());
    let told = question.invoke_async::<Told>(&mut inner.connection.clone()).await;
    read(told.map_err(failed("ask", &inner.place))?, wants, &inner.place)
}

fn read(told: Told, wants: &Wants<'_>, place: &str) -> Result<Answer, Error> {
    let (is_written, sec, nsec, entry, guard, course, open) = told;
    let one = |key: Option<&Key>, cells: Option<Cells>| -> Result<Option<Entry>, Error> {
        let Some((key, cells)) = key.zip(cells) else { return Ok(None) };
        let entry = entry_of(key.to_string(), cells, place).transpose()?;
        Ok(entry.map(|(_, entry)| entry))
    };
    let course =
        wants.course.zip(course).map(|(job, course)| course_of(job.to_string(), &course, place));
    let open = open.into_iter().filter_map(|(key, cells)| entry_of(key, cells?, place));
    let seen = Seen {
        now: Utc(sec.saturating_mul(SECOND).saturating_add(nsec)),
        entry: one(wants.entry, entry)?,
        guard: one(wants.guard, guard)?,
        course: course.transpose()?.map(|(_, course)| course),
        open: open.collect::<Result<_, _>>()?,
    };
    Ok(Answer { is_written, seen })
}
