use super::*;

#[test]
fn a_cut_keeps_a_column_for_its_ellipsis() {
    assert_eq!(fit("compactor", 9), "compactor");
    assert_eq!(fit("compactor", 5), "comp…");
    assert_eq!(fit("界界界", 5), "界界…");
    assert_eq!(fit("界界界", 4), "界…");
    let line = Line::new().plain("abc").add(Paint::Bold, "def").plain("ghi");
    let cuts = [9, 8, 7, 6, 5, 4, 3, 2, 1].map(|columns| line.render(columns, false));
    assert_eq!(
        cuts,
        ["abcdefghi", "abcdefg…", "abcdef…", "abcde…", "abcd…", "abc…", "ab…", "a…", "…"]
    );
}

#[test]
fn a_bar_shows_any_part_and_never_more_than_the_whole() {
    let bars =
        [(0, 8), (1, 800), (1, 8), (4, 8), (8, 8), (9, 8)].map(|(part, whole)| bar(part, whole, 4));
    assert_eq!(bars, ["    ", "▏   ", "▌   ", "██  ", "████", "████"]);
    assert_eq!(bar(0, 0, 2), "  ");
    assert_eq!(bar(1, 1, 0), "");
}

#[test]
fn sentences_wrap_between_words() {
    let lines = wrap(Paint::Plain, "one two three four", 9);
    let shown: Vec<_> = lines.iter().map(|line| line.render(9, false)).collect();
    assert_eq!(shown, ["one two", "  three", "  four"]);
}
