//! What is over is let go of when it has been over for long enough: firings in the ledger, and sagas.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cronx_ledger::saga::Sagas;
use cronx_ledger::{Ledger, Pending};

use crate::ledger::TENANT;
use crate::log::{Event, Log};
use crate::metrics::Metrics;

/// How often.
const EVERY: Duration = Duration::from_mins(10);
/// Firings at once, and sagas, which have more to each: others have the store in between.
const FIRINGS: usize = 500;
const SAGAS: usize = 50;
/// For these others.
const PAUSE: Duration = Duration::from_millis(100);

/// What is let go of, and when.
pub(crate) struct Retention {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sagas: Option<Arc<dyn Sagas>>,
    pub(crate) period: Duration,
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
        let firings = |most| self.ledger.prune(TENANT, self.period, most);
        let firings = self.prune("firings", FIRINGS, firings).await;
        let sagas = match &self.sagas {
            Some(sagas) => {
                let sagas = |most| sagas.prune(TENANT, self.period, most);
                self.prune("sagas", SAGAS, sagas).await
            }
            None => Ok(()),
        };
        if let Err(error) = firings.and(sagas) {
            (self.log)(&Event::Note(&format!("what is over could not be let go of: {error}")));
        }
    }

    async fn prune<'a>(
        &self,
        what: &'static str,
        most: usize,
        page: impl Fn(usize) -> Pending<'a, usize>,
    ) -> Result<(), cronx_ledger::Error> {
        loop {
            let began = Instant::now();
            let pruned = page(most).await?;
            self.metrics.pruned(what, pruned);
            if pruned < most {
                return Ok(());
            }
            tokio::time::sleep(began.elapsed().max(PAUSE)).await;
        }
    }
}

#[cfg(test)]
mod tests;
