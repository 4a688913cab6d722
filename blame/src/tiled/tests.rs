use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::fixture::capture;
use crate::{Options, Who, tiles};

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    let mut out = String::new();
    for wait in tiles(&capture(text), &Options::default()) {
        let censored = if wait.censored { " censored" } else { "" };
        write!(out, "{} {}..{}{censored}:", wait.victim.tid, wait.open_ns, wait.close_ns).unwrap();
        for tile in &wait.tiles {
            let who = match tile.who {
                Who::Nobody => String::new(),
                Who::Task(task) => format!(":{}", task.tid),
                Who::Interrupt { layer, vector } => format!(":{layer}/{vector}"),
            };
            let cpu = tile.cpu.map(|cpu| format!("@{cpu}")).unwrap_or_default();
            write!(out, " {}{who}{cpu}={}..{}", tile.class.name(), tile.from_ns, tile.to_ns)
                .unwrap();
        }
        out.push('\n');
    }
    expected.assert_eq(&out);
}

#[test]
fn by_victim_and_time_with_numbers_for_names() {
    check(
        "80 cpu0 softirq 3 since 75
         100 cpu0 wait b 60..70 hog 40
         100 cpu1 wait a 50..50 ?x 10 preempted
         40 cpu0 wait b 20..20 a 10 preempted",
        expect![[r#"
            2 20..40: foreign:4@0=20..40
            2 60..100: placement=60..70 foreign:1@0=70..75 softirq:3/3@0=75..80 foreign:1@0=80..100
            4 50..100: unknown:3@1=50..100
        "#]],
    );
}
