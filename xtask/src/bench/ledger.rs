//! `cargo xtask bench ledger`: what a durable firing costs beside others' durable jobs, and with `--kill`
//! whether every firing takes effect once although its process is killed again and again.

mod cost;
mod kill;

use anyhow::Result;
use clap::Args;

use super::Extent;

/// How much of it, and of what.
#[derive(Args)]
pub(crate) struct Campaign {
    /// Kill owners instead of measuring them: a thousand on SQLite, a hundred on each server.
    #[arg(long)]
    kill: bool,
    #[command(flatten)]
    extent: Extent,
}

pub(super) fn run(campaign: &Campaign) -> Result<()> {
    if campaign.kill { kill::run(&campaign.extent) } else { cost::run(&campaign.extent) }
}
