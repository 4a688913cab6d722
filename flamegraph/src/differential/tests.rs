use cronx_recording::Class;

use super::*;
use crate::fixture::{CANARY, fold, report};

fn drawn(base: &[&Report], candidate: &[&Report]) -> String {
    let mut svg = Vec::new();
    write_diff_svg(base, candidate, &mut svg).unwrap();
    String::from_utf8(svg).unwrap()
}

#[test]
fn the_base_is_scaled_to_as_many_waits() {
    let one = || fold("v", Class::Foreign, "hog", &["main"], 100);
    let base = report(vec![one(), fold("v", Class::Idle, "", &[], 40)]);
    let candidate = report(vec![one(), one(), one(), fold("v", Class::Own, "new", &[], 7)]);
    let lines = lines(&stacks(&[&base]).unwrap(), &stacks(&[&candidate]).unwrap());
    assert_eq!(lines, ["v;foreign;hog;main 200 300", "v;idle 80 0", "v;self;new 0 7"]);
}

#[test]
fn a_picture_of_both_sides() {
    let base = report(vec![fold("v", Class::Foreign, "hog", &[], 100)]);
    let candidate = report(vec![fold("v", Class::Foreign, "hog", &[], 150)]);
    let svg = drawn(&[&base], &[&candidate]);
    assert!(svg.contains("hog") && svg.contains("+33.33%"), "{svg}");
    assert_eq!(svg, drawn(&[&base], &[&candidate]), "the same Reports give the same bytes");
}

#[test]
fn without_waits_there_is_nothing_to_compare() {
    let empty = report(vec![]);
    let full = report(vec![fold("v", Class::Foreign, "hog", &[], 100)]);
    assert_eq!(drawn(&[&empty], &[&full]), EMPTY);
    assert_eq!(drawn(&[], &[]), EMPTY);
}

#[test]
fn a_hostile_name_is_text() {
    let hostile = report(vec![fold(CANARY, Class::Foreign, CANARY, &[CANARY], 100)]);
    let svg = drawn(&[&hostile], &[&hostile]);
    assert!(!svg.contains('\x1b') && !svg.contains("</script>::"), "{svg}");
}
