//! Features and classes → figures. Pure: no file, no network.

use serde::Serialize;

use super::folds::grouped_folds;
use super::knn::{Confusion, predict, wilson_interval};
use super::retrieval::{RECALL_AT, chance_of_hit, first_hit_rank, recall_at};
use super::similarity::UnitFeatures;

/// How videos are set against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Test videos are asked about, train videos searched.
    TrainTest,
    /// Each video is asked about, all others searched.
    LeaveOneOut,
    /// Each fold is asked about, the other folds searched.
    Folds,
}

/// What is compared: videos by index, and which of them are searched for which.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// One feature a video.
    pub features: &'a UnitFeatures,
    /// Each video's class.
    pub classes: &'a [usize],
    /// How many classes the data set has.
    pub class_count: usize,
    /// Each video's group: videos of one group are never set against each other. Empty where each stands for itself.
    pub groups: &'a [usize],
    /// Train and test videos, where the data set has such a split.
    pub split: Option<Split>,
}

/// Video indices of the two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Searched.
    pub train: Vec<usize>,
    /// Asked about.
    pub test: Vec<usize>,
}

/// Recall at one number of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RecallAtK {
    /// Number of nearest videos looked at.
    pub k: usize,
    /// Part of the queries that have a video of their class among these.
    pub recall: f64,
    /// The same for an order by chance.
    pub chance: f64,
}

/// What `eval retrieval` finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievalFigures {
    /// How videos were set against each other.
    pub protocol: Protocol,
    /// Videos asked about.
    pub queries: usize,
    /// Videos searched for each.
    pub gallery: usize,
    /// Over all queries.
    pub recall_at: Vec<RecallAtK>,
    /// The same class by class, in the order of the data set's classes.
    pub per_class: Vec<ClassRetrieval>,
}

/// One class of [`RetrievalFigures`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassRetrieval {
    /// Index of the class in the data set's list.
    pub class: usize,
    /// Queries of this class.
    pub queries: usize,
    /// Videos of this class that can be found (leave-one-out: one fewer than there are).
    pub gallery: usize,
    /// Over the class's queries; all zero where it has none.
    pub recall_at: Vec<RecallAtK>,
}

/// How often videos were given their class, whoever gave it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Classification {
    /// How videos were set against each other.
    pub protocol: Protocol,
    /// Videos classified.
    pub queries: usize,
    /// Part of the videos that were given their class.
    pub accuracy: f64,
    /// 95 % interval of the accuracy (Wilson), which takes the videos for independent of each other.
    pub accuracy_interval_95: (f64, f64),
    /// Mean of the classes' accuracies.
    pub balanced_accuracy: f64,
    /// Accuracy of always naming the commonest class of the searched videos.
    pub chance: f64,
    /// Accuracy fold by fold; empty where there are no folds.
    pub fold_accuracy: Vec<f64>,
    /// Class by class, in the order of the data set's classes.
    pub per_class: Vec<ClassAccuracy>,
    /// Videos by true class (row) and given class (column).
    pub confusion: Vec<Vec<usize>>,
}

/// What `eval knn` finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnnFigures {
    /// Neighbours that vote (k).
    pub neighbours: usize,
    /// What they got right.
    #[serde(flatten)]
    pub classification: Classification,
}

/// One class of a [`Classification`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassAccuracy {
    /// Index of the class in the data set's list.
    pub class: usize,
    /// Videos of this class.
    pub queries: usize,
    /// Part of them that were given their class; 0 where there are none.
    pub accuracy: f64,
}

impl Comparison<'_> {
    /// Whether two videos are cuts of one scene.
    fn together(&self, a: usize, b: usize) -> bool {
        match self.groups.is_empty() {
            true => a == b,
            false => self.groups[a] == self.groups[b],
        }
    }

    /// The videos asked about, and those searched for one of them. Without a split that is all others but its own group.
    pub fn queries(&self) -> (Protocol, Vec<usize>) {
        match &self.split {
            Some(split) => (Protocol::TrainTest, split.test.clone()),
            None => (Protocol::LeaveOneOut, (0..self.classes.len()).collect()),
        }
    }

    /// The videos searched for `query`.
    pub fn gallery(&self, query: usize) -> Vec<usize> {
        match &self.split {
            Some(split) => split.train.clone(),
            None => (0..self.classes.len())
                .filter(|&item| !self.together(query, item))
                .collect(),
        }
    }

    /// Train and test videos of each round: the one split that there is, or folds that no group spans.
    pub fn rounds(&self, folds: usize, seed: u64) -> (Protocol, Vec<Split>) {
        if let Some(split) = &self.split {
            return (Protocol::TrainTest, vec![split.clone()]);
        }
        let videos = self.classes.len();
        let own: Vec<usize> = (0..videos).collect();
        let groups = if self.groups.is_empty() { &own } else { self.groups };
        let fold_of = grouped_folds(self.classes, groups, folds, seed);
        let round = |fold| Split {
            train: (0..videos).filter(|&video| fold_of[video] != fold).collect(),
            test: (0..videos).filter(|&video| fold_of[video] == fold).collect(),
        };
        (Protocol::Folds, (0..folds).map(round).collect())
    }
}

