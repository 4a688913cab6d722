use cronx_recording::Class;
use expect_test::{Expect, expect};

use super::*;
use crate::fixture::{fold, report};

fn check(waits_ns: &[u64], expected: &Expect) {
    let folds = waits_ns.iter().map(|&ns| fold("worker", Class::Foreign, "hog", &[], ns)).collect();
    let mut out = Vec::new();
    write_hgrm(&report(folds), &mut out).unwrap();
    expected.assert_eq(&String::from_utf8(out).unwrap());
}

#[test]
fn milliseconds_by_percentile() {
    check(
        &[1_000_000, 2_000_000, 3_000_000, 40_000_000],
        &expect![[r#"
               Value     Percentile TotalCount 1/(1-Percentile)

               1.000 0.000000000000          1           1.00
               1.000 0.100000000000          1           1.11
               1.000 0.200000000000          1           1.25
               2.001 0.300000000000          2           1.43
               2.001 0.400000000000          2           1.67
               2.001 0.500000000000          2           2.00
               3.000 0.550000000000          3           2.22
               3.000 0.600000000000          3           2.50
               3.000 0.650000000000          3           2.86
               3.000 0.700000000000          3           3.33
              40.010 0.750000000000          4           4.00
              40.010 1.000000000000          4
        #[Mean    =       11.498, StdDeviation   =       16.467]
        #[Max     =       40.010, Total count    =            4]
        #[Buckets =           16, SubBuckets     =         2048]
    "#]],
    );
}

#[test]
fn no_waits() {
    check(
        &[],
        &expect![[r#"
               Value     Percentile TotalCount 1/(1-Percentile)

        #[Mean    =        0.000, StdDeviation   =        0.000]
        #[Max     =        0.000, Total count    =            0]
        #[Buckets =            1, SubBuckets     =         2048]
    "#]],
    );
}

#[test]
fn a_damaged_histogram_is_named() {
    let mut report = report(vec![fold("worker", Class::Foreign, "hog", &[], 1)]);
    report.metrics[0].all.histogram = "AAAA".to_owned();
    let error = write_hgrm(&report, Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("the report's histogram of wake_to_run cannot be read"), "{error}");
    report.metrics.clear();
    let error = write_hgrm(&report, Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "the report has no metric wake_to_run");
}
