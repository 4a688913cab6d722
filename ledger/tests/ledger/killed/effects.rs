//! A user's own table, which would take a row twice.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cronx_ledger::Key;
#[cfg(feature = "mariadb")]
use mysql_async::prelude::Queryable;
use rusqlite::params;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS effects (entry VARCHAR(1800) NOT NULL, fence BIGINT NOT NULL)";
const COUNTS: &str = "SELECT entry, count(*) FROM effects GROUP BY entry";

/// A database with it.
pub enum Effects {
    Sqlite(Arc<Mutex<rusqlite::Connection>>),
    #[cfg(feature = "postgres")]
    Postgres(deadpool_postgres::Pool),
    #[cfg(feature = "mariadb")]
    MariaDb(mysql_async::Pool),
}

impl Effects {
    pub fn in_folder(folder: &Path) -> Self {
        let connection = rusqlite::Connection::open(folder.join("effects")).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
        connection.execute_batch(TABLE).unwrap();
        Self::Sqlite(Arc::new(connection.into()))
    }

    #[cfg(feature = "postgres")]
    pub async fn in_postgres(url: &str) -> Self {
        use deadpool_postgres::{Manager, Pool};
        let manager = Manager::new(url.parse().unwrap(), tokio_postgres::NoTls);
        let pool = Pool::builder(manager).max_size(8).build().unwrap();
        pool.get().await.unwrap().batch_execute(TABLE).await.unwrap();
        Self::Postgres(pool)
    }

    #[cfg(feature = "mariadb")]
    pub async fn in_mariadb(url: &str) -> Self {
        let pool = mysql_async::Pool::from_url(url).unwrap();
        let mut connection = pool.get_conn().await.unwrap();
        connection.query_drop(TABLE).await.unwrap();
        cronx_ledger::mariadb::prepare_once(&mut connection).await.unwrap();
        Self::MariaDb(pool)
    }

    /// Inserts a row for this key, unless that has happened. An error may be that of a server that went: nobody
    /// knows then whether it happened.
    pub async fn apply(&self, key: &Key, fence: u64) -> Result<(), String> {
        let fence = fence.cast_signed();
        match self {
            Self::Sqlite(connection) => {
                let (connection, key) = (Arc::clone(connection), key.clone());
                let once = move || in_sqlite(&mut connection.lock().unwrap(), &key, fence);
                tokio::task::spawn_blocking(once).await.unwrap().map_err(said)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                let mut client = pool.get().await.map_err(said)?;
                in_postgres(&mut client, key, fence).await.map_err(said)
            }
            #[cfg(feature = "mariadb")]
            Self::MariaDb(pool) => {
                let mut connection = pool.get_conn().await.map_err(said)?;
                in_mariadb(&mut connection, key, fence).await.map_err(said)
            }
        }
    }

    /// How often each key has a row.
    pub async fn counts(&self) -> HashMap<String, i64> {
        match self {
            Self::Sqlite(connection) => {
                let connection = connection.lock().unwrap();
                let mut rows = connection.prepare(COUNTS).unwrap();
                let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
                rows.map(Result::unwrap).collect()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                let rows = pool.get().await.unwrap().query(COUNTS, &[]).await.unwrap();
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            }
            #[cfg(feature = "mariadb")]
            Self::MariaDb(pool) => {
                let rows: Vec<(String, i64)> =
                    pool.get_conn().await.unwrap().query(COUNTS).await.unwrap();
                rows.into_iter().collect()
            }
        }
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn in_sqlite(connection: &mut rusqlite::Connection, key: &Key, fence: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    cronx_ledger::sqlite::execute_once(&transaction, key, None, |transaction| {
        let insert = "INSERT INTO effects VALUES (?1, ?2)";
        transaction.execute(insert, params![key.as_str(), fence])?;
        Ok::<_, rusqlite::Error>(fence)
    })?;
    transaction.commit()
}

#[cfg(feature = "postgres")]
async fn in_postgres(
    client: &mut tokio_postgres::Client,
    key: &Key,
    fence: i64,
) -> Result<(), tokio_postgres::Error> {
    let mut transaction = client.transaction().await?;
    cronx_ledger::postgres::execute_once(&mut transaction, key, None, async |transaction| {
        let insert = "INSERT INTO effects VALUES ($1, $2)";
        transaction.execute(insert, &[&key.as_str(), &fence]).await?;
        Ok::<_, tokio_postgres::Error>(fence)
    })
    .await?;
    transaction.commit().await
}

#[cfg(feature = "mariadb")]
async fn in_mariadb(
    connection: &mut mysql_async::Conn,
    key: &Key,
    fence: i64,
) -> Result<(), mysql_async::Error> {
    let mut transaction = connection.start_transaction(mysql_async::TxOpts::default()).await?;
    cronx_ledger::mariadb::execute_once(&mut transaction, key, None, async |transaction| {
        let insert = "INSERT INTO effects VALUES (?, ?)";
        transaction.exec_drop(insert, (key.as_str(), fence)).await?;
        Ok::<_, mysql_async::Error>(fence)
    })
    .await?;
    transaction.commit().await
}
