use expect_test::{Expect, expect};

use crate::fixture::{capture, oddities, tiles};
use crate::{Options, analyse};

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(text));
}

#[test]
fn wait_after_wait() {
    check(
        "100 cpu0 wait victim 60..70 hog 40
         200 cpu0 wait victim 150..150 hog 140 preempted",
        expect![[r#"
            victim 50: foreign:hog@0=50
            victim 40: placement=10 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn overlapping_waits_are_not_counted_twice() {
    check(
        "100 cpu0 wait victim 60..70 hog 40
         200 cpu0 wait victim 90..95 hog 140",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
            open_unknown 1
            overlapping_waits 1
        "#]],
    );
}

#[test]
fn waits_that_cannot_be() {
    check(
        "100 cpu0 wait victim 160..170 hog 40",
        expect![[r#"
        open_unknown 1
        backward_wait 1
    "#]],
    );
    check(
        "100 cpu0 wait victim 60..50 hog 40",
        expect![[r#"
        open_unknown 1
        queued_outside_wait 1
    "#]],
    );
    check(
        "100 cpu0 wait victim 60..101 hog 40",
        expect![[r#"
        open_unknown 1
        queued_outside_wait 1
    "#]],
    );
    check(
        "100 cpu0 wait victim 60..70 hog 40 opening=0",
        expect![[r#"
        open_unknown 1
        unknown_opening 1
    "#]],
    );
    check(
        "100 cpu0 wait idle 60..70 hog 40",
        expect![[r#"
        open_unknown 1
        idle_victim 1
    "#]],
    );
    check(
        "window 0..9000000000000000000
         8000000000000000000 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            open_unknown 1
            implausible_wait 1
        "#]],
    );
}

#[test]
fn an_open_wait_is_censored_at_the_end_of_the_window() {
    check(
        "1000 cpu0 open victim 900..910",
        expect![[r#"
        censored 1 sum 100 max 100
    "#]],
    );
    check(
        "1010 cpu0 open victim 900..910",
        expect![[r#"
        censored 1 sum 100 max 100
    "#]],
    );
    check(
        "1010 cpu0 open victim 900..1005",
        expect![[r#"
        censored 1 sum 100 max 100
    "#]],
    );
    check("1010 cpu0 open victim 1002..1005", expect![[r#""#]]);
}

#[test]
fn a_wait_that_ends_after_the_window_is_censored_once() {
    check(
        "1010 cpu0 wait victim 900..910 hog 40",
        expect![[r#"
        censored 1 sum 100 max 100
    "#]],
    );
    check(
        "1005 cpu0 open victim 900..910
         1010 cpu0 wait victim 900..910 hog 40",
        expect![[r#"
            censored 1 sum 100 max 100
        "#]],
    );
    check(
        "1010 cpu0 wait victim 900..910 hog 40
         1015 cpu0 open victim 1012..1013",
        expect![[r#"
            censored 1 sum 100 max 100
        "#]],
    );
}

#[test]
fn the_true_end_counts_and_not_the_supposed_one() {
    check(
        "80 cpu0 open victim 60..70
         100 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
            closed_after_open 1
        "#]],
    );
}

#[test]
fn nothing_follows_an_open_wait() {
    check(
        "80 cpu0 open victim 60..70
         100 cpu0 wait victim 85..90 hog 40",
        expect![[r#"
            victim 15: placement=5 foreign:hog@0=10
            censored 1 sum 20 max 20
            wait_after_open 1
        "#]],
    );
    check(
        "80 cpu0 open victim 60..70\n 90 cpu0 open victim 60..70",
        expect![[r#"
        censored 1 sum 20 max 20
        opened_twice 1
    "#]],
    );
    check(
        "80 cpu0 open victim 60..70\n 90 cpu0 unopened victim",
        expect![[r#"
        censored 1 sum 20 max 20
        open_unknown 1
        switched_in_after_open 1
    "#]],
    );
    check(
        "80 cpu0 open victim 60..70\n 90 cpu0 unseen victim 60..70",
        expect![[r#"
        censored 1 sum 20 max 20
        close_unknown 1
        closed_after_open 1
    "#]],
    );
    check(
        "80 cpu0 open victim 60..70\n 90 cpu0 move victim 0>1",
        expect![[r#"
        censored 1 sum 20 max 20
        move_after_open 1
        stray_move 1
    "#]],
    );
}

#[test]
fn an_open_wait_that_began_before_the_last_one_ended() {
    check(
        "100 cpu0 wait victim 60..70 hog 40
         1000 cpu0 open victim 90..90",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
            censored 1 sum 910 max 910
            overlapping_waits 1
        "#]],
    );
}

#[test]
fn unseen_ends_are_never_a_length() {
    check(
        "100 cpu0 unseen victim 60..70",
        expect![[r#"
        close_unknown 1
    "#]],
    );
    check(
        "100 cpu0 wait victim 60..70 hog 40
         120 cpu0 unseen victim 90..90",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
            close_unknown 1
            overlapping_waits 1
        "#]],
    );
    check(
        "100 cpu0 unseen victim 60..70
         120 cpu0 wait victim 90..90 hog 40",
        expect![[r#"
            open_unknown 1
            close_unknown 1
            overlapping_waits 1
        "#]],
    );
}

#[test]
fn a_switch_in_without_an_opening_is_never_a_length() {
    check(
        "100 cpu0 unopened victim",
        expect![[r#"
        open_unknown 1
    "#]],
    );
}

#[test]
fn a_switch_in_inside_a_wait() {
    check(
        "80 cpu0 unopened victim
         100 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            open_unknown 2
            overlapping_waits 1
        "#]],
    );
}

#[test]
fn stray_moves() {
    check(
        "50 cpu0 move victim 0>1",
        expect![[r#"
        stray_move 1
    "#]],
    );
    check(
        "50 cpu0 move victim 0>1\n 60 cpu0 unopened victim",
        expect![[r#"
        open_unknown 1
        stray_move 1
    "#]],
    );
    check(
        "50 cpu0 move victim 0>1
         100 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
            stray_move 1
        "#]],
    );
}

#[test]
fn a_wait_without_a_record_leaves_its_moves() {
    check(
        "floor 20
         50 cpu0 move victim 0>1
         100 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn the_window_is_about_ends() {
    check(
        "window 100..1000
         50 cpu0 wait victim 20..30 hog 10
         60 cpu0 unopened victim
         70 cpu0 move victim 0>1
         120 cpu0 wait other 90..95 hog 50",
        expect![[r#"
            other 30: placement=5 foreign:hog@0=25
        "#]],
    );
}

#[test]
fn a_torn_capture_ends_with_its_last_record() {
    check(
        "100 cpu0 wait victim 60..70 hog 40
         torn",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn a_trailer_without_an_end_is_no_end() {
    check(
        "window 0..0\n 100 cpu0 wait victim 60..70 hog 40",
        expect![[r#"
            victim 40: placement=10 foreign:hog@0=30
        "#]],
    );
}

#[test]
fn a_tid_used_again_is_another_victim() {
    // As one victim their waits would overlap.
    check(
        "100 cpu0 wait one~9 60..70 hog 40
         110 cpu1 wait two~9 80..80 hog 40",
        expect![[r#"
            one 40: placement=10 foreign:hog@0=30
            two 30: foreign:hog@1=30
        "#]],
    );
}

#[test]
fn filters_are_exact_and_about_the_victim() {
    let scene = "10 cpu0 task web/nginx
         10 cpu0 task db/postgres
         100 cpu0 wait web 60..70 hog 40
         200 cpu0 wait db 120..120 web 100
         210 cpu1 unopened db
         1000 cpu1 open db 900..900";
    let with = |process: Option<&str>, thread: Option<&str>| {
        let process = process.map(str::to_owned);
        let thread = thread.map(str::to_owned);
        let options = Options { process, thread, ..Options::default() };
        let report = analyse(&capture(scene), &options);
        format!("{} waits\n{}", report.waits, oddities(&report))
    };
    expect![[r#"
        2 waits
        censored 1 sum 100 max 100
        open_unknown 1
    "#]]
    .assert_eq(&with(None, None));
    expect![[r#"
        1 waits
    "#]]
    .assert_eq(&with(Some("nginx"), None));
    expect![[r#"
        0 waits
    "#]]
    .assert_eq(&with(Some("ngin"), None));
    expect![[r#"
        1 waits
        censored 1 sum 100 max 100
        open_unknown 1
    "#]]
    .assert_eq(&with(None, Some("db")));
    expect![[r#"
        0 waits
    "#]]
    .assert_eq(&with(Some("nginx"), Some("db")));
}
