use super::similarity::UnitFeatures;

/// Temperature of the votes (Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR
/// 2018, section 3.5; the same value in every later use of this protocol).
pub const VOTE_TEMPERATURE: f32 = 0.07;

/// The class that the `neighbours` nearest gallery items vote for, each with the weight exp(cosine / [`VOTE_TEMPERATURE`]).
///
/// Equally near items stand in the gallery's order; of classes with equal votes the first wins. The query itself is never
/// in its own gallery. `None` where the gallery is empty.
pub fn predict(
    features: &UnitFeatures,
    classes: &[usize],
    query: usize,
    gallery: &[usize],
    neighbours: usize,
) -> Option<usize> {
    let mut nearest: Vec<(f32, usize)> = gallery
        .iter()
        .filter(|&&item| item != query)
        .map(|&item| (features.cosine(query, item), item))
        .collect();
    // Stable: ties keep the gallery's order.
    nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
    nearest.truncate(neighbours);
    let mut votes = vec![0.0_f64; classes.iter().max()? + 1];
    for &(cosine, item) in &nearest {
        votes[classes[item]] += f64::from((cosine / VOTE_TEMPERATURE).exp());
    }
    let first_of_most = |best: Option<usize>, class: usize| match best {
        Some(best) if votes[best] >= votes[class] => Some(best),
        _ if votes[class] > 0.0 => Some(class),
        best => best,
    };
    (0..votes.len()).fold(None, first_of_most)
}

/// Videos by true class (row) and predicted class (column); square.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// All zero.
    pub fn new(classes: usize) -> Self {
        Self {
            counts: vec![vec![0; classes]; classes],
        }
    }

    /// Counts one video.
    pub fn add(&mut self, class: usize, predicted: usize) {
        self.counts[class][predicted] += 1;
    }

    /// The counts, `[true][predicted]`.
    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }

    /// Videos of a class.
    pub fn videos_of(&self, class: usize) -> usize {
        self.counts[class].iter().sum()
    }

    /// Videos of a class that were given that class.
    pub fn right_of(&self, class: usize) -> usize {
        self.counts[class][class]
    }

    /// All videos.
    pub fn videos(&self) -> usize {
        (0..self.counts.len()).map(|class| self.videos_of(class)).sum()
    }

    /// All that were given their class.
    pub fn right(&self) -> usize {
        (0..self.counts.len()).map(|class| self.right_of(class)).sum()
    }

    /// Part of all videos that were given their class.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.videos().max(1) as f64
    }

    /// Mean over the classes that have videos of the part that was given that class: blind to how many each has.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = (0..self.counts.len())
            .filter(|&class| self.videos_of(class) > 0)
            .map(|class| self.right_of(class) as f64 / self.videos_of(class) as f64)
            .collect();
        recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
    }
}

/// 95 % interval for a proportion after Wilson (1927): `right` of `videos`.
pub fn wilson_interval(right: usize, videos: usize) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    if videos == 0 {
        return (0.0, 1.0);
    }
    let n = videos as f64;
    let p = right as f64 / n;
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (
        ((centre - half) / scale).max(0.0),
        ((centre + half) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn features_of(rows: &[Vec<f32>]) -> UnitFeatures {
        let mut features = UnitFeatures::default();
        for row in rows {
            features.push(row).unwrap();
        }
        features
    }

    /// Takes the nearest remaining item `neighbours` times and adds up votes class by class.
    fn predict_by_repeated_search(
        features: &UnitFeatures,
        classes: &[usize],
        query: usize,
        gallery: &[usize],
        neighbours: usize,
    ) -> Option<usize> {
        let mut left: Vec<usize> = gallery.iter().copied().filter(|&item| item != query).collect();
        let mut votes = std::collections::BTreeMap::<usize, f64>::new();
        for _ in 0..neighbours {
            let Some(best) = (0..left.len()).reduce(|best, at| {
                if features.cosine(query, left[at]) > features.cosine(query, left[best]) {
                    at
                } else {
                    best
                }
            }) else {
                break;
            };
            let item = left.remove(best);
            let weight = (features.cosine(query, item) / VOTE_TEMPERATURE).exp();
            *votes.entry(classes[item]).or_default() += f64::from(weight);
        }
        let most = votes.values().copied().fold(0.0, f64::max);
        votes
            .into_iter()
            .find(|&(_, vote)| vote == most)
            .map(|(class, _)| class)
    }

    proptest! {
        #[test]
        fn votes_equal_those_of_a_repeated_search(
            rows in prop::collection::vec(
                (0_usize..4, prop::collection::vec((1_i8..4).prop_map(f32::from), 3)), 1..40),
            neighbours in 1_usize..12,
        ) {
            let (classes, rows): (Vec<usize>, Vec<Vec<f32>>) = rows.into_iter().unzip();
            let features = features_of(&rows);
            let gallery: Vec<usize> = (0..rows.len()).collect();
            for query in 0..rows.len() {
                prop_assert_eq!(
                    predict(&features, &classes, query, &gallery, neighbours),
                    predict_by_repeated_search(&features, &classes, query, &gallery, neighbours)
                );
            }
        }
    }

    #[test]
    fn one_near_neighbour_outvotes_two_far_ones() {
        let features = features_of(&[vec![1.0, 0.0], vec![1.0, 0.05], vec![0.3, 1.0], vec![0.2, 1.0]]);
        assert_eq!(predict(&features, &[0, 0, 1, 1], 0, &[1, 2, 3], 3), Some(0));
        assert_eq!(predict(&features, &[0, 0, 1, 1], 0, &[2, 3], 3), Some(1));
        assert_eq!(predict(&features, &[0, 0, 1, 1], 0, &[0], 3), None);
    }

    #[test]
    fn balanced_accuracy_is_blind_to_class_sizes() {
        let mut confusion = Confusion::new(3);
        for _ in 0..8 {
            confusion.add(0, 0);
        }
        confusion.add(1, 0);
        confusion.add(1, 1);
        assert_eq!(confusion.accuracy(), 0.9);
        assert_eq!(confusion.balanced_accuracy(), 0.75);
        assert_eq!((confusion.videos(), confusion.right()), (10, 9));
    }

    #[test]
    fn wilsons_interval_agrees_with_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for ((right, videos), (low, high)) in [
            ((81, 263), (0.2553, 0.3662)),
            ((15, 148), (0.0624, 0.1605)),
            ((0, 20), (0.0, 0.1611)),
            ((1, 29), (0.0061, 0.1718)),
        ] {
            let interval = wilson_interval(right, videos);
            assert!((interval.0 - low).abs() < 5e-5, "{interval:?}");
            assert!((interval.1 - high).abs() < 5e-5, "{interval:?}");
        }
    }
}
