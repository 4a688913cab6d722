//! A ledger in Redis: fast, shared by many machines, and as durable as that server is made.
//!
//! Claims, renewals and ends take one round trip: a script writes if all is as its asker believed, and else
//! says what there is. Only the server's clock counts. Connections are not encrypted. It is for one server, with
//! replicas or without, and not for Redis Cluster.
//!
//! **What it may lose.** A server with `appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction`
//! has what it said, as long as its disk has. All others may forget:
//!
//! - One that writes its file later (`appendfsync everysec`, snapshots) forgets the last answers when it or its
//!   machine ends suddenly. So does a failover: a replica that takes over may not have had them.
//!   Nobody notices. A key whose claim was forgotten is granted again, one whose end was forgotten is at work
//!   again, and a cursor may stand earlier: what these firings did may happen once more.
//! - One that is restarted empty, or emptied, has forgotten all of it. That is noticed: whoever was connected is
//!   told [`Error::Forgotten`] at every question, and nothing is written, until it connects anew. It begins
//!   then as with a new ledger: every key is absent, and jobs go on from the present instant, so that what was
//!   in flight is not tried again, and what came due meanwhile is not made up for.
//!
//! Fences are larger than the server's microseconds since 1970, so they grow over all of this as long as the
//! clocks of the servers agree: whoever was granted a key by what is forgotten is refused once it has another
//! owner, here and by every sink that compares fences.
//!
//! **With a database behind it nothing happens twice**: an effect that shares a transaction with
//! `execute_once`, or that checks our fence, happens once whatever this store forgets. Without, it is a guard of
//! best effort.

mod ask;
mod plan;
mod prune;
mod read;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cronx_scheduler::{Course, Utc};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionAddr, ErrorKind, RedisError, Script};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::Error;
use crate::act::{Act, Reply};
use crate::claim::Entry;
use crate::clock::Clock;
use crate::key::{JobId, Key, of_tenant};
use crate::server::{PATIENCE, unavailable, until_answered};
use crate::store::{Ledger, Look, Pending, Row};

/// What its keys are like.
const SCHEMA: i64 = 1;
/// Jobs that share one of these wait for each other.
const TURNS: usize = 64;

/// How it is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// What time it is.
    pub clock: Clock,
    /// Whether a ledger is made where there is none; else that is an error.
    pub makes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::Own, makes: true }
    }
}

/// A ledger in Redis.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    script: Script,
    claim: Script,
    prune: Script,
    /// What the server says of itself as long as it is the one that we met, and has forgotten nothing.
    ledger: String,
    clock: Clock,
    place: String,
    runtime: Handle,
    /// Courses as they were last seen. Questions of one job wait here for each other: they would not agree
    /// about its course there.
    turns: Vec<Mutex<HashMap<JobId, Course>>>,
}

impl Redis {
    /// Connects to what the URL names, such as `redis://host:6379/0`, and makes a ledger where there is none. Its
    /// keys begin with `cronx:`. One that evicts keys is refused. To be called within a runtime, which it uses
    /// from then on.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let unreadable =
            |error: RedisError| Error::Url { url: "redis:".to_owned(), reason: error.to_string() };
        let client = Client::open(url).map_err(unreadable)?;
        let place = place(&client);
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_with_config(client, config).await;
        let mut connection = connection.map_err(failed("connect to", &place))?;
        keeps_what_it_has(&mut connection, &place).await?;
        let ledger = open(&mut connection, options.makes, &place).await?;
        let scripts = [
            include_str!("redis/act.lua"),
            include_str!("redis/claim.lua"),
            include_str!("redis/prune.lua"),
        ];
        let [script, claim, prune] = scripts.map(Script::new);
        for script in [&script, &claim, &prune] {
            let load = script.prepare_invoke();
            load.load_async(&mut connection).await.map_err(failed("open", &place))?;
        }
        let (clock, runtime) = (options.clock, Handle::current());
        let turns = (0..TURNS).map(|_| Mutex::default()).collect();
        let inner =
            Inner { connection, script, claim, prune, ledger, clock, place, runtime, turns };
        Ok(Self(Arc::new(inner)))
    }
}

