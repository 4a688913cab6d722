use super::*;
use proptest::prelude::*;

const LEASE: Duration = Duration::from_nanos(10);

fn bid(owner: &str, bid: u128) -> Claim {
    Claim { owner: owner.into(), bid: Bid(bid), fingerprint: None, lease: LEASE, sole: false }
}

/// A key and the time, with what is asked of it in words.
#[derive(Default)]
struct Desk {
    entry: Option<Entry>,
    now: Utc,
}

impl Desk {
    fn keep(&mut self, (verdict, entry): Ruled) -> Verdict {
        self.entry = entry.or(self.entry.take());
        verdict
    }

    fn claim(&mut self, wanted: &Claim) -> Verdict {
        let ruled = claim(self.entry.as_ref(), wanted, self.now);
        self.keep(ruled)
    }

    fn granted(&mut self, wanted: &Claim) -> Fence {
        match self.claim(wanted) {
            Verdict::Granted { fence, .. } => fence,
            other => panic!("{other:?}"),
        }
    }

    fn renew(&mut self, fence: Fence) -> Verdict {
        let ruled = renew(self.entry.as_ref(), fence, LEASE, self.now);
        self.keep(ruled)
    }

    fn complete(&mut self, fence: Fence, result: &str) -> Verdict {
        let ruled = complete(self.entry.as_ref(), fence, &result.into(), self.now);
        self.keep(ruled)
    }

    fn fail(&mut self, fence: Fence) -> Verdict {
        let ruled = fail(self.entry.as_ref(), fence, &"no".into(), self.now);
        self.keep(ruled)
    }
}

fn in_flight(owner: &str, until: i64) -> Verdict {
    Verdict::Refused(Refusal::InFlight { owner: owner.into(), until: Utc(until) })
}

fn done(result: &str) -> Verdict {
    Verdict::Refused(Refusal::Done { result: result.into() })
}

fn lost(fence: u64) -> Verdict {
    Verdict::Refused(Refusal::Lost { fence: Some(Fence(fence)) })
}

#[test]
fn one_has_it_until_it_is_done() {
    let mut desk = Desk::default();
    assert_eq!(desk.claim(&bid("a", 1)), Verdict::Granted { fence: Fence(1), attempt: 1 });
    assert_eq!(desk.claim(&bid("b", 2)), in_flight("a", 10));
    assert_eq!(desk.complete(Fence(1), "well"), Verdict::Kept);
    assert_eq!(desk.claim(&bid("b", 3)), done("well"));
    assert_eq!(desk.claim(&bid("a", 1)), done("well"));
}

#[test]
fn a_fence_is_above_the_last_and_above_the_time() {
    let mut desk = Desk { now: Utc(100_000), ..Desk::default() };
    assert_eq!(desk.granted(&bid("a", 1)), Fence(101));
    desk.now = Utc(100_010);
    assert_eq!(desk.granted(&bid("b", 1)), Fence(102));
    desk.now = Utc(110_000);
    assert_eq!(desk.granted(&bid("c", 1)), Fence(111));
    // The store let it go, or came back without it.
    desk.entry = None;
    desk.now = Utc(111_000);
    assert_eq!(desk.granted(&bid("d", 1)), Fence(112));
    // A clock that was put back.
    desk.now = Utc(-1);
    assert_eq!(desk.claim(&bid("e", 1)), in_flight("d", 111_010));
    desk.fail(Fence(112));
    assert_eq!(desk.granted(&bid("e", 1)), Fence(113));
}

#[test]
fn a_question_asked_twice_has_one_answer() {
    let mut desk = Desk::default();
    let granted = desk.claim(&bid("a", 1));
    desk.now = Utc(5);
    assert_eq!(desk.claim(&bid("a", 1)), granted);
    // Another question of the same owner is another.
    assert_eq!(desk.claim(&bid("a", 2)), in_flight("a", 10));
    // And somebody else's with that number is not his.
    assert_eq!(desk.claim(&bid("b", 1)), in_flight("a", 10));
    for _ in 0..2 {
        assert_eq!(desk.complete(Fence(1), "well"), Verdict::Kept);
    }
    assert_eq!(desk.complete(Fence(1), "otherwise"), lost(1));
    assert_eq!(desk.fail(Fence(1)), lost(1));
}

#[test]
fn a_lapsed_lease_is_anybodys() {
    let mut desk = Desk::default();
    let old = desk.granted(&bid("a", 1));
    desk.now = Utc(9);
    assert_eq!(desk.claim(&bid("b", 2)), in_flight("a", 10));
    desk.now = Utc(10);
    let new = desk.granted(&bid("b", 2));
    assert!(new > old);
    for refused in [desk.renew(old), desk.complete(old, "late"), desk.fail(old)] {
        assert_eq!(refused, lost(new.0));
    }
    assert_eq!(desk.complete(new, "well"), Verdict::Kept);
}

#[test]
fn a_slow_owner_renews() {
    let mut desk = Desk::default();
    let fence = desk.granted(&bid("a", 1));
    for now in [5, 12, 20] {
        desk.now = Utc(now);
        assert_eq!(desk.renew(fence), Verdict::Kept);
        assert_eq!(desk.claim(&bid("b", 2)), in_flight("a", now + 10));
    }
    // Too late, and yet nobody was quicker.
    desk.now = Utc(100);
    assert_eq!(desk.renew(fence), Verdict::Kept);
    assert_eq!(desk.claim(&bid("b", 2)), in_flight("a", 110));
    desk.now = Utc(500);
    assert_eq!(desk.complete(fence, "well"), Verdict::Kept);
}

