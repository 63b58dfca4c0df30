use std::sync::Arc;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::outcome::{FeatureProjection, PendingOutcomes};
use super::tally::{Figures, Tally};
use super::weights::{VIDEO_NETWORK, VideoWeights};
use super::{
    Batch, Optimizer, PhaseClock, RateChange, RateSet, SampleDraw, SampleOutcome, TrainConfig, TrainError,
    TrainState, augment_with,
};
use crate::checkpoint::{NamedTensor, Resumable, Snapshot};
use crate::loss::joint_loss;
use crate::model::{Average, Model, Pass, Precision, StatisticsBefore, Views};
use crate::replay::{Sample, SampleId};

/// The networks in training: everything that a step reads or changes. Belongs to one thread.
#[derive(Debug)]
pub struct Learner {
    config: TrainConfig,
    precision: Precision,
    model: Model,
    optimizer: Optimizer,
    rng: ChaCha8Rng,
    step: u64,
    samples: u64,
    nonfinite_steps: u64,
    tally: Tally,
    rate: Option<RateSet>,
    average: Option<Average>,
    projection: FeatureProjection,
    pending: Vec<PendingOutcomes>,
    /// Steps in a row that were not finite: a scalar i64 on the device.
    nonfinite_streak: Tensor,
    /// What a step that does not come to its end has changed so far.
    mid_step: Option<MidStep>,
}

/// How to undo a step that has begun.
#[derive(Debug)]
struct MidStep {
    rng: ChaCha8Rng,
    statistics: StatisticsBefore,
    /// Parameters may have changed: too late.
    updating: bool,
}

/// Distinguishes the generator of the run from that of the initial weights, which has the same seed.
const RUN_STREAM: u64 = 1;

impl Learner {
    /// Untrained, on a device from [`open_device`](super::open_device).
    pub fn new(config: &TrainConfig, device: Device) -> Result<Self, TrainError> {
        config.validate()?;
        let model = Model::random(&config.model(), config.seed, device)?;
        let optimizer = Optimizer::new(config.optimizer(), config.weight_decay(), model.store());
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(RUN_STREAM);
        let average = config
            .ema_decay()
            .map(|decay| Average::new(model.store(), VIDEO_NETWORK, decay));
        let projection = FeatureProjection::new(model.config().video_features(), device);
        Ok(Self {
            precision: config.precision_on(device),
            config: config.clone(),
            model,
            optimizer,
            rng,
            step: 0,
            samples: 0,
            nonfinite_steps: 0,
            tally: Tally::new(device),
            rate: None,
            average,
            projection,
            pending: Vec::new(),
            nonfinite_streak: Tensor::zeros([], (Kind::Int64, device)),
            mid_step: None,
        })
    }

    /// Goes on from a snapshot: model, optimiser, schedule, random generator and counters.
    ///
    /// # Errors
    /// A snapshot of other networks or another optimiser than configured, or with other tensors than these have.
    pub fn resume(config: &TrainConfig, device: Device, from: &Resumable) -> Result<Self, TrainError> {
        let mut learner = Self::new(config, device)?;
        if from.manifest.model != *learner.model.config() {
            return Err(TrainError::OtherModel {
                path: from.path.clone(),
                difference: difference(&from.manifest.model, learner.model.config()),
            });
        }
        let state_file = from.path.join("state.json");
        let wrong_state = |reason: String| TrainError::State {
            path: state_file.clone(),
            reason,
        };
        let state: TrainState =
            serde_json::from_str(&from.state).map_err(|error| wrong_state(error.to_string()))?;
        if state.optimizer != learner.optimizer.kind() {
            return Err(wrong_state(format!(
                "the optimiser was {:?}, and train.optimizer is {:?} now",
                state.optimizer,
                learner.optimizer.kind()
            )));
        }
        if state.step != from.manifest.step {
            return Err(wrong_state(format!(
                "it is of step {}, the manifest of step {}",
                state.step, from.manifest.step
            )));
        }
        let store = learner.model.store();
        store.load(&from.model)?;
        learner.optimizer.load(store, &from.optimizer)?;
        learner.average = config
            .ema_decay()
            .map(|decay| Average::new(store, VIDEO_NETWORK, decay));
        match (&learner.average, &from.average) {
            (Some(average), Some(saved)) => average.load(saved)?,
            (Some(_), None) => {
                tracing::info!("the snapshot has no moving average: it begins at the snapshot's networks")
            }
            (None, _) => {}
        }
        learner.rng = state.rng;
        learner.step = state.step;
        learner.samples = state.samples;
        learner.nonfinite_steps = state.nonfinite_steps;
        learner
            .tally
            .import(&from.statistics)
            .map_err(|reason| TrainError::State {
                path: from.path.join("statistics.safetensors"),
                reason,
            })?;
        // Whoever has changed the configured rate since wants that one.
        let configured = config.learning_rate();
        learner.rate = state.rate.filter(|set| set.configured == configured);
        Ok(learner)
    }

