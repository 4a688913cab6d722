//! How much less events say that come in clusters.

/// One cluster of events: a block of a recording, or a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Events in it.
    pub events: u64,
    /// How many of them were hits.
    pub hits: u64,
}

/// With fewer clusters the effect itself would be chance.
pub const FEWEST: usize = 8;

/// The variance of the share of hits, over what it would be if events did not know of each other
/// (Kish, Survey Sampling, 1965, the ratio of two sums over clusters). Never below 1: what looks like
/// less is chance. `None` for fewer than [`FEWEST`] clusters with events.
///
/// Where no event, or every one, is a hit, nothing is known of how hits come, and the effect is that
/// of a single hit: 1.
pub fn effect(clusters: &[Cluster]) -> Option<f64> {
    let filled: Vec<_> = clusters.iter().filter(|cluster| cluster.events > 0).collect();
    if filled.len() < FEWEST {
        return None;
    }
    let events = filled.iter().map(|cluster| cluster.events as f64).sum::<f64>();
    let share = filled.iter().map(|cluster| cluster.hits as f64).sum::<f64>() / events;
    let simple = share * (1.0 - share) / events;
    if simple <= 0.0 {
        return Some(1.0);
    }
    let count = filled.len() as f64;
    let residual = |c: &&Cluster| (c.hits as f64 - share * c.events as f64).powi(2);
    let squares = filled.iter().map(residual).sum::<f64>();
    let clustered = count / (count - 1.0) * squares / (events * events);
    Some((clustered / simple).max(1.0))
}