#[test]
fn a_clock_that_goes_back_shortens_no_lease() {
    let mut desk = Desk { now: Utc(100), ..Desk::default() };
    let fence = desk.granted(&bid("a", 1));
    desk.now = Utc(50);
    assert_eq!(desk.renew(fence), Verdict::Kept);
    assert_eq!(desk.claim(&bid("b", 2)), in_flight("a", 110));
}

#[test]
fn what_failed_can_be_tried_again() {
    let mut desk = Desk::default();
    let first = desk.granted(&bid("a", 1));
    assert_eq!(desk.fail(first), Verdict::Kept);
    assert_eq!(desk.fail(first), Verdict::Kept);
    assert_eq!(desk.renew(first), lost(1));
    assert_eq!(desk.complete(first, "after all"), lost(1));
    assert_eq!(desk.claim(&bid("b", 2)), Verdict::Granted { fence: Fence(2), attempt: 2 });
}

#[test]
fn who_is_alone_waits_for_no_lease_but_his_own() {
    let mut desk = Desk::default();
    desk.granted(&bid("a", 1));
    let alone = Claim { sole: true, ..bid("b", 2) };
    assert_eq!(desk.granted(&alone), Fence(2));
    let again = Claim { sole: true, ..bid("b", 3) };
    assert_eq!(desk.claim(&again), in_flight("b", 10));
}

#[test]
fn another_request_under_the_key_is_refused() {
    let with = |text: &str, claim: Claim| {
        let fingerprint = Some(Fingerprint::of(text.as_bytes()));
        Claim { fingerprint, ..claim }
    };
    let mut desk = Desk::default();
    let fence = desk.granted(&with("pay 5", bid("a", 1)));
    let mismatch = Verdict::Refused(Refusal::Mismatch);
    assert_eq!(desk.claim(&with("pay 6", bid("b", 2))), mismatch);
    desk.now = Utc(1000);
    assert_eq!(desk.claim(&with("pay 6", bid("b", 2))), mismatch);
    assert_eq!(desk.complete(fence, "paid"), Verdict::Kept);
    assert_eq!(desk.claim(&with("pay 6", bid("b", 2))), mismatch);
    assert_eq!(desk.claim(&with("pay 5", bid("b", 3))), done("paid"));
    assert_eq!(desk.claim(&bid("b", 4)), done("paid"));
}

#[test]
fn nobody_has_what_is_absent() {
    let absent = (Verdict::Refused(Refusal::Lost { fence: None }), None);
    assert_eq!(renew(None, Fence(1), LEASE, Utc(0)), absent);
    assert_eq!(complete(None, Fence(1), &"x".into(), Utc(0)), absent);
    assert_eq!(fail(None, Fence(1), &"x".into(), Utc(0)), absent);
    assert!(!holds(None, Fence(1)));
}

#[test]
fn numbers_end_without_a_panic() {
    let state = State::Failed { why: "x".into() };
    let (fence, attempt) = (Fence(u64::MAX), u32::MAX);
    let entry = Entry { fence, attempt, fingerprint: None, state, since: Utc(0) };
    let forever = Claim { lease: Duration::MAX, ..bid("a", 1) };
    let (verdict, entry) = claim(Some(&entry), &forever, Utc::MAX);
    assert_eq!(verdict, Verdict::Granted { fence, attempt });
    assert!(matches!(entry.unwrap().state, State::InFlight { until: Utc::MAX, .. }));
}

/// Anything, in any order, by three owners.
#[derive(Debug, Clone)]
enum Step {
    Claim { owner: u8, bid: u8, sole: bool },
    Renew(u64),
    Complete(u64),
    Fail(u64),
    Wait(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u8, 0..4_u8, proptest::bool::weighted(0.1))
            .prop_map(|(owner, bid, sole)| Step::Claim { owner, bid, sole }),
        (0..6_u64).prop_map(Step::Renew),
        (0..6_u64).prop_map(Step::Complete),
        (0..6_u64).prop_map(Step::Fail),
        (0..15_u8).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Fences only grow, what is done stays so, and what is said with an older fence changes nothing.
    #[test]
    fn whatever_is_asked(steps in proptest::collection::vec(any_step(), 0..40)) {
        let mut desk = Desk::default();
        for step in steps {
            let before = desk.entry.clone();
            let last = before.as_ref().map_or(0, |entry| entry.fence.0);
            let (verdict, said) = match step {
                Step::Claim { owner, bid: number, sole } => {
                    let wanted = bid(&owner.to_string(), number.into());
                    (desk.claim(&Claim { sole, ..wanted }), None)
                }
                Step::Renew(fence) => (desk.renew(Fence(fence)), Some(fence)),
                Step::Complete(fence) => (desk.complete(Fence(fence), "x"), Some(fence)),
                Step::Fail(fence) => (desk.fail(Fence(fence)), Some(fence)),
                Step::Wait(ns) => {
                    desk.now = Utc(desk.now.0 + i64::from(ns));
                    continue;
                }
            };
            let fence = desk.entry.as_ref().map_or(0, |entry| entry.fence.0);
            prop_assert!(fence == last || fence == last + 1);
            if let Some(said) = said.filter(|said| *said != last) {
                prop_assert_eq!(&desk.entry, &before, "{} was said", said);
            }
            if matches!(verdict, Verdict::Refused(_)) {
                prop_assert_eq!(&desk.entry, &before);
            }
            if let Some(Entry { state: State::Done { .. }, .. }) = before {
                prop_assert_eq!(&desk.entry, &before);
            }
        }
    }
}
