//! A ledger in MariaDB or MySQL (tested on MariaDB): for effects in tables that are there.
//!
//! READ COMMITTED, and a row is made before it is locked: to lock a row that is not there locks a gap, which
//! two can do at once, and then neither may fill it. What the server calls a deadlock is asked again, after a
//! random while. The tables' names begin with `cronx_`, in the database that the URL names.

mod once;
mod schema;
mod table;

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::Course;
use mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use tokio::runtime::Handle;

pub use once::{execute_once, prepare_once};

pub use crate::server::Options;

use crate::Error;
use crate::act::{Act, Reply};
use crate::claim::Entry;
use crate::clock::Clock;
use crate::key::{JobId, Key, of_tenant};
use crate::server::{IDLE, PATIENCE, unavailable, until_answered};
use crate::store::{Ledger, Look, Pending, Row};

/// A ledger in MariaDB.
#[derive(Clone)]
pub struct MariaDb(Arc<Inner>);

struct Inner {
    pool: Pool,
    clock: Clock,
    place: String,
    runtime: Handle,
}

impl MariaDb {
    /// Connects to what the URL names, such as `mysql://user@host/database`, and makes the tables where there
    /// are none. Connections are not encrypted. To be called within a runtime, which it uses from then on.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let unreadable = |error: mysql_async::UrlError| Error::Url {
            url: "mysql:".to_owned(),
            reason: error.to_string(),
        };
        let opts = Opts::from_url(url).map_err(unreadable)?;
        let (host, port) = (opts.ip_or_hostname(), opts.tcp_port());
        let place = format!("mysql:{host}:{port}/{}", opts.db_name().unwrap_or_default());
        // Only less than one would be no bounds.
        let bounds = PoolConstraints::new(1, options.connections.max(1)).unwrap_or_default();
        let pool = PoolOpts::default().with_constraints(bounds);
        // MySQL has no such limit, and reads a comment.
        let idle = IDLE.as_secs();
        let limit =
            format!("SET @cronx = 1 /*M!100300 , SESSION idle_transaction_timeout = {idle} */");
        let opts = OptsBuilder::from_opts(opts).pool_opts(pool).init(vec![limit]);
        let pool = Pool::new(opts);
        let (clock, runtime) = (options.clock, Handle::current());
        let inner = Inner { pool, clock, place, runtime };
        schema::settle(&inner, options.makes).await?;
        Ok(Self(Arc::new(inner)))
    }
}

impl Inner {
    async fn connection(&self) -> Result<Conn, Error> {
        let connected = tokio::time::timeout(PATIENCE, self.pool.get_conn()).await;
        let connected = connected.map_err(|late| unavailable("connect to", &self.place, &late))?;
        connected.map_err(failed("connect to", &self.place))
    }

    async fn act<'a>(&'a self, act: &'a Act) -> Result<Reply, Error> {
        until_answered(&self.place, act, || Box::pin(table::act(self, act))).await
    }
}

impl Ledger for MariaDb {
    fn act(&self, act: Act) -> Pending<'_, Reply> {
        Box::pin(async move { self.0.act(&act).await })
    }

    fn act_and_wait(&self, act: Act) -> Result<Reply, Error> {
        let (answer, answered) = std::sync::mpsc::channel();
        let inner = Arc::clone(&self.0);
        self.0.runtime.spawn(async move { answer.send(inner.act(&act).await) });
        answered.recv().map_err(|_| Error::Closed)?
    }

    fn entries(
        &self,
        look: Look,
        job: Option<JobId>,
        most: usize,
    ) -> Pending<'_, Vec<Row<(Key, Entry)>>> {
        Box::pin(async move { table::entries(&self.0, &look, job.as_ref(), most).await })
    }

    fn courses(&self) -> Pending<'_, Vec<Row<(JobId, Course)>>> {
        Box::pin(table::courses(&self.0))
    }

    fn prune(&self, tenant: &str, done_for: Duration, most: usize) -> Pending<'_, usize> {
        let range = of_tenant(tenant);
        Box::pin(table::prune(&self.0, range, done_for, most))
    }

    fn place(&self) -> &str {
        &self.0.place
    }
}

/// For `map_err`, of a statement that was to do this.
fn failed(what: &'static str, place: &str) -> impl Fn(mysql_async::Error) -> Error {
    let place = place.to_owned();
    move |error| {
        let (place, reason) = (place.clone(), error.to_string());
        match error {
            // The disk, or the table space, has no room.
            mysql_async::Error::Server(said) if matches!(said.code, 1021 | 1114) => {
                Error::Full { place, reason }
            }
            // The server, the session, or the table may only be read.
            mysql_async::Error::Server(said) if matches!(said.code, 1036 | 1290 | 1792) => {
                Error::ReadOnly { place, reason }
            }
            _ => Error::Unavailable { what, place, reason },
        }
    }
}
