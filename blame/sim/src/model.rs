//! A small model of a kernel's scheduler: CPUs with queues, tasks with states, interrupts that nest,
//! quotas, a balancer. Chance decides what happens next among what a kernel may do next.
//!
//! It gives two things that know nothing of each other: the calls of the hooks, and a journal of
//! what each CPU did and what each thread waited. It knows nothing of records, gates or blame.
//!
//! What it does not make, since by the probes' present rules nobody could tell it, and blame would be
//! false and certain (each place says so by the word *beyond*):
//!
//! - the end of an interrupt unseen, when the next one has the same vector and its beginning is unseen
//! - moves of a queued thread that nobody saw, back to the queue where it was seen last
//! - a hidden task on a CPU when the probes come, if some cgroup has a quota
//! - when they go: an unseen switch, or an interrupt in progress whose beginning was unseen
//! - a thread that waits or runs moved to another cgroup, or to another class of priorities, where some
//!   cgroup has a quota
//! - a thread of the load that hides what happens on top of it

mod balance;
mod choose;
mod draw;
mod interrupt;
mod journal;
mod life;
mod machine;
mod quota;
mod switch;
mod wake;
mod window;

pub(crate) use journal::{Doing, Slice, Track, Wait};
pub(crate) use machine::{Stops, Task};
pub(crate) use window::{PERIODS_PER_READING, Run, run};
