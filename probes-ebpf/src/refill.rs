//! The end of throttling: a timer of a cgroup's quota expired, for the period or for what others left.

use cronx_abi::{RefillRecord, kind};

use crate::{
    cpu::Cpu,
    offsets,
    task::{now, probe, probe_at, task_group_id},
};

/// A high-resolution timer of the kernel's expires here. What it will do is not done yet: the queues
/// that it may let go still hang in the cgroup's list.
#[inline(always)]
pub fn expired(cpu: &Cpu, timer: *const u8) -> Option<()> {
    let function: u64 = probe(timer, &offsets::TIMER_FUNCTION).ok()?;
    let within = if function == offsets::PERIOD_TIMER.load() {
        &offsets::GROUP_PERIOD_TIMER
    } else if function == offsets::SLACK_TIMER.load() {
        &offsets::GROUP_SLACK_TIMER
    } else {
        return None;
    };
    let group = timer.wrapping_sub(within.load() as usize);
    let (cgroup, at_ns) = (task_group_id(group), now());
    let head = group.wrapping_add(offsets::GROUP_THROTTLED.load() as usize);
    let mut node = head;
    // Never more than there are CPUs; that they are so few lets the verifier see an end.
    for _ in 0..offsets::POSSIBLE_CPUS.load() {
        node = probe_at(node).ok()?;
        if node == head {
            break;
        }
        tell(cpu, cgroup, queue(node)?, at_ns);
    }
    Some(())
}

/// The CPU of the queue that hangs in the list by `node`.
#[inline(always)]
fn queue(node: *const u8) -> Option<Cpu> {
    let cfs_rq = node.wrapping_sub(offsets::CFS_RQ_THROTTLED_LIST.load() as usize);
    let rq: *const u8 = probe(cfs_rq, &offsets::CFS_RQ_RQ).ok()?;
    Cpu::numbered(probe(rq, &offsets::RQ_CPU).ok()?)
}

#[inline(always)]
fn tell(cpu: &Cpu, cgroup: u64, queue: Cpu, at_ns: u64) {
    if !queue.is_watched() {
        return;
    }
    cpu.emit(kind::REFILL, 0, at_ns, |record: &mut RefillRecord| {
        record.cgroup = cgroup;
        record.queue = queue.number as u16;
        record.reserved = [0; 3];
    });
}
