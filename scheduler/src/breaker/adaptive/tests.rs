use super::*;

/// Calls of a sample.
const SIZE: u32 = 100;

fn baseline() -> Baseline {
    Baseline::new(Adaptive::default(), SIZE)
}

impl Baseline {
    /// A sample of which so many failed.
    fn sample(&mut self, failures: u32) -> Share {
        (0..SIZE).for_each(|call| self.count(call < failures));
        self.threshold()
    }
}

/// Failures of a sample about a mean, without a generator: binomial enough.
fn about(mean: u32, number: u32) -> u32 {
    (mean + crate::hash::mix(number.into()) as u32 % 5).saturating_sub(2)
}

#[test]
fn until_enough_is_known_it_is_the_ceiling() {
    let mut baseline = baseline();
    (0..9).for_each(|_| assert_eq!(baseline.sample(1), Share::percent(50)));
    assert!(baseline.sample(1) < Share::percent(50));
}

#[test]
fn a_past_without_failures_is_borne_by_the_floor() {
    let mut baseline = baseline();
    (0..100).for_each(|_| _ = baseline.sample(0));
    assert_eq!(baseline.threshold(), Share::percent(5));
}

#[test]
fn it_converges_on_a_step_and_does_not_overshoot() {
    let mut baseline = baseline();
    (0..500).for_each(|number| _ = baseline.sample(about(2, number)));
    let before = baseline.mean;
    assert!((before - 0.02).abs() < 0.006, "{before}");
    // Within the band: five of a hundred is the floor.
    let means: Vec<f64> = (0..500)
        .map(|number| {
            baseline.sample(about(5, number).min(5));
            baseline.mean
        })
        .collect();
    // Half of the way after a half-life, nearly all of it after eight, and never beyond.
    let last = means[400..].iter().sum::<f64>() / 100.0;
    let way = |mean: f64| (mean - before) / (last - before);
    assert!((0.3..0.7).contains(&way(means[50])), "{}", way(means[50]));
    assert!((0.9..1.1).contains(&way(means[400])), "{}", way(means[400]));
    assert!(means.iter().all(|mean| way(*mean) < 1.3), "it overshoots");
    let calm = baseline.threshold();
    assert!((Share::percent(5)..Share::percent(15)).contains(&calm), "{calm}");
}

#[test]
fn a_single_spike_moves_it_by_no_more_than_its_bound() {
    let mut baseline = baseline();
    (0..500).for_each(|number| _ = baseline.sample(about(4, number)));
    let (mean, variance, threshold) = (baseline.mean, baseline.variance, baseline.threshold());
    // One that is above it: nothing at all.
    assert_eq!(baseline.sample(60), threshold);
    assert!((baseline.mean - mean).abs() < f64::EPSILON);
    // The highest that is healthy.
    let highest = threshold.millionths() * SIZE / 1_000_000;
    baseline.sample(highest);
    let weight = 1.0 - (-1.0 / 50.0_f64).exp2();
    assert!(baseline.mean - mean <= weight * (threshold.ratio() - mean) + 1e-9);
    let luck = (mean * (1.0 - mean) / f64::from(SIZE)).max(variance);
    let grown = (baseline.variance / luck).sqrt();
    assert!(grown <= ((1.0 - weight) * (1.0 + weight * 9.0)).sqrt() + 1e-3, "{grown}");
}

#[test]
fn it_does_not_learn_from_an_outage_and_returns() {
    let mut baseline = baseline();
    (0..500).for_each(|number| _ = baseline.sample(about(3, number)));
    let threshold = baseline.threshold();
    (0..10_000).for_each(|_| assert_eq!(baseline.sample(100), threshold));
    (0..10_000).for_each(|number| assert_eq!(baseline.sample(30 + number % 20), threshold));
    baseline.sample(3);
    let after = baseline.threshold();
    assert!(after <= threshold, "{after} {threshold}");
}

/// Whatever it sees, it stays within its band, and its memory within what it saw.
#[test]
fn it_is_bounded_by_any_past() {
    for seed in 0..200_u32 {
        let mut baseline = baseline();
        for number in 0..200 {
            let failures = (crate::hash::mix((seed * 1000 + number).into()) % 101) as u32;
            let threshold = baseline.sample(failures);
            assert!((Share::percent(5)..=Share::percent(50)).contains(&threshold));
            assert!((0.0..=0.5).contains(&baseline.mean), "{}", baseline.mean);
            assert!((0.0..=0.25).contains(&baseline.variance), "{}", baseline.variance);
        }
    }
}

fn fed() -> Baseline {
    let rules = Adaptive { feed: Some(Feed::default()), ..Adaptive::default() };
    let mut baseline = Baseline::new(rules, SIZE);
    (0..500).for_each(|number| _ = baseline.sample(about(4, number)));
    baseline
}

fn minute(number: u64) -> Mono {
    Mono(number * 60_000_000_000)
}

#[test]
fn a_feed_shifts_it_slowly_and_not_far() {
    let mut baseline = fed();
    let before = baseline.threshold().ratio();
    // The first answer says since when there are any.
    assert!(!baseline.hear(minute(0), minute(0), Share::percent(90)));
    assert!((baseline.threshold().ratio() - before).abs() < 1e-6);
    for number in 1..=3 {
        assert!(baseline.hear(minute(number), minute(number), Share::percent(90)));
        let shift = baseline.threshold().ratio() - before;
        assert!((shift - 0.01 * number as f64).abs() < 1e-5, "{shift}");
    }
    (4..100).for_each(|number| _ = baseline.hear(minute(number), minute(number), Share::ALL));
    assert!((baseline.threshold().ratio() - before - 0.05).abs() < 1e-5);
}

#[test]
fn a_feed_that_is_stale_or_silent_changes_nothing() {
    let mut baseline = fed();
    (0..3).for_each(|number| _ = baseline.hear(minute(number), minute(number), Share::ALL));
    let shifted = baseline.threshold();
    assert!(!baseline.hear(minute(9), minute(7), Share::NONE));
    assert_eq!(baseline.threshold(), shifted);
    // After a day of silence an answer moves it by no more than one that came in time.
    assert!(baseline.hear(minute(1440), minute(1440), Share::ALL));
    assert!(baseline.threshold().ratio() - shifted.ratio() < 0.0101);
}
