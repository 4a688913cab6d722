//! The floor: a program of two instructions at every hook of cronx.

use std::os::fd::{AsRawFd, OwnedFd};

use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::bpf_insn;

use crate::{Error, bpf, stay};

/// The hooks of the collector's first object, in the order in which it takes them. Its sampler is
/// no hook: it runs by a clock.
const HOOKS: [&str; 21] = [
    "irq_handler_exit",
    "irq_handler_entry",
    "softirq_exit",
    "softirq_entry",
    "local_timer_exit",
    "local_timer_entry",
    "reschedule_exit",
    "reschedule_entry",
    "call_function_exit",
    "call_function_entry",
    "call_function_single_exit",
    "call_function_single_entry",
    "irq_work_exit",
    "irq_work_entry",
    "sched_waking",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_migrate_task",
    "sched_process_fork",
    "task_rename",
    "sched_switch",
];

/// `r0 = 0`, then `exit`.
const BODY: [(u8, i32); 2] = [(0xb7, 0), (0x95, 0)];

/// A program and its link: they live as long as they are open.
type Hooked = (OwnedFd, OwnedFd);

pub(crate) fn run() -> Result<(), Error> {
    let types = Btf::from_sys_fs()?;
    let hooked = HOOKS.iter().map(|name| hook(&types, name));
    let hooked: Vec<_> = hooked.collect::<Result<_, _>>()?;
    let here = hooked.iter().flatten().count();
    stay(&format!("{here} empty programs"))
}

/// Nothing where this kernel has no such tracepoint: cronx leaves it out too.
fn hook(types: &Btf, name: &str) -> Result<Option<Hooked>, Error> {
    let Ok(id) = types.id_by_type_name_kind(&format!("btf_trace_{name}"), BtfKind::Typedef) else {
        eprintln!("cronx-bench: this kernel has no {name}");
        return Ok(None);
    };
    let program = bpf::load(name, &BODY.map(instruction), id)?;
    let link = bpf::attach(name, program.as_raw_fd() as u32)?;
    Ok(Some((program, link)))
}

fn instruction((code, imm): (u8, i32)) -> bpf_insn {
    bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm,
    }
}
