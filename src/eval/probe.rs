//! A linear classifier on frozen features.

use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use super::EvalError;
use super::score::{Classification, Comparison, Split, classification};
use super::similarity::UnitFeatures;

/// What `eval probe` finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeFigures {
    /// What the classifier got right.
    #[serde(flatten)]
    pub classification: Classification,
    /// The penalty on squared weights of each round, chosen by folds of its training videos alone.
    pub penalties: Vec<f64>,
    /// What each penalty reached in that choice, averaged over rounds.
    pub choice: Vec<PenaltyAccuracy>,
}

/// What a penalty reached on held-out training videos.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PenaltyAccuracy {
    /// The penalty.
    pub penalty: f64,
    /// Part of the held-out training videos that were given their class.
    pub accuracy: f64,
}

/// Penalties to choose from.
const PENALTIES: [f64; 5] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// Parts of the training videos that the choice is made with.
const CHOICE_FOLDS: usize = 3;
/// Steps of Adam over all videos at once; the problem is convex.
const STEPS: usize = 200;
const LEARNING_RATE: f64 = 0.05;

/// Multinomial logistic regression on features scaled to mean 0 and deviation 1, which train videos alone decide: test videos by
/// train videos, or each of `folds` folds by the others.
pub fn probe(comparison: &Comparison<'_>, folds: usize, seed: u64) -> Result<ProbeFigures, EvalError> {
    let all = rows(comparison.features, comparison.classes.len())?;
    let mut penalties = Vec::new();
    let mut sums = [0.0; PENALTIES.len()];
    let classify = |round: &Split| -> Result<Vec<Option<usize>>, EvalError> {
        let reached = choose(comparison, &all, &round.train, seed)?;
        // Of equally good ones the strongest.
        let best = (0..PENALTIES.len())
            .max_by(|&a, &b| reached[a].total_cmp(&reached[b]))
            .unwrap_or(0);
        penalties.push(PENALTIES[best]);
        (0..PENALTIES.len()).for_each(|n| sums[n] += reached[n]);
        let given = fit_and_predict(comparison, &all, round, PENALTIES[best])?;
        Ok(given.into_iter().map(Some).collect())
    };
    let classification = classification(comparison, folds, seed, classify)?;
    let rounds = penalties.len().max(1) as f64;
    let reached = |(penalty, sum): (f64, f64)| PenaltyAccuracy {
        penalty,
        accuracy: sum / rounds,
    };
    Ok(ProbeFigures {
        classification,
        penalties,
        choice: PENALTIES.into_iter().zip(sums).map(reached).collect(),
    })
}

fn rows(features: &UnitFeatures, count: usize) -> Result<Tensor, tch::TchError> {
    Tensor::f_from_slice(features.values())?.f_view([count as i64, features.channels() as i64])
}

/// What each penalty reaches when each part of the training videos is classified by the other parts.
fn choose(
    comparison: &Comparison<'_>,
    all: &Tensor,
    train: &[usize],
    seed: u64,
) -> Result<[f64; PENALTIES.len()], EvalError> {
    let classes: Vec<usize> = train.iter().map(|&video| comparison.classes[video]).collect();
    let groups: Vec<usize> = match comparison.groups.is_empty() {
        true => (0..train.len()).collect(),
        false => train.iter().map(|&video| comparison.groups[video]).collect(),
    };
    let fold_of = super::folds::grouped_folds(&classes, &groups, CHOICE_FOLDS, seed ^ 1);
    let mut right = [0usize; PENALTIES.len()];
    for fold in 0..CHOICE_FOLDS {
        let of = |inside: bool| -> Vec<usize> {
            (0..train.len())
                .filter(|&place| (fold_of[place] == fold) == inside)
                .map(|place| train[place])
                .collect()
        };
        let round = Split {
            train: of(false),
            test: of(true),
        };
        if round.train.is_empty() || round.test.is_empty() {
            continue;
        }
        for (right, penalty) in right.iter_mut().zip(PENALTIES) {
            let given = fit_and_predict(comparison, all, &round, penalty)?;
            let hits = round.test.iter().zip(given);
            *right += hits
                .filter(|&(&video, class)| comparison.classes[video] == class)
                .count();
        }
    }
    Ok(right.map(|right| right as f64 / train.len().max(1) as f64))
}

