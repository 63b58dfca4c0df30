use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Gives each video one of `folds` folds, so that every class is spread over them as evenly as can be and the folds are of
/// equal size, give or take one. The same for the same classes and seed on every machine.
pub fn stratified_folds(classes: &[usize], folds: usize, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut by_class = vec![Vec::new(); classes.iter().max().map_or(0, |&last| last + 1)];
    for (video, &class) in classes.iter().enumerate() {
        by_class[class].push(video);
    }
    let mut fold_of = vec![0; classes.len()];
    // Dealing goes on where the class before stopped: else the first folds would get every class's remainder.
    let mut next_fold = 0;
    for videos in &mut by_class {
        videos.shuffle(&mut random);
        for &video in videos.iter() {
            fold_of[video] = next_fold;
            next_fold = (next_fold + 1) % folds;
        }
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
        fn every_class_and_every_fold_is_even(
            classes in prop::collection::vec(0_usize..5, 1..80),
            folds in 2_usize..8,
            seed: u64,
        ) {
            let fold_of = stratified_folds(&classes, folds, seed);
            let count = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
                (0..folds)
                    .map(|fold| (0..classes.len()).filter(|&v| fold_of[v] == fold && wanted(v)).count())
                    .collect()
            };
            prop_assert!(fold_of.iter().all(|&fold| fold < folds));
            prop_assert!(spread(&count(&|_| true)) <= 1);
            for class in 0..5 {
                prop_assert!(spread(&count(&|video| classes[video] == class)) <= 1);
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let classes: Vec<usize> = (0..60).map(|video| video % 3).collect();
        assert_eq!(stratified_folds(&classes, 5, 7), stratified_folds(&classes, 5, 7));
        assert_ne!(stratified_folds(&classes, 5, 7), stratified_folds(&classes, 5, 8));
    }
}
