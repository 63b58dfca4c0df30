//! The whole V-Network and a classifier on top of it, trained on labels.

use std::path::Path;

use indicatif::ProgressBar;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::centre_crop::centre_crop;
use super::features::{in_order, video_progress};
use super::read::{VideoClips, read_clip_at, read_clips};
use super::score::{Classification, Comparison, Split, classification};
use super::{EvalError, Weights};
use crate::model::{Builder, Init, Model, Pass, Precision};
use crate::train::{Optimizer, OptimizerKind, SampleDraw, ViewDraw, view};
use crate::window::FrameSize;

/// How `eval finetune` trains; a field an option.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FinetuneSettings {
    /// `--epochs`: passes over the training videos, each with one clip of every video from a random place.
    pub epochs: u32,
    /// `--batch-size`: clips a step.
    pub batch_size: u32,
    /// `--learning-rate`: of AdamW after the warm-up; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// `--weight-decay`: of matrices and kernels.
    pub weight_decay: f64,
    /// `--dropout`: share of the pooled feature dropped before the classifier.
    pub dropout: f64,
}

impl Default for FinetuneSettings {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch_size: 16,
            learning_rate: 1e-3,
            weight_decay: 0.05,
            dropout: 0.5,
        }
    }
}

impl FinetuneSettings {
    /// The first option that cannot be.
    pub(super) fn check(&self) -> Result<(), EvalError> {
        let wrong = |option, value: f64, allowed| EvalError::Number {
            option,
            value,
            allowed,
        };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        if self.epochs == 0 {
            return Err(wrong("--epochs", 0.0, "at least 1 is needed"));
        }
        if self.batch_size < 2 {
            return Err(wrong(
                "--batch-size",
                self.batch_size.into(),
                "at least 2 are needed",
            ));
        }
        if !positive(self.learning_rate) {
            return Err(wrong(
                "--learning-rate",
                self.learning_rate,
                "a number above 0 is right",
            ));
        }
        if self.weight_decay < 0.0 || !self.weight_decay.is_finite() {
            return Err(wrong(
                "--weight-decay",
                self.weight_decay,
                "0 or a number above 0 is right",
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(wrong(
                "--dropout",
                self.dropout,
                "a number from 0 to below 1 is right",
            ));
        }
        Ok(())
    }
}

/// What `eval finetune` finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FinetuneFigures {
    /// What the trained network got right, from the mean of its clips' class probabilities.
    #[serde(flatten)]
    pub classification: Classification,
    /// How it was trained.
    pub settings: FinetuneSettings,
    /// How training went, epoch by epoch, averaged over rounds.
    pub epochs: Vec<EpochFigures>,
}

/// One epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct EpochFigures {
    /// Mean cross-entropy of the training clips, nats.
    pub loss: f64,
    /// Part of the training clips that were given their class while training.
    pub accuracy: f64,
}

/// Steps over which the learning rate rises, as a share of all.
const WARMUP_SHARE: f64 = 0.1;
/// Gradients longer than this are shortened to it.
const CLIP_NORM: f64 = 5.0;

/// What fine-tuning works on.
pub struct Finetune<'a> {
    /// Where it starts.
    pub weights: &'a Weights,
    /// Where it computes.
    pub device: Device,
    /// How.
    pub settings: FinetuneSettings,
    /// Files, in the order of the comparison.
    pub paths: &'a [&'a Path],
    /// Clips of a test video.
    pub clips: u32,
    /// Videos decoded at a time.
    pub threads: usize,
    /// Order, crops and dropout.
    pub seed: u64,
}

