//! Up to which position a reader may read: where nothing can come before any more.
//!
//! Whoever appends holds a shared lock from before he draws a position until his transaction is over. So
//! those who drew one up to `last` are among those who hold it when one looks afterwards, or they are over:
//! committed, and to be seen, or undone. Neither order of positions alone (one drawn early may be committed
//! late) nor order of transactions (an early one may append after a late one was committed) would do; nor
//! would a snapshot's `xmax`, since a transaction may have begun beyond it. Others' transactions, which do
//! not append, hold nobody back.

use std::collections::BTreeSet;

/// The last position drawn, and who held the lock after that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) last: i64,
    /// By the names of their transactions, which are never used again.
    pub(super) appenders: BTreeSet<String>,
}

/// What is known by the looks there were.
#[derive(Debug, Clone, Default)]
pub(super) struct Horizon {
    safe: i64,
    waits: Option<Look>,
}

impl Horizon {
    /// Takes a look into account; up to where one may read now.
    pub(super) fn take(&mut self, look: Look) -> i64 {
        if look.appenders.is_empty() {
            self.safe = self.safe.max(look.last);
            self.waits = None;
        } else {
            let is_over = |waits: &mut Look| waits.appenders.is_disjoint(&look.appenders);
            if let Some(waits) = self.waits.take_if(is_over) {
                self.safe = self.safe.max(waits.last);
            }
            // One look at a time: it is over when its transactions are, however many begin meanwhile.
            self.waits.get_or_insert(look);
        }
        self.safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What transactions can do that draw positions.
    #[derive(Default, Clone)]
    struct Server {
        began: i64,
        drawn: i64,
        running: Vec<(i64, Vec<i64>)>,
        committed: Vec<i64>,
    }

    impl Server {
        fn look(&self) -> Look {
            let appenders = self.running.iter().map(|(name, _)| name.to_string()).collect();
            Look { last: self.drawn, appenders }
        }

        /// Every next state: one takes the lock, draws, commits, or is undone.
        fn next(&self) -> Vec<Self> {
            let mut all = Vec::new();
            if self.began < 3 {
                let mut next = self.clone();
                next.began += 1;
                next.running.push((next.began, Vec::new()));
                all.push(next);
            }
            for place in 0..self.running.len() {
                if self.drawn < 3 {
                    let mut next = self.clone();
                    next.drawn += 1;
                    next.running[place].1.push(next.drawn);
                    all.push(next);
                }
                let mut undone = self.clone();
                let (_, drawn) = undone.running.remove(place);
                let mut committed = undone.clone();
                committed.committed.extend(drawn);
                all.extend([undone, committed]);
            }
            all
        }
    }

    /// After every step of every order: whoever reads here, or does not, will find nothing new before what he
    /// has read.
    fn walk(server: &Server, horizon: &Horizon, read: &[i64], states: &mut u64) {
        *states += 1;
        for looks in [false, true] {
            let (mut horizon, mut read) = (horizon.clone(), read.to_vec());
            if looks {
                let safe = horizon.take(server.look());
                let committed = server.committed.iter().copied();
                let seen: Vec<i64> = committed.filter(|position| *position <= safe).collect();
                let last = read.iter().max().copied().unwrap_or(0);
                let old: Vec<i64> = seen.iter().copied().filter(|p| *p <= last).collect();
                assert_eq!(old, read, "before {last} there is something new");
                read = seen;
                if server.running.is_empty() {
                    assert_eq!(read.len(), server.committed.len(), "nobody is at work");
                }
            }
            for next in server.next() {
                walk(&next, &horizon, &read, states);
            }
        }
    }

    #[test]
    fn nothing_comes_before_what_was_read() {
        let mut states = 0;
        walk(&Server::default(), &Horizon::default(), &[], &mut states);
        assert!(states > 100_000, "{states}");
    }

    #[test]
    fn it_goes_on_though_somebody_is_always_at_work() {
        let mut horizon = Horizon::default();
        let mut take = |last, appenders: &[&str]| {
            let appenders = appenders.iter().map(|name| (*name).to_owned()).collect();
            horizon.take(Look { last, appenders })
        };
        assert_eq!(take(5, &["a", "b"]), 0);
        assert_eq!(take(6, &["b", "c"]), 0);
        // Those there were at the first look are over: what they drew was at most 5.
        assert_eq!(take(9, &["c", "d"]), 5);
        assert_eq!(take(10, &["d", "e"]), 5);
        assert_eq!(take(11, &["e"]), 9);
        assert_eq!(take(12, &[]), 12);
    }
}
