//! Any text as a percentile table: evidence whose count is the table's last, or an error.

#![no_main]

use cronx_gate::evidence::{Unit, of_hgrm};
use cronx_gate::quantity::Quantile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let quantity = "latency.p99".parse().expect("it is a quantity");
    for unit in [Unit::Nanoseconds, Unit::Milliseconds] {
        let Ok(evidence) = of_hgrm(text, "fuzz", &quantity, unit) else { continue };
        assert!(evidence.at(Quantile::P99) <= evidence.at(Quantile::Max));
        let is_row =
            |line: &&str| line.starts_with(|c: char| c.is_ascii_digit() || "+.-".contains(c));
        let rows = text.lines().map(str::trim).filter(is_row);
        let total = rows.last().and_then(|line| line.split_whitespace().nth(2)?.parse().ok());
        assert!(total.is_none_or(|total: u64| evidence.count() == total), "all are counted");
    }
});
