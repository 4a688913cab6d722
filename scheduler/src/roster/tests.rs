//! The roster under a clock that a loop moves, beside a model that does the same with lists.

mod by_the_book;
mod day;
mod stalls;
mod table;

use std::time::Duration;

use table::{Table, recurring};

use super::*;
use crate::job::JobOptions;
use crate::policy::{Misfire, Overlap, Policy};
use crate::retry::Retry;
use crate::spec::Spec;
use crate::store::Course;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn every(text: &str, policy: Policy) -> Arc<Core> {
    recurring(Spec::parse(text).unwrap(), JobOptions { policy, ..JobOptions::default() })
}

#[test]
fn a_firing_is_due_at_its_instant() {
    let mut table = Table::new(Utc(0));
    table.add(every("*/5 * * * *", Policy::default()));
    table.run_until(Utc(0) + 11 * MINUTE);
    let expected = [5, 10].map(|minute| (Utc(0) + minute * MINUTE, Mono(0) + minute * MINUTE));
    let started: Vec<_> = table.started.iter().map(|s| (s.firing.nominal, s.firing.due)).collect();
    assert_eq!(started, expected);
    assert!(table.started.iter().all(|s| s.firing.popped == s.firing.due));
}

#[test]
fn one_shots_fire_once_and_are_forgotten() {
    let mut table = Table::new(Utc(0));
    table.add_shot(Some(Mono(0) + SECOND), Utc(0) + SECOND, 1);
    table.add_shot(None, Utc(0) + 2 * SECOND, 2);
    // What is past is due at once.
    table.add_shot(None, Utc(-5), 3);
    table.run_until(Utc(0) + MINUTE);
    assert_eq!(table.started.len(), 3);
    assert_eq!((table.roster.jobs(), table.roster.busy()), (0, 0));
    assert_eq!(table.roster.next_wake(), None);
}

#[test]
fn a_one_shot_by_the_wall_moves_with_it_and_one_by_the_clock_does_not() {
    let mut table = Table::new(Utc(0));
    table.add_shot(Some(Mono(0) + 2 * MINUTE), Utc(0) + 2 * MINUTE, 1);
    table.add_shot(None, Utc(0) + 90 * MINUTE, 2);
    table.step(3_600_000_000_000);
    table.run_for(3 * MINUTE);
    assert_eq!(table.started.len(), 1);
    assert_eq!(table.started[0].firing.due, Mono(0) + 2 * MINUTE);
    table.run_for(28 * MINUTE);
    assert_eq!(table.started[1].firing.due, Mono(0) + 30 * MINUTE);
}

#[test]
fn cancelled_jobs_start_nothing_and_leave_no_timer() {
    let mut table = Table::new(Utc(0));
    let core = every("@every 1s", Policy::default());
    table.add(Arc::clone(&core));
    table.run_for(3 * SECOND);
    assert!(core.turn(Phase::Active, Phase::Cancelled));
    table.ask(Request::Look(core));
    table.run_for(3 * SECOND);
    assert_eq!((table.started.len(), table.roster.jobs()), (3, 0));
    assert_eq!(table.roster.next_wake(), None);
}

#[test]
fn a_cancelled_job_whose_shard_was_not_told_is_found_out() {
    let mut table = Table::new(Utc(0));
    let core = every("@every 1s", Policy::default());
    table.add(Arc::clone(&core));
    assert!(core.turn(Phase::Active, Phase::Cancelled));
    table.run_for(3 * SECOND);
    assert_eq!((table.started.len(), table.roster.jobs()), (0, 0));
}

