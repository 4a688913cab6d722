//! Threads that are watched for their name.

use aya_ebpf::{btf_maps::HashMap, helpers::bpf_probe_read_kernel_str_bytes, macros::btf_map};
use cronx_abi::COMM_LEN;

use crate::{
    cpu::Cpu,
    task::{self, Task, now},
};

/// The names that are asked for, filled up with zeros.
#[btf_map]
static NAMES: HashMap<[u8; COMM_LEN], u32, 64> = HashMap::new();

/// Whether the name at an address is asked for; what follows its NUL is garbage.
#[inline(always)]
pub fn is_wanted(name: *const u8) -> Option<bool> {
    let mut wanted = [0; COMM_LEN];
    // SAFETY: a probe read fails rather than faults.
    unsafe { bpf_probe_read_kernel_str_bytes(name, &mut wanted) }.ok()?;
    // SAFETY: whether there is a value is all that is asked.
    Some(unsafe { NAMES.get(wanted) }.is_some())
}

/// A task is about to have the name at that address: watched from now on, or no more.
#[inline(always)]
pub fn renamed(cpu: &Cpu, task: Task, name: *const u8) -> Option<()> {
    if is_wanted(name)? {
        let Some(known) = task::remembered(task) else {
            cpu.count_storage_failure();
            return None;
        };
        task::begin(task, known);
    } else {
        task::end(cpu, task::known(task)?, now());
    }
    Some(())
}
