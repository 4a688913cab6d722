use super::*;
use crate::journal::{EventId, Payload};
use cronx_scheduler::Utc;

fn page(text: &str) -> Vec<Event> {
    let event = |(place, name): (usize, char)| Event {
        position: Position(place as i64 + 1),
        id: EventId(place as u128 + 1),
        aggregate: name.to_string(),
        version: 1,
        who: "w".to_owned(),
        what: "w".to_owned(),
        trace: None,
        at: Utc(0),
        payload: Payload::parse("1").unwrap(),
    };
    text.chars().enumerate().map(event).collect()
}

/// Each wave as the places of its events.
fn check(text: &str, keeps_order: bool, expected: &str) {
    let page = page(text);
    let mut fates = vec![Fate::Open; page.len()];
    let mut waves = Vec::new();
    loop {
        let wave = wave(&page, &fates, keeps_order);
        if wave.is_empty() {
            break;
        }
        for place in &wave {
            fates[*place] = Fate::Taken;
        }
        waves.push(wave.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(waves.join(", "), expected, "{text}");
}

#[test]
fn a_wave_has_one_of_each_aggregate() {
    check("aabac", false, "0 2 4, 1, 3");
    check("aabac", true, "0 1 2 3 4");
    check("abc", false, "0 1 2");
    check("", false, "");
}

#[test]
fn what_follows_a_refused_one_is_a_dead_letter_too() {
    let page = page("abaa");
    let mut fates = vec![Fate::Taken, Fate::Open, Fate::Open, Fate::Open];
    bury(&page, &mut fates, 2, "too long".to_owned());
    let follows = "it comes after 3, which was refused".to_owned();
    let dead = Fate::Dead("too long".to_owned());
    assert_eq!(fates, [Fate::Taken, Fate::Open, dead, Fate::Dead(follows)]);
}

#[test]
fn a_wait_is_anything_up_to_twice_the_one_before() {
    let options = Options::default();
    for (failures, most) in [(1, 1), (2, 2), (6, 32), (7, 60), (8, 60), (33, 60), (u32::MAX, 60)] {
        let most = Duration::from_secs(most);
        let last = most.as_nanos() as u64;
        assert_eq!(backoff(&options, failures, last), most, "{failures}");
        assert_eq!(backoff(&options, failures, last + 1), Duration::ZERO, "{failures}");
    }
    let none = Options { first: Duration::ZERO, ..options };
    assert_eq!(backoff(&none, 3, 7), Duration::ZERO);
}

#[test]
fn a_reason_is_what_every_store_takes() {
    assert_eq!(kept("422: no"), "422: no");
    assert_eq!(kept("a\0b"), "a\u{fffd}b");
    for letter in ["x", "\0", "é", "\u{1f4a9}"] {
        let kept = kept(&("a".to_owned() + &letter.repeat(5000)));
        assert!((REASON_MOST - 3..=REASON_MOST).contains(&kept.len()), "{}", kept.len());
    }
}
