use std::collections::{BTreeMap, VecDeque};

use tch::{Device, Kind, Tensor, no_grad};

use crate::loss::JointLoss;
use crate::model::Embeddings;

/// Pooled features that spread and rank are taken over.
const FEATURES_KEPT: i64 = 256;

/// Figures of the steps since the last report, added up on the device, so that only a report waits for it.
#[derive(Debug)]
pub(super) struct Tally {
    sums: Tensor,
    features: VecDeque<Tensor>,
    steps: u64,
}

/// What a [`Tally`] gives for a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub loss: f64,
    pub context: TaskFigures,
    pub motion: TaskFigures,
    pub grad_norm: f64,
    pub nonfinite_steps: u64,
    pub embedding_std: f64,
    pub effective_rank: f64,
    pub alignment: f64,
    pub uniformity: f64,
}

/// One task's part of [`Figures`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TaskFigures {
    pub loss: f64,
    pub top1: f64,
    pub chance: f64,
    pub queries: f64,
}

/// Entries of `sums`: finite steps, loss, gradient norm, then of each task steps with queries, loss, top-1, chance, queries; then
/// alignment.
const SUMS: usize = 14;

impl Tally {
    pub(super) fn new(device: Device) -> Self {
        Self {
            sums: Tensor::zeros([SUMS as i64], (Kind::Double, device)),
            features: VecDeque::new(),
            steps: 0,
        }
    }

    /// Steps since the last report.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Steps since the last report that were not finite. Waits for the device.
    pub(super) fn nonfinite_steps(&self) -> u64 {
        self.steps - self.sums.double_value(&[0]) as u64
    }

    /// What a snapshot keeps, by name: the figures of a report do not depend on an interruption.
    pub(super) fn export(&self) -> Vec<(String, Tensor)> {
        let mut tensors = vec![
            ("sums".to_owned(), self.sums.shallow_clone()),
            ("steps".to_owned(), Tensor::from(self.steps as i64)),
        ];
        let features = self.features.iter().zip(0u64..);
        tensors.extend(features.map(|(rows, place)| (format!("features.{place:04}"), rows.shallow_clone())));
        tensors
    }

