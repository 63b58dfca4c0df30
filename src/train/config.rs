use serde::{Deserialize, Serialize};

use super::{DeviceChoice, ObjectiveConfig, OptimizerKind, Schedule, TrainError};
use crate::model::{ModelConfig, NormKind, Precision, Preset};
use crate::window::SampleSpec;

/// In which type the networks compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionChoice {
    /// bfloat16 on CUDA, float32 on a CPU.
    Auto,
    /// Single precision.
    Float32,
    /// bfloat16 operands in convolutions and matrix products; all else in single precision.
    BFloat16,
}

/// Section `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The size of the networks, of their samples, and of what is not set below.
    pub preset: Preset,
    /// Where to compute.
    pub device: DeviceChoice,
    /// In which type.
    pub precision: PrecisionChoice,
    /// How activations are normalised.
    pub norm: NormKind,
    /// Share of the motion predictor's activations dropped in training (paper: 0.1).
    pub dropout: f64,
    /// Samples in a batch.
    pub batch_size: Option<u32>,
    /// How parameters follow their gradients.
    pub optimizer: Option<OptimizerKind>,
    /// Learning rate after the warm-up.
    pub learning_rate: Option<f64>,
    /// How strongly weights are pulled to zero. Biases, norms and positions never are.
    pub weight_decay: Option<f64>,
    /// How much views are changed: 1 is the paper's augmentation, 0 leaves but the mirroring.
    pub augment_strength: Option<f64>,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// How the learning rate goes on after that.
    pub schedule: Schedule,
    /// Weight of the past in the moving average of the V-Network, which is what evaluation uses; 0: none is kept.
    pub ema_decay: f64,
    /// What is minimised.
    pub objective: ObjectiveConfig,
    /// Gradients longer than this are shortened to it.
    pub clip_norm: f64,
    /// Everything random in training follows from it.
    pub seed: u64,
    /// Training ends after this many steps of this run. Left out: with the sources, or when told to.
    pub max_steps: Option<u64>,
    /// After so many steps in a row that were not finite, training goes back to a checkpoint.
    pub nonfinite_patience: u64,
    /// How often a run may go back before it ends with an error.
    pub max_rollbacks: u32,
    /// Steps from one report to the next.
    pub report_every: u64,
    /// Threads that libtorch computes with on a CPU. Left out: as many as there are cores.
    pub threads: Option<u32>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            preset: Preset::Micro,
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            norm: NormKind::Batch,
            dropout: 0.0,
            batch_size: None,
            optimizer: None,
            learning_rate: None,
            weight_decay: None,
            augment_strength: None,
            warmup_steps: 100,
            schedule: Schedule::Constant {},
            ema_decay: 0.99,
            objective: ObjectiveConfig::default(),
            clip_norm: 15.0,
            seed: 1,
            max_steps: None,
            nonfinite_patience: 20,
            max_rollbacks: 3,
            report_every: 10,
            threads: None,
        }
    }
}

impl TrainConfig {
    /// The networks.
    pub fn model(&self) -> ModelConfig {
        let mut model = self.preset.model(self.norm);
        model.predictor.dropout = self.dropout;
        model.sample = self.sample_spec();
        model
    }

    /// The samples that streams have to give: the preset's, with the target that the objective asks for.
    pub fn sample_spec(&self) -> SampleSpec {
        self.objective.sample_spec(self.preset.sample_spec())
    }