#[test]
fn what_is_due_in_a_pause_is_left_out() {
    let mut table = Table::new(Utc(0));
    let core = every("@every 1s", Policy::default());
    table.add(Arc::clone(&core));
    table.run_for(2 * SECOND);
    core.turn(Phase::Active, Phase::Paused);
    table.ask(Request::Look(Arc::clone(&core)));
    table.run_for(5 * SECOND);
    table.ask(Request::Resume(core));
    table.run_for(2 * SECOND);
    assert_eq!(table.started.len(), 4);
    let skipped: Vec<_> = table.skipped.iter().map(|s| (s.why, s.count)).collect();
    assert_eq!(skipped, [(Why::Paused, 5)]);
}

#[test]
fn a_trigger_fires_beside_the_schedule_and_is_no_tick_of_it() {
    let mut table = Table::new(Utc(0));
    let core = every("0 * * * *", Policy::default());
    table.add(Arc::clone(&core));
    table.run_for(10 * MINUTE);
    table.ask(Request::Trigger(Arc::clone(&core)));
    table.run_for(51 * MINUTE);
    let started: Vec<_> =
        table.started.iter().map(|s| (s.firing.trigger.is_some(), s.firing.nominal)).collect();
    assert_eq!(started, [(true, Utc(0) + 10 * MINUTE), (false, Utc(0) + 60 * MINUTE)]);
}

