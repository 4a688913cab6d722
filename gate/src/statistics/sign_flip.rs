//! Whether differences lean to one side, without any assumption about how they are distributed.

/// With more differences there are too many signs to try all.
pub const MOST: usize = 40;

/// How often a sum this large comes of these differences when each has its sign by the toss of a coin:
/// the exact one-sided p of "they are not above nothing" (Fisher, The Design of Experiments, 1935).
/// `None` for no difference or for more than [`MOST`].
///
/// Every choice of signs counts: all of one half are sorted, and each of the other half looks up how
/// many of them are enough (Horowitz and Sahni, 1974).
pub fn p_above(differences: &[f64]) -> Option<f64> {
    if differences.is_empty() || differences.len() > MOST {
        return None;
    }
    let seen: f64 = differences.iter().sum();
    // Sums of the same numbers in another order are the same sum.
    let close = differences.iter().map(|d| d.abs()).sum::<f64>() * 1e-12;
    let (left, right) = differences.split_at(differences.len() / 2);
    let mut left = sums(left);
    left.sort_unstable_by(f64::total_cmp);
    let enough = |right: f64| left.len() - left.partition_point(|sum| sum + right < seen - close);
    let as_large: usize = sums(right).into_iter().map(enough).sum();
    Some(as_large as f64 / 2_f64.powi(differences.len() as i32))
}

/// The sum of each choice of signs.
fn sums(differences: &[f64]) -> Vec<f64> {
    let both = |sums: Vec<f64>, d: &f64| sums.iter().flat_map(|sum| [sum - d, sum + d]).collect();
    differences.iter().fold(vec![0.0], both)
}
