//! A day of many jobs: nothing lost, nothing doubled.
//!
//! In the short form a hundredth of the jobs; `CRONX_DAY=full` has 100,000 cron jobs and 1,000,000 one-shots.

use std::collections::HashMap;
use std::env;

use super::*;
use crate::hash::{mix, share};

const DAY: Duration = Duration::from_hours(24);

/// What each of the day's jobs has to have started.
#[derive(Default)]
struct Seen {
    firings: u64,
    /// By job, the nominal instants in the order of their starts.
    last: HashMap<u64, Utc>,
}

fn scale() -> u64 {
    if env::var("CRONX_DAY").is_ok_and(|value| value == "full") { 1 } else { 100 }
}

/// Once an hour to once a quarter, at a minute and second of its own.
fn pattern(number: u64) -> String {
    let (second, minute) = (share(mix(number), 60), share(mix(number ^ 1), 60));
    if number.is_multiple_of(10) {
        format!("{second} {}/15 * * * *", minute % 15).replacen("/15", "-59/15", 1)
    } else {
        format!("{second} {minute} * * * *")
    }
}

/// Fills a table, and says how many firings the day has: by the patterns, not by the code under test.
fn fill(table: &mut Table, cron: u64, once: u64) -> u64 {
    let options = Arc::new(JobOptions::default());
    let mut firings = once;
    for number in 0..cron {
        let spec = Spec::parse(&pattern(number)).unwrap();
        firings += if number.is_multiple_of(10) { 96 } else { 24 };
        table.add_shared(spec, &options, number);
    }
    for number in 0..once {
        let after = Duration::from_nanos(1 + share(mix(number), DAY.as_nanos() as u64 - 1));
        table.add_shot(Some(Mono(0) + after), table.now.utc + after, cron + number);
    }
    firings
}

impl Seen {
    /// Each instant of a job comes once, and after the one before.
    fn take(&mut self, table: &mut Table) {
        for started in std::mem::take(&mut table.started) {
            self.firings += 1;
            let before = self.last.insert(started.id, started.firing.nominal);
            assert!(before.is_none_or(|before| before < started.firing.nominal));
            assert!(started.at == started.firing.due, "{:?}", started.firing);
        }
    }
}

#[test]
fn a_day_of_many_jobs_loses_and_doubles_nothing() {
    let midnight = Utc(1_767_225_600_000_000_000);
    let mut table = Table::new(midnight);
    let expected = fill(&mut table, 100_000 / scale(), 1_000_000 / scale());
    let mut seen = Seen::default();
    for _ in 0..24 * 60 {
        table.run_for(MINUTE);
        seen.take(&mut table);
    }
    assert_eq!(seen.firings, expected);
    assert!(table.skipped.is_empty());
    assert_eq!(table.roster.jobs() as u64, 100_000 / scale());
}

/// The same jobs, and a clock that is put forward and back and a machine that sleeps: with a policy that
/// starts whatever was missed, each nominal instant of the day still comes exactly once.
#[test]
fn a_day_with_steps_and_a_sleep_loses_and_doubles_nothing() {
    let midnight = Utc(1_767_225_600_000_000_000);
    let mut table = Table::new(midnight);
    let policy = Policy {
        misfire: Misfire::FireAll { cap: u32::MAX },
        overlap: Overlap::Allow,
        ..Policy::default()
    };
    let options = Arc::new(JobOptions { policy, ..JobOptions::default() });
    let cron = 100_000 / scale();
    for number in 0..cron {
        let spec = Spec::parse(&pattern(number)).unwrap();
        table.add_shared(spec, &options, number);
    }
    let hour = Duration::from_hours(1);
    table.run_for(5 * hour);
    table.step(3_600_000_000_000);
    table.run_for(4 * hour);
    table.step(-3_600_000_000_000);
    table.run_for(3 * hour);
    table.suspend(6 * hour);
    // 5 + 1 + 4 - 1 + 3 + 6 hours have passed on the wall.
    table.run_for(6 * hour);
    let mut nominal: HashMap<u64, Vec<Utc>> = HashMap::new();
    for started in &table.started {
        nominal.entry(started.id).or_default().push(started.firing.nominal);
    }
    for number in 0..cron {
        let spec = Spec::parse(&pattern(number)).unwrap();
        let within = |utc: &Utc| *utc <= midnight + DAY;
        let expected = std::iter::successors(spec.after(midnight), |&utc| spec.after(utc));
        let expected: Vec<Utc> = expected.take_while(within).collect();
        assert_eq!(nominal.remove(&number).unwrap_or_default(), expected, "{number}");
    }
}

/// The bar is 256 bytes for a job with its timer; what is behind a pattern is shared.
#[test]
fn a_cron_job_is_at_most_256_bytes() {
    let options = Arc::new(JobOptions::default());
    let count = 100_000;
    let specs: Vec<Spec> = (0..100).map(|n| Spec::parse(&pattern(n)).unwrap()).collect();
    let mut table = Table::new(Utc(0));
    let held = crate::allocations::held();
    for (number, spec) in specs.iter().cycle().take(count).enumerate() {
        table.add_shared(spec.clone(), &options, number as u64);
    }
    let each = (crate::allocations::held() - held) / count as isize;
    // A name of twelve letters has 28 bytes of its own; these share one.
    assert!(each + 28 <= 256, "{each} bytes");
}

/// A one-shot of no captures, with its timer.
#[test]
fn a_one_shot_is_at_most_132_bytes() {
    let count = 100 * 1024;
    let mut table = Table::new(Utc(0));
    let held = crate::allocations::held();
    for number in 0..count {
        let after = Duration::from_nanos(1 + share(mix(number), DAY.as_nanos() as u64));
        table.add_shot(Some(Mono(0) + after), Utc(0) + after, number);
    }
    let each = (crate::allocations::held() - held) / count as isize;
    assert!(each <= 132, "{each} bytes");
}