impl Finetune<'_> {
    /// Trains and tests: on the split, or in `folds` rounds, each from the same weights.
    pub fn run(&self, comparison: &Comparison<'_>, folds: usize) -> Result<FinetuneFigures, EvalError> {
        let mut epochs = vec![EpochFigures::default(); self.settings.epochs as usize];
        let mut rounds = 0;
        let classify = |round: &Split| -> Result<Vec<Option<usize>>, EvalError> {
            rounds += 1;
            let mut classifier = Classifier::new(self, comparison.class_count)?;
            for (epoch, sum) in epochs.iter_mut().enumerate() {
                let figures = self.epoch(&mut classifier, comparison, round, epoch as u32)?;
                sum.loss += figures.loss;
                sum.accuracy += figures.accuracy;
            }
            self.test(&classifier, round)
        };
        let classification = classification(comparison, folds, self.seed, classify)?;
        for epoch in &mut epochs {
            epoch.loss /= f64::from(rounds.max(1));
            epoch.accuracy /= f64::from(rounds.max(1));
        }
        Ok(FinetuneFigures {
            classification,
            settings: self.settings,
            epochs,
        })
    }

    fn epoch(
        &self,
        classifier: &mut Classifier,
        comparison: &Comparison<'_>,
        round: &Split,
        epoch: u32,
    ) -> Result<EpochFigures, EvalError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(1 + u64::from(epoch));
        let mut order = round.train.clone();
        order.shuffle(&mut rng);
        let jobs: Vec<(usize, f64)> = order.iter().map(|&video| (video, rng.random())).collect();
        let spec = classifier.model.config().sample;
        let batch = (self.settings.batch_size as usize).min(jobs.len());
        // The last clips of an epoch that fill no batch are left out; another epoch has others.
        let steps = jobs.len() / batch;
        let all_steps = steps as u64 * u64::from(self.settings.epochs);
        let progress = video_progress(jobs.len());
        progress.set_prefix(format!("epoch {}/{} ", epoch + 1, self.settings.epochs));
        let (mut waiting, mut sums, mut done) = (Vec::new(), EpochFigures::default(), 0usize);
        in_order(
            jobs.len(),
            self.threads,
            |place| read_clip_at(self.paths[jobs[place].0], spec, jobs[place].1),
            |place, clip| {
                let video = jobs[place].0;
                let clip = clip.map_err(|error| EvalError::Changed {
                    video: self.paths[video].to_owned(),
                    reason: error.to_string(),
                })?;
                waiting.push((clip, comparison.classes[video] as i64));
                progress.inc(1);
                if waiting.len() == batch && done < steps {
                    let step = u64::from(epoch) * steps as u64 + done as u64;
                    let rate = self.rate(step, all_steps);
                    let clips = std::mem::take(&mut waiting);
                    let figures = classifier.learn(&clips, rate, self.settings.dropout, &mut rng)?;
                    sums.loss += figures.loss;
                    sums.accuracy += figures.accuracy;
                    done += 1;
                }
                Ok::<_, EvalError>(())
            },
        )?;
        progress.finish_and_clear();
        let count = done.max(1) as f64;
        if !sums.loss.is_finite() {
            return Err(EvalError::Diverged { epoch: epoch + 1 });
        }
        Ok(EpochFigures {
            loss: sums.loss / count,
            accuracy: sums.accuracy / count,
        })
    }

    fn rate(&self, step: u64, all: u64) -> f64 {
        let (step, all) = (step as f64, all.max(1) as f64);
        let warm = ((step + 1.0) / (WARMUP_SHARE * all)).min(1.0);
        self.settings.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * step / all).cos())
    }

    fn test(&self, classifier: &Classifier, round: &Split) -> Result<Vec<Option<usize>>, EvalError> {
        let spec = classifier.model.config().sample;
        let mut given = vec![None; round.test.len()];
        let progress: ProgressBar = video_progress(round.test.len());
        in_order(
            round.test.len(),
            self.threads,
            |place| read_clips(self.paths[round.test[place]], spec, self.clips),
            |place, clips| {
                let clips = clips.map_err(|error| EvalError::Changed {
                    video: self.paths[round.test[place]].to_owned(),
                    reason: error.to_string(),
                })?;
                given[place] = Some(classifier.classify(&clips)?);
                progress.inc(1);
                Ok::<_, EvalError>(())
            },
        )?;
        progress.finish_and_clear();
        Ok(given)
    }
}

/// The network with a linear layer on its pooled feature.
struct Classifier {
    model: Model,
    network: Optimizer,
    top: crate::model::ParameterStore,
    weight: Tensor,
    bias: Tensor,
    top_optimizer: Optimizer,
}

