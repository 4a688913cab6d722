use super::*;
use crate::claim::Bid;

fn job() -> JobId {
    JobId::new("t", "j").unwrap()
}

fn claim_of(owner: &str, bid: u128) -> Claim {
    let lease = Duration::from_nanos(10);
    Claim { owner: owner.into(), bid: Bid(bid), fingerprint: None, lease, sole: true }
}

fn begin(nominal: i64, after: i64, guard: Option<Guard>) -> Act {
    let key = Key::firing(&job(), Utc(nominal), 0);
    let decides = Some((Utc(after), Utc(nominal)));
    Act::Begin { job: job(), key, claim: claim_of("a", 1), decides, guard }
}

fn entry(state: State) -> Entry {
    Entry { fence: Fence(4), attempt: 2, fingerprint: None, state, since: Utc(0) }
}

fn in_flight(owner: &str) -> Entry {
    entry(State::InFlight { owner: owner.into(), bid: Bid(9), until: Utc(1000) })
}

fn failed() -> Entry {
    entry(State::Failed { why: "no".into() })
}

fn done() -> Entry {
    entry(State::Done { result: "well".into() })
}

#[test]
fn a_firing_and_its_cursor_are_one() {
    let seen = Seen { course: Some(Course::new(Utc(0))), ..Seen::default() };
    let outcome = begin(5, 0, None).on(&seen);
    assert_eq!(outcome.course, Change::Set(Course::new(Utc(5))));
    assert_eq!(outcome.entries.len(), 1);
    // One that begins before an older one leaves the cursor where it is.
    let Change::Set(course) = begin(9, 5, None).on(&seen).course else { panic!("no course") };
    assert_eq!((course.cursor(), course.ahead()), (Utc(0), &[(Utc(5), Utc(9))][..]));
}

#[test]
fn what_is_done_is_decided_and_not_begun() {
    let course = Some(Course::new(Utc(0)));
    let seen = Seen { course, entry: Some(done()), ..Seen::default() };
    let outcome = begin(5, 0, None).on(&seen);
    let refusal = Refusal::Done { result: "well".into() };
    assert_eq!(outcome.reply, Reply::Verdict(Verdict::Refused(refusal)));
    assert_eq!(outcome.course, Change::Set(Course::new(Utc(5))));
    assert_eq!(outcome.entries, []);
}

#[test]
fn without_its_guard_nothing_is_done() {
    let lease = Key::lease("t", "shard 1").unwrap();
    let guard = |fence| Some(Guard { key: lease.clone(), fence: Fence(fence) });
    let acts = |guard: &Option<Guard>| {
        let (job, owner, guard) = (job(), Arc::<str>::from("a"), guard.clone());
        [
            begin(5, 0, guard.clone()),
            Act::Join { job: job.clone(), now: Utc(0), owner: owner.clone(), guard: guard.clone() },
            Act::Skip { job: job.clone(), after: Utc(0), through: Utc(9), guard: guard.clone() },
            Act::Forget { job, owner, guard },
        ]
    };
    let fenced = Outcome::only(Reply::Verdict(Verdict::Refused(Refusal::Fenced)));
    for (fence, held, is_fenced) in [
        (4, Some(in_flight("a")), false),
        (3, Some(in_flight("b")), true),
        (5, Some(in_flight("a")), true),
        (4, Some(failed()), true),
        (4, None, true),
    ] {
        for act in acts(&guard(fence)) {
            assert_eq!(act.wants().guard, Some(&lease));
            let seen = Seen { guard: held.clone(), open: vec![], ..Seen::default() };
            assert_eq!(act.on(&seen) == fenced, is_fenced, "{act:?} {held:?}");
        }
    }
}

#[test]
fn who_joins_is_told_what_others_left() {
    let key = |nominal| Key::firing(&job(), Utc(nominal), 0);
    let trigger = std::num::NonZeroU64::new(3);
    let triggered = Key::trigger(&job(), Utc(8), trigger.unwrap(), 0);
    let open = vec![
        (triggered, failed()),
        (key(7), in_flight("a")),
        (key(6), in_flight("b")),
        (key(5), failed()),
    ];
    let seen = Seen { course: Some(Course::new(Utc(4))), open, now: Utc(50), ..Seen::default() };
    let act = Act::Join { job: job(), now: Utc(99), owner: "a".into(), guard: None };
    assert!(act.wants().open);
    let open = |nominal, trigger| Open { nominal: Utc(nominal), trigger, attempt: 2 };
    let open = vec![open(5, None), open(6, None), open(8, trigger)];
    assert_eq!(act.on(&seen), Outcome::only(Reply::Joined { cursor: Utc(4), open }));
    // One that was never seen begins now, and is seen from now on.
    let outcome = act.on(&Seen::default());
    assert_eq!(outcome.reply, Reply::Joined { cursor: Utc(99), open: vec![] });
    assert_eq!(outcome.course, Change::Set(Course::new(Utc(99))));
}

#[test]
fn what_is_forgotten_leaves_nothing_open() {
    let key = |nominal| Key::firing(&job(), Utc(nominal), 0);
    let open = vec![(key(5), failed()), (key(6), in_flight("b")), (key(7), in_flight("a"))];
    let seen = Seen { course: Some(Course::new(Utc(4))), open, now: Utc(50), ..Seen::default() };
    let act = Act::Forget { job: job(), owner: "a".into(), guard: None };
    let outcome = act.on(&seen);
    assert_eq!(outcome.course, Change::Drop);
    let keys: Vec<_> = outcome.entries.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, [key(5), key(6)]);
    assert!(outcome.entries.iter().all(|(_, e)| matches!(e.state, State::Done { .. })));
    // A firing of it that was on its way begins, and makes no course.
    assert_eq!(begin(9, 4, None).on(&Seen::default()).course, Change::None);
}
