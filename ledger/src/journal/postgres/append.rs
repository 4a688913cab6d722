//! Appending, within the user's transaction.

use tokio_postgres::Transaction;

use crate::Error;
use crate::clock::Clock;
use crate::journal::{Appended, Draft, Position};
use crate::server::postgres::failed;

const APPEND: &str = "SELECT outcome, place, head
    FROM cronx_journal.append($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Appends an event: it is there when the transaction is committed, and not before. The aggregate is locked
/// until then: two transactions that append to two aggregates do so in one order, or one of them fails with a
/// deadlock (40P01) and is tried again. After an error the transaction can only be rolled back.
pub async fn append(
    transaction: &Transaction<'_>,
    draft: &Draft,
    clock: &Clock,
) -> Result<Appended, Error> {
    draft.check()?;
    let (id, print) = (draft.id.0.to_be_bytes(), draft.fingerprint().0);
    let trace = draft.trace.map(|trace| trace.0.to_be_bytes());
    let (id, print, trace) = (&id[..], &print[..], trace.as_ref().map(|trace| &trace[..]));
    let wanted = draft.version.map(|version| version as i64);
    let (now, payload) = (clock.told().map(|now| now.0), draft.payload.as_str());
    let failed = || failed("append to", "the journal");
    let statement = transaction.prepare(APPEND).await.map_err(failed())?;
    let row = transaction
        .query_one(
            &statement,
            &[
                &id,
                &draft.aggregate,
                &wanted,
                &draft.who,
                &draft.what,
                &trace,
                &payload,
                &print,
                &now,
            ],
        )
        .await
        .map_err(failed())?;
    let (outcome, place, head): (i16, Option<i64>, i64) = (row.get(0), row.get(1), row.get(2));
    let (position, version) = (Position(place.unwrap_or_default()), head as u64);
    Ok(match outcome {
        0 => Appended::Now { position, version },
        1 => Appended::Before { position, version },
        2 => Appended::Mismatch,
        _ => Appended::Conflict { head: version },
    })
}
