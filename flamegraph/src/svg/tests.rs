use cronx_recording::Fold;

use super::*;
use crate::fixture::{CANARY, fold, report};

fn svg(folds: Vec<Fold>) -> String {
    let mut out = Vec::new();
    write_svg(&report(folds), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Tags must pair, text must have no control character, and entities must be the five of XML.
fn check_xml(text: &str) {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at]);
        rest = &rest[at..];
        let end = match rest {
            r if r.starts_with("<![CDATA[") => r.find("]]>").unwrap() + 2,
            r if r.starts_with("<!--") => r.find("-->").unwrap() + 2,
            r => r.find('>').unwrap(),
        };
        let tag = &rest[1..end];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.starts_with(['?', '!']) && !tag.ends_with('/') {
            open.push(tag.split([' ', '\n']).next().unwrap());
        }
        rest = &rest[end + 1..];
    }
    check_text(rest);
    assert!(open.is_empty(), "{open:?}");
}

fn check_text(text: &str) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    for entity in text.split('&').skip(1) {
        let known = ["lt;", "gt;", "amp;", "quot;", "apos;"];
        assert!(known.iter().any(|k| entity.starts_with(k)), "{entity}");
    }
}

#[test]
fn names_are_text_and_nothing_else() {
    let plain = svg(vec![fold("worker", Class::Foreign, "compactor", &["main"], 900)]);
    check_xml(&plain);
    let hostile = svg(vec![
        fold(CANARY, Class::Foreign, CANARY, &[CANARY, "]]><g onload=\"x()\">&#0;"], 900),
        fold("# gone", Class::Foreign, "worker 7", &[], 100),
    ]);
    check_xml(&hostile);
    assert_eq!(hostile.matches("</script>").count(), plain.matches("</script>").count());
    assert!(hostile.contains(r"\x1b]0:x\x07&lt;/script&gt;::error:: (900 ns, 90.00%)"));
    assert!(!hostile.contains("<g onload"));
    assert!(hostile.contains(r"\x23 gone (100 ns, 10.00%)"), "no wait is lost to a comment");
}

#[test]
fn the_same_report_gives_the_same_picture() {
    let folds = || {
        vec![
            fold("worker", Class::Foreign, "compactor", &["main", "merge"], 900),
            fold("worker", Class::Softirq, "NET_RX", &[], 100),
            fold("worker", Class::Idle, "", &[], 3),
        ]
    };
    assert_eq!(svg(folds()), svg(folds()));
}

#[test]
fn every_class_has_its_own_colour() {
    let text = svg(vec![
        fold("worker", Class::Foreign, "compactor", &[], 900),
        fold("worker", Class::Softirq, "NET_RX", &[], 100),
    ]);
    for Color { r, g, b } in [class_color(Class::Foreign), class_color(Class::Softirq)] {
        assert!(text.contains(&format!("rgb({r},{g},{b})")));
    }
}

#[test]
fn no_waits_is_a_picture_that_says_so() {
    for folds in [vec![], vec![fold("worker", Class::Unknown, "", &[], 0)]] {
        let text = svg(folds);
        check_xml(&text);
        assert!(text.contains("No complete wait for a CPU was recorded."));
    }
}

#[test]
fn a_sum_beyond_64_bits_is_refused() {
    let mut report = report(vec![]);
    report.folds = vec![fold("a", Class::Foreign, "b", &[], u64::MAX); 2];
    assert!(matches!(write_svg(&report, Vec::new()), Err(Error::TooLong)));
}
