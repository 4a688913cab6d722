//! Up to which position a reader may read: where nothing can come before any more.
//!
//! Whoever appends holds a shared lock from before he draws a position until his transaction is over. So
//! those who drew one up to `last` are among those who hold it when one looks afterwards, or they are over:
//! committed, and to be seen, or undone. Neither order of positions alone (one drawn early may be committed
//! late) nor order of transactions (an early one may append after a late one was committed) would do; nor
//! would a snapshot's `xmax`, since a transaction may have begun beyond it. Others' transactions, which do
//! not append, hold nobody back.
//!
//! A transaction that is prepared (two-phase commit) holds the lock on, under another name from then on or
//! from the server's next start: `-1/` and its number. One that has gone may be any that has come with such a
//! name; those that come later are not.

use std::collections::BTreeSet;

/// The last position drawn, and who held the lock after that was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) last: i64,
    /// By the names of their transactions. One that is used again, by a server that was started again, is
    /// waited for once more.
    pub(super) appenders: BTreeSet<String>,
}

/// What is known by the looks there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
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
            let is_over = |waits: &mut Look| {
                waits.appenders = left(&waits.appenders, &look.appenders);
                waits.appenders.is_empty()
            };
            if let Some(waits) = self.waits.take_if(is_over) {
                self.safe = self.safe.max(waits.last);
            }
            // One look at a time: it is over when its transactions are, however many begin meanwhile.
            self.waits.get_or_insert(look);
        }
        self.safe
    }
}

fn is_prepared(name: &str) -> bool {
    name.starts_with("-1/")
}

/// Those that may still be at work.
fn left(waits: &BTreeSet<String>, stand: &BTreeSet<String>) -> BTreeSet<String> {
    let has_gone = waits.iter().any(|name| !is_prepared(name) && !stand.contains(name));
    let is_left = |name: &&String| waits.contains(*name) || (has_gone && is_prepared(name));
    stand.iter().filter(is_left).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What transactions can do that draw positions.
    #[derive(Default, Clone, PartialEq, Eq, Hash)]
    struct Server {
        began: i64,
        drawn: i64,
        running: Vec<Transaction>,
        committed: BTreeSet<i64>,
    }

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Transaction {
        number: i64,
        is_prepared: bool,
        drawn: Vec<i64>,
    }

    impl Server {
        fn look(&self) -> Look {
            let name = |Transaction { number, is_prepared, .. }: &Transaction| {
                if *is_prepared { format!("-1/{}", 700 + number) } else { format!("3/{number}") }
            };
            Look { last: self.drawn, appenders: self.running.iter().map(name).collect() }
        }

        /// Every next state: one takes the lock, draws, is prepared, commits, or is undone.
        fn next(&self) -> Vec<Self> {
            let mut all = Vec::new();
            if self.began < 3 {
                let mut next = self.clone();
                next.began += 1;
                let (number, is_prepared) = (next.began, false);
                next.running.push(Transaction { number, is_prepared, drawn: Vec::new() });
                all.push(next);
            }
            for place in 0..self.running.len() {
                if !self.running[place].is_prepared {
                    let mut next = self.clone();
                    next.running[place].is_prepared = true;
                    all.push(next);
                    if self.drawn < 3 {
                        let mut next = self.clone();
                        next.drawn += 1;
                        next.running[place].drawn.push(next.drawn);
                        all.push(next);
                    }
                }
                let mut undone = self.clone();
                let drawn = undone.running.remove(place).drawn;
                let mut committed = undone.clone();
                committed.committed.extend(drawn);
                all.extend([undone, committed]);
            }
            all
        }
    }

    type State = (Server, Horizon, BTreeSet<i64>);

    /// After every step of every order: whoever reads here, or does not, will find nothing new before what he
    /// has read.
    fn walk(state: State, known: &mut HashSet<State>) {
        if !known.insert(state.clone()) {
            return;
        }
        let (server, horizon, read) = state;
        for looks in [false, true] {
            let (mut horizon, mut read) = (horizon.clone(), read.clone());
            if looks {
                let safe = horizon.take(server.look());
                let seen: BTreeSet<i64> = server.committed.range(..=safe).copied().collect();
                let last = read.last().copied().unwrap_or(0);
                let old: BTreeSet<i64> = seen.range(..=last).copied().collect();
                assert_eq!(old, read, "before {last} there is something new");
                read = seen;
                if server.running.is_empty() {
                    assert_eq!(read.len(), server.committed.len(), "nobody is at work");
                }
            }
            for next in server.next() {
                walk((next, horizon.clone(), read.clone()), known);
            }
        }
    }

    #[test]
    fn nothing_comes_before_what_was_read() {
        let mut known = HashSet::new();
        walk(State::default(), &mut known);
        assert!(known.len() > 10_000, "{}", known.len());
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

    #[test]
    fn it_goes_on_though_some_are_always_prepared() {
        let mut horizon = Horizon::default();
        let mut take = |last, appenders: &[&str]| {
            let appenders = appenders.iter().map(|name| (*name).to_owned()).collect();
            horizon.take(Look { last, appenders })
        };
        assert_eq!(take(5, &["3/1"]), 0);
        // Either may be the one that was waited for.
        assert_eq!(take(6, &["-1/8", "-1/9"]), 0);
        assert_eq!(take(7, &["-1/9", "-1/10"]), 0);
        assert_eq!(take(8, &["-1/10", "-1/11"]), 5);
    }
}
