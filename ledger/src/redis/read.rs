//! Reading what the server has: texts, which are doubted.

use std::collections::HashMap;

use cronx_scheduler::Course;
use redis::{Pipeline, RedisError};

use super::{Inner, failed};
use crate::Error;
use crate::claim::Entry;
use crate::key::{JobId, Key};
use crate::row::{CourseRow, EntryRow, job_of, torn};
use crate::store::{Look, Row};

/// Entries that are looked at, at once.
const PAGE: usize = 1000;

/// An entry's fields, in the order of the script.
pub(super) type Cells = [Option<String>; 8];
const FIELDS: [&str; 8] = ["fence", "attempt", "print", "state", "said", "bid", "until", "since"];

/// Nothing if there is nothing.
pub(super) fn entry_of(key: String, cells: Cells, place: &str) -> Option<Row<(Key, Entry)>> {
    if cells.iter().all(Option::is_none) {
        return None;
    }
    let wrong = torn(place, "the entry", &key, "a field is missing, or is none".to_owned());
    Some(row_of(key, cells).ok_or(wrong).and_then(|row| row.read(place)))
}

fn row_of(key: String, cells: Cells) -> Option<EntryRow> {
    let [fence, attempt, print, state, said, bid, until, since] = cells;
    let filled = |text: Option<String>| text.map(|text| Some(text).filter(|text| !text.is_empty()));
    let job = key.parse().ok().and_then(|key| job_of(&key)).map(|job| job.to_string());
    Some(EntryRow {
        job,
        key,
        fence: fence?.parse().ok()?,
        attempt: attempt?.parse().ok()?,
        fingerprint: filled(print)?.map(|text| bytes(&text)).transpose().ok()?,
        state: state?.parse().ok()?,
        said: said?,
        bid: filled(bid)?.map(|text| bytes(&text)).transpose().ok()?,
        until_ns: filled(until)?.map(|text| text.parse()).transpose().ok()?,
        since_ns: since?.parse().ok()?,
    })
}

/// Of two digits each.
fn bytes(hex: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or("-"));
    pairs.map(|pair| u8::from_str_radix(pair, 16)).collect()
}

pub(super) fn course_of(job: String, text: &str, place: &str) -> Row<(JobId, Course)> {
    let parts = text.split_once(' ').and_then(|(at, ahead)| Some((at.parse().ok()?, ahead)));
    let Some((cursor_ns, ahead)) = parts else {
        return Err(torn(place, "the course of", &job, format!("it is {text:?}")));
    };
    CourseRow { job, cursor_ns, ahead: ahead.to_owned() }.read(place)
}

/// See [`Ledger::entries`](crate::Ledger::entries).
pub(super) async fn entries(
    inner: &Inner,
    look: &Look,
    job: Option<&JobId>,
    most: usize,
) -> Result<Vec<Row<(Key, Entry)>>, Error> {
    is_as_it_was(inner).await?;
    let mut look = look.clone();
    loop {
        let keys = match &look {
            Look::After(after) => keys_after(inner, after.as_ref(), job, most).await?,
            Look::Last => keys_of_late(inner, job, most).await?,
        };
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PAGE) {
            rows.extend(page(inner, keys).await?);
        }
        // That there are none is said at the end alone.
        let last = keys.last().and_then(|key| key.parse().ok());
        match (&look, last) {
            (Look::After(_), Some(last)) if rows.is_empty() => look = Look::After(Some(last)),
            _ => return Ok(rows),
        }
    }
}

/// See [`Ledger::courses`](crate::Ledger::courses).
pub(super) async fn courses(inner: &Inner) -> Result<Vec<Row<(JobId, Course)>>, Error> {
    is_as_it_was(inner).await?;
    let mut connection = inner.connection.clone();
    let found = redis::cmd("HGETALL").arg("cronx:courses").query_async(&mut connection).await;
    let found: HashMap<String, String> = found.map_err(failed("read", &inner.place))?;
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort();
    Ok(found.into_iter().map(|(job, text)| course_of(job, &text, &inner.place)).collect())
}

async fn is_as_it_was(inner: &Inner) -> Result<(), Error> {
    let mut connection = inner.connection.clone();
    let says = redis::cmd("GET").arg("cronx:ledger").query_async(&mut connection).await;
    let says: Option<String> = says.map_err(failed("read", &inner.place))?;
    if says.as_ref() == Some(&inner.ledger) { Ok(()) } else { Err(inner.forgotten()) }
}

async fn keys_after(
    inner: &Inner,
    after: Option<&Key>,
    job: Option<&JobId>,
    most: usize,
) -> Result<Vec<String>, Error> {
    let first = job.map(|job| format!("{job}/"));
    let after = after.map(Key::as_str);
    let from = match (&first, after) {
        (Some(first), after) if after.is_none_or(|after| after < first.as_str()) => {
            format!("[{first}")
        }
        (_, Some(after)) => format!("({after}"),
        (_, None) => "-".to_owned(),
    };
    // What follows the slash.
    let to = job.map_or("+".to_owned(), |job| format!("({job}0"));
    let mut command = redis::cmd("ZRANGEBYLEX");
    command.arg("cronx:keys").arg(from).arg(to).arg("LIMIT").arg(0).arg(most);
    command.query_async(&mut inner.connection.clone()).await.map_err(failed("read", &inner.place))
}

async fn keys_of_late(
    inner: &Inner,
    job: Option<&JobId>,
    most: usize,
) -> Result<Vec<String>, Error> {
    let of_job = job.map(|job| format!("{job}/")).unwrap_or_default();
    let page = if job.is_some() { PAGE } else { most };
    let (mut keys, mut from) = (Vec::new(), 0);
    while keys.len() < most {
        let mut command = redis::cmd("ZRANGE");
        command.arg("cronx:since").arg(from).arg(from + page - 1);
        let found = command.query_async(&mut inner.connection.clone()).await;
        let found: Vec<String> = found.map_err(failed("read", &inner.place))?;
        let is_last = found.len() < page;
        keys.extend(found.into_iter().filter(|key| key.starts_with(&of_job)));
        if is_last {
            break;
        }
        from += page;
    }
    keys.truncate(most);
    Ok(keys)
}

async fn page(inner: &Inner, keys: &[String]) -> Result<Vec<Row<(Key, Entry)>>, Error> {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    pipeline.ignore_errors();
    for key in keys {
        pipeline.cmd("HMGET").arg(format!("cronx:entry:{key}")).arg(&FIELDS[..]);
    }
    let found = pipeline.query_async(&mut inner.connection.clone()).await;
    let found: Vec<Result<Cells, RedisError>> = found.map_err(failed("read", &inner.place))?;
    let place = &inner.place;
    let mut rows = Vec::with_capacity(keys.len());
    for (key, cells) in keys.iter().zip(found) {
        let row = match cells.map(|cells| entry_of(key.clone(), cells, place)) {
            Ok(Some(row)) => row,
            // It was let go of since its key was read, unless that is still there.
            Ok(None) if !is_listed(inner, key).await? => continue,
            Ok(None) => Err(torn(place, "the entry", key, "it is not there".to_owned())),
            Err(error) => Err(torn(place, "the entry", key, error.to_string())),
        };
        rows.push(row);
    }
    Ok(rows)
}

async fn is_listed(inner: &Inner, key: &str) -> Result<bool, Error> {
    let mut command = redis::cmd("ZSCORE");
    command.arg("cronx:keys").arg(key);
    let score = command.query_async::<Option<f64>>(&mut inner.connection.clone()).await;
    Ok(score.map_err(failed("read", &inner.place))?.is_some())
}
