use super::*;

const MS: u64 = 1_000_000;

fn judged(candidate: [u64; 6], margins: &Margins) -> Compared {
    let base = [100, 101, 99, 100, 102, 98].map(|n| n * MS / 100);
    let both: Vec<_> = base.into_iter().zip(candidate.map(|n| n * MS / 100)).collect();
    pairs(&both, margins).unwrap()
}

#[test]
fn clear_cases_are_clear() {
    let margins = Margins::default();
    let same = judged([101, 100, 100, 99, 101, 99], &margins);
    assert_eq!(same.decision, Decision::Pass);
    let worse = judged([150, 149, 152, 151, 148, 150], &margins);
    assert_eq!(worse.decision, Decision::Regression);
    let figures = worse.figures;
    assert!((figures.ratio - 1.5).abs() < 0.01 && figures.lower > 1.45 && figures.upper < 1.55);
    assert_eq!(figures.sign_flip_p, Some(1.0 / 64.0));
    assert!(figures.detectable > 1.05 && figures.detectable < 1.12, "{figures:?}");
    assert_eq!((figures.recordings, figures.base.len()), (6, 6));
}

#[test]
fn between_the_margins_and_in_noise_nothing_is_decided() {
    let margins = Margins::default();
    assert_eq!(judged([107, 118, 98, 112, 103, 109], &margins).decision, Decision::Inconclusive);
    assert_eq!(judged([50, 200, 80, 150, 60, 180], &margins).decision, Decision::Inconclusive);
}

#[test]
fn a_floor_makes_small_growth_none() {
    let grown = [150, 149, 152, 151, 148, 150];
    let floor = Margins { floor_ns: MS, ..Margins::default() };
    assert_eq!(judged(grown, &floor).decision, Decision::Pass);
    let low = Margins { floor_ns: MS / 10, ..Margins::default() };
    assert_eq!(judged(grown, &low).decision, Decision::Regression);
}

#[test]
fn nothing_against_nothing_is_the_same() {
    let zeros = [(0, 0); 6];
    let compared = pairs(&zeros, &Margins::default()).unwrap();
    assert_eq!((compared.decision, compared.figures.ratio), (Decision::Pass, 1.0));
    let appeared = [(0, MS); 6];
    assert_eq!(pairs(&appeared, &Margins::default()).unwrap().decision, Decision::Regression);
    assert!(pairs(&[(1, 1)], &Margins::default()).is_none());
}

#[test]
fn samples_need_no_partners() {
    let base = [100, 101, 99, 100, 102, 98, 100].map(|n| n * MS / 100);
    let worse = [150, 149, 152, 151, 148, 150].map(|n| n * MS / 100);
    let compared = samples(&base, &worse, &Margins::default()).unwrap();
    assert_eq!(compared.decision, Decision::Regression);
    assert_eq!((compared.figures.sign_flip_p, compared.figures.recordings), (None, 6));
    assert_eq!(samples(&base, &base, &Margins::default()).unwrap().decision, Decision::Pass);
}
