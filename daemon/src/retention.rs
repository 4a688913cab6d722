//! What is over is let go of when it has been over for long enough: firings in the ledger, and sagas.

use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::saga::Sagas;
use cronx_ledger::{Ledger, Pending};

use crate::log::{Event, Log};
use crate::metrics::Metrics;

/// The first time comes as late as the others: whatever a daemon finds open when it starts is gone on with before
/// anything that it may ask for is let go of.
const EVERY: Duration = Duration::from_mins(10);
/// So many at once: others have the store in between.
const PAGE: usize = 500;

/// What is let go of, and when.
pub(crate) struct Retention {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sagas: Option<Arc<dyn Sagas>>,
    pub(crate) keep: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: Log,
}

impl Retention {
    /// From now on.
    pub(crate) async fn tend(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.prune_all().await;
        }
    }

    async fn prune_all(&self) {
        let firings = self.prune("firings", || self.ledger.prune(self.keep, PAGE)).await;
        let sagas = match &self.sagas {
            Some(sagas) => self.prune("sagas", || sagas.prune(self.keep, PAGE)).await,
            None => Ok(()),
        };
        if let Err(error) = firings.and(sagas) {
            (self.log)(&Event::Note(&format!("what is over could not be let go of: {error}")));
        }
    }

    async fn prune<'a>(
        &self,
        what: &'static str,
        page: impl Fn() -> Pending<'a, usize>,
    ) -> Result<(), cronx_ledger::Error> {
        loop {
            let pruned = page().await?;
            self.metrics.pruned(what, pruned);
            if pruned < PAGE {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
