use expect_test::expect;

use super::*;
use crate::screen::verdict_tests::{CANARY, hostile, regression};

#[test]
fn a_page_of_a_regression() {
    expect![[r#"
        ### cronx gate: regression

        | | question | answer |
        |---|---|---|
        | **regression** | wake\_to\_run\.p99\, candidate against base | \+50\.0 \%\, between \+47\.0 \% and \+53\.0 \%\: 1\.00 ms before and 1\.50 ms now\, in 6 recordings of each |

        What grew most, for each wait of the tail:

        | class | culprit | before | now |
        |---|---|---|---|
        | foreign | compactor \(rocksdb\) | 120 µs | 900 µs |
        | idle_exit | \(leaving idle\) | 1.00 µs | 4.00 µs |
        | self | worker | 0 ns | 2.00 µs |

    "#]].assert_eq(&render(&regression()));
}

#[test]
fn a_hostile_name_is_text() {
    let page = render(&hostile());
    assert!(!page.contains(['\x1b', '\x07', '<']), "{page}");
    assert!(page.contains(r"\\x1b\]0\;x\\x07&lt;\/script&gt;\:\:error\:\:"), "{page}");
}

#[test]
fn a_page_is_far_below_the_megabyte_that_it_may_have() {
    let mut verdict = hostile();
    for check in &mut verdict.checks {
        check.name = CANARY.repeat(10_000).into();
        let reason = check.reasons[0].clone();
        check.reasons = vec![reason; 1_000];
        check.reasons[0].says = "|".repeat(1_000_000).into();
    }
    let checks = verdict.checks.clone();
    verdict.checks = checks.into_iter().cycle().take(1_000).collect();
    assert!(render(&verdict).len() < 200_000);
}
