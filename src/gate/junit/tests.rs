use super::*;
use crate::screen::verdict_tests::{hostile, regression};

/// The elements and attributes, as a reader of XML understands them.
fn read(xml: &str) -> Vec<(String, Vec<String>)> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut elements = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => return elements,
            quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start) => {
                let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    String::from_utf8_lossy(&attribute.value).into_owned()
                });
                elements.push((name, attributes.collect()));
            }
            _ => {}
        }
    }
}

fn names(xml: &str) -> Vec<String> {
    read(xml).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_regression_is_a_failure() {
    let xml = render(&regression()).unwrap();
    assert_eq!(names(&xml), ["testsuites", "testsuite", "testcase", "failure", "system-out"]);
    assert!(xml.contains(r#"failures="1""#), "{xml}");
}

#[test]
fn what_is_inconclusive_was_skipped() {
    let mut verdict = hostile();
    verdict.checks.truncate(1);
    let xml = render(&verdict).unwrap();
    assert_eq!(names(&xml), ["testsuites", "testsuite", "testcase", "skipped", "system-out"]);
}

#[test]
fn a_hostile_name_is_text() {
    let xml = render(&hostile()).unwrap();
    assert!(!xml.contains(['\x1b', '\x07']) && !xml.contains("</script>"), "{xml}");
    assert_eq!(names(&xml).iter().filter(|name| *name == "testcase").count(), 2);
    assert!(xml.contains(r"\x1b]0;x\x07&lt;/script&gt;"), "it is there, as text: {xml}");
}