#[test]
fn every_decision_says_from_where() {
    let waits = Policy { overlap: Overlap::CancelOther, ..Policy::default() };
    for policy in [waits, Policy { overlap: Overlap::Skip, ..waits }] {
        let mut table = Table::new(Utc(0));
        table.takes = 150 * SECOND;
        table.add(every("* * * * *", policy));
        table.run_for(20 * MINUTE);
        let started = table.started.iter().map(|s| (s.firing.after, s.firing.nominal));
        let skipped = table.skipped.iter().map(|s| (s.after, s.through));
        let mut course = Course::new(Utc(0));
        let mut decisions: Vec<_> = started.chain(skipped).collect();
        decisions.sort();
        assert!(decisions.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{decisions:?}");
        // In any order, they leave no hole.
        decisions.reverse();
        for &(after, through) in &decisions {
            course.decide(after, through);
        }
        assert_eq!(course.ahead(), []);
        assert!(course.cursor() >= Utc(0) + 17 * MINUTE, "{course:?}");
    }
}

#[test]
fn what_the_desk_is_not_told_is_told_with_the_next_decision() {
    let mut table = Table::new(Utc(0));
    let core = every("@every 1s", Policy::default());
    table.add(Arc::clone(&core));
    table.deaf = true;
    core.turn(Phase::Active, Phase::Paused);
    table.ask(Request::Look(Arc::clone(&core)));
    table.run_for(5 * SECOND);
    table.ask(Request::Resume(core));
    table.deaf = false;
    table.run_for(SECOND);
    assert_eq!(table.skipped, []);
    let decided: Vec<_> =
        table.started.iter().map(|s| (s.firing.after, s.firing.nominal)).collect();
    assert_eq!(decided, [(Utc(0), Utc(0) + 6 * SECOND)]);
}

#[test]
fn what_another_began_is_tried_again_at_once() {
    let mut table = Table::new(Utc(0) + MINUTE);
    let core = every("0 * * * *", Policy { overlap: Overlap::Skip, ..Policy::default() });
    let open = |nominal, attempt| Open { nominal, trigger: None, attempt };
    let open = [open(Utc(0), 1), open(Utc(7), u32::MAX)].into();
    table.ask(Request::Add { core: Arc::clone(&core), cursor: Utc(0) + MINUTE, open });
    assert_eq!(core.busy(), 2);
    table.wake();
    let started: Vec<_> =
        table.started.iter().map(|s| (s.firing.nominal, s.firing.attempt)).collect();
    assert_eq!(started, [(Utc(0), 2), (Utc(7), u32::MAX)]);
    table.run_for(SECOND);
    assert_eq!((table.roster.busy(), core.busy()), (0, 0));
}

#[test]
fn failures_are_tried_again_until_the_last() {
    let mut table = Table::new(Utc(0));
    let retry = Retry { attempts: 3, base: 10 * SECOND, cap: MINUTE, rejected: false };
    let options = JobOptions { retry, ..JobOptions::default() };
    table.fails = true;
    table.add(recurring(Spec::parse("0 * * * *").unwrap(), options));
    table.run_for(90 * MINUTE);
    let attempts: Vec<_> =
        table.started.iter().map(|s| (s.firing.attempt, s.firing.nominal)).collect();
    let nominal = Utc(0) + 60 * MINUTE;
    assert_eq!(attempts, [(1, nominal), (2, nominal), (3, nominal)]);
    let due: Vec<_> = table.started.iter().map(|s| s.firing.due).collect();
    assert!(due[1].since(due[0]) <= 11 * SECOND && due[2].since(due[1]) <= 21 * SECOND, "{due:?}");
    assert_eq!(table.roster.busy(), 0);
}

/// A job that failed once and waits an hour for its next attempt.
fn a_failed_one(policy: Policy) -> (Table, Arc<Core>) {
    let mut table = Table::new(Utc(0));
    let retry = Retry { attempts: 3, base: SECOND, cap: SECOND, rejected: false };
    (table.fails, table.earliest) = (true, Mono(0) + 60 * MINUTE);
    let core = recurring(
        Spec::parse("@every 1m").unwrap(),
        JobOptions { policy, retry, ..JobOptions::default() },
    );
    table.add(Arc::clone(&core));
    table.run_for(MINUTE);
    assert_eq!((table.started.len(), table.roster.busy()), (1, 1));
    (table, core)
}

#[test]
fn an_attempt_is_not_made_before_it_is_of_use() {
    let (mut table, _) = a_failed_one(Policy::default());
    table.run_for(58 * MINUTE);
    assert_eq!(table.started.len(), 1);
    table.run_for(2 * MINUTE);
    let again = &table.started[1];
    assert_eq!((again.firing.attempt, again.firing.nominal), (2, Utc(0) + MINUTE));
    assert!(again.at >= table.earliest && again.at <= table.earliest + SECOND);
}

#[test]
fn what_waits_for_another_attempt_is_ended_when_its_job_is_cancelled() {
    let (mut table, core) = a_failed_one(Policy::default());
    assert!(core.turn(Phase::Active, Phase::Cancelled));
    table.ask(Request::Look(Arc::clone(&core)));
    table.wake();
    let ended: Vec<_> = table.cancelled.iter().map(|f| (f.nominal, f.attempt)).collect();
    assert_eq!(ended, [(Utc(0) + MINUTE, 2)]);
    assert_eq!((table.roster.busy(), core.busy(), table.roster.jobs()), (0, 0, 0));
    table.run_for(2 * 60 * MINUTE);
    assert_eq!((table.started.len(), table.cancelled.len()), (1, 1));
}

/// It ended after it was to be tried again, and before anybody could know.
#[test]
fn what_fails_as_its_job_is_cancelled_is_ended_as_that() {
    let mut table = Table::new(Utc(0));
    let retry = Retry { attempts: 3, base: SECOND, cap: SECOND, rejected: false };
    (table.fails, table.takes) = (true, SECOND);
    let options = JobOptions { retry, ..JobOptions::default() };
    let core = recurring(Spec::parse("@every 1m").unwrap(), options);
    table.add(Arc::clone(&core));
    table.run_for(MINUTE);
    assert_eq!((table.started.len(), core.busy()), (1, 1));
    assert!(core.turn(Phase::Active, Phase::Cancelled));
    table.run_for(MINUTE);
    assert_eq!(table.cancelled.iter().map(|f| f.attempt).collect::<Vec<_>>(), [2]);
    assert_eq!((table.started.len(), table.roster.busy(), core.busy()), (1, 0, 0));
}

#[test]
fn what_waits_for_another_attempt_makes_way_for_the_next_firing() {
    let policy = Policy { overlap: Overlap::CancelOther, ..Policy::default() };
    let (mut table, _) = a_failed_one(policy);
    table.run_for(MINUTE);
    assert_eq!(table.cancelled.iter().map(|f| f.attempt).collect::<Vec<_>>(), [2]);
    assert_eq!(table.started[1].firing.nominal, Utc(0) + 2 * MINUTE);
}

#[test]
fn other_attempts_of_a_job_that_is_left_are_not_made_here() {
    let mut table = Table::new(Utc(0));
    let retry = Retry { attempts: 9, base: MINUTE, cap: MINUTE, ..Retry::NEVER };
    let options = JobOptions { retry, ..JobOptions::default() };
    let job = |text| recurring(Spec::parse(text).unwrap(), options.clone());
    let [left, kept] = ["0 * * * *", "@daily"].map(job);
    table.fails = true;
    table.add(Arc::clone(&left));
    table.add(Arc::clone(&kept));
    table.run_until(Utc(0) + 60 * MINUTE);
    assert_eq!((table.started.len(), left.busy()), (1, 1));
    assert!(left.turn(Phase::Active, Phase::Left));
    table.ask(Request::Look(Arc::clone(&left)));
    assert_eq!((left.busy(), table.roster.busy(), table.roster.jobs()), (0, 0, 1));
    // Where it waited, others may.
    table.ask(Request::Trigger(Arc::clone(&kept)));
    table.run_for(30 * MINUTE);
    let attempts: Vec<_> = table.started[1..].iter().map(|s| s.firing.attempt).collect();
    assert_eq!(attempts, (1..=9).collect::<Vec<_>>());
    assert_eq!((kept.busy(), table.roster.busy()), (0, 0));
}

#[test]
fn jitter_is_a_jobs_own_and_moves_no_nominal_instant() {
    let mut table = Table::new(Utc(0));
    let options = JobOptions { jitter: 10 * SECOND, ..JobOptions::default() };
    let core = recurring(Spec::parse("* * * * *").unwrap(), options);
    let jitter = core.jitter();
    assert!(!jitter.is_zero() && jitter < 10 * SECOND);
    table.add(core);
    table.run_for(5 * MINUTE + 10 * SECOND);
    for (number, started) in table.started.iter().enumerate() {
        let nominal = Utc(0) + (number as u32 + 1) * MINUTE;
        assert_eq!(started.firing.nominal, nominal);
        assert_eq!(started.firing.due, Mono(nominal.0 as u64) + jitter);
    }
    assert_eq!(table.started.len(), 5);
}

#[test]
fn a_closed_roster_starts_nothing_and_waits_for_what_runs() {
    let mut table = Table::new(Utc(0));
    table.takes = 10 * SECOND;
    table.add(every("@every 1s", Policy { overlap: Overlap::Allow, ..Policy::default() }));
    table.run_for(3 * SECOND);
    table.roster.close();
    assert_eq!(table.roster.busy(), 3);
    table.run_for(20 * SECOND);
    assert_eq!((table.started.len(), table.roster.busy()), (3, 0));
}

#[test]
fn a_year_of_seconds_is_caught_up_with_in_bounded_steps() {
    for (misfire, starts) in [
        (Misfire::Skip, 2),
        (Misfire::FireOnce, 1),
        (Misfire::FireAll { cap: 100 }, 102),
        (Misfire::Within { grace: 50 * SECOND }, 51),
    ] {
        let mut table = Table::new(Utc(0));
        let overlap = Overlap::BufferAll { cap: 1000 };
        table.add(every("* * * * * *", Policy { misfire, overlap, ..Policy::default() }));
        table.stall(Duration::from_hours(365 * 24));
        table.run_for(Duration::ZERO);
        let Policy { grace, .. } = Policy::default();
        assert_eq!(grace, SECOND);
        assert_eq!(table.started.len(), starts, "{misfire:?}");
        assert_eq!(table.skipped[0].count, Skipped::COUNTED);
    }
}
