use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use super::design::Cluster;
use super::random::Random;
use super::*;

#[track_caller]
fn close(ours: f64, other: f64, relative: f64) {
    let off = (ours - other).abs() / other.abs().max(1e-300);
    assert!(off <= relative, "{ours} is not {other}: off by {off:e}");
}

#[test]
fn gamma_has_its_known_values() {
    close(gamma::ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-13);
    close(gamma::ln_gamma(5.0), 24_f64.ln(), 1e-13);
    close(gamma::ln_gamma(171.0), 706.573_062_245_787_4, 1e-14);
    assert!(gamma::ln_gamma(1.0).abs() < 1e-13);
}

#[test]
fn beta_agrees_with_the_reference() {
    for (a, b) in [(0.5, 0.5), (2.0, 3.0), (10.0, 0.5), (120.0, 9_881.0), (5_000.5, 1_000_000.0)] {
        let other = Beta::new(a, b).unwrap();
        let mean: f64 = a / (a + b);
        for x in [mean * 0.7, mean * 0.97, mean, mean * 1.03, (mean * 1.4).min(0.999)] {
            let (ours, known) = (beta::regularized(x, a, b), other.cdf(x));
            assert!((ours - known).abs() < 1e-9, "I_{x}({a}, {b}) = {ours}, and {known}");
        }
        for p in [1e-6, 0.0125, 0.5, 0.975, 0.999_999] {
            let x = beta::inverse(p, a, b);
            assert!((beta::regularized(x, a, b) - p).abs() < 1e-9, "({a}, {b}) at {p}");
        }
    }
}

/// Fisher and Yates, Statistical Tables, table III, and what lies between its rows.
#[test]
fn student_has_its_tabulated_quantiles() {
    for (p, freedom, tabulated) in [
        (0.975, 1.0, 12.706),
        (0.95, 5.0, 2.015),
        (0.975, 10.0, 2.228),
        (0.99, 19.0, 2.539),
        (0.995, 30.0, 2.750),
        (0.975, 1e7, 1.960),
    ] {
        close(student::quantile(p, freedom), tabulated, 3e-4);
    }
    for freedom in [1.0, 2.5, 5.0, 9.0, 14.0, 19.0, 250.0] {
        let other = StudentsT::new(0.0, 1.0, freedom).unwrap();
        for p in [0.0125, 0.2, 0.5001, 0.8, 0.9875] {
            let t = student::quantile(p, freedom);
            assert!((student::cumulative(t, freedom) - p).abs() < 1e-10);
            assert!((other.cdf(t) - p).abs() < 1e-8, "{freedom} at {p}");
        }
    }
    assert!(student::quantile(0.5, 7.0).abs() < 1e-5);
}

/// Clopper and Pearson's chart, in the digits that everybody's tables have.
#[test]
fn the_binomial_interval_is_the_tabulated_one() {
    for (hits, trials, low, high) in [
        (0.0, 10.0, 0.0, 0.3085),
        (1.0, 10.0, 0.0025, 0.4450),
        (5.0, 10.0, 0.1871, 0.8129),
        (10.0, 10.0, 0.6915, 1.0),
        (10.0, 1_000.0, 0.0048, 0.0183),
    ] {
        let (l, h) = binomial::interval(hits, trials, 0.95);
        assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "{hits}/{trials}: {l} {h}");
    }
    assert_eq!(binomial::interval(0.0, 0.0, 0.95), (0.0, 1.0));
    let (low, high) = binomial::interval(2.5, 250.0, 0.95);
    assert!(low < 0.01 && 0.01 < high, "half a hit is half a hit");
}

#[test]
fn binomial_probabilities_agree_with_the_reference() {
    for (trials, p) in [(1, 0.5), (20, 0.01), (1_000, 0.99), (100_000, 0.99)] {
        let other = Binomial::new(p, trials).unwrap();
        for hits in [0, trials / 2, (trials as f64 * p) as u64, trials - 1, trials] {
            let ours = binomial::cumulative(hits, trials, p);
            assert!((ours - other.cdf(hits)).abs() < 1e-9, "{hits} of {trials} at {p}");
        }
    }
}

/// The ranks that published tables have, and the counts that a quantile needs to have any.
#[test]
fn ranks_lie_around_the_quantile() {
    assert_eq!(order::ranks(1_000, 0.99, 0.95), Some((983, 997)));
    assert_eq!(order::ranks(10_000, 0.99, 0.95), Some((9_880, 9_920)));
    assert_eq!(order::ranks(100_000, 0.99, 0.95), Some((98_938, 99_062)));
    for (q, needed) in cronx_recording::histogram::CARRIES {
        assert_eq!(order::ranks(needed - 1, q, 0.95), None, "{q}");
        assert!(order::ranks(needed, q, 0.95).is_some(), "{q}");
    }
    assert_eq!(order::ranks(0, 0.5, 0.95), None);
}

/// Darwin's fifteen pairs of plants, crossed and self-fertilized, as Fisher analysed them: of 32,768
/// choices of signs 863 give as much.
#[test]
fn signs_are_flipped_as_fisher_did() {
    let eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48].map(f64::from);
    close(sign_flip::p_above(&eighths).unwrap(), 863.0 / 32_768.0, 1e-12);
    close(sign_flip::p_above(&[1.0; 6]).unwrap(), 1.0 / 64.0, 1e-12);
    close(sign_flip::p_above(&[-1.0; 6]).unwrap(), 1.0, 1e-12);
    close(sign_flip::p_above(&[0.0, 0.0]).unwrap(), 1.0, 1e-12);
    assert_eq!(sign_flip::p_above(&[]), None);
    assert_eq!(sign_flip::p_above(&[1.0; 41]), None);
}