/// As a person would say it, without what only the server and we should know.
fn place(client: &Client) -> String {
    let info = client.get_connection_info();
    let database = info.redis_settings().db();
    match info.addr() {
        ConnectionAddr::Unix(path) => format!("redis:{}", path.display()),
        other => format!("redis:{other}/{database}"),
    }
}

/// A server that lets keys go when its memory is full is no place for a ledger.
async fn keeps_what_it_has(connection: &mut ConnectionManager, place: &str) -> Result<(), Error> {
    let told: Result<String, _> = redis::cmd("INFO").arg("memory").query_async(connection).await;
    // Some may not ask: it is then for those who set it up to know.
    let Ok(told) = told else { return Ok(()) };
    let policy = told.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    match policy.filter(|policy| policy.starts_with("allkeys")) {
        None => Ok(()),
        Some(policy) => {
            let reason = format!("its maxmemory-policy is {policy}, and must be noeviction");
            Err(unavailable("keep a ledger in", place, &reason))
        }
    }
}

/// Looks before it writes; gives what the server says of itself.
async fn open(
    connection: &mut ConnectionManager,
    makes: bool,
    place: &str,
) -> Result<String, Error> {
    let new = if makes { format!("{SCHEMA} {:032x}", once()) } else { String::new() };
    let script = Script::new(include_str!("redis/open.lua"));
    let found = script.arg(new).invoke_async::<(String, String)>(connection).await;
    let (kind, found) = found.map_err(failed("open", place))?;
    if kind != "ledger" {
        return Err(Error::Foreign { place: place.to_owned(), found });
    }
    let schema = found.split(' ').next().and_then(|schema| schema.parse::<i64>().ok());
    match schema {
        Some(schema) if schema > SCHEMA => {
            Err(Error::Newer { place: place.to_owned(), found: schema, known: SCHEMA })
        }
        Some(_) => Ok(found),
        None => {
            let found = "its cronx:ledger is another program's".to_owned();
            Err(Error::Foreign { place: place.to_owned(), found })
        }
    }
}

/// A number that no other call has given.
fn once() -> u128 {
    let random = u128::from(RandomState::new().hash_one(std::process::id()));
    random << 64 | u128::from(Utc::from(SystemTime::now()).0.cast_unsigned())
}

impl Ledger for Redis {
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
        Box::pin(async move { read::entries(&self.0, &look, job.as_ref(), most).await })
    }

    fn courses(&self) -> Pending<'_, Vec<Row<(JobId, Course)>>> {
        Box::pin(read::courses(&self.0))
    }

    fn prune(&self, tenant: &str, done_for: Duration, most: usize) -> Pending<'_, usize> {
        let (tenant, _) = of_tenant(tenant);
        Box::pin(prune::prune(&self.0, tenant, done_for, most))
    }

    fn place(&self) -> &str {
        &self.0.place
    }
}

impl Inner {
    async fn act<'a>(&'a self, act: &'a Act) -> Result<Reply, Error> {
        until_answered(&self.place, act, || Box::pin(ask::act(self, act))).await
    }

    fn forgotten(&self) -> Error {
        Error::Forgotten { place: self.place.clone() }
    }
}

/// For `map_err`, of a command that was to do this.
fn failed(what: &'static str, place: &str) -> impl Fn(RedisError) -> Error {
    let place = place.to_owned();
    move |error| {
        let (place, reason) = (place.clone(), error.to_string());
        // Older servers have a script's errors begin with words of their own.
        let says = |code: &str| error.code() == Some(code) || reason.contains(&format!("-{code} "));
        if says("FORGOTTEN") {
            Error::Forgotten { place }
        } else if says("OOM") || says("MISCONF") && reason.contains("No space left") {
            Error::Full { place, reason }
        } else if says("READONLY") || says("MISCONF") {
            Error::ReadOnly { place, reason }
        } else if says("WRONGTYPE") || is_unreadable(&error) {
            Error::Torn { place, row: "a key of ours".to_owned(), reason }
        } else {
            Error::Unavailable { what, place, reason }
        }
    }
}

fn is_unreadable(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType)
}
