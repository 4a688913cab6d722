//! Durable work: how many runs a second, each written down before it begins and after it ended, ours and
//! others'; and what a claim costs in Redis beside the least that a guard there can do.

mod ours;
mod redis;
mod rivals;

use std::path::PathBuf;
use std::time::Instant;

use crate::Error;

/// Whose store, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Durable {
    #[arg(long)]
    which: Which,
    /// A folder for SQLite, a URL for a server.
    #[arg(long)]
    place: String,
    /// Runs, or claims.
    #[arg(long)]
    count: u64,
    /// How many at once.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// Ours in a file: runs a second.
    Sqlite,
    /// Ours on a server, and so the next one.
    Postgres,
    /// Claims alone: the median in nanoseconds, and claims a second.
    Redis,
    /// `SET NX` through the same client: the same.
    RedisSet,
    /// What a claim sends, a word a line.
    RedisScript,
    /// Jobs that were enqueued before, one fetched and one written down at a time: runs a second.
    Apalis,
    /// The same, so many at a time as it does by itself.
    ApalisBatched,
    /// Jobs that were enqueued before.
    GraphileWorker,
}

impl Durable {
    /// Prints numbers, or words.
    pub(crate) fn run(&self) -> Result<(), Error> {
        let Self { which, place, count, at_once } = self;
        let (count, at_once) = (*count, *at_once);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime =
            runtime.map_err(|source| Error::System { what: "a runtime".to_owned(), source })?;
        let folder = || PathBuf::from(place);
        let said = runtime.block_on(async {
            match which {
                Which::Sqlite => ours::runs(ours::sqlite(&folder())?, count, at_once).await,
                Which::Postgres => ours::runs(ours::postgres(place).await?, count, at_once).await,
                Which::Redis => redis::claims(place, count, at_once).await,
                Which::RedisSet => redis::sets(place, count, at_once).await,
                Which::RedisScript => redis::script(place).await,
                Which::Apalis => rivals::apalis(&folder(), count, 1, 1).await,
                Which::ApalisBatched => rivals::apalis(&folder(), count, at_once, 10).await,
                Which::GraphileWorker => rivals::graphile_worker(place, count, at_once).await,
            }
        })?;
        println!("{said}");
        Ok(())
    }
}

/// How many of these since then.
fn a_second(count: u64, since: Instant) -> String {
    format!("{:.0}", count as f64 / since.elapsed().as_secs_f64())
}

/// What kept a store from being measured.
fn said(error: impl std::fmt::Display) -> Error {
    Error::Ledger(error.to_string())
}
