//! When to look at which process: soon after it is heard of, and again later, since a program loads
//! libraries when it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// After it is heard of.
const AFTER: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(5)];

/// Looked at in one go: a storm of processes delays nothing else for long.
const AT_ONCE: usize = 16;

/// Who is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// When each was heard of, and how often it was looked at since.
    heard: BTreeMap<u32, (Instant, usize)>,
    due: BTreeSet<(Instant, u32)>,
}

impl Visits {
    /// Something of this process is new, or the process is.
    pub(super) fn hear_of(&mut self, pid: u32, now: Instant) {
        if let Some((heard, visits)) = self.heard.insert(pid, (now, 0))
            && let Some(after) = AFTER.get(visits)
        {
            self.due.remove(&(heard + *after, pid));
        }
        self.due.insert((now + AFTER[0], pid));
    }

    /// Who is to be looked at now.
    pub(super) fn next(&mut self, now: Instant) -> Vec<u32> {
        let ready: Vec<_> =
            self.due.iter().take_while(|(at, _)| *at <= now).take(AT_ONCE).copied().collect();
        for visit @ (_, pid) in &ready {
            self.due.remove(visit);
            let Some((heard, visits)) = self.heard.get_mut(pid) else { continue };
            *visits += 1;
            match AFTER.get(*visits) {
                Some(after) => {
                    self.due.insert((*heard + *after, *pid));
                }
                None => {
                    self.heard.remove(pid);
                }
            }
        }
        ready.into_iter().map(|(_, pid)| pid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_visited_four_times_and_again_if_it_is_heard_of_again() {
        let (mut visits, start) = (Visits::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        visits.hear_of(7, at(0));
        assert_eq!(visits.next(at(0)), [7]);
        assert!(visits.next(at(49)).is_empty());
        assert_eq!(visits.next(at(60)), [7]);
        visits.hear_of(7, at(100));
        assert_eq!(visits.next(at(100)), [7]);
        assert!(visits.next(at(149)).is_empty());
        assert_eq!(visits.next(at(150)), [7]);
        assert_eq!(visits.next(at(600)), [7]);
        assert_eq!(visits.next(at(5_100)), [7]);
        assert!(visits.next(at(60_000)).is_empty());
        assert!(visits.heard.is_empty() && visits.due.is_empty());
    }

    #[test]
    fn a_storm_is_visited_a_few_at_a_time() {
        let (mut visits, now) = (Visits::default(), Instant::now());
        (0..40).for_each(|pid| visits.hear_of(pid, now));
        let mut first: Vec<_> = (0..3).flat_map(|_| visits.next(now)).collect();
        first.sort_unstable();
        assert_eq!(first, (0..40).collect::<Vec<_>>());
    }
}
