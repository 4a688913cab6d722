//! What all servers have in common: they are far away, and answers are lost on the way.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

use std::time::Duration;

use crate::Error;
use crate::act::{Act, Reply};
#[cfg(any(feature = "mariadb", feature = "postgres"))]
use crate::clock::Clock;
use crate::fingerprint::Fingerprint;
use crate::store::Pending;

/// How often a question is asked if its connection breaks.
const TRIES: u32 = 4;
/// A server that says nothing for so long is not there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A server ends a transaction whose asker says nothing for so long: a process that was stopped in the middle of
/// one would hold what others wait for until it wakes. All that we say in one takes far less.
#[cfg(any(feature = "mariadb", feature = "postgres"))]
pub(crate) const IDLE: Duration = Duration::from_secs(2);

/// How it is reached.
#[cfg(any(feature = "mariadb", feature = "postgres"))]
#[derive(Debug, Clone)]
pub struct Options {
    /// What time it is.
    pub clock: Clock,
    /// Connections at most.
    pub connections: usize,
    /// Whether tables are made where there are none; else that is an error.
    pub makes: bool,
}

#[cfg(any(feature = "mariadb", feature = "postgres"))]
impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::Own, connections: 8, makes: true }
    }
}

/// Asks until there is an answer that is not one of a broken connection. What was asked and answered by
/// nobody may have been done: asked again, it has the same answer. Those that failed together do not return
/// together.
pub(crate) async fn until_answered<'a>(
    place: &'a str,
    act: &Act,
    ask: impl Fn() -> Pending<'a, Reply> + Send,
) -> Result<Reply, Error> {
    let mut tried = 1;
    loop {
        let asked = tokio::time::timeout(PATIENCE, ask()).await;
        match asked.unwrap_or_else(|late| Err(unavailable("ask", place, &late))) {
            Err(Error::Unavailable { .. }) if tried < TRIES => {
                let draw = u64::from(Fingerprint::of(format!("{act:?}").as_bytes()).0[0]);
                let most = 40 << (2 * tried);
                let wait = most / 2 + draw.rotate_left(8 * tried) % (most / 2);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                tried += 1;
            }
            reply => return reply,
        }
    }
}

pub(crate) fn unavailable(
    what: &'static str,
    place: &str,
    reason: &(impl ToString + ?Sized),
) -> Error {
    Error::Unavailable { what, place: place.to_owned(), reason: reason.to_string() }
}
