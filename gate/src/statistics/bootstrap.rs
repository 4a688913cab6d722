//! How sure a share is, by drawing clusters again.

use super::design::Cluster;
use super::random::Random;

/// Draws.
const RESAMPLES: usize = 2_000;

/// The interval that holds the share of hits in `confidence` of all draws of as many clusters with
/// replacement (Efron, 1979, percentiles; whole blocks, as Künsch drew them in 1989, since events of
/// one moment have one cause). `None` without events. The same seed gives the same interval.
pub fn interval(clusters: &[Cluster], confidence: f64, seed: u64) -> Option<(f64, f64)> {
    let filled: Vec<_> = clusters.iter().filter(|cluster| cluster.events > 0).collect();
    if filled.is_empty() {
        return None;
    }
    let mut random = Random::new(seed);
    let mut shares: Vec<_> = (0..RESAMPLES).map(|_| drawn(&filled, &mut random)).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let outside = ((1.0 - confidence) / 2.0 * RESAMPLES as f64) as usize;
    Some((shares[outside], shares[RESAMPLES - 1 - outside]))
}

fn drawn(clusters: &[&Cluster], random: &mut Random) -> f64 {
    let (mut events, mut hits) = (0.0, 0.0);
    for _ in clusters {
        let cluster = clusters[random.below(clusters.len())];
        events += cluster.events as f64;
        hits += cluster.hits as f64;
    }
    hits / events
}
