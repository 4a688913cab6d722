//! The statistics, each by the name of who published it. Plain functions over numbers.

pub mod binomial;
pub mod bootstrap;
pub mod design;
pub mod effect;
pub mod order;
pub mod random;
pub mod sign_flip;
pub mod student;
pub mod welch;

mod beta;
mod gamma;

/// Mean and variance of some figures, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// How many.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their variance, over one less than their count.
    pub variance: f64,
}

impl Moments {
    /// Of two figures at least, all finite; in two passes, which loses no digits to cancellation
    /// (Chan, Golub and LeVeque, 1983).
    pub fn of(figures: &[f64]) -> Option<Self> {
        let count = figures.len();
        if count < 2 || figures.iter().any(|figure| !figure.is_finite()) {
            return None;
        }
        let mean = figures.iter().sum::<f64>() / count as f64;
        let squares = figures.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>();
        Some(Self { count, mean, variance: squares / (count - 1) as f64 })
    }

    /// The variance of the mean.
    pub fn variance_of_mean(&self) -> f64 {
        self.variance / self.count as f64
    }
}

/// An estimate, how far it may be off, and how much that is known of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of the error.
    pub freedom: f64,
}

impl Estimate {
    /// The mean of some figures (Student, 1908).
    pub fn of_mean(figures: &[f64]) -> Option<Self> {
        let moments = Moments::of(figures)?;
        let freedom = (moments.count - 1) as f64;
        Some(Self { value: moments.mean, error: moments.variance_of_mean().sqrt(), freedom })
    }

    /// Bounds that each hold with 1 - `alpha`, one-sided.
    pub fn bounds(&self, alpha: f64) -> (f64, f64) {
        let reach = student::quantile(1.0 - alpha, self.freedom) * self.error;
        (self.value - reach, self.value + reach)
    }
}

#[cfg(test)]
mod tests;