    /// The networks.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Memory of the networks on the device, in bytes: parameters, one gradient of each trained one, the optimiser's state, the moving
    /// average.
    pub fn memory_bytes(&self) -> u64 {
        let store = self.model.store();
        let bytes = |tensor: &Tensor| tensor.numel() as u64 * tensor.kind().elt_size_in_bytes() as u64;
        let parameters: u64 = store.parameters().iter().map(|p| bytes(&p.tensor)).sum();
        let state: u64 = self
            .optimizer
            .state(store)
            .iter()
            .map(|(_, tensor)| bytes(tensor))
            .sum();
        let average = self.average.iter().flat_map(|average| average.named());
        let average: u64 = average.map(|(_, tensor)| bytes(tensor)).sum();
        parameters + bytes(store.trained()) + state + average
    }

    /// Steps finished, over all runs.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Samples trained on, over all runs.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Steps that were not finite, over all runs, up to the last report or snapshot.
    pub fn nonfinite_steps(&self) -> u64 {
        self.nonfinite_steps
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let factor = self.config.schedule.factor(self.step, self.config.warmup_steps);
        self.rate.map_or(self.config.learning_rate(), |set| set.rate) * factor
    }

    /// Changes the learning rate from the next step on; gives the one in force, without the schedule's factor.
    ///
    /// # Errors
    /// A rate that is not a number above 0, with what would be right.
    pub fn set_rate(&mut self, change: RateChange) -> Result<f64, String> {
        let configured = self.config.learning_rate();
        self.rate = RateSet::after(change, self.rate, configured)?;
        Ok(self.rate.map_or(configured, |set| set.rate))
    }

    /// Learns from one batch. On CUDA it returns while the device still computes.
    ///
    /// # Errors
    /// Samples that do not fit the networks; nothing has changed then.
    pub fn learn(&mut self, samples: &[Arc<Sample>]) -> Result<(), TrainError> {
        self.learn_timed(samples, &mut PhaseClock::idle())
    }

    /// As [`Self::learn`], and says where the time went.
    pub fn learn_timed(&mut self, samples: &[Arc<Sample>], clock: &mut PhaseClock) -> Result<(), TrainError> {
        let device = self.model.device();
        let batch = Batch::gather(samples, self.model.config(), device)?;
        self.begin_step();
        clock.lap(|seconds| &mut seconds.copy);
        let strength = self.config.augment_strength();
        let draws: Vec<SampleDraw> = batch
            .source_sizes
            .iter()
            .map(|&(width, height)| SampleDraw::draw(&mut self.rng, width, height, strength))
            .collect();
        if self.config.dropout > 0.0 {
            // libtorch's generator cannot be stored: it is seeded from ours at every step.
            tch::manual_seed((self.rng.next_u64() >> 1) as i64);
        }
        let views = augment_with(&batch, &draws, self.model.config(), &self.config.objective);
        clock.lap(|seconds| &mut seconds.augment);
        let ids = samples.iter().map(|sample| sample.id).collect();
        self.update(ids, &views, &batch.scenes, clock)
    }

    /// Learns from a batch that is augmented already. `scenes` is `[B]`, i64: equal numbers mean the same scene.
    ///
    /// # Errors
    /// Views of another shape than the networks'.
    pub fn learn_views(&mut self, views: &Views, scenes: &Tensor) -> Result<(), TrainError> {
        let ids = vec![SampleId(0); scenes.size()[0] as usize];
        self.begin_step();
        self.update(ids, views, scenes, &mut PhaseClock::idle())
    }

    /// Remembers what a step changes before it changes the parameters.
    fn begin_step(&mut self) {
        self.mid_step = Some(MidStep {
            rng: self.rng.clone(),
            statistics: self.model.store().statistics_before(),
            updating: false,
        });
    }

    fn update(
        &mut self,
        ids: Vec<SampleId>,
        views: &Views,
        scenes: &Tensor,
        clock: &mut PhaseClock,
    ) -> Result<(), TrainError> {
        let store = self.model.store();
        let embeddings = self.model.forward(views, Pass::train(self.precision))?;
        let loss = joint_loss(&embeddings, scenes, self.config.motion_share());
        clock.lap(|seconds| &mut seconds.forward);

        let trained: Vec<&Tensor> = store.trained_parameters().map(|p| &p.tensor).collect();
        let gradients = Tensor::f_run_backward(&[&loss.total], &trained, false, false)?;
        clock.lap(|seconds| &mut seconds.backward);
        let mut gradient = store.flatten(&gradients);
        // Twice the gradient is more than PyTorch holds.
        drop(gradients);
        let norm = gradient.norm();
        let finite = norm.isfinite().logical_and(&loss.total.isfinite());
        gradient *= (self.config.clip_norm / (&norm + 1e-6)).clamp_max(1.0);
        let learning_rate = self.learning_rate();
        if let Some(mid_step) = &mut self.mid_step {
            mid_step.updating = true;
        }
        self.optimizer.step(store, &gradient, learning_rate, &finite);
        if let Some(mid_step) = self.mid_step.take() {
            store.settle_statistics(mid_step.statistics, &finite);
        }
        self.nonfinite_streak = (&self.nonfinite_streak + 1) * finite.logical_not();
        if let Some(average) = &mut self.average {
            average.follow(self.step + 1);
        }
        clock.lap(|seconds| &mut seconds.optimiser);
        self.tally.add(&loss, &norm, &finite, &embeddings);
        self.samples += ids.len() as u64;
        self.pending.push(PendingOutcomes::new(
            ids,
            &loss.by_sample(),
            &self.projection.apply(&embeddings.pooled),
        ));
        self.step += 1;
        Ok(())
    }

