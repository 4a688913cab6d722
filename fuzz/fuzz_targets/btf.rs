//! Any bytes as BTF: parsed or refused, and every question the collector asks has an answer.

#![no_main]

use cronx_collector::btf::Btf;
use cronx_collector::kernel::resolve;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let _ = resolve(&btf);
    for container in ["task", "task_struct", "info"] {
        for path in ["pid", "info.cpu", "thread_info.cpu", "", "."] {
            let _ = btf.member_offset(container, path);
        }
    }
    let _ = btf.tracepoint_arguments("sched_switch");
});
