use std::sync::Arc;

use cronx_scheduler::{Firing, Mono, TraceId, Utc};

use super::*;

/// A name that no sink may take as it is.
const CANARY: &str = "\x1b]0;x\x07</script>\"} 1\n# EOF\\";

fn run(job: &str, worker_tid: u32, outcome: Outcome) -> Run {
    let firing = Firing {
        job: Arc::<str>::from(job).into(),
        nominal: Utc(0),
        attempt: 1,
        number: 0,
        after: Utc(0),
        trigger: None,
        due: Mono(1_000_000),
        popped: Mono(1_000_000),
        shard_tid: 1,
        trace: TraceId(1),
    };
    let [enqueued, dequeued, started, finished] =
        [2_000_000, 3_000_000, 4_000_000, 5_000_000].map(Mono);
    let (decisions, fence, again) = (Vec::new(), 0, false);
    Run {
        firing,
        enqueued,
        dequeued,
        started,
        finished,
        worker_tid,
        outcome,
        decisions,
        fence,
        again,
    }
}

#[test]
fn no_name_breaks_out_of_its_label() {
    let metrics = Metrics::new();
    metrics.end(&run(CANARY, 1, Outcome::Succeeded), false);
    metrics.end(&run("a", 0, Outcome::Refused), true);
    metrics.reload(false);
    let text = metrics.text().unwrap();
    assert!(text.contains("# TYPE cronx_runs counter\n"), "{text}");
    assert!(text.contains("\\\"} 1\\n# EOF\\\\"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(text.matches("\n# EOF").count(), 1, "{text}");
    assert!(text.contains("cronx_lateness_seconds_sum{job=\"\x1b]0;x"), "{text}");
    assert!(!text.contains("cronx_lateness_seconds_sum{job=\"a\"}"), "it never started: {text}");
}

#[test]
fn a_job_that_is_gone_leaves_no_numbers() {
    let metrics = Metrics::new();
    let before = metrics.text().unwrap();
    metrics.end(&run("a", 1, Outcome::TimedOut), true);
    let skipped = SkipCounts { misfire: 3, ..SkipCounts::default() };
    for (why, count) in reasons(&skipped) {
        let labels = vec![("job", "a".to_owned()), ("why", why.to_owned())];
        set(&metrics.skips.get_or_create(&labels), count);
    }
    assert!(metrics.text().unwrap().contains("cronx_skips_total{job=\"a\",why=\"misfire\"} 3\n"));
    metrics.forget("a");
    assert_eq!(metrics.text().unwrap(), before);
}

#[test]
fn a_trace_is_an_exemplar_and_no_label() {
    let metrics = Metrics::new();
    metrics.end(&run("a", 1, Outcome::Succeeded), true);
    let trace = format!("{{trace_id=\"{}\"}}", TraceId(1));
    let text = metrics.text().unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("trace_id")).collect();
    assert!(matches!(lines[..], [one] if one.contains(&format!("}} 1 # {trace} 0.003"))), "{text}");
    let metrics = Metrics::new();
    metrics.end(&run("a", 1, Outcome::Succeeded), false);
    assert!(!metrics.text().unwrap().contains("trace_id"));
}
