//! What jobs do: a row in a table of the user's own and a sum beside it, in one transaction, once for each
//! instant.

use std::collections::BTreeMap;

use deadpool_postgres::{Manager, Pool};
use tokio_postgres::NoTls;

use super::process::{JOBS, job};

const TABLES: &str = "
    CREATE TABLE effects (
        job TEXT NOT NULL,
        nominal BIGINT NOT NULL,
        owner TEXT NOT NULL,
        fence BIGINT NOT NULL,
        PRIMARY KEY (job, nominal)
    );
    CREATE TABLE totals (job TEXT PRIMARY KEY, total BIGINT NOT NULL);";

#[derive(Clone)]
pub struct Effects {
    pub url: String,
    pool: Pool,
}

impl Effects {
    pub fn of_url(url: &str) -> Self {
        let mut config: tokio_postgres::Config = url.parse().unwrap();
        config.application_name("effects");
        let pool = Pool::builder(Manager::new(config, NoTls)).max_size(4).build().unwrap();
        Self { url: url.to_owned(), pool }
    }

    pub async fn make(url: &str) -> Self {
        let effects = Self::of_url(url);
        let client = effects.pool.get().await.unwrap();
        client.batch_execute(TABLES).await.unwrap();
        for number in 0..JOBS {
            let insert = "INSERT INTO totals VALUES ($1, 0)";
            client.execute(insert, &[&job(number)]).await.unwrap();
        }
        effects
    }

    /// The key of what is done stands in the same transaction as what is done.
    pub async fn happen(
        &self,
        job: &str,
        nominal: i64,
        owner: &str,
        fence: i64,
    ) -> Result<(), String> {
        let mut client = self.pool.get().await.map_err(|error| error.to_string())?;
        let done = async {
            let transaction = client.transaction().await?;
            let insert = "INSERT INTO effects VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
            let is_new = transaction.execute(insert, &[&job, &nominal, &owner, &fence]).await?;
            let add = "UPDATE totals SET total = total + $2 WHERE job = $1";
            transaction.execute(add, &[&job, &(is_new as i64)]).await?;
            transaction.commit().await
        };
        done.await.map_err(|error: tokio_postgres::Error| error.to_string())
    }

    /// Who let the last instant of each job take effect.
    pub async fn last_owners(&self) -> BTreeMap<String, String> {
        let sql = "SELECT DISTINCT ON (job) job, owner FROM effects ORDER BY job, nominal DESC";
        let rows = self.pool.get().await.unwrap().query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// The instants that took effect, and how often anything did.
    pub async fn of(&self, job: &str) -> (Vec<i64>, i64) {
        let client = self.pool.get().await.unwrap();
        let sql = "SELECT nominal FROM effects WHERE job = $1 ORDER BY nominal";
        let rows = client.query(sql, &[&job]).await.unwrap();
        let sql = "SELECT total FROM totals WHERE job = $1";
        let total = client.query_one(sql, &[&job]).await.unwrap();
        (rows.iter().map(|row| row.get(0)).collect(), total.get(0))
    }

    /// Ends all connections of that name, whatever they are in the middle of.
    pub async fn cut(&self, name: &str) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = $1";
        self.pool.get().await.unwrap().execute(sql, &[&name]).await.unwrap();
    }
}
