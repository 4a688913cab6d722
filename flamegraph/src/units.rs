//! Numbers as a person reads them: three significant digits, a unit, a space between.

/// A duration of so many nanoseconds: `850 ns`, `3.10 ms`, `412 ms`, `1.25 s`, `1,250 s`.
pub fn duration(ns: u64) -> String {
    if ns < 1_000 {
        return format!("{ns} ns");
    }
    let fits = |unit: f64| ns as f64 / unit < 999.5;
    let (unit, name) =
        [(1e3, "µs"), (1e6, "ms")].into_iter().find(|(u, _)| fits(*u)).unwrap_or((1e9, "s"));
    format!("{} {name}", three_digits(ns as f64 / unit))
}

/// A count with its thousands parted: `43,120`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut parted = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

/// A share of a whole: `61 %`, `2.4 %`, `<0.1 %`; `0 %` of nothing.
///
/// `100 %` and `0 %` are said of all and of nothing alone, so that neither hides a remainder.
pub fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    match share {
        _ if part == 0 || whole == 0 => "0 %".to_owned(),
        s if s < 0.1 => "<0.1 %".to_owned(),
        s if s < 9.95 => format!("{s:.1} %"),
        s if s > 99.0 && part < whole => ">99 %".to_owned(),
        s => format!("{s:.0} %"),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => count(v.round() as u64),
    }
}

#[cfg(test)]
mod tests;
