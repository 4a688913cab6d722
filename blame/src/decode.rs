//! Bytes to one event. It knows the layout and nothing of order or meaning.

use std::mem::offset_of;

use cronx_abi::{
    Header, InterruptRecord, MoveRecord, OpenWaitRecord, Record, RefillRecord, SampleRecord,
    SliceRecord, TaskKey, TaskRecord, UnopenedRecord, Wait, WaitRecord, kind,
};

/// One record, by its kind. A sample stays where it is: it is large and most are never looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event<'a> {
    Slice(SliceRecord),
    Wait(WaitRecord),
    Move(MoveRecord),
    Interrupt(InterruptRecord),
    Sample(Sample<'a>),
    Task(TaskRecord),
    Open(OpenWaitRecord),
    UnseenClose(OpenWaitRecord),
    Unopened(UnopenedRecord),
    Refill(RefillRecord),
}

/// A sample whose frames are still bytes: addresses of eight bytes, leaf first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sample<'a> {
    pub(crate) at_ns: u64,
    pub(crate) task: TaskKey,
    pub(crate) kernel: &'a [u8],
    pub(crate) user: &'a [u8],
}

/// Why bytes are no record: the name of the anomaly.
pub(crate) type Malformed = &'static str;

/// The head of a record that is as long as its kind says.
pub(crate) fn head(bytes: &[u8]) -> Result<Header, Malformed> {
    let header = Header::from_bytes(bytes).ok_or("short_record")?;
    if bytes.len() < length(header.kind).ok_or("unknown_kind")? {
        return Err("short_record");
    }
    Ok(header)
}

/// What version 4 of the abi added at the end of a wait, bytes. An older record is without it.
const ADDED: usize = size_of::<Wait>() - offset_of!(Wait, off_ns);

fn length(record_kind: u8) -> Option<usize> {
    Some(match record_kind {
        kind::SLICE => size_of::<SliceRecord>(),
        kind::WAIT => size_of::<WaitRecord>() - ADDED,
        kind::MOVE => size_of::<MoveRecord>(),
        kind::INTERRUPT => size_of::<InterruptRecord>(),
        kind::SAMPLE => size_of::<SampleRecord>(),
        kind::TASK => size_of::<TaskRecord>(),
        kind::OPEN | kind::UNSEEN_CLOSE => size_of::<OpenWaitRecord>() - ADDED,
        kind::UNOPENED => size_of::<UnopenedRecord>(),
        kind::REFILL => size_of::<RefillRecord>(),
        _ => return None,
    })
}

/// The whole record.
pub(crate) fn decode(bytes: &[u8]) -> Result<Event<'_>, Malformed> {
    let header = head(bytes)?;
    match header.kind {
        kind::SLICE => SliceRecord::from_bytes(bytes).map(Event::Slice),
        kind::WAIT => filled_up::<WaitRecord>(bytes).map(Event::Wait),
        kind::MOVE => MoveRecord::from_bytes(bytes).map(Event::Move),
        kind::INTERRUPT => InterruptRecord::from_bytes(bytes).map(Event::Interrupt),
        kind::SAMPLE => sample(header, bytes).map(Event::Sample),
        kind::TASK => TaskRecord::from_bytes(bytes).map(Event::Task),
        kind::OPEN => filled_up::<OpenWaitRecord>(bytes).map(Event::Open),
        kind::UNSEEN_CLOSE => filled_up::<OpenWaitRecord>(bytes).map(Event::UnseenClose),
        kind::UNOPENED => UnopenedRecord::from_bytes(bytes).map(Event::Unopened),
        kind::REFILL => RefillRecord::from_bytes(bytes).map(Event::Refill),
        _ => return Err("unknown_kind"),
    }
    .ok_or("short_record")
}

/// A record that ends in a wait; what an older one has not is 0.
fn filled_up<R: Record>(bytes: &[u8]) -> Option<R> {
    let mut whole = [0; size_of::<WaitRecord>()];
    let len = bytes.len().min(size_of::<R>()).min(whole.len());
    whole[..len].copy_from_slice(&bytes[..len]);
    R::from_bytes(&whole)
}

fn sample(header: Header, bytes: &[u8]) -> Option<Sample<'_>> {
    let task_at = offset_of!(SampleRecord, task);
    let kernel_at = offset_of!(SampleRecord, kernel);
    let user_at = offset_of!(SampleRecord, user);
    let length = |at: usize| Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let kernel_bytes = length(offset_of!(SampleRecord, kernel_bytes))?;
    let user_bytes = length(offset_of!(SampleRecord, user_bytes))?;
    Some(Sample {
        at_ns: header.at_ns,
        task: task_key(bytes.get(task_at..)?)?,
        kernel: frames(bytes.get(kernel_at..user_at)?, kernel_bytes),
        user: frames(bytes.get(user_at..size_of::<SampleRecord>())?, user_bytes),
    })
}

fn task_key(bytes: &[u8]) -> Option<TaskKey> {
    let (start, rest) = bytes.split_first_chunk()?;
    let (tid, rest) = rest.split_first_chunk()?;
    Some(TaskKey {
        start_ns: u64::from_ne_bytes(*start),
        tid: u32::from_ne_bytes(*tid),
        tgid: u32::from_ne_bytes(*rest.first_chunk()?),
    })
}

/// The filled part, in whole addresses; an errno or a length that cannot be fills nothing or all.
fn frames(room: &[u8], filled: i32) -> &[u8] {
    let filled = usize::try_from(filled).unwrap_or(0).min(room.len());
    &room[..filled / 8 * 8]
}

#[cfg(test)]
mod tests;