/// Nearest-neighbour retrieval: test videos in train videos, or each video in all others.
pub fn retrieval(comparison: &Comparison<'_>) -> RetrievalFigures {
    let (protocol, queries) = comparison.queries();
    struct Row {
        class: usize,
        hit: Option<usize>,
        searched: usize,
        alike: usize,
    }
    let rows: Vec<Row> = queries
        .iter()
        .map(|&query| {
            let gallery = comparison.gallery(query);
            let class = comparison.classes[query];
            Row {
                class,
                hit: first_hit_rank(comparison.features, comparison.classes, query, &gallery),
                searched: gallery.len(),
                alike: gallery
                    .iter()
                    .filter(|&&item| comparison.classes[item] == class)
                    .count(),
            }
        })
        .collect();
    let table = |rows: &[&Row]| -> Vec<RecallAtK> {
        let hits: Vec<Option<usize>> = rows.iter().map(|row| row.hit).collect();
        let chance = |k| {
            let sum: f64 = rows
                .iter()
                .map(|row| chance_of_hit(row.searched, row.alike, k))
                .sum();
            sum / rows.len().max(1) as f64
        };
        RECALL_AT
            .into_iter()
            .map(|k| RecallAtK {
                k,
                recall: recall_at(&hits, k),
                chance: chance(k),
            })
            .collect()
    };
    let per_class = (0..comparison.class_count)
        .map(|class| {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.class == class).collect();
            ClassRetrieval {
                class,
                queries: rows.len(),
                gallery: rows.iter().map(|row| row.alike).max().unwrap_or(0),
                recall_at: table(&rows),
            }
        })
        .collect();
    RetrievalFigures {
        protocol,
        queries: queries.len(),
        gallery: rows.iter().map(|row| row.searched).max().unwrap_or(0),
        recall_at: table(&rows.iter().collect::<Vec<_>>()),
        per_class,
    }
}

/// Classification in rounds: `classify` names a class for each of the round's test videos. Where it names none, none is right.
pub fn classification<E>(
    comparison: &Comparison<'_>,
    folds: usize,
    seed: u64,
    mut classify: impl FnMut(&Split) -> Result<Vec<Option<usize>>, E>,
) -> Result<Classification, E> {
    let (protocol, rounds) = comparison.rounds(folds, seed);
    let mut confusion = Confusion::new(comparison.class_count);
    let mut fold_accuracy = Vec::new();
    let mut right_by_chance = 0;
    let mut queries = 0;
    for round in &rounds {
        let mut of_round = Confusion::new(comparison.class_count);
        let train_sizes = sizes(comparison, &round.train);
        let largest = train_sizes.iter().max();
        let commonest = train_sizes.iter().position(|size| Some(size) == largest);
        for (&query, given) in round.test.iter().zip(classify(round)?) {
            let class = comparison.classes[query];
            queries += 1;
            right_by_chance += usize::from(Some(class) == commonest);
            if let Some(given) = given {
                confusion.add(class, given);
                of_round.add(class, given);
            }
        }
        fold_accuracy.push(of_round.accuracy());
    }
    if protocol != Protocol::Folds {
        fold_accuracy.clear();
    }
    let per_class = (0..comparison.class_count)
        .map(|class| ClassAccuracy {
            class,
            queries: confusion.videos_of(class),
            accuracy: confusion.right_of(class) as f64 / confusion.videos_of(class).max(1) as f64,
        })
        .collect();
    Ok(Classification {
        protocol,
        queries,
        accuracy: confusion.right() as f64 / queries.max(1) as f64,
        accuracy_interval_95: wilson_interval(confusion.right(), queries),
        balanced_accuracy: confusion.balanced_accuracy(),
        chance: right_by_chance as f64 / queries.max(1) as f64,
        fold_accuracy,
        per_class,
        confusion: confusion.counts().to_vec(),
    })
}

/// Classification by the vote of the nearest `neighbours`: test videos by train videos, or each of `folds` folds by the
/// others. `folds` and `seed` are not looked at where there is a split.
pub fn knn(comparison: &Comparison<'_>, neighbours: usize, folds: usize, seed: u64) -> KnnFigures {
    let vote = |round: &Split| {
        let of = |&query: &usize| {
            predict(
                comparison.features,
                comparison.classes,
                query,
                &round.train,
                neighbours,
            )
        };
        Ok::<_, std::convert::Infallible>(round.test.iter().map(of).collect())
    };
    let Ok(classification) = classification(comparison, folds, seed, vote);
    KnnFigures {
        neighbours,
        classification,
    }
}

