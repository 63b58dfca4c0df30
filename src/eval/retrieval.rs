use super::similarity::UnitFeatures;

/// The numbers of neighbours at which recall is reported (paper, table 3).
pub const RECALL_AT: [usize; 5] = [1, 5, 10, 20, 50];

/// For one query: how many gallery items of other classes come before the first of its own class; `None` where the gallery
/// has none of its class.
///
/// Nearest first; equally near items stand in the gallery's order. The query itself is never in its own gallery.
pub fn first_hit_rank(
    features: &UnitFeatures,
    classes: &[usize],
    query: usize,
    gallery: &[usize],
) -> Option<usize> {
    let similarities: Vec<(f32, usize)> = gallery
        .iter()
        .filter(|&&item| item != query)
        .map(|&item| (features.cosine(query, item), item))
        .collect();
    // `position` settles ties: only a strictly nearer item overtakes an earlier one.
    let (mut nearest_hit, mut hit_position) = (f32::NEG_INFINITY, None);
    for (position, &(cosine, item)) in similarities.iter().enumerate() {
        if classes[item] == classes[query] && cosine > nearest_hit {
            (nearest_hit, hit_position) = (cosine, Some(position));
        }
    }
    let hit_position = hit_position?;
    let ahead = |&(position, &(cosine, _)): &(usize, &(f32, usize))| {
        cosine > nearest_hit || (cosine == nearest_hit && position < hit_position)
    };
    Some(similarities.iter().enumerate().filter(ahead).count())
}

/// Part of the queries whose `k` nearest gallery items hold one of their own class. Queries without any count as missed.
pub fn recall_at(first_hits: &[Option<usize>], k: usize) -> f64 {
    let hits = first_hits
        .iter()
        .filter(|hit| hit.is_some_and(|rank| rank < k))
        .count();
    hits as f64 / first_hits.len().max(1) as f64
}

/// What a ranking by chance reaches for one query: the probability that at least one of `k` items drawn without
/// replacement from a gallery of `gallery` items is one of the `same_class` right ones.
pub fn chance_of_hit(gallery: usize, same_class: usize, k: usize) -> f64 {
    let wrong = gallery - same_class;
    let draws = k.min(gallery);
    if draws > wrong {
        return 1.0;
    }
    let miss: f64 = (0..draws)
        .map(|drawn| (wrong - drawn) as f64 / (gallery - drawn) as f64)
        .product();
    1.0 - miss
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

    /// Sorts the whole gallery and looks at the first `k`, as the definition says.
    fn recall_by_sorting(
        features: &UnitFeatures,
        classes: &[usize],
        queries: &[usize],
        gallery: &[usize],
        k: usize,
    ) -> f64 {
        let hits = queries.iter().filter(|&&query| {
            let mut ranked: Vec<usize> = gallery.iter().copied().filter(|&item| item != query).collect();
            ranked.sort_by(|&a, &b| features.cosine(query, b).total_cmp(&features.cosine(query, a)));
            ranked.iter().take(k).any(|&item| classes[item] == classes[query])
        });
        hits.count() as f64 / queries.len() as f64
    }

    /// Few directions, so that ties are common.
    fn labelled_rows() -> impl Strategy<Value = Vec<(usize, Vec<f32>)>> {
        let coordinate = (1_i8..4).prop_map(f32::from);
        prop::collection::vec((0_usize..4, prop::collection::vec(coordinate, 3)), 2..40)
    }

    proptest! {
        #[test]
        fn recall_equals_that_of_a_full_sort(rows in labelled_rows(), split in 0.0_f64..1.0) {
            let (classes, rows): (Vec<usize>, Vec<Vec<f32>>) = rows.into_iter().unzip();
            let features = features_of(&rows);
            let all: Vec<usize> = (0..rows.len()).collect();
            let cut = 1 + ((rows.len() - 2) as f64 * split) as usize;
            for (queries, gallery) in [(&all[..], &all[..]), (&all[cut..], &all[..cut])] {
                let first_hits: Vec<_> = queries
                    .iter()
                    .map(|&query| first_hit_rank(&features, &classes, query, gallery))
                    .collect();
                for k in RECALL_AT {
                    prop_assert_eq!(
                        recall_at(&first_hits, k),
                        recall_by_sorting(&features, &classes, queries, gallery, k)
                    );
                }
            }
        }
    }

    #[test]
    fn chance_equals_the_count_of_all_draws() {
        // Every subset of k out of 7 items of which the first `same` are right.
        for same in 0..=7 {
            for k in 0..=7_usize {
                let subsets = (0_u32..1 << 7).filter(|set| set.count_ones() as usize == k);
                let (mut all, mut hits) = (0, 0);
                for set in subsets {
                    all += 1;
                    hits += usize::from(set & ((1 << same) - 1) != 0);
                }
                let expected = hits as f64 / all as f64;
                assert!((chance_of_hit(7, same, k) - expected).abs() < 1e-12, "{same} {k}");
            }
        }
        assert_eq!(chance_of_hit(3, 1, 50), 1.0);
        assert_eq!(chance_of_hit(3, 0, 50), 0.0);
    }

    #[test]
    fn a_query_whose_class_the_gallery_lacks_is_missed_at_every_k() {
        let features = features_of(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
        let hit = first_hit_rank(&features, &[0, 1], 0, &[1]);
        assert_eq!(hit, None);
        assert_eq!(recall_at(&[hit], 50), 0.0);
    }
}
