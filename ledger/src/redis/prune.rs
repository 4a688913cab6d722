//! What is let go of: a few at a time, since nobody else is served meanwhile.

use std::time::Duration;

use super::plan::instant;
use super::{Inner, failed};
use crate::Error;

/// So many are looked at by one script.
const PAGE: usize = 128;

/// See [`Ledger::prune`](crate::Ledger::prune).
pub(super) async fn prune(
    inner: &Inner,
    tenant: String,
    done_for: Duration,
    most: usize,
) -> Result<usize, Error> {
    // What was looked at and stays is passed over.
    let (mut pruned, mut stay) = (0, 0);
    while pruned < most {
        let page = PAGE.min(most - pruned);
        let mut question = inner.prune.prepare_invoke();
        question.arg(&inner.ledger).arg(&instant(inner.clock.told())[..]).arg(&tenant);
        question.arg(done_for.as_secs()).arg(done_for.subsec_nanos()).arg(stay).arg(page);
        let told = question.invoke_async::<(usize, usize)>(&mut inner.connection.clone()).await;
        let (seen, gone) = told.map_err(failed("prune", &inner.place))?;
        pruned += gone;
        stay += seen - gone;
        if seen < page {
            break;
        }
    }
    Ok(pruned)
}
