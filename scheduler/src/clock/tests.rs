use std::thread;
use std::time::Duration;

use super::*;

/// Both clocks keep what a shard relies on.
fn wakes_for_a_notification(clock: &dyn Clock) {
    let mut sleeper = clock.sleeper().unwrap();
    let notifier = sleeper.notifier();
    notifier.notify();
    sleeper.sleep(None);
    let other = thread::spawn(move || notifier.notify());
    sleeper.sleep(None);
    other.join().unwrap();
}

#[test]
fn a_notification_ends_a_sleep() {
    wakes_for_a_notification(&SystemClock);
    wakes_for_a_notification(&FakeClock::new(Utc(0)));
}

#[test]
fn a_sleep_ends_at_its_instant() {
    let mut sleeper = SystemClock.sleeper().unwrap();
    let until = SystemClock.mono() + Duration::from_millis(2);
    let mut returns = 0;
    while SystemClock.mono() < until {
        sleeper.sleep(Some(until));
        returns += 1;
    }
    assert!(returns < 100, "it spins");
    // An instant that has passed is no sleep.
    sleeper.sleep(Some(Mono(0)));
    sleeper.sleep(Some(until));
}

#[test]
fn a_fake_sleep_ends_when_its_clock_is_moved() {
    let clock = FakeClock::new(Utc(0));
    let mut sleeper = clock.sleeper().unwrap();
    let moves: [fn(&FakeClock); 3] = [
        |clock| clock.advance(Duration::from_secs(1)),
        |clock| clock.step(-1),
        |clock| clock.suspend(Duration::from_secs(1)),
    ];
    for (number, change) in moves.into_iter().enumerate() {
        let until = if number == 0 { Mono(1_000_000_000) } else { Mono(u64::MAX) };
        let clock = clock.clone();
        let other = thread::spawn(move || change(&clock));
        sleeper.sleep(Some(until));
        other.join().unwrap();
    }
    assert_eq!(clock.read().boot_ns, 2_000_000_000);
}

#[test]
fn the_systems_clocks_go_together() {
    let first = SystemClock.read();
    let second = SystemClock.read();
    assert!(second.mono >= first.mono && second.boot_ns >= first.boot_ns);
    assert!(second.utc > Utc(1_700_000_000_000_000_000));
}
