use super::*;

#[test]
fn durations_have_three_digits() {
    let shown = [0, 850, 999, 1_000, 9_996, 99_960, 999_499, 999_500, 3_104_000, 412_000_000]
        .map(duration)
        .join(" | ");
    assert_eq!(
        shown,
        "0 ns | 850 ns | 999 ns | 1.00 µs | 10.0 µs | 100 µs | 999 µs | 1.00 ms | 3.10 ms | 412 ms"
    );
    assert_eq!(duration(1_250_000_000), "1.25 s");
    assert_eq!(duration(1_250_000_000_000), "1,250 s");
    assert_eq!(duration(u64::MAX), "18,446,744,074 s");
}

#[test]
fn counts_part_their_thousands() {
    assert_eq!(
        [0, 999, 1_000, 43_120, 1_234_567].map(count),
        ["0", "999", "1,000", "43,120", "1,234,567"]
    );
}

#[test]
fn a_share_hides_no_remainder() {
    let shown = [(0, 0), (0, 5), (5, 0), (1, 10_000), (24, 1_000), (61, 100), (9_999, 10_000)]
        .map(|(part, whole)| percent(part, whole));
    assert_eq!(shown, ["0 %", "0 %", "0 %", "<0.1 %", "2.4 %", "61 %", ">99 %"]);
    assert_eq!(percent(7, 7), "100 %");
}
