//! The thread that has the file.

use std::sync::mpsc::Receiver;

use super::failed;
use super::table::Table;
use crate::Error;
use crate::act::{Act, Reply};

/// So many questions share a wait for the disk.
const BATCH: usize = 512;

/// Takes an answer to whoever waits for it.
pub(super) type Answer = Box<dyn FnOnce(Result<Reply, Error>) + Send>;
/// Looks at the tables, and takes an answer too.
pub(super) type Reading = Box<dyn FnOnce(&Table) + Send>;

pub(super) enum Message {
    Act(Act, Answer),
    Read(Reading),
}

/// Until nobody can ask any more.
pub(super) fn write(table: &Table, messages: &Receiver<Message>) {
    let mut acts = Vec::new();
    while let Ok(first) = messages.recv() {
        let mut reading = None;
        for message in std::iter::once(first).chain(messages.try_iter()) {
            match message {
                Message::Act(act, answer) => acts.push((act, answer)),
                Message::Read(read) => reading = Some(read),
            }
            // Who reads sees what was asked for before.
            if acts.len() >= BATCH || reading.is_some() {
                break;
            }
        }
        answer(table, std::mem::take(&mut acts));
        if let Some(read) = reading {
            read(table);
        }
    }
}

/// All in one transaction; if that fails, each in its own, so that nobody pays for another's question.
fn answer(table: &Table, acts: Vec<(Act, Answer)>) {
    let all: Vec<&Act> = acts.iter().map(|(act, _)| act).collect();
    if all.is_empty() {
        return;
    }
    match together(table, &all) {
        Ok(replies) => {
            for ((_, answer), reply) in acts.into_iter().zip(replies) {
                answer(Ok(reply));
            }
        }
        Err(_) if acts.len() > 1 => {
            for (act, answer) in acts {
                let reply = together(table, &[&act]);
                answer(reply.map(|mut replies| replies.remove(0)));
            }
        }
        Err(error) => acts.into_iter().for_each(|(_, answer)| answer(Err(error.clone()))),
    }
}

/// Their replies, once the disk has all of it; on an error it has none of it.
fn together(table: &Table, acts: &[&Act]) -> Result<Vec<Reply>, Error> {
    let connection = &table.connection;
    let run = |sql, what| connection.execute_batch(sql).map_err(failed(what, &table.place));
    run("BEGIN IMMEDIATE", "write")?;
    let replies: Result<Vec<Reply>, Error> = acts.iter().map(|act| table.act(act)).collect();
    let done = replies.and_then(|replies| run("COMMIT", "write").map(|()| replies));
    if done.is_err() && !connection.is_autocommit() {
        // Some errors have done so already, and what this one says changes nothing.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}