#[test]
fn welch_by_hand() {
    let found = welch::difference(&[1.0, 2.0, 3.0, 4.0], &[2.0, 4.0, 6.0, 8.0, 10.0]).unwrap();
    close(found.value, 3.5, 1e-12);
    close(found.error, (5.0_f64 / 12.0 + 2.0).sqrt(), 1e-12);
    close(found.freedom, 5.520_75, 1e-4);
    assert_eq!(welch::difference(&[1.0], &[2.0, 3.0]), None);
    assert_eq!(welch::difference(&[1.0, f64::NAN], &[2.0, 3.0]), None);
    let still = welch::difference(&[1.0, 1.0], &[1.0, 1.0]).unwrap();
    assert_eq!(still.bounds(0.01), (0.0, 0.0));
}

#[test]
fn a_mean_has_bounds() {
    let estimate = Estimate::of_mean(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let (low, high) = estimate.bounds(0.025);
    close(low, 3.0 - 2.776_445 * 0.5_f64.sqrt(), 1e-6);
    close(high - 3.0, 3.0 - low, 1e-12);
    assert_eq!(Estimate::of_mean(&[1.0]), None);
    assert_eq!(Estimate::of_mean(&[1.0, f64::INFINITY]), None);
}

/// What it promises is what happens: four of five estimates lie so far up that their bound is above
/// the margin.
#[test]
fn the_detectable_effect_is_detected_so_often() {
    let (margin, error, freedom, alpha) = (0.05, 0.02, 14.0, 0.0125);
    let estimate = Estimate { value: 0.0, error, freedom };
    let effect = effect::minimum_detectable(&estimate, margin, alpha, 0.8);
    let mut random = Random::new(7);
    let (trials, mut found) = (4_000, 0);
    for _ in 0..trials {
        let figures: Vec<_> =
            (0..15).map(|_| effect + normal(&mut random) * error * 15_f64.sqrt()).collect();
        found += usize::from(Estimate::of_mean(&figures).unwrap().bounds(alpha).0 > margin);
    }
    let share = found as f64 / f64::from(trials);
    assert!((0.75..0.86).contains(&share), "{share}");
}

/// Box and Muller, 1958.
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * random.unit().ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

fn clusters(of: &[(u64, u64)]) -> Vec<Cluster> {
    of.iter().map(|&(events, hits)| Cluster { events, hits }).collect()
}

#[test]
fn whole_clusters_count_as_one_event_each() {
    let mut all = vec![(100, 100); 5];
    all.extend([(100, 0); 5]);
    // A hundred events that are one, over as many clusters as there are degrees of freedom.
    close(design::effect(&clusters(&all)).unwrap(), 100.0 * 10.0 / 9.0, 1e-12);
    assert_eq!(design::effect(&clusters(&[(100, 1); 10])), Some(1.0));
    assert_eq!(design::effect(&clusters(&[(100, 0); 10])), Some(1.0));
    assert_eq!(design::effect(&clusters(&[(100, 1); 7])), None);
    let mut with_empty = vec![(100, 1); 7];
    with_empty.push((0, 0));
    assert_eq!(design::effect(&clusters(&with_empty)), None);
}

/// Events that know nothing of each other come to 1, give or take what chance gives.
#[test]
fn independent_events_have_no_design_effect() {
    let mut random = Random::new(3);
    let draw = |random: &mut Random| {
        let hits = (0..1_000).filter(|_| random.unit() < 0.01).count() as u64;
        Cluster { events: 1_000, hits }
    };
    let effects: Vec<_> = (0..200)
        .map(|_| design::effect(&(0..32).map(|_| draw(&mut random)).collect::<Vec<_>>()).unwrap())
        .collect();
    let mean = effects.iter().sum::<f64>() / 200.0;
    assert!((1.0..1.2).contains(&mean), "{mean}");
}

#[test]
fn a_bootstrap_holds_what_its_clusters_hold() {
    let even = clusters(&[(100, 10); 32]);
    let (low, high) = bootstrap::interval(&even, 0.95, 1).unwrap();
    close(low, 0.1, 1e-12);
    close(high, 0.1, 1e-12);
    let mut burst = vec![(100, 0); 31];
    burst.push((100, 32));
    let (low, high) = bootstrap::interval(&clusters(&burst), 0.95, 1).unwrap();
    assert!(low < 1e-9 && high > 0.02, "a burst in one block may not come again: {low} {high}");
    assert_eq!(bootstrap::interval(&[], 0.95, 1), None);
    assert_eq!(bootstrap::interval(&clusters(&[(0, 0)]), 0.95, 1), None);
}

#[test]
fn drawn_numbers_are_even_and_can_be_had_again() {
    let mut random = Random::new(5);
    let mut counts = [0_u32; 5];
    (0..50_000).for_each(|_| counts[random.below(5)] += 1);
    assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    assert_eq!(Random::new(5).draw(), Random::new(5).draw());
    let mut random = Random::new(9);
    assert!((0..1_000).map(|_| random.unit()).all(|u| u > 0.0 && u < 1.0));
}