/// How many of `videos` are of each class.
fn sizes(comparison: &Comparison<'_>, videos: &[usize]) -> Vec<usize> {
    let mut sizes = vec![0; comparison.class_count];
    for &video in videos {
        sizes[comparison.classes[video]] += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class `c` points along axis `c`, with a little of the next axis so that no two videos coincide.
    fn separable(per_class: &[usize]) -> (UnitFeatures, Vec<usize>) {
        let mut features = UnitFeatures::default();
        let mut classes = Vec::new();
        for (class, &count) in per_class.iter().enumerate() {
            for video in 0..count {
                let mut feature = vec![0.0; per_class.len()];
                feature[class] = 1.0;
                feature[(class + 1) % per_class.len()] += 0.01 * video as f32;
                features.push(&feature).unwrap();
                classes.push(class);
            }
        }
        (features, classes)
    }

    #[test]
    fn separable_classes_are_found_by_both_protocols() {
        let (features, classes) = separable(&[6, 5, 4]);
        let mut comparison = Comparison {
            features: &features,
            classes: &classes,
            class_count: 3,
            groups: &[],
            split: None,
        };
        let figures = retrieval(&comparison);
        assert_eq!(figures.protocol, Protocol::LeaveOneOut);
        assert_eq!((figures.queries, figures.gallery), (15, 14));
        assert!(
            figures
                .recall_at
                .iter()
                .all(|at| at.recall == 1.0 && at.chance <= 1.0)
        );
        assert_eq!(figures.per_class[2].gallery, 3);
        let by_hand = (6.0 * 5.0 + 5.0 * 4.0 + 4.0 * 3.0) / (15.0 * 14.0);
        assert!((figures.recall_at[0].chance - by_hand).abs() < 1e-12);
        let figures = knn(&comparison, 3, 5, 0).classification;
        assert_eq!((figures.protocol, figures.queries), (Protocol::Folds, 15));
        assert_eq!(figures.fold_accuracy, [1.0; 5]);
        assert_eq!((figures.accuracy, figures.balanced_accuracy), (1.0, 1.0));
        assert_eq!(figures.confusion, [[6, 0, 0], [0, 5, 0], [0, 0, 4]]);
        comparison.split = Some(Split {
            train: vec![0, 1, 2, 6, 7],
            test: vec![3, 8, 11],
        });
        let figures = knn(&comparison, 1, 5, 0).classification;
        assert_eq!(figures.protocol, Protocol::TrainTest);
        assert_eq!((figures.queries, figures.fold_accuracy.len()), (3, 0));
        assert!(
            (figures.accuracy - 2.0 / 3.0).abs() < 1e-12,
            "class 2 has no train video"
        );
        assert!(
            (figures.chance - 1.0 / 3.0).abs() < 1e-12,
            "class 0 is the commonest"
        );
        let figures = retrieval(&comparison);
        assert_eq!((figures.queries, figures.gallery), (3, 5));
        assert!((figures.recall_at[4].recall - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(figures.per_class[2].recall_at[4].chance, 0.0);
    }

    #[test]
    fn every_video_is_asked_about_once() {
        let (features, classes) = separable(&[9, 7]);
        let comparison = Comparison {
            features: &features,
            classes: &classes,
            class_count: 2,
            groups: &[],
            split: None,
        };
        for folds in 2..8 {
            let figures = knn(&comparison, 5, folds, 3).classification;
            assert_eq!(figures.queries, 16);
            assert_eq!(figures.fold_accuracy.len(), folds);
        }
    }

    #[test]
    fn the_features_of_another_class_are_never_right() {
        let (features, _) = separable(&[2, 2]);
        let classes = [0, 1, 0, 1];
        let comparison = Comparison {
            features: &features,
            classes: &classes,
            class_count: 2,
            groups: &[],
            split: None,
        };
        assert_eq!(retrieval(&comparison).recall_at[0].recall, 0.0);
        assert_eq!(knn(&comparison, 1, 4, 0).classification.accuracy, 0.0);
    }

    #[test]
    fn cuts_of_one_scene_are_never_set_against_each_other() {
        // Scenes of two cuts that are all but the same; the other scene of the class looks like another class.
        let mut features = UnitFeatures::default();
        for scene in [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]] {
            features.push(&scene).unwrap();
            features.push(&scene).unwrap();
        }
        let classes = [0, 0, 1, 1, 0, 0, 1, 1];
        let alone = Comparison {
            features: &features,
            classes: &classes,
            class_count: 2,
            groups: &[],
            split: None,
        };
        assert_eq!(retrieval(&alone).recall_at[0].recall, 1.0);
        let grouped = Comparison {
            groups: &[0, 0, 1, 1, 2, 2, 3, 3],
            ..alone
        };
        let figures = retrieval(&grouped);
        assert_eq!((figures.recall_at[0].recall, figures.gallery), (0.0, 6));
        assert_eq!(knn(&grouped, 1, 4, 0).classification.accuracy, 0.0);
    }
}
