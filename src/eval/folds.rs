use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Gives each video one of `folds` folds; videos of one group share theirs. Every class is spread over the folds as evenly as
/// the groups allow. The same for the same classes, groups and seed on every machine.
///
/// Largest groups first, each to the fold that has the fewest videos of its classes so far, of equal ones the smallest fold.
pub fn grouped_folds(classes: &[usize], groups: &[usize], folds: usize, seed: u64) -> Vec<usize> {
    let count = |values: &[usize]| values.iter().max().map_or(0, |&last| last + 1);
    let mut members = vec![Vec::new(); count(groups)];
    for (video, &group) in groups.iter().enumerate() {
        members[group].push(video);
    }
    members.retain(|videos| !videos.is_empty());
    members.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    // Stable: groups of one size stay shuffled.
    members.sort_by_key(|videos| std::cmp::Reverse(videos.len()));
    let mut held = vec![vec![0usize; count(classes)]; folds];
    let mut sizes = vec![0usize; folds];
    let mut fold_of = vec![0; classes.len()];
    for videos in members {
        let alike = |fold: usize| {
            videos
                .iter()
                .map(|&video| held[fold][classes[video]])
                .sum::<usize>()
        };
        let best = (0..folds)
            .min_by_key(|&fold| (alike(fold), sizes[fold]))
            .unwrap_or(0);
        for &video in &videos {
            fold_of[video] = best;
            held[best][classes[video]] += 1;
        }
        sizes[best] += videos.len();
    }
    fold_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread(counts: &[usize]) -> usize {
        counts.iter().max().unwrap() - counts.iter().min().unwrap()
    }

    proptest! {
        #[test]
        fn without_groups_every_class_is_even(
            classes in prop::collection::vec(0_usize..5, 1..80),
            folds in 2_usize..8,
            seed: u64,
        ) {
            let groups: Vec<usize> = (0..classes.len()).collect();
            let fold_of = grouped_folds(&classes, &groups, folds, seed);
            prop_assert!(fold_of.iter().all(|&fold| fold < folds));
            for class in 0..5 {
                let counts: Vec<usize> = (0..folds)
                    .map(|fold| (0..classes.len()).filter(|&v| fold_of[v] == fold && classes[v] == class).count())
                    .collect();
                prop_assert!(spread(&counts) <= 1, "{:?}", counts);
            }
        }

        #[test]
        fn a_group_is_never_split(
            rows in prop::collection::vec((0_usize..4, 0_usize..12), 1..60),
            folds in 2_usize..6,
            seed: u64,
        ) {
            let (classes, groups): (Vec<usize>, Vec<usize>) = rows.into_iter().unzip();
            let fold_of = grouped_folds(&classes, &groups, folds, seed);
            for a in 0..groups.len() {
                for b in 0..a {
                    prop_assert!(groups[a] != groups[b] || fold_of[a] == fold_of[b]);
                }
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let classes: Vec<usize> = (0..60).map(|video| video % 3).collect();
        let groups: Vec<usize> = (0..60).collect();
        assert_eq!(
            grouped_folds(&classes, &groups, 5, 7),
            grouped_folds(&classes, &groups, 5, 7)
        );
        assert_ne!(
            grouped_folds(&classes, &groups, 5, 7),
            grouped_folds(&classes, &groups, 5, 8)
        );
    }

    #[test]
    fn folds_of_equal_groups_are_equal() {
        // Six scenes of four cuts, two of them of each class.
        let classes: Vec<usize> = (0..24).map(|video| video / 4 % 3).collect();
        let groups: Vec<usize> = (0..24).map(|video| video / 4).collect();
        let fold_of = grouped_folds(&classes, &groups, 2, 1);
        for class in 0..3 {
            let of_fold = |fold| {
                (0..24)
                    .filter(|&v| classes[v] == class && fold_of[v] == fold)
                    .count()
            };
            assert_eq!((of_fold(0), of_fold(1)), (4, 4));
        }
    }
}
