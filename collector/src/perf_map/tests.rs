use super::*;

/// What stands at an address, and how many lines were skipped.
#[track_caller]
fn check(text: &str, address: u64, expected: Option<&str>, skipped: u64) {
    let map = PerfMap::parse(text.as_bytes());
    assert_eq!(map.lookup(address).map(Untrusted::raw), expected, "{text:?}");
    assert_eq!(map.skipped(), skipped, "{text:?}");
}

#[test]
fn an_address_is_in_the_piece_that_holds_it() {
    let text = "2000 10 second\n1000 40 first one\n";
    check(text, 0x0fff, None, 0);
    check(text, 0x1000, Some("first one"), 0);
    check(text, 0x103f, Some("first one"), 0);
    check(text, 0x1040, None, 0);
    check(text, 0x200f, Some("second"), 0);
    check(text, u64::MAX, None, 0);
    check("", 0, None, 0);
}

#[test]
fn numbers_are_hexadecimal_with_or_without_saying_so() {
    check("0x1000 0xA f\n", 0x1009, Some("f"), 0);
    check("DEADbeef 1 f\n", 0xdead_beef, Some("f"), 0);
}

#[test]
fn a_later_line_replaces_an_earlier_one() {
    check("1000 40 old\n1000 20 new\n", 0x1010, Some("new"), 0);
    check("1000 40 old\n1000 20 new\n", 0x1030, None, 0);
}

#[test]
fn what_does_not_hold_is_skipped_and_counted() {
    for line in [
        "",
        " ",
        "1000",
        "1000 40",
        "1000 40 ",
        "xyz 40 f",
        "1000 xyz f",
        "+1000 40 f",
        "-1 40 f",
        "1000 0 f",
        "ffffffffffffffff 40 f",
        "11112222333344445 40 f",
        "0x 40 f",
        "1000\t40\tf",
    ] {
        check(&format!("{line}\n"), 0x1000, None, 1);
    }
}

#[test]
fn a_line_still_being_written_is_not_believed() {
    check("1000 40 whole\n2000 40 hal", 0x2000, None, 1);
}

#[test]
fn names_are_bytes_of_anybody() {
    let map = PerfMap::parse(b"1000 40 \x1b]0;x\x07\xff\r\n");
    assert_eq!(map.lookup(0x1000).unwrap().raw(), "\u{1b}]0;x\u{7}\u{fffd}");
}

#[test]
fn lines_past_the_cap_are_counted() {
    let text = b"1000 40 f\n".repeat(LINES_MAX + 3);
    let map = PerfMap::parse(&text);
    assert_eq!((map.len(), map.skipped()), (1, 3));
}

#[test]
fn bytes_past_the_cap_are_not_read() {
    let mut text = b"1000 40 f\n".to_vec();
    text.resize(BYTES_MAX, b'x');
    text.extend_from_slice(b"\n2000 40 g\n");
    let map = PerfMap::parse(&text);
    assert_eq!((map.len(), map.skipped()), (1, 1));
    assert_eq!(map.lookup(0x2000), None);
}
