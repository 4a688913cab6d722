//! `250ms`, `1h30m`: numbers with units.

use std::time::Duration;

const UNITS: [(&str, u64); 7] = [
    // The longest name first: `ms` is no `m`.
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads a time as people write it, `250ms` or `1h30m`, or says why it is none.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a span is missing, such as 250ms or 1h30m".to_owned());
    }
    let mut sum_ns = 0_u64;
    while !rest.is_empty() {
        let (ns, behind) = first(rest).ok_or_else(|| {
            format!("'{rest}' is no span: a span is numbers with ns, us, ms, s, m, h or d")
        })?;
        sum_ns = sum_ns.checked_add(ns).ok_or_else(|| format!("'{text}' is too long"))?;
        rest = behind;
    }
    Ok(Duration::from_nanos(sum_ns))
}

fn first(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (unit, ns) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
    let ns = number.parse::<u64>().ok()?.checked_mul(*ns)?;
    Some((ns, &rest[unit.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse(" 2d "), Ok(Duration::from_hours(48)));
        for bad in ["", "5", "ms", "-1s", "1.5s", "1h 30m", "1y", "99999999999999999999s", "µ"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