    /// Samples in a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size.unwrap_or(self.preset.batch_size()) as usize
    }

    /// How parameters follow their gradients: as in the paper, but for `micro`, which has to show something within minutes.
    pub fn optimizer(&self) -> OptimizerKind {
        self.optimizer.unwrap_or(match self.preset {
            Preset::Paper | Preset::Small => OptimizerKind::Sgd,
            Preset::Micro => OptimizerKind::AdamW,
        })
    }

    /// Learning rate after the warm-up: the paper's 5e-4 a sample for SGD; for AdamW 1e-3 at a batch of 64, scaled by the root
    /// of the batch, and four times that for the small networks of `micro`.
    pub fn learning_rate(&self) -> f64 {
        let batch = self.batch_size() as f64;
        self.learning_rate
            .unwrap_or(match (self.optimizer(), self.preset) {
                (OptimizerKind::Sgd, _) => 5e-4 * batch,
                (OptimizerKind::AdamW, Preset::Micro) => 4e-3 * (batch / 64.0).sqrt(),
                (OptimizerKind::AdamW, _) => 1e-3 * (batch / 64.0).sqrt(),
            })
    }

    /// How strongly weights are pulled to zero.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay.unwrap_or(match self.optimizer() {
            OptimizerKind::Sgd => 1e-4,
            OptimizerKind::AdamW => 1e-2,
        })
    }

    /// How much views are changed. `micro` sees thousands of samples, not the paper's million: at full strength it is slower to
    /// learn motion, and at half of it learns less of surroundings (docs/results.md).
    pub fn augment_strength(&self) -> f64 {
        self.augment_strength.unwrap_or(match self.preset {
            Preset::Paper | Preset::Small => 1.0,
            Preset::Micro => 0.75,
        })
    }

    /// Weight of the motion loss. The paper's is half (section 3.4, α). With it `micro`'s pooled
    /// feature says less of motion than with more, and more of context (docs/results.md).
    pub fn motion_share(&self) -> f64 {
        self.objective.motion_share.unwrap_or(match self.preset {
            Preset::Paper | Preset::Small => 0.5,
            Preset::Micro => 0.75,
        })
    }

    /// Weight of the past in the moving average, where one is kept.
    pub fn ema_decay(&self) -> Option<f64> {
        (self.ema_decay > 0.0).then_some(self.ema_decay)
    }

    /// In which type to compute on a device.
    pub fn precision_on(&self, device: tch::Device) -> Precision {
        match self.precision {
            PrecisionChoice::Float32 => Precision::Float32,
            PrecisionChoice::BFloat16 => Precision::BFloat16,
            PrecisionChoice::Auto if device.is_cuda() => Precision::BFloat16,
            PrecisionChoice::Auto => Precision::Float32,
        }
    }

    /// The first value that cannot be, by its key.
    pub fn validate(&self) -> Result<(), TrainError> {
        let check = |holds: bool, key: &'static str, value: String, right: &'static str| {
            holds
                .then_some(())
                .ok_or(TrainError::Config { key, value, right })
        };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let rate = self.learning_rate();
        check(
            self.batch_size() >= 2,
            "batch_size",
            self.batch_size().to_string(),
            "at least 2 is right: samples are compared with each other",
        )?;
        check(
            positive(rate),
            "learning_rate",
            rate.to_string(),
            "a number above 0 is right",
        )?;
        let decay = self.weight_decay();
        check(
            decay >= 0.0 && decay.is_finite(),
            "weight_decay",
            decay.to_string(),
            "0 or a number above 0 is right",
        )?;
        let strength = self.augment_strength();
        check(
            (0.0..=1.0).contains(&strength),
            "augment_strength",
            strength.to_string(),
            "a number from 0 to 1 is right",
        )?;
        check(
            positive(self.clip_norm),
            "clip_norm",
            self.clip_norm.to_string(),
            "a number above 0 is right",
        )?;
        check(
            (0.0..1.0).contains(&self.dropout),
            "dropout",
            self.dropout.to_string(),
            "a number from 0 to below 1 is right",
        )?;
        check(
            (0.0..1.0).contains(&self.ema_decay),
            "ema_decay",
            self.ema_decay.to_string(),
            "a number from 0 to below 1 is right",
        )?;
        check(
            self.nonfinite_patience > 0,
            "nonfinite_patience",
            "0".into(),
            "at least 1 is right",
        )?;
        check(
            self.report_every > 0,
            "report_every",
            "0".into(),
            "at least 1 is right",
        )?;
        check(
            self.threads != Some(0),
            "threads",
            "0".into(),
            "at least 1 is right, or leave it out",
        )?;
        check(
            self.max_steps != Some(0),
            "max_steps",
            "0".into(),
            "at least 1 is right, or leave it out",
        )?;
        if let Schedule::StableDecay {
            total_steps,
            decay_steps,
        } = self.schedule
        {
            check(
                (1..=total_steps).contains(&decay_steps),
                "schedule.decay_steps",
                decay_steps.to_string(),
                "from 1 to schedule.total_steps is right",
            )?;
        }
        if let Schedule::Cosine { total_steps } = self.schedule {
            check(
                total_steps > self.warmup_steps,
                "schedule.total_steps",
                total_steps.to_string(),
                "more than warmup_steps is right",
            )?;
        }
        self.objective.check()?;
        Ok(self.model().validate()?)
    }
}
