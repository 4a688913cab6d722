//! Mirrors `sample.rs`: who runs, while somebody waits.

use cronx_abi::{KERNEL_FRAMES, SampleRecord, USER_FRAMES, kind};

use super::Probes;
use crate::hook::TaskView;

impl Probes {
    /// A tick of the sampling clock.
    pub(super) fn sample(&mut self, current: &TaskView) -> Option<()> {
        let now_ns = self.now_ns;
        if !self.cpu().is_watched() || current.key.tid == 0 {
            return None;
        }
        self.name(current);
        let mut user = [0; USER_FRAMES];
        user[0] = u64::from(current.key.tid);
        self.cpu().emit(kind::SAMPLE, 0, now_ns, |header| SampleRecord {
            header,
            task: current.key,
            kernel_bytes: 0,
            user_bytes: 8,
            kernel: [0; KERNEL_FRAMES],
            user,
        });
        Some(())
    }
}
