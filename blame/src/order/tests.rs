use cronx_abi::{Header, OpenWaitRecord, Record, SliceRecord, TaskRecord};
use expect_test::{Expect, expect};

use super::*;

/// `seq@at` for a slice, `seq@at!` for one with other bytes, `seqT@at` for a name, `seqU@at` for an
/// unseen close.
#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, last_seq: Option<u64>, expected: Expect) {
    let records: Vec<Vec<u8>> = text.split_whitespace().map(record).collect();
    let mut anomalies = Counts::default();
    let bytes = records.iter().map(Vec::as_slice);
    let stream = order(0, bytes, last_seq, 100_000, &mut anomalies);
    let seqs: Vec<_> = stream.records.iter().map(|stamp| stamp.seq).collect();
    let holes: Vec<_> = stream.holes.iter().map(|h| (h.after_ns, h.before_ns)).collect();
    let counts = anomalies.into_report();
    expected.assert_eq(&format!("{seqs:?} {holes:?} missing {} {counts:?}", stream.missing));
}

fn record(text: &str) -> Vec<u8> {
    let (seq, at) = text.split_once('@').unwrap();
    let header = |kind| Header {
        at_ns: at.trim_end_matches('!').parse().unwrap(),
        seq: seq.trim_end_matches(['T', 'U']).parse().unwrap(),
        kind,
        ..Header::default()
    };
    if seq.ends_with('T') {
        return TaskRecord { header: header(kind::TASK), ..TaskRecord::default() }
            .as_bytes()
            .into();
    }
    if seq.ends_with('U') {
        return OpenWaitRecord { header: header(kind::UNSEEN_CLOSE), ..OpenWaitRecord::default() }
            .as_bytes()
            .into();
    }
    let mut slice = SliceRecord { header: header(kind::SLICE), ..SliceRecord::default() };
    slice.slice.since_ns = u64::from(at.ends_with('!'));
    slice.as_bytes().into()
}

#[test]
fn whole() {
    check("1@10 2@20 3@30", Some(3), expect!["[1, 2, 3] [] missing 0 {}"]);
}

#[test]
fn holes() {
    check("1@10 4@40", Some(4), expect!["[1, 4] [(10, 40)] missing 2 {}"]);
    check("3@30 4@40", Some(4), expect!["[3, 4] [(0, 30)] missing 2 {}"]);
    check("1@10 2@20", Some(5), expect!["[1, 2] [(20, 100000)] missing 3 {}"]);
    check("", Some(5), expect!["[] [(0, 100000)] missing 5 {}"]);
    check("1@10 2@20", None, expect!["[1, 2] [(20, 100000)] missing 0 {}"]);
}

#[test]
fn of_one_switch_the_slice_is_told_last() {
    check("1@10 2U@20 4@30", None, expect!["[1, 2, 4] [(19, 30), (30, 100000)] missing 1 {}"]);
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    check("3@30 1@10 2@20", Some(3), expect!["[1, 2, 3] [] missing 0 {}"]);
}

#[test]
fn duplicates_go() {
    check(
        "1@10 1@10 2@20 2@20 2@20",
        Some(2),
        expect![[r#"[1, 2] [] missing 0 {"duplicate": 3}"#]],
    );
}

#[test]
fn of_two_records_under_one_number_none_is_believed() {
    check(
        "1@10 2@20 2@20! 3@30",
        Some(3),
        expect![[r#"[1, 3] [(10, 30)] missing 1 {"conflicting_sequence": 1}"#]],
    );
}

#[test]
fn nesting_is_normal_and_more_is_an_inversion() {
    check("1@5000 2@4000 3@6000", Some(3), expect!["[1, 2, 3] [] missing 0 {}"]);
    check(
        "1@5000 2@3999 3@6000",
        Some(3),
        expect![[r#"[1, 2, 3] [(3999, 5000)] missing 0 {"inversion": 1}"#]],
    );
}

#[test]
fn names_bound_no_hole_and_invert_nothing() {
    check("1@5000 3T@10 5@6000", Some(5), expect!["[1, 3, 5] [(5000, 6000)] missing 2 {}"]);
}

#[test]
fn absurd_numbers() {
    check(
        "1@10 18446744073709551615@20",
        Some(2),
        expect!["[1, 18446744073709551615] [(10, 20)] missing 18446744073709551613 {}"],
    );
    check(
        "0@10 1@18446744073709551615 2@20",
        Some(2),
        expect![[
            r#"[1, 2] [(20, 18446744073709551615)] missing 0 {"inversion": 1, "no_sequence": 1}"#
        ]],
    );
}

#[test]
fn a_record_of_another_cpu_is_refused() {
    let record = record("1@10");
    let mut anomalies = Counts::default();
    let stream = order(1, std::iter::once(record.as_slice()), None, 0, &mut anomalies);
    assert!(stream.records.is_empty());
    assert_eq!(anomalies.into_report()["wrong_cpu"], 1);
}
