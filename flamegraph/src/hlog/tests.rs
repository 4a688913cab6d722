use cronx_recording::{Class, histogram};
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, LogEntry,
};

use super::*;
use crate::fixture::{fold, report};

#[test]
fn it_reads_back() {
    let report = report(vec![
        fold("worker", Class::Foreign, "hog", &[], 2_500_000),
        fold("worker", Class::Foreign, "hog", &[], 100),
    ]);
    let mut out = Vec::new();
    write_hlog(&report, &mut out).unwrap();

    let mut starts = Vec::new();
    let mut intervals: Vec<IntervalLogHistogram<'_>> = Vec::new();
    for entry in IntervalLogIterator::new(&out) {
        match entry.unwrap() {
            LogEntry::StartTime(at) | LogEntry::BaseTime(at) => starts.push(at),
            LogEntry::Interval(interval) => intervals.push(interval),
        }
    }
    assert_eq!(starts, [Duration::from_millis(1_700_000_000_250); 2]);
    let tags: Vec<_> = intervals.iter().map(|i| i.tag().map(|tag| tag.as_str())).collect();
    assert_eq!(tags, [None, Some("placement"), Some("run_queue")]);
    for (interval, metric) in intervals.iter().zip(&report.metrics) {
        assert_eq!(interval.start_timestamp(), Duration::ZERO);
        assert_eq!(interval.duration(), Duration::from_millis(12_500));
        let read = histogram::decode(interval.encoded_histogram()).unwrap();
        assert_eq!(read, histogram::decode(&metric.all.histogram).unwrap());
    }
    // The histogram's own three digits, in milliseconds.
    assert!((intervals[0].max() - 2.5).abs() < 0.0025, "{}", intervals[0].max());
}

#[test]
fn no_waits_is_a_log_of_empty_histograms() {
    let mut out = Vec::new();
    write_hlog(&report(vec![]), &mut out).unwrap();
    let intervals = IntervalLogIterator::new(&out)
        .filter(|entry| matches!(entry, Ok(LogEntry::Interval(_))))
        .count();
    assert_eq!(intervals, 3);
}
