//! What a firing does that meets runs of its own job.

use super::{Overlap, Policy};

/// What becomes of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Start,
    /// Behind those that wait.
    Wait,
    /// In place of those that wait, and those at work are told to stop.
    Replace,
    LeaveOut,
}

/// Decides for a firing whose job has `busy` runs at work and `waiting` firings that wait for them.
pub(crate) fn admit(policy: &Policy, busy: u32, waiting: u32) -> Admission {
    let free = busy < policy.limit.max(1) && waiting == 0;
    match policy.overlap {
        Overlap::Allow => Admission::Start,
        _ if free => Admission::Start,
        Overlap::BufferOne if waiting < 1 => Admission::Wait,
        Overlap::BufferAll { cap } if waiting < cap => Admission::Wait,
        Overlap::CancelOther => Admission::Replace,
        Overlap::Skip | Overlap::BufferOne | Overlap::BufferAll { .. } => Admission::LeaveOut,
    }
}
