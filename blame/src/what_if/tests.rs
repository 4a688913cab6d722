use std::fmt::Write as _;

use cronx_recording::Report;

use crate::fixture::{capture, report};
use crate::{Options, analyse};

/// 400 waits of 100 ns: for 40 ns an interrupt, for the rest `hog`, or `rival` in every tenth.
fn four_hundred() -> Report {
    let mut text = String::from("window 0..1000000\n");
    for n in 1..=400_u64 {
        let (at, who) = (n * 1_000, if n % 10 == 0 { "rival" } else { "hog" });
        writeln!(text, "{} cpu0 irq 24 since {}", at - 10, at - 50).unwrap();
        writeln!(text, "{at} cpu0 wait victim {o}..{o} {who} {} preempted", at - 900, o = at - 100)
            .unwrap();
    }
    analyse(&capture(&text), &Options::default())
}

#[test]
fn each_class_of_the_tail_and_its_culprits() {
    let mut out = String::new();
    for what_if in four_hundred().tail.unwrap().what_if {
        let culprit = what_if.culprit.map(|culprit| culprit.name.raw().to_owned());
        let (class, p50, p99) = (what_if.class.name(), what_if.p50_ns, what_if.p99_ns);
        writeln!(out, "{class} {culprit:?} {p50:?} {p99:?} {:?}", what_if.p999_ns).unwrap();
    }
    expect_test::expect![[r#"
        foreign None Some(40) Some(40) None
        irq None Some(60) Some(60) None
        foreign Some("hog") Some(40) Some(100) None
        irq Some("irq 24") Some(60) Some(60) None
        foreign Some("rival") Some(100) Some(100) None
    "#]]
    .assert_eq(&out);
}

#[test]
fn without_a_tail_there_is_none() {
    assert!(report("100 cpu0 wait v 60..70 hog 40").tail.is_none());
}
