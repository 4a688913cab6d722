//! What a run says of itself without the feature `spans`: nothing.

use super::beginning::Way;
use crate::Mono;
use crate::run::{Firing, Rejection, Run};

/// Nobody listens.
pub(super) fn started(_: &Firing, _: Way, _: Mono, _: u64) -> bool {
    false
}

/// Nobody listens.
pub(super) fn rejected(_: &Run, _: &Rejection) {}

/// Nobody listens.
pub(super) fn finished(_: &Run) {}
