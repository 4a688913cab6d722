use expect_test::{Expect, expect};

use crate::fixture::tiles;

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tiles(text));
}

#[test]
fn a_name_holds_until_the_next_one() {
    check(
        "50 cpu0 slice bash 10
         60 cpu0 task bash=make
         100 cpu0 wait victim 20..20 bash 50",
        expect![[r#"
            victim 80: foreign:bash@0=30 foreign:make@0=50
        "#]],
    );
}

#[test]
fn the_first_name_holds_for_what_came_before() {
    check(
        "50 cpu0 slice ?x 10
         100 cpu0 wait victim 20..20 ?x 50
         600 cpu1 task ?x=late",
        expect![[r#"
            victim 80: foreign:late@0=80
        "#]],
    );
}

#[test]
fn nameless_tasks_are_numbers() {
    check(
        "100 cpu0 wait ?victim 20..20 ?x 10",
        expect![[r#"
            tid 2 80: unknown:tid 1@0=80
        "#]],
    );
}

#[test]
fn a_name_of_its_own_instant_holds() {
    check(
        "50 cpu0 task a=b
         50 cpu0 wait victim 20..20 a 10",
        expect![[r#"
            victim 30: foreign:b@0=30
        "#]],
    );
}