fn fit_and_predict(
    comparison: &Comparison<'_>,
    all: &Tensor,
    round: &Split,
    penalty: f64,
) -> Result<Vec<usize>, EvalError> {
    let select = |videos: &[usize]| -> Result<Tensor, tch::TchError> {
        let places: Vec<i64> = videos.iter().map(|&video| video as i64).collect();
        all.f_index_select(0, &Tensor::f_from_slice(&places)?)
    };
    let train = select(&round.train)?;
    let mean = train.mean_dim(0, true, Kind::Float);
    let deviation = (&train - &mean)
        .square()
        .mean_dim(0, true, Kind::Float)
        .sqrt()
        .clamp_min(1e-6);
    let scaled = |rows: Tensor| (rows - &mean) / &deviation;
    let (train, test) = (scaled(train), scaled(select(&round.test)?));
    let classes: Vec<i64> = round
        .train
        .iter()
        .map(|&video| comparison.classes[video] as i64)
        .collect();
    let labels = Tensor::f_from_slice(&classes)?;
    let (weight, bias) = fit(&train, &labels, comparison.class_count as i64, penalty)?;
    let given = (test.matmul(&weight) + bias).argmax(1, false);
    let given: Vec<i64> = Vec::try_from(given)?;
    Ok(given.into_iter().map(|class| class as usize).collect())
}

/// Minimises mean cross-entropy + `penalty` / 2 · ‖W‖² over the mean; from zero, so nothing is random.
fn fit(
    rows: &Tensor,
    labels: &Tensor,
    classes: i64,
    penalty: f64,
) -> Result<(Tensor, Tensor), tch::TchError> {
    let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Float, rows.device()));
    let mut parameters = [zeros(&[rows.size()[1], classes])?, zeros(&[classes])?];
    let mut first = [zeros(&parameters[0].size())?, zeros(&[classes])?];
    let mut second = [zeros(&parameters[0].size())?, zeros(&[classes])?];
    let target = labels.f_one_hot(classes)?.to_kind(Kind::Float);
    let count = rows.size()[0] as f64;
    for step in 1..=STEPS {
        // The gradient of soft-max cross-entropy, written out.
        let error = (rows.matmul(&parameters[0]) + &parameters[1]).softmax(1, Kind::Float) - &target;
        let gradients = [
            rows.transpose(0, 1).matmul(&error) / count + &parameters[0] * penalty,
            error.sum_dim_intlist(0, false, Kind::Float) / count,
        ];
        // Falls to nothing, so that the end does not depend on where a swing was.
        let rate =
            LEARNING_RATE * 0.5 * (1.0 + (std::f64::consts::PI * (step - 1) as f64 / STEPS as f64).cos());
        let step = step as i32;
        no_grad(|| {
            for n in 0..2 {
                first[n] = &first[n] * 0.9 + &gradients[n] * 0.1;
                second[n] = &second[n] * 0.999 + gradients[n].square() * 0.001;
                let direction = &first[n]
                    / (1.0 - 0.9f64.powi(step))
                    / ((&second[n] / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8);
                parameters[n] = &parameters[n] - direction * rate;
            }
        });
    }
    let [weight, bias] = parameters;
    Ok((weight, bias))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_direction_that_neighbours_do_not_see() {
        // The class is in one small channel, beside large ones that say nothing.
        let mut features = UnitFeatures::default();
        let mut classes = Vec::new();
        for video in 0..80 {
            let class = video % 2;
            let wild = |n: usize| ((video * 37 + n * 11) as f32 * 0.731).sin() * 3.0;
            let mut row: Vec<f32> = (0..8).map(wild).collect();
            row.push(if class == 0 { 0.3 } else { -0.3 });
            features.push(&row).unwrap();
            classes.push(class);
        }
        let comparison = Comparison {
            features: &features,
            classes: &classes,
            class_count: 2,
            groups: &[],
            split: None,
        };
        let found = probe(&comparison, 2, 1).unwrap();
        let neighbours = super::super::score::knn(&comparison, 5, 2, 1);
        assert!(
            found.classification.accuracy > 0.95,
            "{}",
            found.classification.accuracy
        );
        assert!(neighbours.classification.accuracy < 0.9);
        assert_eq!((found.penalties.len(), found.choice.len()), (2, PENALTIES.len()));
        assert_eq!(found, probe(&comparison, 2, 1).unwrap());
    }
}
