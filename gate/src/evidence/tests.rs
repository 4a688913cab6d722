use cronx_recording::MetricName;

use super::*;
use crate::fixture::{exponential, quantiles, report};

/// Two intervals of a load, and one under a tag.
fn hlog() -> String {
    let line = |start: u32, tag: &str, count: usize| {
        let all = exponential(count, 1e5, 1).histogram;
        format!("{tag}{start}.0,1.0,1.0,{all}\n")
    };
    let head = "#[Histogram log format version 1.3]\n#[StartTime: 1.0 (seconds since epoch)]\n";
    [head, &line(0, "", 100), &line(0, "Tag=other,", 500), &line(1, "", 200)].concat()
}

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn of(text: &str) -> Result<Evidence, Error> {
    let report = report(exponential(4_000, 1e5, 1));
    Evidence::of(&report, "r", &quantity(text), &Limits::default())
}

#[test]
fn a_report_has_metrics_by_axis() {
    let all = of("wake_to_run.p99").unwrap();
    let app = of(r#"wake_to_run{process="app"}.p99"#).unwrap();
    assert_eq!((all.count(), app.count()), (4_000, 4_000));
    assert_eq!(all.at(Quantile::P99), app.at(Quantile::P99));
    let nobody = of(r#"wake_to_run{process="nobody"}.p99"#).unwrap();
    assert_eq!((nobody.count(), nobody.at(Quantile::P99)), (0, 0));
    assert_eq!(of("lateness.p99").unwrap_err().to_string(), "it has no metric lateness");
    assert_eq!(of("placement.p99").unwrap_err().to_string(), "it has no metric placement");
}

#[test]
fn blocks_are_those_of_the_report() {
    let evidence = of("self_caused.p99").unwrap();
    let p99 = evidence.at(Quantile::P99);
    assert_eq!(evidence.blocks_reaching(0).map(|block| block.hits).sum::<u64>(), 4_000);
    let design = evidence.design(p99).unwrap();
    assert!((1.0..2.5).contains(&design), "{design}");
}

#[test]
fn what_reaches_a_limit_is_counted_with_the_limit_itself() {
    let report = report(quantiles(&[10, 20, 30, 40]));
    let quantity = Quantity::p99(MetricName::WakeToRun);
    let evidence = Evidence::of(&report, "r", &quantity, &Limits::default()).unwrap();
    let hits = |limit| evidence.reaching(limit).hits;
    assert_eq!([hits(0), hits(20), hits(21), hits(40), hits(41)], [4, 3, 2, 1, 0]);
}

#[test]
fn a_damaged_histogram_is_an_error() {
    let mut report = report(exponential(4_000, 1e5, 1));
    report.metrics[0].all.histogram = "AAAA".to_owned();
    let quantity = Quantity::p99(MetricName::WakeToRun);
    assert!(Evidence::of(&report, "r", &quantity, &Limits::default()).is_err());
}

#[test]
fn an_interval_log_is_merged_and_its_intervals_are_blocks() {
    let latency = quantity("latency.p99");
    let evidence = of_hlog(hlog().as_bytes(), "x", &latency, Unit::Nanoseconds).unwrap();
    assert_eq!(evidence.count(), 300);
    assert_eq!(evidence.blocks_reaching(0).map(|b| b.events).collect::<Vec<_>>(), [100, 200]);
    let micro = of_hlog(hlog().as_bytes(), "x", &latency, Unit::Microseconds).unwrap();
    assert_eq!(micro.at(Quantile::P50) / evidence.at(Quantile::P50), 1_000);
    assert!(evidence.foreign && evidence.fingerprint.is_none());
}

#[test]
fn what_is_no_interval_log() {
    let latency = quantity("latency.p99");
    let refused = |text: &str| {
        let evidence = of_hlog(text.as_bytes(), "x", &latency, Unit::Nanoseconds);
        evidence.unwrap_err().to_string()
    };
    let says = "it is not an HdrHistogram interval log: it has no line of one";
    assert_eq!(refused("#[a comment]\n"), says);
    assert!(refused("nonsense").starts_with("line 1 is no line of an HdrHistogram"));
    assert!(refused("0.0,1.0,0.1,AAAA\n").starts_with("line 1 is no line of an HdrHistogram"));
    let wrong = of_hlog(hlog().as_bytes(), "x", &quantity("wake_to_run.p99"), Unit::Nanoseconds);
    assert_eq!(wrong.unwrap_err().to_string(), "it has no metric wake_to_run");
    let axis = quantity(r#"latency{cpu="1"}.p99"#);
    let wrong = of_hlog(hlog().as_bytes(), "x", &axis, Unit::Nanoseconds);
    assert_eq!(wrong.unwrap_err().to_string(), "a latency log has no cpu");
}

const HGRM: &str = "
       Value     Percentile TotalCount 1/(1-Percentile)

       1.000 0.500000000000        500         2.00
       2.000 0.900000000000        900        10.00
      10.000 0.990000000000        990       100.00
      50.000 1.000000000000       1000
#[Mean    =        2.0, StdDeviation   =        3.0]
";

#[test]
fn a_percentile_table_is_counted_line_by_line() {
    let latency = quantity("latency.p99");
    let evidence = of_hgrm(HGRM, "x", &latency, Unit::Milliseconds).unwrap();
    assert_eq!(evidence.count(), 1_000);
    let at = |quantile| evidence.at(quantile) as f64 / 1e6;
    assert!((at(Quantile::P50) - 1.0).abs() < 0.01 && (at(Quantile::P99) - 10.0).abs() < 0.01);
    assert_eq!(evidence.design(1), None);
}

#[test]
fn what_is_no_percentile_table() {
    let latency = quantity("latency.p99");
    let refused =
        |text: &str| of_hgrm(text, "x", &latency, Unit::Milliseconds).unwrap_err().to_string();
    let says = "it is not a percentile table of HdrHistogram: it has no line of one";
    assert_eq!(refused(""), says);
    let columns = "line 1 is no line of a percentile table of HdrHistogram: it has no such columns";
    for line in ["x", "1.0 0.5", "NaN 0.5 5", "inf 0.5 5", "-1 0.5 5", "1 2.5 5", "1e99 0.5 5"] {
        assert_eq!(refused(line), columns, "{line}");
    }
    let falls = "line 2 is no line of a percentile table of HdrHistogram: the count falls";
    assert_eq!(refused("1 0.5 5\n2 0.9 4"), falls);
}
