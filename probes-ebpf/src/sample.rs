//! Who runs, and where in its code, while somebody waits: a clock on each CPU.

use aya_ebpf::{
    EbpfContext, bindings::BPF_F_USER_STACK, helpers::generated::bpf_get_stack, macros::perf_event,
    programs::PerfEventContext,
};
use cronx_abi::{SampleRecord, hook, kind};

use crate::{
    cpu::{Cpu, counted},
    task,
};

/// A tick of the sampling clock.
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> Option<()> {
    counted(hook::SAMPLE, |cpu| take(cpu, &ctx))
}

#[inline(always)]
fn take(cpu: &Cpu, ctx: &PerfEventContext) -> Option<()> {
    if !cpu.is_watched() {
        return None;
    }
    let current = task::current();
    let key = task::key(current);
    if key.tid == 0 {
        return None;
    }
    let now = task::now();
    task::name(cpu, current, now);
    cpu.emit(kind::SAMPLE, 0, now, |record: &mut SampleRecord| {
        record.task = key;
        // SAFETY: the buffers are part of a reserved record and as long as is said.
        unsafe {
            let (kernel, user) = (record.kernel.as_mut_ptr(), record.user.as_mut_ptr());
            let kernel_len = size_of_val(&record.kernel) as u32;
            let user_len = size_of_val(&record.user) as u32;
            record.kernel_bytes = bpf_get_stack(ctx.as_ptr(), kernel.cast(), kernel_len, 0) as i32;
            record.user_bytes =
                bpf_get_stack(ctx.as_ptr(), user.cast(), user_len, BPF_F_USER_STACK.into()) as i32;
        }
    });
    Some(())
}
