use std::sync::Arc;

use super::*;
use crate::job::{Core, JobOptions};
use crate::request::Order;
use crate::run::{Firing, TraceId};
use crate::spec::Spec;
use crate::work::Work;
use crate::{Mono, Utc};

fn item(priority: u8, enqueued_ms: u64) -> Item {
    let options = JobOptions { priority, ..JobOptions::default() };
    let name: Arc<str> = format!("{priority} at {enqueued_ms}").into();
    let spec = Spec::parse("@every 1s").unwrap();
    let work = Work::blocking(|_| ());
    let core = Core::named(1, 0, Arc::clone(&name), spec, Arc::new(options), work);
    let firing = Firing {
        job: name.into(),
        nominal: Utc(0),
        attempt: 1,
        after: Utc(0),
        trigger: None,
        due: Mono(0),
        popped: Mono(0),
        shard_tid: 1,
        number: 0,
        trace: TraceId(1),
    };
    let order = Order { core: Arc::new(core), firing, shot: None, cancelled: false };
    Item { order, enqueued: Mono(enqueued_ms * 1_000_000) }
}

fn order(items: Vec<Item>) -> Vec<String> {
    let mut queue = Queue::new(Duration::from_millis(10));
    for item in items {
        queue.push(item);
    }
    std::iter::from_fn(|| queue.pop()).map(|item| item.order.firing.job.to_string()).collect()
}

#[test]
fn a_step_of_priority_is_worth_a_time() {
    let items = vec![item(2, 0), item(1, 9), item(1, 11), item(0, 19), item(0, 21)];
    assert_eq!(order(items), ["1 at 9", "0 at 19", "2 at 0", "1 at 11", "0 at 21"]);
}

#[test]
fn those_that_are_equal_go_in_order() {
    let items = (0..4).map(|at_ms| item(7, at_ms)).chain([item(8, 0)]).collect();
    assert_eq!(order(items), ["7 at 0", "7 at 1", "7 at 2", "7 at 3", "8 at 0"]);
}

/// However many of the first priority come, the last is passed only by those of 2.55 seconds.
#[test]
fn nothing_starves() {
    let mut queue = Queue::new(Duration::from_millis(10));
    queue.push(item(255, 0));
    let mut passed = 0;
    for at_ms in 0..10_000 {
        queue.push(item(0, at_ms));
        if queue.pop().is_some_and(|item| item.order.core.options().priority == 255) {
            break;
        }
        passed += 1;
    }
    assert_eq!(passed, 2550);
}
