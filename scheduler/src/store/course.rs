//! How far the instants of a job are decided, when they are not decided in order.

use crate::Utc;

/// All up to the cursor is decided, and some of what lies ahead. Runs of one job begin in any order: what
/// has not begun must stay behind the cursor, or a process that ends would lose it.
///
/// ```text
///        cursor           ahead            ahead
///  ────────┤···········(──────]······(───────────]
///  decided    waiting   begun         left out
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    cursor: Utc,
    /// Each from after its first instant through its second; sorted, apart, and beyond the cursor.
    ahead: Vec<(Utc, Utc)>,
}

impl Course {
    /// All up to here is decided, and nothing else.
    pub fn new(cursor: Utc) -> Self {
        Self { cursor, ahead: Vec::new() }
    }

    /// As it was; `None` if it cannot have been.
    pub fn restored(cursor: Utc, ahead: Vec<(Utc, Utc)>) -> Option<Self> {
        let mut last = cursor;
        for &(after, through) in &ahead {
            if after <= last || through <= after {
                return None;
            }
            last = through;
        }
        Some(Self { cursor, ahead })
    }

    /// Through here all is decided.
    pub fn cursor(&self) -> Utc {
        self.cursor
    }

    /// What is decided beyond it.
    pub fn ahead(&self) -> &[(Utc, Utc)] {
        &self.ahead
    }

    /// All instants after the one and through the other are decided; says whether that was news.
    pub fn decide(&mut self, after: Utc, through: Utc) -> bool {
        let known = |&(from, to): &(Utc, Utc)| from <= after && through <= to;
        if through <= after || through <= self.cursor || self.ahead.iter().any(known) {
            return false;
        }
        let (mut after, mut through) = (after, through);
        self.ahead.retain(|&(from, to)| {
            let apart = to < after || through < from;
            if !apart {
                (after, through) = (after.min(from), through.max(to));
            }
            apart
        });
        if after <= self.cursor {
            self.cursor = through;
        } else {
            let place = self.ahead.partition_point(|&(from, _)| from < after);
            self.ahead.insert(place, (after, through));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn course(cursor: i64, decided: &[(i64, i64)]) -> Course {
        let mut course = Course::new(Utc(cursor));
        for &(after, through) in decided {
            course.decide(Utc(after), Utc(through));
        }
        course
    }

    #[test]
    fn the_cursor_waits_for_what_has_not_begun() {
        assert_eq!(course(0, &[(1, 2)]).cursor(), Utc(0));
        assert_eq!(
            course(0, &[(1, 2), (2, 3), (5, 9)]).ahead(),
            [(Utc(1), Utc(3)), (Utc(5), Utc(9))]
        );
        assert_eq!(course(0, &[(1, 2), (2, 3), (0, 1)]), Course::new(Utc(3)));
        assert_eq!(course(0, &[(1, 2), (5, 9), (0, 7)]), Course::new(Utc(9)));
    }

    #[test]
    fn what_is_known_is_no_news() {
        let mut course = course(0, &[(0, 4), (6, 9)]);
        let known = [(0, 4), (1, 2), (6, 9), (7, 8), (3, 3), (9, 7), (2, 1)];
        assert!(known.iter().all(|&(after, through)| !course.decide(Utc(after), Utc(through))));
        assert!(course.decide(Utc(4), Utc(5)));
    }

    #[test]
    fn what_cannot_have_been_is_refused() {
        let pairs = |all: &[(i64, i64)]| all.iter().map(|&(a, t)| (Utc(a), Utc(t))).collect();
        assert!(Course::restored(Utc(0), pairs(&[(1, 2), (3, 9)])).is_some());
        for bad in [&[(0, 1)][..], &[(1, 1)], &[(2, 1)], &[(1, 3), (3, 4)], &[(5, 6), (1, 2)]] {
            assert!(Course::restored(Utc(0), pairs(bad)).is_none(), "{bad:?}");
        }
    }

    proptest! {
        /// Beside a set of instants.
        #[test]
        fn it_is_a_set(cursor in 0..10_i64, decided in prop::collection::vec((0..40_i64, 0..6_i64), 0..20)) {
            let mut set: std::collections::BTreeSet<i64> = (0..=cursor).collect();
            let mut course = Course::new(Utc(cursor));
            for (after, length) in decided {
                set.extend(after + 1..=after + length);
                course.decide(Utc(after), Utc(after + length));
                let held: std::collections::BTreeSet<i64> = (0..=course.cursor().0)
                    .chain(course.ahead().iter().flat_map(|&(after, through)| after.0 + 1..=through.0))
                    .collect();
                prop_assert_eq!(&held, &set);
                prop_assert!(!set.contains(&(course.cursor().0 + 1)));
                let again = Course::restored(course.cursor(), course.ahead().to_vec());
                prop_assert_eq!(again.as_ref(), Some(&course));
            }
        }
    }
}
