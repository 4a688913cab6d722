//! Any bytes as an interval log, and any bytes as the histogram of one: evidence or an error.

#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cronx_gate::evidence::{Evidence, Unit, of_hlog};
use cronx_gate::quantity::Quantile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let quantity = "latency.p99".parse().expect("it is a quantity");
    let read = |log: &[u8], unit| of_hlog(log, "fuzz", &quantity, unit);
    // A mutated log seldom is base64; so here is one whose histogram is what comes.
    let line = format!("0.0,1.0,1.0,{}\n", STANDARD.encode(bytes));
    for unit in [Unit::Nanoseconds, Unit::Milliseconds] {
        for evidence in [read(bytes, unit), read(line.as_bytes(), unit)].into_iter().flatten() {
            check(&evidence);
        }
    }
});

fn check(evidence: &Evidence) {
    assert_eq!(evidence.count(), evidence.reaching(0).events);
    assert!(evidence.at(Quantile::P99) <= evidence.at(Quantile::Max));
    let blocks = evidence.blocks_reaching(0).map(|block| u128::from(block.events));
    assert!(blocks.sum::<u128>() >= u128::from(evidence.count()), "each value is of a block");
}
