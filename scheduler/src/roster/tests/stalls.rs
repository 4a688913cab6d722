//! A desk without room: bounded memory, nothing lost, and the wheel goes on.

use super::*;

#[test]
fn what_finds_no_room_stays_due() {
    let mut table = Table::new(Utc(0));
    table.capacity = 1;
    table.takes = 10 * SECOND;
    for _ in 0..3 {
        table.add_shot(Some(Mono(0) + SECOND), Utc(0) + SECOND, 1);
    }
    table.run_for(SECOND);
    assert!(table.roster.is_stalled());
    assert_eq!(table.started.len(), 1);
    table.run_for(30 * SECOND);
    let at: Vec<_> = table.started.iter().map(|s| s.at).collect();
    assert_eq!(at, [1, 11, 21].map(|second| Mono(0) + second * SECOND));
    assert!(table.started.iter().all(|s| s.firing.due == Mono(0) + SECOND));
}

#[test]
fn a_pool_that_never_returns_costs_no_memory() {
    let mut table = Table::new(Utc(0));
    table.capacity = 10;
    table.takes = Duration::from_hours(1000);
    for _ in 0..50 {
        let policy = Policy { overlap: Overlap::Allow, ..Policy::default() };
        table.add(every("* * * * * *", policy));
    }
    table.run_for(MINUTE);
    let held = crate::allocations::held();
    table.run_for(10 * MINUTE);
    assert_eq!((table.started.len(), table.roster.jobs()), (10, 50));
    assert!(crate::allocations::held() - held < 1 << 20);
    assert!(table.roster.is_stalled());
}

#[test]
fn a_retry_waits_for_room_too() {
    let mut table = Table::new(Utc(0));
    let retry = Retry { attempts: 2, base: SECOND, cap: SECOND, rejected: false };
    table.fails = true;
    let options = JobOptions { retry, ..JobOptions::default() };
    table.add(recurring(Spec::parse("@every 1h").unwrap(), options));
    table.run_for(60 * MINUTE);
    table.capacity = 0;
    table.run_for(10 * SECOND);
    assert!(table.roster.is_stalled());
    table.capacity = 1;
    table.run_for(SECOND);
    let attempts: Vec<_> = table.started.iter().map(|s| s.firing.attempt).collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(table.roster.busy(), 0);
}

/// After an hour without room the policy judges what is left of it.
#[test]
fn the_misfire_policy_judges_what_waited_for_room() {
    let mut table = Table::new(Utc(0));
    table.add(every("* * * * *", Policy { grace: 30 * SECOND, ..Policy::default() }));
    table.capacity = 0;
    table.run_for(60 * MINUTE + 40 * SECOND);
    table.capacity = 1;
    table.run_for(Duration::ZERO);
    assert_eq!(table.started.len(), 1);
    assert_eq!(table.started[0].firing.nominal, Utc(0) + 60 * MINUTE);
    let skipped: u64 = table.skipped.iter().map(|skipped| skipped.count).sum();
    assert_eq!(skipped, 59);
}
