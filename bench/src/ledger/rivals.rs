//! Durable job queues: jobs are there already, and what is measured is that each is fetched, run and written
//! down.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::{
    BackendExt, BoxDynError, Data, Strategy, TaskSink, WorkerBuilder, WorkerContext,
};
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteStorage};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, TaskHandler, WorkerContext as GraphileContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use super::{a_second, said};
use crate::Error;

/// Asked for more at once: nothing is waited for but the disk.
const POLL: Duration = Duration::from_micros(100);

/// On a disk that has what was committed: it would by itself not wait for that.
async fn pool(path: &Path) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    SqlitePoolOptions::new().connect_with(options).await.map_err(said)
}

#[derive(Clone)]
struct Done {
    left: Arc<AtomicU64>,
}

async fn nothing(_: u64, worker: WorkerContext, done: Data<Done>) -> Result<(), BoxDynError> {
    if done.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        worker.stop()?;
    }
    Ok(())
}

/// Runs a second.
pub(super) async fn apalis(
    folder: &Path,
    count: u64,
    at_once: usize,
    batch: usize,
) -> Result<String, Error> {
    let path = folder.join("apalis");
    // What makes the tables also says that the disk is not to be waited for, on its connection.
    let first = pool(&path).await?;
    SqliteStorage::setup(&first).await.map_err(said)?;
    first.close().await;
    let pool = pool(&path).await?;
    let config = Config { batch_size: batch, ..Config::default() };
    let mut storage = SqliteStorage::<u64>::new(&pool).with_config(config);
    for number in 0..count {
        storage.push(number).await.map_err(said)?;
    }
    let done = Done { left: Arc::new(AtomicU64::new(count)) };
    let backend = storage.poll_with_strategy(Strategy::new().interval(POLL));
    let builder = WorkerBuilder::new("bench").backend(backend).data(done.clone());
    let since = Instant::now();
    builder.concurrency(at_once).build(nothing).run().await.map_err(said)?;
    let left = done.left.load(Ordering::Relaxed);
    if left > 0 { Err(said(format!("{left} jobs were left"))) } else { Ok(a_second(count, since)) }
}

#[derive(Serialize, Deserialize)]
struct Nothing {}

impl TaskHandler for Nothing {
    const IDENTIFIER: &'static str = "nothing";

    async fn run(self, _: GraphileContext) -> impl IntoTaskHandlerResult {}
}

/// Runs a second.
pub(super) async fn graphile_worker(
    url: &str,
    count: u64,
    at_once: usize,
) -> Result<String, Error> {
    let worker = WorkerOptions::default()
        .database_url(url)
        .max_pg_conn(8)
        .concurrency(at_once)
        .listen_os_shutdown_signals(false)
        .define_job::<Nothing>()
        .init()
        .await
        .map_err(said)?;
    let utils = worker.create_utils();
    for _ in 0..count {
        utils.add_job(Nothing {}, JobSpec::default()).await.map_err(said)?;
    }
    let since = Instant::now();
    worker.run_once().await.map_err(said)?;
    Ok(a_second(count, since))
}
