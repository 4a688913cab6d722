//! When a firing that failed, or was rejected, is tried again.

use std::time::Duration;

use crate::hash::{mix, share};

/// Attempt `n` follows the failure before it after a random time up to `base * 2^(n-2)`, or `cap` where
/// that is less: full jitter, since those that failed together would else return together.
///
/// ```text
///  base 1 s, cap 5 s, at most 5 attempts:
///  1 ─ 0..1 s ─ 2 ─ 0..2 s ─ 3 ─ 0..4 s ─ 4 ─ 0..5 s ─ 5
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retry {
    /// How often a firing may be started in all; 0 is 1.
    pub attempts: u32,
    /// What the first wait is at most.
    pub base: Duration,
    /// What every wait is at most.
    pub cap: Duration,
    /// Whether a firing that a breaker rejected is tried again too, and waits for when that breaker lets a
    /// probe pass, if that is known. Rejections count as attempts.
    pub rejected: bool,
}

impl Retry {
    /// A failure is final.
    pub const NEVER: Self =
        Self { attempts: 1, base: Duration::ZERO, cap: Duration::ZERO, rejected: false };

    /// How long to wait after `attempt` failed, from 1; `None` if it was the last. `random` is any number.
    pub fn delay(&self, attempt: u32, random: u64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let most = self.most(attempt).as_nanos().min(u128::from(u64::MAX - 1)) as u64;
        Some(Duration::from_nanos(share(mix(random), most + 1)))
    }

    /// `base * 2^(attempt-1)`, or `cap`.
    fn most(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        attempts: 5,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(5),
        rejected: false,
    };

    #[test]
    fn waits_double_up_to_the_cap() {
        let most: Vec<u64> = (1..5).map(|attempt| RETRY.most(attempt).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 5]);
        let endless = Retry { attempts: u32::MAX, cap: Duration::MAX, ..RETRY };
        assert!(endless.most(u32::MAX) >= endless.most(32));
        assert!(endless.delay(u32::MAX - 1, u64::MAX).is_some());
    }

    #[test]
    fn a_wait_is_anything_up_to_its_most() {
        let waits: Vec<_> = (0..1000).map(|random| RETRY.delay(2, random).unwrap()).collect();
        assert!(waits.iter().all(|&wait| wait <= Duration::from_secs(2)));
        assert!(waits.iter().any(|&wait| wait < Duration::from_millis(100)));
        assert!(waits.iter().any(|&wait| wait > Duration::from_millis(1900)));
    }

    #[test]
    fn the_last_failure_is_final() {
        assert_eq!(RETRY.delay(5, 0), None);
        assert_eq!(Retry::NEVER.delay(1, 0), None);
    }
}
