//! What tests of servers ask, and how they read the answer.

use std::time::Duration;

use cronx_ledger::Key;
use cronx_ledger::act::{Act, Reply};
use cronx_ledger::claim::{Bid, Claim, Refusal, Verdict};

/// For an hour.
pub fn claim(name: &str, owner: &str, bid: u128) -> Act {
    let lease = Duration::from_hours(1);
    let claim = Claim { owner: owner.into(), bid: Bid(bid), fingerprint: None, lease, sole: false };
    Act::Claim { key: Key::call("t", name).unwrap(), claim }
}

pub fn is_granted(reply: &Reply) -> bool {
    matches!(reply, Reply::Verdict(Verdict::Granted { .. }))
}

pub fn is_in_flight(reply: &Reply) -> bool {
    matches!(reply, Reply::Verdict(Verdict::Refused(Refusal::InFlight { .. })))
}
