//! The three calls of `bpf(2)` that these roles need.

use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd};

use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type, bpf_stats_type,
};

use crate::Error;

/// What the verifier allows GPL-only helpers to; an empty program has none, and none is hidden.
const LICENCE: &CStr = c"Dual MIT/GPL";

/// Loads a program for the BTF tracepoint of the type `btf_id`.
pub(crate) fn load(name: &str, program: &[bpf_insn], btf_id: u32) -> Result<OwnedFd, Error> {
    let mut attr = zeroed();
    // SAFETY: every field of the union is integers, and all of it is zero.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_RAW_TP as u32;
    load.attach_btf_id = btf_id;
    load.insns = program.as_ptr() as u64;
    load.insn_cnt = program.len() as u32;
    load.license = LICENCE.as_ptr() as u64;
    open(bpf_cmd::BPF_PROG_LOAD, &mut attr).ok_or_else(|| Error::last(format!("loading {name}")))
}

/// Attaches it; closing the link takes it off again.
pub(crate) fn attach(name: &str, program: u32) -> Result<OwnedFd, Error> {
    let mut attr = zeroed();
    attr.raw_tracepoint.prog_fd = program;
    open(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
        .ok_or_else(|| Error::last(format!("attaching to {name}")))
}

/// Has the kernel time every program while the descriptor is open.
pub(crate) fn enable_stats() -> Result<OwnedFd, Error> {
    let mut attr = zeroed();
    attr.enable_stats.type_ = bpf_stats_type::BPF_STATS_RUN_TIME as u32;
    open(bpf_cmd::BPF_ENABLE_STATS, &mut attr).ok_or_else(|| Error::last("enabling statistics"))
}

fn zeroed() -> bpf_attr {
    // SAFETY: a union of structs of integers.
    unsafe { std::mem::zeroed() }
}

fn open(command: bpf_cmd, attr: &mut bpf_attr) -> Option<OwnedFd> {
    let (attr, size) = (std::ptr::from_mut(attr), size_of::<bpf_attr>());
    // SAFETY: the kernel reads at most `size` bytes of it, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, attr, size) };
    // SAFETY: the kernel made it for us, and nobody else knows it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
