use std::fmt::Write as _;

use cronx_abi::Record;
use cronx_abi::span::{RejectedRecord, SpanRecord, flag};
use cronx_recording::{CpuRecords, Explained, Part, PutOff, Rejected, Spans, Untrusted};
use expect_test::{Expect, expect};

use crate::fixture::{capture, report};
use crate::{Options, analyse};

fn told(worst: &[Explained]) -> String {
    let mut out = String::new();
    for explained in worst {
        let sum: u64 = explained.parts.iter().map(|part| part.length_ns).sum();
        assert_eq!(sum, explained.total_ns, "the parts of {explained:?}");
        write!(out, "{} {}:", explained.name.raw(), explained.total_ns).unwrap();
        for part in &explained.parts {
            write!(out, " {}={}", part.part.name(), part.length_ns).unwrap();
            for tile in &part.tiles {
                write!(
                    out,
                    "[{}:{}={}]",
                    tile.class.name(),
                    tile.culprit.name.raw(),
                    tile.length_ns
                )
                .unwrap();
            }
        }
        out.push('\n');
    }
    out
}

fn spans(text: &str) -> Spans {
    report(text).spans.expect("there are spans")
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    let spans = spans(text);
    let mut out = told(&spans.worst_firings) + &told(&spans.worst_spans);
    spans.flaws.iter().for_each(|(kind, n)| writeln!(out, "{kind} {n}").unwrap());
    expected.assert_eq(&out);
}

/// A shard that slept until 110, and a worker that slept until 130.
const PUNCTUAL: &str = "
    90 cpu0 task shard%app/app
    90 cpu1 task worker%app/app
    115 cpu0 wait shard%app 110..110 idle 20 off=30
    135 cpu1 wait worker%app 130..130 idle 20 off=40
    140 started job shard%app worker%app worker%app due=100 popped=116 enqueued=120 dequeued=137 started=139";

