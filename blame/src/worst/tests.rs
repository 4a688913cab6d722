use crate::fixture::{capture, report};
use crate::{Options, analyse};

fn waker(options: &str) -> String {
    let report = report(&format!("100 cpu0 wait victim 60..70 hog 40 {options}"));
    report.worst[0].waker.raw().to_owned()
}

#[test]
fn wakers_in_words() {
    assert_eq!(waker(""), "");
    assert_eq!(waker("by=hog"), "hog (1)");
    assert_eq!(waker("by=?x"), "tid 3 (3)");
    assert_eq!(waker("by=hog irq=vector:236"), "local_timer");
    assert_eq!(waker("irq=softirq:3"), "NET_RX");
    assert_eq!(waker("irq=irq:24"), "irq 24");
}

#[test]
fn a_miss_says_who_when_and_how_it_opened() {
    let report = report(
        "window 50..1000
         10 cpu0 task victim/app
         100 cpu3 wait victim 60..60 hog 40 preempted",
    );
    let miss = &report.worst[0];
    assert_eq!((miss.thread.raw(), miss.process.raw()), ("victim", "app"));
    assert_eq!((miss.tid, miss.tgid, miss.at_ns, miss.waited_ns), (1, 1, 10, 40));
    assert_eq!((miss.cpu, miss.opening.as_str()), (3, "preempted"));
    assert_eq!((miss.tiles[0].from_ns, miss.tiles[0].cpu), (0, Some(3)));
}

#[test]
fn as_many_as_asked_for_longest_first() {
    let capture = capture(
        "100 cpu0 wait a 60..70 hog 40
         200 cpu0 wait b 120..120 hog 100
         300 cpu0 wait c 230..230 hog 200",
    );
    let worst = |worst| {
        let report = analyse(&capture, &Options { worst, ..Options::default() });
        report.worst.iter().map(|miss| miss.waited_ns).collect::<Vec<_>>()
    };
    assert_eq!(worst(2), [80, 70]);
    assert_eq!(worst(32), [80, 70, 40]);
    assert!(worst(0).is_empty());
}
