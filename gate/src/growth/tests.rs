use super::*;
use crate::fixture::{quantiles, report, tail};

#[test]
fn culprits_are_the_same_by_name_and_the_one_that_grew_most_is_first() {
    let with = |owed: &[(Class, &str, u64)]| {
        let mut report = report(quantiles(&[]));
        report.tail = Some(tail(owed));
        report
    };
    let base = with(&[(Class::Own, "a", 1_000), (Class::Foreign, "gone", 500)]);
    let candidate = with(&[(Class::Own, "a", 3_000), (Class::Foreign, "new", 9_000)]);
    let grown = by_culprit(&[&base, &base], &[&candidate]);
    let shown: Vec<_> =
        grown.iter().map(|g| (g.name.raw(), g.before_ns, g.after_ns, g.by_ns())).collect();
    assert_eq!(
        shown,
        [("new", 0.0, 90.0, 90.0), ("a", 10.0, 30.0, 20.0), ("gone", 5.0, 0.0, -5.0)]
    );
    assert!(by_culprit(&[], &[]).is_empty());
}