    /// Takes over what [`Self::export`] gave; nothing, of a snapshot that has none.
    pub(super) fn import(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<(), String> {
        let (Some(sums), Some(steps)) = (tensors.get("sums"), tensors.get("steps")) else {
            return Ok(());
        };
        if sums.size() != [SUMS as i64] || sums.kind() != Kind::Double || steps.numel() != 1 {
            return Err(format!(
                "`sums` is {:?} of {:?}; {SUMS} doubles are right",
                sums.size(),
                sums.kind()
            ));
        }
        let device = self.sums.device();
        self.sums = sums.to_device(device);
        self.steps = u64::try_from(steps.int64_value(&[])).unwrap_or(0);
        // By name, which is their order.
        let features = tensors.iter().filter(|(name, _)| name.starts_with("features."));
        self.features = features.map(|(_, rows)| rows.to_device(device)).collect();
        if let Some(wrong) = self.features.iter().find(|rows| rows.dim() != 2) {
            return Err(format!(
                "features of shape {:?}; rows and columns are right",
                wrong.size()
            ));
        }
        Ok(())
    }

    /// Adds a step. `finite` is a boolean scalar tensor.
    pub(super) fn add(
        &mut self,
        loss: &JointLoss,
        grad_norm: &Tensor,
        finite: &Tensor,
        embeddings: &Embeddings,
    ) {
        no_grad(|| {
            let one = Tensor::ones([], (Kind::Float, finite.device()));
            let mut entries = vec![one.shallow_clone(), loss.total.detach(), grad_norm.detach()];
            for task in [&loss.context, &loss.motion] {
                entries.push(task.queries.gt(0.0).to_kind(Kind::Float));
                // Without queries all of a task's figures are 0.
                entries.extend([&task.loss, &task.top1, &task.chance, &task.queries].map(Tensor::detach));
            }
            let apart = &embeddings.clip_context.detach() - &embeddings.key_frame.detach();
            entries.push(
                apart
                    .square()
                    .sum_dim_intlist(1, false, Kind::Float)
                    .mean(Kind::Float),
            );
            let step = Tensor::stack(&entries, 0).to_kind(Kind::Double);
            self.sums += step.where_self(finite, &step.zeros_like());
        });
        self.features.push_back(embeddings.pooled.detach());
        let rows = |kept: &VecDeque<Tensor>| kept.iter().map(|rows| rows.size()[0]).sum::<i64>();
        while self.features.len() > 1 && rows(&self.features) - self.features[0].size()[0] >= FEATURES_KEPT {
            self.features.pop_front();
        }
        self.steps += 1;
    }

    /// The figures so far, and a new beginning. The only host sync of training.
    pub(super) fn take(&mut self) -> Figures {
        let device = self.sums.device();
        let (spread, uniformity, gram) = no_grad(|| self.feature_statistics(device));
        let gram_side = gram.size()[0];
        let all = Tensor::cat(
            &[
                self.sums.shallow_clone(),
                spread.view([1]),
                uniformity.view([1]),
                gram.flatten(0, 1),
            ],
            0,
        );
        let host = all.to_device(Device::Cpu);
        let values: Vec<f64> = (0..SUMS as i64 + 2)
            .map(|index| host.double_value(&[index]))
            .collect();
        let gram = host
            .narrow(0, SUMS as i64 + 2, gram_side * gram_side)
            .view([gram_side, gram_side]);

        let task = |first: usize| TaskFigures {
            loss: values[first + 1] / values[first],
            top1: values[first + 2] / values[first],
            chance: values[first + 3] / values[first],
            queries: values[first + 4] / values[0],
        };
        let figures = Figures {
            loss: values[1] / values[0],
            grad_norm: values[2] / values[0],
            context: task(3),
            motion: task(8),
            nonfinite_steps: self.steps - values[0] as u64,
            embedding_std: values[SUMS],
            effective_rank: effective_rank(&gram),
            alignment: values[13] / values[0],
            uniformity: values[SUMS + 1],
        };
        self.sums = self.sums.zeros_like();
        self.steps = 0;
        figures
    }

    /// Spread, uniformity, and the scalar products `[N, N]` of the centred features of length 1; f64.
    fn feature_statistics(&self, device: Device) -> (Tensor, Tensor, Tensor) {
        if self.features.is_empty() {
            let double = (Kind::Double, device);
            let none = || Tensor::full([], f64::NAN, double);
            return (none(), none(), Tensor::zeros([0, 0], double));
        }
        let kept: Vec<&Tensor> = self.features.iter().collect();
        let rows = Tensor::cat(&kept, 0).to_kind(Kind::Double);
        let lengths = rows.square().sum_dim_intlist(1, true, Kind::Double).sqrt();
        let rows = rows / lengths.clamp_min(1e-12);
        let centred = &rows - rows.mean_dim([0i64].as_slice(), true, Kind::Double);
        let variance = centred.square().mean_dim([0i64].as_slice(), false, Kind::Double);
        let spread = variance.sqrt().mean(Kind::Double) * (rows.size()[1] as f64).sqrt();
        let gram = centred.matmul(&centred.transpose(0, 1));
        // Squared distances of rows of length 1 are 2 − 2 · cosine; a row and itself, exp(0), is left out.
        let count = rows.size()[0] as f64;
        let near = (rows.matmul(&rows.transpose(0, 1)) * 4.0 - 4.0)
            .exp()
            .sum(Kind::Double);
        let uniformity = ((near - count) / (count * (count - 1.0))).log();
        (spread, uniformity, gram)
    }
}

/// exp of the entropy of the singular values, as shares of their sum (Roy and Vetterli 2007), from the matrix of scalar products.
fn effective_rank(gram: &Tensor) -> f64 {
    if gram.numel() == 0 || gram.isfinite().all().int64_value(&[]) == 0 {
        return f64::NAN;
    }
    let singular = gram.linalg_eigvalsh("L").clamp_min(0.0).sqrt();
    let sum = singular.sum(Kind::Double).double_value(&[]);
    if sum <= 1e-9 {
        return 1.0;
    }
    let shares = singular / sum;
    let entropy = -(&shares * shares.clamp_min(1e-30).log())
        .sum(Kind::Double)
        .double_value(&[]);
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Contrast;

    fn joint(value: f64, queries: f64) -> JointLoss {
        let contrast = |value: f64| Contrast {
            loss: Tensor::from(value as f32),
            top1: Tensor::from(0.5f32),
            chance: Tensor::from(0.25f32),
            queries: Tensor::from(queries as f32),
            by_query: Tensor::from(value as f32),
        };
        JointLoss {
            total: Tensor::from(value as f32),
            context: contrast(value),
            motion: contrast(2.0 * value),
        }
    }

    /// Of which only `pooled` `[B, C]` matters, and key frames half as far as opposite from their clips.
    fn embeddings(pooled: &Tensor) -> Embeddings {
        let none = || Tensor::zeros([1], (Kind::Float, Device::Cpu));
        Embeddings {
            clip_context: Tensor::from_slice(&[1f32, 0.0]).view([1, 2]),
            key_frame: Tensor::from_slice(&[0f32, 1.0]).view([1, 2]),
            predicted_motion: none(),
            motion: none(),
            motion_known: none(),
            pooled: pooled.shallow_clone(),
        }
    }

    fn add(tally: &mut Tally, value: f64, finite: bool) {
        let features = Tensor::from_slice(&[1f32, 0.0, 0.0, 1.0]).view([2, 2]);
        tally.add(
            &joint(value, 8.0),
            &Tensor::from(3f32),
            &Tensor::from(finite),
            &embeddings(&features),
        );
    }

    #[test]
    fn averages_leave_out_steps_that_are_not_finite_and_count_them() {
        let mut tally = Tally::new(Device::Cpu);
        add(&mut tally, 1.0, true);
        add(&mut tally, f64::NAN, false);
        add(&mut tally, 3.0, true);
        assert_eq!(tally.steps(), 3);
        let figures = tally.take();
        assert_eq!(
            (figures.loss, figures.nonfinite_steps, figures.grad_norm),
            (2.0, 1, 3.0)
        );
        let expected = TaskFigures {
            loss: 4.0,
            top1: 0.5,
            chance: 0.25,
            queries: 8.0,
        };
        assert_eq!(figures.motion, expected);
        add(&mut tally, 5.0, true);
        assert_eq!(tally.take().loss, 5.0, "a report begins anew");
    }

    #[test]
    fn a_task_without_queries_has_no_figures_and_does_not_dilute_those_of_other_steps() {
        let mut tally = Tally::new(Device::Cpu);
        let mut nothing = joint(0.0, 0.0);
        nothing.context.top1 = Tensor::from(0f32);
        nothing.context.chance = Tensor::from(0f32);
        let features = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        tally.add(
            &nothing,
            &Tensor::from(1f32),
            &Tensor::from(true),
            &embeddings(&features),
        );
        assert!(tally.take().context.top1.is_nan());
        tally.add(
            &nothing,
            &Tensor::from(1f32),
            &Tensor::from(true),
            &embeddings(&features),
        );
        add(&mut tally, 4.0, true);
        let context = tally.take().context;
        assert_eq!((context.loss, context.top1, context.queries), (4.0, 0.5, 4.0));
    }

    #[test]
    fn rank_and_spread_tell_collapse_from_variety() {
        let mut collapsed = Tally::new(Device::Cpu);
        let same = Tensor::from_slice(&[1f32, 2.0, 3.0]).view([1, 3]).repeat([8, 1]);
        collapsed.add(
            &joint(1.0, 1.0),
            &Tensor::from(1f32),
            &Tensor::from(true),
            &embeddings(&same),
        );
        let figures = collapsed.take();
        assert!(figures.embedding_std < 1e-6, "{figures:?}");
        assert!(figures.effective_rank < 1.01, "{figures:?}");
        assert!(figures.uniformity.abs() < 1e-6, "{figures:?}");
        assert!((figures.alignment - 2.0).abs() < 1e-6, "{figures:?}");
        let mut varied = Tally::new(Device::Cpu);
        // ± each of four axes: standard deviation 1/2 in each dimension, all four used alike.
        let axes = Tensor::eye(4, (Kind::Float, Device::Cpu));
        let rows = Tensor::cat(&[axes.shallow_clone(), -axes], 0) * 7.0;
        varied.add(
            &joint(1.0, 1.0),
            &Tensor::from(1f32),
            &Tensor::from(true),
            &embeddings(&rows),
        );
        let figures = varied.take();
        assert!((figures.embedding_std - 1.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.effective_rank - 4.0).abs() < 1e-6, "{figures:?}");
        // Of seven others one is opposite (distance² 4), six are at right angles (2).
        let uniformity = ((6.0 * (-4f64).exp() + (-8f64).exp()) / 7.0).ln();
        assert!((figures.uniformity - uniformity).abs() < 1e-6, "{figures:?}");
    }
}
