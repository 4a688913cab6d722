//! The end of throttling: the period timer of a cgroup's quota expired.

use cronx_abi::{RefillRecord, kind};

use crate::{
    cpu::Cpu,
    offsets,
    task::{now, probe, task_group_id},
};

/// A high-resolution timer of the kernel's expires here.
#[inline(always)]
pub fn expired(cpu: &Cpu, timer: *const u8) -> Option<()> {
    let function: u64 = probe(timer, &offsets::TIMER_FUNCTION).ok()?;
    if function != offsets::PERIOD_TIMER.load() {
        return None;
    }
    let group = timer.wrapping_sub(offsets::GROUP_PERIOD_TIMER.load() as usize);
    let cgroup = task_group_id(group);
    cpu.emit(kind::REFILL, 0, now(), |record: &mut RefillRecord| record.cgroup = cgroup);
    Some(())
}