    /// Steps in a row, up to now, that were not finite. Waits for the device.
    pub fn nonfinite_streak(&self) -> u64 {
        u64::try_from(self.nonfinite_streak.int64_value(&[])).unwrap_or(0)
    }

    /// Undoes a step that failed or panicked on its way. False where parameters may have changed already: the networks are then
    /// of no step at all.
    pub(super) fn undo_step(&mut self) -> bool {
        let Some(mid_step) = self.mid_step.take() else {
            return true;
        };
        self.rng = mid_step.rng;
        let no = Tensor::from(false).to_device(self.model.device());
        self.model.store().settle_statistics(mid_step.statistics, &no);
        !mid_step.updating
    }

    /// Back to a snapshot: networks, optimiser, step and learning rate. What was drawn at random stays drawn: the same draws would
    /// lead to the same end.
    pub(super) fn roll_back(&mut self, from: &Resumable) -> Result<(), TrainError> {
        let mut back = Self::resume(&self.config, self.model.device(), from)?;
        back.rng = self.rng.clone();
        back.nonfinite_steps = self.nonfinite_steps + self.tally.nonfinite_steps();
        *self = back;
        Ok(())
    }

    /// What the steps since the last call made of their samples, in order. Waits for the device.
    pub fn take_outcomes(&mut self) -> Vec<SampleOutcome> {
        let pending = std::mem::take(&mut self.pending);
        pending.into_iter().flat_map(PendingOutcomes::fetch).collect()
    }

    /// Steps since the figures were last taken.
    pub(super) fn unreported_steps(&self) -> u64 {
        self.tally.steps()
    }

    /// The figures since they were last taken. Waits for the device.
    pub(super) fn take_figures(&mut self) -> Figures {
        let figures = self.tally.take();
        self.nonfinite_steps += figures.nonfinite_steps;
        figures
    }

    /// The V-Network as evaluation would take it from a snapshot of now, copied to host memory; waits for the device.
    pub fn video_weights(&self) -> VideoWeights {
        VideoWeights::copy_of(self.model.store(), self.average.as_ref(), self.step)
    }

    /// The networks, the optimiser and the state, copied to host memory; waits for the device. What the trainer does not know
    /// (configuration, metrics, provenance) is left empty.
    pub fn snapshot(&self, created_unix: u64) -> Result<Snapshot, TrainError> {
        let store = self.model.store();
        let model = store
            .parameters()
            .iter()
            .map(|p| NamedTensor::copy_of(&p.name, &p.tensor));
        let average = self.average.iter().flat_map(Average::named);
        let average = average.map(|(name, tensor)| NamedTensor::copy_of(name, tensor));
        let optimizer = self.optimizer.state(store);
        let optimizer = optimizer
            .iter()
            .map(|(name, tensor)| NamedTensor::copy_of(name, tensor));
        let statistics = self.tally.export();
        let statistics = statistics
            .iter()
            .map(|(name, tensor)| NamedTensor::copy_of(name, tensor));
        let state = TrainState {
            step: self.step,
            samples: self.samples,
            nonfinite_steps: self.nonfinite_steps,
            optimizer: self.optimizer.kind(),
            rng: self.rng.clone(),
            rate: self.rate,
        };
        Ok(Snapshot {
            step: self.step,
            created_unix,
            model_config: self.model.config().clone(),
            model: model.collect::<Result<_, _>>()?,
            average: average.collect::<Result<_, _>>()?,
            optimizer: optimizer.collect::<Result<_, _>>()?,
            statistics: statistics.collect::<Result<_, _>>()?,
            state: serde_json::to_string_pretty(&state).map_err(|error| TrainError::State {
                path: "state.json".into(),
                reason: error.to_string(),
            })?,
            config: String::new(),
            metrics: serde_json::Value::Null,
            provenance: serde_json::Value::Null,
            replay: None,
            save_samples: false,
            forgotten: Vec::new(),
        })
    }
}

/// The first keys in which two configurations differ.
fn difference(then: &crate::model::ModelConfig, now: &crate::model::ModelConfig) -> String {
    let fields = |config| match serde_json::to_value(config) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let now = fields(now);
    let differing = fields(then)
        .into_iter()
        .filter(|(key, value)| now.get(key) != Some(value));
    let told = |(key, value)| {
        format!(
            "{key} was {value}, now {}",
            now.get(&key).unwrap_or(&serde_json::Value::Null)
        )
    };
    differing.map(told).collect::<Vec<_>>().join("; ")
}