impl Classifier {
    fn new(finetune: &Finetune<'_>, classes: usize) -> Result<Self, EvalError> {
        let (model, _) = finetune.weights.load(finetune.device)?;
        let channels = model.config().video_features();
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(finetune.seed));
        let mut root = builder.root();
        let mut scope = root.enter("top");
        // From zero: the first steps do not shake the network with the gradients of a random classifier.
        let weight = scope.weight("weight", &[classes as i64, channels], Init::Constant(0.0))?;
        let bias = scope.offset("bias", &[classes as i64], Init::Constant(0.0))?;
        let top = builder.finish(finetune.device)?;
        let decay = finetune.settings.weight_decay;
        Ok(Self {
            network: Optimizer::new(OptimizerKind::AdamW, decay, model.store()),
            top_optimizer: Optimizer::new(OptimizerKind::AdamW, decay, &top),
            model,
            top,
            weight,
            bias,
        })
    }

    fn learn(
        &mut self,
        clips: &[(VideoClips, i64)],
        rate: f64,
        dropout: f64,
        rng: &mut ChaCha8Rng,
    ) -> Result<EpochFigures, EvalError> {
        let config = self.model.config();
        let FrameSize { width, height } = config.sample.frame_size;
        let device = self.model.device();
        let count = clips.len() as i64;
        let bytes: Vec<u8> = clips
            .iter()
            .flat_map(|(clip, _)| clip.pixels.iter().copied())
            .collect();
        let frames = Tensor::f_from_slice(&bytes)?
            .f_view([
                count,
                i64::from(config.sample.clip_frames),
                i64::from(height),
                i64::from(width),
                3,
            ])?
            .to_device(device);
        let sizes: Vec<(u32, u32)> = clips
            .iter()
            .map(|(clip, _)| (clip.source_size.width, clip.source_size.height))
            .collect();
        let draws: Vec<ViewDraw> = sizes
            .iter()
            .map(|&(w, h)| SampleDraw::draw(rng, w, h, 1.0).clip)
            .collect();
        let labels: Vec<i64> = clips.iter().map(|(_, class)| *class).collect();
        let labels = Tensor::f_from_slice(&labels)?.to_device(device);
        let views = no_grad(|| view(&frames, &draws, &sizes, config.crop));
        let channels = self.weight.size()[1];
        // Drawn here, not by libtorch's generator, whose state cannot be kept.
        let kept: Vec<f32> = (0..count * channels)
            .map(|_| {
                if rng.random_bool(dropout) {
                    0.0
                } else {
                    (1.0 / (1.0 - dropout)) as f32
                }
            })
            .collect();
        let kept = Tensor::f_from_slice(&kept)?
            .f_view([count, channels])?
            .to_device(device);
        let pooled = self
            .model
            .video()
            .forward(&views, Pass::train(Precision::Float32))?
            .pooled()
            * kept;
        let scores = pooled.linear(&self.weight, Some(&self.bias));
        let loss = scores.cross_entropy_for_logits(&labels);
        let right = scores
            .argmax(1, false)
            .eq_tensor(&labels)
            .to_kind(Kind::Float)
            .mean(Kind::Float);
        let store = self.model.store();
        let in_video = |name: &str| name.starts_with("v.");
        let mut inputs: Vec<&Tensor> = store
            .trained_parameters()
            .filter(|p| in_video(&p.name))
            .map(|p| &p.tensor)
            .collect();
        inputs.extend(self.top.trained_parameters().map(|p| &p.tensor));
        let mut gradients = Tensor::f_run_backward(&[&loss], &inputs, false, false)?.into_iter();
        // The other networks take no part and keep still but for weight decay, which nobody sees.
        let of_network: Vec<Tensor> = store
            .trained_parameters()
            .map(|p| match in_video(&p.name) {
                true => gradients.next().unwrap_or_else(|| p.tensor.zeros_like()),
                false => p.tensor.detach().zeros_like(),
            })
            .collect();
        let of_network = store.flatten(&of_network);
        let of_top = self.top.flatten(&gradients.collect::<Vec<_>>());
        let norm = (of_network.norm().square() + of_top.norm().square()).sqrt();
        let finite = norm.isfinite().logical_and(&loss.isfinite());
        let shorter = (CLIP_NORM / (&norm + 1e-6)).clamp_max(1.0);
        self.network.step(store, &(of_network * &shorter), rate, &finite);
        self.top_optimizer
            .step(&self.top, &(of_top * &shorter), rate, &finite);
        Ok(EpochFigures {
            loss: loss.f_double_value(&[])?,
            accuracy: right.f_double_value(&[])?,
        })
    }

    /// The class with the largest mean probability over the clips.
    fn classify(&self, clips: &VideoClips) -> Result<usize, EvalError> {
        let clips = centre_crop(clips, self.model.config(), self.model.device());
        no_grad(|| {
            let pooled = self.model.features(&clips)?;
            let scores = pooled.linear(&self.weight, Some(&self.bias));
            let mean = scores.softmax(1, Kind::Float).mean_dim(0, false, Kind::Float);
            Ok(mean.argmax(0, false).f_int64_value(&[])? as usize)
        })
    }
}