#[test]
fn each_nanosecond_has_one_part() {
    check(
        PUNCTUAL,
        &expect![[r#"
            job 39: timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=10 worker_waits=5[idle_exit:=5] worker_runs=4
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn a_neighbour_on_the_shards_core_is_named() {
    check(
        "
        300 cpu0 wait shard%app 110..110 hog 20 off=30
        335 cpu1 wait worker%app 330..330 idle 20 off=40
        340 started job shard%app worker%app worker%app due=100 popped=316 enqueued=320 dequeued=337 started=339
        390 finished job worker%app started=339 finished=385",
        &expect![[r#"
            job 239: timer=10 shard_waits=190[foreign:hog=190] shard_runs=20 queue=10 worker_waits=5[idle_exit:=5] worker_runs=4
        "#]],
    );
}

#[test]
fn a_runner_that_was_busy_leaves_it_in_the_queue() {
    check(
        "
        115 cpu0 wait shard%app 110..110 idle 20 off=30
        450 cpu1 wait worker%app 440..440 idle 200 off=150
        520 started job shard%app worker%app worker%app due=100 popped=116 enqueued=120 free=500 dequeued=510 started=515",
        &expect![[r#"
            job 415: timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=380 worker_runs=15
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn a_thread_that_blocked_in_another_job_leaves_it_in_the_queue_until_it_was_woken() {
    check(
        "
        115 cpu0 wait shard%app 110..110 idle 20 off=30
        450 cpu1 wait worker%app 440..440 idle 200 off=150
        520 started job shard%app worker%app worker%app due=100 popped=116 enqueued=120 dequeued=510 started=515",
        &expect![[r#"
            job 415: timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=320 worker_waits=10[idle_exit:=10] worker_runs=65
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn a_stopped_process_and_a_full_queue_are_told_apart() {
    check(
        "
        400 cpu0 wait shard%app 390..390 idle 20 off=50 stopped
        435 cpu1 wait worker%app 430..430 idle 20 off=40
        440 started job shard%app worker%app worker%app due=100 popped=410 enqueued=420 dequeued=437 started=439",
        &expect![[r#"
            job 339: shard_blocked=290 shard_waits=10[idle_exit:=10] shard_runs=20 queue=10 worker_waits=5[idle_exit:=5] worker_runs=4
            unfinished_firing 1
        "#]],
    );
    check(
        "
        115 cpu0 wait shard%app 110..110 idle 20 off=30
        305 cpu0 wait shard%app 300..300 idle 120 off=120
        335 cpu1 wait worker%app 330..330 idle 20 off=40
        340 started job shard%app worker%app worker%app due=100 popped=310 enqueued=315 dequeued=337 started=339",
        &expect![[r#"
            job 239: timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=180 shard_waits=5[idle_exit:=5] shard_runs=10 queue=15 worker_waits=5[idle_exit:=5] worker_runs=4
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn a_runner_that_is_stopped_is_blocked_whoever_it_was_busy_for() {
    check(
        "
        115 cpu0 wait shard%app 110..110 idle 20 off=30
        450 cpu1 wait worker%app 440..440 idle 200 off=150 stopped
        520 started job shard%app worker%app worker%app due=100 popped=116 enqueued=120 free=500 dequeued=510 started=515",
        &expect![[r#"
            job 415: timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=30 worker_blocked=290 queue=60 worker_runs=15
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn a_worker_that_is_not_the_runner_has_it_from_its_waking_on() {
    check(
        "
        115 cpu0 wait shard%app 110..110 idle 20 off=30
        135 cpu1 wait run%app 130..130 idle 20 off=40
        190 cpu0 wait worker%app 150..150 hog 120 fork
        200 started job shard%app run%app worker%app due=100 popped=116 enqueued=120 dequeued=137 started=195",
        &expect![[r#"
            job 95: timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=10 worker_waits=5[idle_exit:=5] worker_runs=15 worker_waits=40[foreign:hog=40] worker_runs=5
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn what_has_no_evidence_is_unknown() {
    // Nobody has seen the shard, nor a thread of that number in this process.
    check(
        "
        135 cpu1 wait worker%app 130..130 idle 20 off=40
        136 cpu1 wait other 136..136 idle 135 preempted
        140 started job other worker%app worker%app due=100 popped=116 enqueued=120 dequeued=137 started=139",
        &expect![[r#"
            job 39: unknown=20 queue=10 worker_waits=5[idle_exit:=5] worker_runs=4
            unfinished_firing 1
        "#]],
    );
    // An older Capture does not say when a thread went to sleep.
    check(
        "
        115 cpu0 wait shard%app 110..110 idle 20
        135 cpu1 wait worker%app 130..130 idle 20
        140 started job shard%app worker%app worker%app due=100 popped=116 enqueued=120 dequeued=137 started=139",
        &expect![[r#"
            job 39: unknown=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=10 worker_waits=5[idle_exit:=5] worker_runs=4
            unfinished_firing 1
        "#]],
    );
    // Short waits have no record, so what looks like running may not have been.
    check(
        &format!("floor 3 {PUNCTUAL}").replace("floor 3 ", "floor 3\n"),
        &expect![[r#"
            job 39: timer=10 shard_waits=5[idle_exit:=5] unknown=5 queue=10 worker_waits=5[idle_exit:=5] unknown=4
            unfinished_firing 1
        "#]],
    );
}

/// Rejected twice, since a breaker was open; then it closed.
const PUT_OFF: &str = "
    50 rejected job worker%app ledger open consecutive due=40 again=90
    95 rejected job worker%app ledger half-open probe-failed due=90 again=98 run=2";

#[test]
fn a_firing_that_a_breaker_put_off_is_late_since_then_and_says_which_and_why() {
    let text = PUT_OFF.to_owned() + &PUNCTUAL.replace("due=100", "run=3 due=100");
    check(
        &text,
        &expect![[r#"
        job 99: breaker=60 timer=10 shard_waits=5[idle_exit:=5] shard_runs=5 queue=10 worker_waits=5[idle_exit:=5] worker_runs=4
        unfinished_firing 1
    "#]],
    );
    let spans = spans(&text);
    let part = &spans.worst_firings[0].parts[0];
    assert_eq!((part.part, part.from_ns, part.length_ns), (Part::Breaker, 0, 60));
    assert_eq!(
        part.breaker,
        Some(PutOff {
            times: 2,
            breaker: "ledger".into(),
            state: "half-open".into(),
            rule: "probe-failed".into()
        })
    );
    assert_eq!((spans.lateness.max_ns, spans.worst_firings[0].at_ns), (99, 40));
    assert!(spans.worst_firings[0].parts[1..].iter().all(|part| part.breaker.is_none()));
}

fn rejected(spans: &Spans) -> String {
    let row = |row: &Rejected| {
        let Rejected { name, process, breaker, state, rule, .. } = row;
        let [name, process, breaker] = [name, process, breaker].map(Untrusted::raw);
        let Rejected { count, put_off, first_ns, last_ns, .. } = row;
        format!(
            "{name} ({process}): {breaker} {} {} {count}, {put_off} put off, {first_ns}..{last_ns}\n",
            state.raw(),
            rule.raw()
        )
    };
    spans.rejected.iter().map(row).collect()
}

#[test]
fn what_was_rejected_is_counted_by_breaker_and_reason() {
    let text = "
    90 cpu1 task worker%app/app
    100 rejected job worker%app ledger open consecutive due=40 again=0
    110 rejected job worker%app ledger open consecutive due=45 again=0 nominal=5
    120 rejected job worker%app ledger open consecutive due=45 again=130 nominal=6
    130 rejected job worker%app ledger open failure-rate due=45 again=0 nominal=7
    140 rejected other worker%app mail half-open probe-failed due=140 again=0";
    expect![[r#"
        job (pid 1): ledger open consecutive 3, 1 put off, 100..120
        job (pid 1): ledger open failure-rate 1, 0 put off, 130..130
        other (pid 1): mail half-open probe-failed 1, 0 put off, 140..140
    "#]]
    .assert_eq(&rejected(&spans(text)));
    check(text, &expect![[""]]);
    let options = Options { process: Some("nobody".to_owned()), ..Options::default() };
    assert_eq!(analyse(&capture(text), &options).spans.unwrap().rejected, []);
}

/// One that was rejected for good is forgotten, whatever else is called like it.
#[test]
fn the_end_of_a_firing_puts_off_no_other() {
    let over = "\n    50 rejected job worker%app ledger open consecutive due=40 again=0\n";
    let text = over.to_owned() + PUNCTUAL;
    assert_eq!(spans(&text).worst_firings[0].total_ns, 39);
    let text = PUT_OFF.replace("again=98", "again=0") + PUNCTUAL;
    assert_eq!(spans(&text).worst_firings[0].total_ns, 39);
}

#[test]
fn a_rejection_that_cannot_be_is_counted_and_not_believed() {
    let bad = [
        "50 rejected job worker%app ledger open consecutive due=51 again=0",
        "50 rejected job worker%app ledger open consecutive due=40 again=39",
    ];
    for line in bad {
        let spans = spans(&format!("{line}\n{PUNCTUAL}"));
        assert_eq!((spans.rejected.len(), spans.worst_firings[0].total_ns), (0, 39), "{line}");
        assert_eq!(spans.flaws.get("impossible_firing"), Some(&1));
    }
    // Put off until after it began.
    let text = PUT_OFF.replace("due=40", "due=45") + &PUNCTUAL.replace("due=100", "due=44");
    assert_eq!(spans(&text).flaws.get("impossible_firing"), Some(&1));
}

#[test]
fn a_rejection_without_its_reason_is_torn() {
    let mut scene = capture("50 rejected job worker%app ledger open consecutive due=40 again=0");
    let whole = scene.spans.iter().next().unwrap().to_vec();
    scene.spans = CpuRecords::default();
    scene.spans.push(&whole[..size_of::<SpanRecord>()]);
    let mut unreadable = RejectedRecord::from_bytes(&whole).unwrap();
    unreadable.span.flags = flag::UNREADABLE_WHY;
    unreadable.breaker_len = u16::MAX;
    scene.spans.push(unreadable.as_bytes());
    unreadable.span.flags = 0;
    scene.spans.push(unreadable.as_bytes());
    let spans = analyse(&scene, &Options::default()).spans.unwrap();
    assert_eq!(spans.flaws.get("short_record"), Some(&1));
    assert_eq!(spans.flaws.get("unreadable_name"), Some(&1));
    expect![[r#"
        job (pid 1): (unreadable) (unreadable) (unreadable) 1, 0 put off, 50..50
        job (pid 1): ledger open consecutive 1, 0 put off, 50..50
    "#]]
    .assert_eq(&rejected(&spans));
}

#[test]
fn a_lost_record_makes_no_run() {
    let lost =
        PUNCTUAL.replace("135 cpu1", "lost cpu0 1\n    900 cpu0 slice hog 118\n    135 cpu1");
    check(
        &lost,
        &expect![[r#"
            job 39: timer=10 shard_waits=5[idle_exit:=5] unknown=5 queue=10 worker_waits=5[idle_exit:=5] unknown=4
            unfinished_firing 1
        "#]],
    );
}

#[test]
fn a_span_is_what_its_thread_did() {
    check(
        "
        100 begin request 7 worker%app
        300 cpu1 wait worker%app 250..250 hog 20 off=180
        320 cpu1 wait worker%app 310..310 hog 310 preempted
        400 end 7 worker%app",
        &expect![[r#"
            request 300: runs=80 blocked=70 waits=50[foreign:hog=50] runs=10 waits=10[foreign:hog=10] runs=80
        "#]],
    );
}

#[test]
fn what_does_not_fit_together_is_counted_and_not_explained() {
    check(
        "
        100 begin request 7 worker%app
        110 begin request 7 worker%app
        120 begin moved 8 worker%app
        200 end 8 other%app
        210 end 9 worker%app
        220 finished job worker%app started=200 finished=210
        230 started odd shard%app worker%app worker%app due=100 popped=220 enqueued=120 dequeued=137 started=139
        1400 end 7 worker%app",
        &expect![[r#"
            moved 80: unknown=80
            impossible_firing 1
            moved_span 1
            unbegun_span 1
            unfinished_span 2
            unstarted_firing 1
        "#]],
    );
}

#[test]
fn late_is_what_the_objective_says_or_else_the_scheduler() {
    let late = PUNCTUAL.to_owned()
        + "
    141 late job shard%app worker%app worker%app due=100 popped=116 enqueued=120 dequeued=137 started=139";
    let count = |text: &str, objective_ns| {
        let options = Options { objective_ns, ..Options::default() };
        let spans = analyse(&capture(text), &options).spans.unwrap();
        (spans.firings.count, spans.late.count, spans.jobs[0].late)
    };
    assert_eq!(count(PUNCTUAL, None), (1, 0, 0));
    assert_eq!(count(&late, None), (1, 1, 1));
    assert_eq!(count(&late, Some(39)), (1, 0, 0));
    assert_eq!(count(PUNCTUAL, Some(38)), (1, 1, 1));
}

#[test]
fn one_that_was_due_before_the_window_is_left_out_and_one_that_began_early_is_not_late() {
    check(
        &PUNCTUAL
            .replace("due=100", "due=0")
            .replace("\n    90 cpu0", "\nwindow 10..1000\n    90 cpu0"),
        &expect![[r#"
        due_before_window 1
        unfinished_firing 1
    "#]],
    );
    let early = spans(&PUNCTUAL.replace("due=100", "due=500"));
    assert_eq!((early.firings.count, early.firings.total_ns, early.lateness.max_ns), (1, 0, 0));
}

#[test]
fn sums_are_what_the_firings_are() {
    let spans = spans(PUNCTUAL);
    let parts: Vec<_> =
        spans.firings.parts.iter().map(|share| (share.part, share.length_ns)).collect();
    assert_eq!(parts.iter().map(|(_, ns)| ns).sum::<u64>(), spans.firings.total_ns);
    assert_eq!(parts[0].1, 10);
    assert!(parts.contains(&(Part::WorkerRuns, 4)));
    assert_eq!(spans.firings.blame[0].waited_ns, 10);
    assert_eq!(spans.jobs[0].tail, spans.jobs[0].all);
    assert_eq!(spans.jobs[0].process.raw(), "app");
}
