use cronx_recording::{Report, SparedWaits};
use expect_test::{Expect, expect};

use super::*;
use fixture::{few, idle, plausible, rejecting};

const CANARY: &str = "\x1b]0;x\x07</script>::error::";

/// Renders at a width, and holds what is true of every screen.
fn screen(report: &Report, width: usize) -> String {
    let text = render(report, &Style { width, color: false });
    for line in text.lines() {
        assert!(line::width(line) <= width, "{} columns: {line}", line::width(line));
        assert!(!line.contains(char::is_control), "{line:?}");
        assert_eq!(line, line.trim_end());
    }
    text
}

fn check(report: &Report, width: usize, expected: &Expect) {
    let text = screen(report, width);
    assert!(text.lines().count() <= 45, "{} lines", text.lines().count());
    expected.assert_eq(&text);
}

#[test]
fn a_firing_that_did_not_pass_its_breaker_says_which_and_why() {
    let text = screen(&rejecting(), 100);
    let at = text.find("Lateness of").unwrap();
    let end = text.find("\nlost ").unwrap();
    expect![[r#"
        Lateness of 1 firing: P50 -, P99 -, longest 2.00 s. Of the 2.00 s of 1 late ones: 100 % breaker.
          job                     count        P99        max   where the longest ones' time went
          refund                      1          -     2.00 s   100 % breaker
           2.00 s  refund 12 (cronx)  at 1.200 s in thread 8
                   ██████████     2.00 s  breaker        ledger is half-open (probe-failed), 3 times
                   ▏             1.00 ms  timer
        Breakers rejected 15 attempts. After 3 of them the firing is tried again.
          job                     count  put off   by which breaker, and why
          pay                        12        0   ledger is open (consecutive)
          refund                      3        3   ledger is open (consecutive)
    "#]]
    .assert_eq(&text[at..end]);
    // Whatever stands in a name, it is text.
    let mut hostile = rejecting();
    let rows = &mut hostile.spans.as_mut().unwrap().rejected;
    let canary = || CANARY.into();
    (rows[0].name, rows[0].breaker, rows[0].state, rows[0].rule) =
        (canary(), canary(), canary(), canary());
    screen(&hostile, 80);
}

#[test]
fn at_80_columns() {
    check(
        &plausible(),
        80,
        &expect![[r#"
            Recorded ./load.sh --fast for 12.5 s
            43,120 waits, 1.83 s in all; 12 longer than 2.00 ms
            Linux 6.12.48-cloud-amd64 x86_64, 4 CPUs

                     wake to run                                       placement   run queue
                P50    12.4 µs  ▏                                        2.10 µs     10.1 µs
                P90    80.2 µs  ▎                                        4.05 µs     76.3 µs
                P99    3.10 ms  ███████▉                                 18.0 µs     3.08 ms
              P99.9    9.80 ms  █████████████████████████                40.1 µs     9.79 ms
                max    14.1 ms  ████████████████████████████████████      112 µs     14.1 ms

            Of 412 ms waited in the 432 waits at or above P99 (3.10 ms), 61 % ±4 was
              compactor.
              foreign   ██▉    70 % ±4    290 ms   compactor        ██▍    61 % ±4    251 ms
              softirq   ▋      15 % ±12  60.0 ms   NET_RX           ▋      15 % ±12  60.0 ms
              idle_exit ▍     9.7 %      40.0 ms   (leaving idle)   ▍     9.7 %      40.0 ms
              unknown   ▏     2.4 %      10.0 ms   kworker/2:1      ▎     7.3 %      30.0 ms
              placement ▏     1.9 %      8.00 ms   (no evidence)    ▏     2.4 %      10.0 ms
              irq       ▏     1.0 %      4.00 ms   and 3 more       ▎     5.1 %      21.0 ms
            First-order estimate: P99 811 µs without all foreign, 1.02 ms without compactor

            The three longest waits
              14.1 ms  worker-3 4711 (server)  at 4.201 s on CPU 2, woken by softirq NET_RX
                       █▎            1.80 ms  foreign   compactor (rocksdb) 5120
                       █▉            2.70 ms  foreign   compactor (rocksdb) 5120
                       ██▌           3.60 ms  foreign   compactor (rocksdb) 5120
                       ███▏          4.50 ms  foreign   compactor (rocksdb) 5120
                                     1.53 ms  and 7 more
              11.0 ms  worker-3 4711 (server) nice 10  at 9.870 s on CPU 2, preempted
                       ██████████    11.0 ms  foreign   compactor (rocksdb) 5120
              9.81 ms  worker-3 4711 (server)  at 0.510 s on CPU 2, woken by acceptor (4702)
                       ▏             12.0 µs  placement (not queued yet)
                       ▎              300 µs  softirq   NET_RX
                       █████████▋    9.50 ms  foreign   compactor (rocksdb) 5120
                       before that acceptor 4702 waited 3.10 ms, 2.90 ms for compactor (roc…

            Not counted above: 2 waits still open at the end, 61.0 ms so far, the longest
              48.0 ms.
            Not counted above: 1 wait whose start nobody saw.
            lost 0 · unknown 4.9 % · unbalanced 0 · own cost 61.0 ms CPU (0.5 % of one CPU)
              + 48.0 ms in the probes (extrapolated)
        "#]],
    );
}

#[test]
fn at_120_columns() {
    check(
        &plausible(),
        120,
        &expect![[r#"
            Recorded ./load.sh --fast for 12.5 s
            43,120 waits, 1.83 s in all; 12 longer than 2.00 ms
            Linux 6.12.48-cloud-amd64 x86_64, 4 CPUs

                     wake to run                                                               placement   run queue
                P50    12.4 µs  ▏                                                                2.10 µs     10.1 µs
                P90    80.2 µs  ▍                                                                4.05 µs     76.3 µs
                P99    3.10 ms  █████████████▏                                                   18.0 µs     3.08 ms
              P99.9    9.80 ms  █████████████████████████████████████████▋                       40.1 µs     9.79 ms
                max    14.1 ms  ████████████████████████████████████████████████████████████      112 µs     14.1 ms

            Of 412 ms waited in the 432 waits at or above P99 (3.10 ms), 61 % ±4 was compactor.
              foreign   ████████▌      70 % ±4    290 ms   compactor (rocksdb) ███████▎       61 % ±4    251 ms
              softirq   █▊             15 % ±12  60.0 ms   NET_RX              █▊             15 % ±12  60.0 ms
              idle_exit █▏            9.7 %      40.0 ms   (leaving idle)      █▏            9.7 %      40.0 ms
              unknown   ▎             2.4 %      10.0 ms   kworker/2:1         ▉             7.3 %      30.0 ms
              placement ▎             1.9 %      8.00 ms   (no evidence)       ▎             2.4 %      10.0 ms
              irq       ▏             1.0 %      4.00 ms   and 3 more          ▋             5.1 %      21.0 ms
            First-order estimate: P99 811 µs without all foreign, 1.02 ms without compactor, 2.80 ms without NET_RX

            The three longest waits
              14.1 ms  worker-3 4711 (server)  at 4.201 s on CPU 2, woken by softirq NET_RX
                       █▎            1.80 ms  foreign   compactor (rocksdb) 5120
                       █▉            2.70 ms  foreign   compactor (rocksdb) 5120
                       ██▌           3.60 ms  foreign   compactor (rocksdb) 5120
                       ███▏          4.50 ms  foreign   compactor (rocksdb) 5120
                                     1.53 ms  and 7 more
              11.0 ms  worker-3 4711 (server) nice 10  at 9.870 s on CPU 2, preempted
                       ██████████    11.0 ms  foreign   compactor (rocksdb) 5120
              9.81 ms  worker-3 4711 (server)  at 0.510 s on CPU 2, woken by acceptor (4702)
                       ▏             12.0 µs  placement (not queued yet)
                       ▎              300 µs  softirq   NET_RX
                       █████████▋    9.50 ms  foreign   compactor (rocksdb) 5120
                       before that acceptor 4702 waited 3.10 ms, 2.90 ms for compactor (rocksdb); before that main 4700 waited 900 …

            Not counted above: 2 waits still open at the end, 61.0 ms so far, the longest 48.0 ms.
            Not counted above: 1 wait whose start nobody saw.
            lost 0 · unknown 4.9 % · unbalanced 0 · own cost 61.0 ms CPU (0.5 % of one CPU) + 48.0 ms in the probes (extrapolated)
        "#]],
    );
}

#[test]
fn without_waits() {
    check(
        &idle(),
        80,
        &expect![[r#"
            Recorded ./load.sh --fast for 12.5 s
            0 waits
            Linux 6.12.48-cloud-amd64 x86_64, 4 CPUs

            No thread waited for a CPU.

            lost 0 · unknown 0 % · unbalanced 0 · own cost 0 ns CPU (0 % of one CPU)
        "#]],
    );
}

#[test]
fn nobody_waited_is_not_said_against_the_evidence() {
    let mut report = idle();
    report.censored.count = 1;
    let text = screen(&report, 80);
    assert!(text.contains("No complete wait for a CPU was recorded."), "{text}");
    report = idle();
    report.health.lost = 1;
    assert!(!screen(&report, 80).contains("No thread waited"));
}

#[test]
fn with_few_waits() {
    check(
        &few(),
        80,
        &expect![[r#"
            Recorded ./load.sh --fast for 12.5 s
            42 waits, 3.00 ms in all
            Linux 6.12.48-cloud-amd64 x86_64, 4 CPUs

                     wake to run                                       placement   run queue
                P50    12.4 µs  █▉                                             -           -
                P90    80.2 µs  ████████████                                   -           -
                P99          -                                                 -           -
              P99.9          -                                                 -           -
                max     240 µs  ████████████████████████████████████           -           -

            42 waits are too few for a P99, which wants 368. Of the 3.00 ms waited in all,
              100 % was a CPU leaving idle.
              idle_exit ██████  100 %  3.00 ms   (leaving idle) ██████  100 %  3.00 ms

            lost 0 · unknown 0 % · unbalanced 0 · own cost 0 ns CPU (0 % of one CPU)
        "#]],
    );
}

#[test]
fn a_damaged_recording_is_loud() {
    let mut report = few();
    report.provenance.load = Some(LoadEnd::Signaled(9));
    let health = &mut report.health;
    (health.records, health.lost, health.missing) = (90_000, 9_000, 10_000);
    (health.recursion_misses, health.unbalanced) = (3, 1);
    health.anomalies = [("impossible".to_owned(), 4), ("never".to_owned(), 0)].into();
    health.torn = Some("it ends inside a block".to_owned());
    health.degraded = vec![
        "no stacks: the kernel refused the sampling clock, so every culprit \
                            is named without what it was doing"
            .to_owned(),
    ];
    check(
        &report,
        80,
        &expect![[r#"
            Recorded ./load.sh --fast for 12.5 s
            42 waits, 3.00 ms in all
            Linux 6.12.48-cloud-amd64 x86_64, 4 CPUs
            Signal 9 ended the load

                     wake to run                                       placement   run queue
                P50    12.4 µs  █▉                                             -           -
                P90    80.2 µs  ████████████                                   -           -
                P99          -                                                 -           -
              P99.9          -                                                 -           -
                max     240 µs  ████████████████████████████████████           -           -

            42 waits are too few for a P99, which wants 368. Of the 3.00 ms waited in all,
              100 % was a CPU leaving idle.
              idle_exit ██████  100 %  3.00 ms   (leaving idle) ██████  100 %  3.00 ms

            EVIDENCE LOST: 10,000 records (10 %), 9,000 of them at a full ring. What they
              would have shown is unknown above.
            EVENTS NOT HANDLED: 3 skipped by the kernel, 0 for want of task storage.
            BUG IN CRONX: 1 wait whose tiles do not sum to them.
            THE CAPTURE IS TORN: it ends inside a block.
            lost 10,000 · unknown 0 % · unbalanced 1 · own cost 0 ns CPU (0 % of one CPU)
            anomalies: impossible 4
            degraded: no stacks: the kernel refused the sampling clock, so every culprit is
              named without what it was doing
        "#]],
    );
    let colored = render(&report, &Style { width: 80, color: true });
    assert!(colored.contains("\x1b[1;31mEVIDENCE LOST"));
}

#[test]
fn waits_below_the_floor_are_said() {
    let mut report = plausible();
    let spared =
        SparedWaits { floor_ns: 50_000, waits: 910_000, waited_ns: 4_000_000_000, left_out: false };
    report.spared = Some(spared);
    let last = |report: &Report| screen(report, 80).rsplit_once("\n\n").unwrap().1.to_owned();
    expect![[r#"
        Not counted above: 2 waits still open at the end, 61.0 ms so far, the longest
          48.0 ms.
        910,000 waits shorter than 50.0 µs, 4.00 s in all, are in the distribution and
          in P99's rank alone: who waited, and for whom, was not recorded.
        Not counted above: 1 wait whose start nobody saw.
        lost 0 · unknown 4.9 % · unbalanced 0 · own cost 61.0 ms CPU (0.5 % of one CPU)
          + 48.0 ms in the probes (extrapolated)
    "#]]
    .assert_eq(&last(&report));
    report.spared = Some(SparedWaits { left_out: true, ..spared });
    expect![[r#"
        Not counted above: 2 waits still open at the end, 61.0 ms so far, the longest
          48.0 ms.
        Not counted above: 910,000 waits shorter than 50.0 µs, 4.00 s in all; whose they
          were was not recorded, so a filter leaves them out.
        Not counted above: 1 wait whose start nobody saw.
        lost 0 · unknown 4.9 % · unbalanced 0 · own cost 61.0 ms CPU (0.5 % of one CPU)
          + 48.0 ms in the probes (extrapolated)
    "#]]
    .assert_eq(&last(&report));
    let report = Report { spared: Some(spared), ..idle() };
    assert!(screen(&report, 80).contains("No thread waited for 50.0 µs or longer."));
}

/// Every string of the Report is hostile at once.
fn hostile(name: &str) -> Report {
    let mut report = plausible();
    let untrusted = || Untrusted::from(name);
    report.provenance.kernel = untrusted();
    report.provenance.machine = name.to_owned();
    report.provenance.target = Target::Command { argv: vec![untrusted()] };
    let tail = report.tail.as_mut().expect("a plausible report has a tail");
    for blamed in &mut tail.culprits {
        blamed.culprit = fixture::culprit(name, "other", 1);
    }
    for what_if in &mut tail.what_if {
        what_if.culprit = Some(fixture::culprit(name, "other", 1));
    }
    for miss in &mut report.worst {
        (miss.thread, miss.process, miss.waker) = (untrusted(), untrusted(), untrusted());
        miss.opening = name.to_owned();
        for link in &mut miss.chain {
            (link.thread, link.culprit) = (untrusted(), fixture::culprit(name, name, 1));
        }
        for tile in &mut miss.tiles {
            tile.culprit = fixture::culprit(name, name, 1);
        }
    }
    report.health.anomalies = [(name.to_owned(), 1)].into();
    report.health.torn = Some(name.to_owned());
    report.health.degraded = vec![name.to_owned()];
    report
}

#[test]
fn hostile_names_are_text() {
    let text = screen(&hostile(CANARY), 80);
    assert!(text.contains(r"\x1b]0;x\x07</script>::error::"));
}

#[test]
fn no_name_is_wider_than_the_screen() {
    let names = [CANARY.repeat(40), "界".repeat(400), "x ".repeat(400), "🦀".repeat(99)];
    for name in &names {
        for width in [60, 79, 80, 81, 100, 120, 160] {
            screen(&hostile(name), width);
        }
    }
}

#[test]
fn the_width_is_clamped() {
    let at = |width| render(&plausible(), &Style { width, color: false });
    assert_eq!(at(0), at(60));
    assert_eq!(at(9_999), at(160));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let colored = render(&plausible(), &Style { width: 80, color: true });
    let mut plain = String::new();
    for (i, piece) in colored.split("\x1b[").enumerate() {
        plain += if i == 0 { piece } else { piece.split_once('m').unwrap().1 };
    }
    let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
    let expected = screen(&plausible(), 80);
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>());
}
