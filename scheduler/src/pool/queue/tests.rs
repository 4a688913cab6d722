use std::sync::Arc;

use super::*;
use crate::clock::Notify;
use crate::intake::Intake;
use crate::job::{Core, JobOptions, When};
use crate::run::{Firing, TraceId};
use crate::work::Work;
use crate::{Mono, Utc};

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

fn item(priority: u8, enqueued_ms: u64) -> Item {
    let options = JobOptions { priority, ..JobOptions::default() };
    let name: Arc<str> = format!("{priority} at {enqueued_ms}").into();
    let when = When::After(Mono(0), Utc(0));
    let intake = Arc::new(Intake::new(1, 1, Arc::new(Nobody)));
    let work = Work::blocking(|_| ());
    let core = Core::new(1, Arc::clone(&name), when, Arc::new(options), work, intake);
    let firing = Firing {
        job: name,
        nominal: Utc(0),
        attempt: 1,
        triggered: false,
        due: Mono(0),
        popped: Mono(0),
        shard_tid: 1,
        number: 0,
        trace: TraceId(1),
    };
    Item { core: Arc::new(core), firing, enqueued: Mono(enqueued_ms * 1_000_000) }
}

fn order(items: Vec<Item>) -> Vec<String> {
    let mut queue = Queue::new(Duration::from_millis(10));
    for item in items {
        queue.push(item);
    }
    std::iter::from_fn(|| queue.pop()).map(|item| item.firing.job.to_string()).collect()
}

#[test]
fn a_step_of_priority_is_worth_a_time() {
    let items = vec![item(2, 0), item(1, 9), item(1, 11), item(0, 19), item(0, 21)];
    assert_eq!(order(items), ["1 at 9", "0 at 19", "2 at 0", "1 at 11", "0 at 21"]);
}

#[test]
fn those_that_are_equal_go_in_order() {
    let items = (0..4).map(|_| item(7, 5)).chain([item(7, 4)]).collect();
    assert_eq!(order(items)[0], "7 at 4");
}

/// However many of the first priority come, the last is passed only by those of 2.55 seconds.
#[test]
fn nothing_starves() {
    let mut queue = Queue::new(Duration::from_millis(10));
    queue.push(item(255, 0));
    let mut passed = 0;
    for at_ms in 0..10_000 {
        queue.push(item(0, at_ms));
        if queue.pop().is_some_and(|item| item.core.options.priority == 255) {
            break;
        }
        passed += 1;
    }
    assert_eq!(passed, 2550);
}
