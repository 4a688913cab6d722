//! A median and the quartiles around it.

use std::fmt;

/// Where the middle half of some figures lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) lower: f64,
    pub(super) median: f64,
    pub(super) upper: f64,
}

impl Spread {
    /// Of these figures; nothing of none.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share| quantile(&sorted, share);
        Some(Self { lower: at(0.25)?, median: at(0.5)?, upper: at(0.75)? })
    }
}

impl std::ops::Div<f64> for Spread {
    type Output = Self;

    /// The same in another unit.
    fn div(self, unit: f64) -> Self {
        let Self { lower, median, upper } = self;
        Self { lower: lower / unit, median: median / unit, upper: upper / unit }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { lower, median, upper } = self;
        write!(f, "{median:.digits$} [{lower:.digits$}, {upper:.digits$}]")
    }
}

/// By straight lines between the figures (Hyndman and Fan, 1996, number 7).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)?) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(figures: &[f64]) -> Option<(f64, f64, f64)> {
        Spread::of(figures.iter().copied()).map(|s| (s.lower, s.median, s.upper))
    }

    #[test]
    fn quartiles_lie_on_figures_or_between_them() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(spread(&[5.0, 1.0, 3.0, 2.0, 4.0]), Some((2.0, 3.0, 4.0)));
        assert_eq!(spread(&[1.0, 2.0, 3.0, 4.0]), Some((1.75, 2.5, 3.25)));
    }

    #[test]
    fn a_spread_is_shown_with_its_quartiles() {
        let spread = Spread::of([1.0, 1.25, 1.5]).unwrap();
        assert_eq!(spread.to_string(), "1.25 [1.12, 1.38]");
        assert_eq!(format!("{spread:.0}"), "1 [1, 1]");
    }
}
