use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor, no_grad};

use super::error::expect_shape;
use super::{
    Builder, Head, KeyFrameNetwork, ModelConfig, ModelError, MotionNetwork, MotionPredictor, ParameterStore,
    Pass, VideoNetwork,
};

/// A batch as the networks see it: augmented, normalised, on their device.
#[derive(Debug)]
pub struct Views {
    /// `[B, 3, T, S, S]`, f32.
    pub clips: Tensor,
    /// `[B, 3, S, S]`, f32.
    pub key_frames: Tensor,
    /// `[B, 1 + N, 2, F, s, s]`, f32: the target first, then the hard negatives. Zero where unknown.
    pub motion: Tensor,
    /// `[B, 1 + N, F, s, s]`, f32: 1 where the motion is known, 0 where not.
    pub known: Tensor,
}

/// What the losses compare. Every row of E values has length 1; f32.
#[derive(Debug)]
pub struct Embeddings {
    /// `[B, E]`: the clip, for its context.
    pub clip_context: Tensor,
    /// `[B, E]`: the key frame.
    pub key_frame: Tensor,
    /// `[B, P, E]`: the motion expected at each position.
    pub predicted_motion: Tensor,
    /// `[B, 1 + N, P, E]`: the motion there was, the target first.
    pub motion: Tensor,
    /// `[B, 1 + N, P]`, boolean: at least half of the position's cells are known.
    pub motion_known: Tensor,
    /// `[B, C]`: what downstream tasks use; not part of any loss, without gradient.
    pub pooled: Tensor,
}

/// The networks, their heads, and the parameters of all.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    store: ParameterStore,
    video: VideoNetwork,
    key_frame: KeyFrameNetwork,
    motion: MotionNetwork,
    predictor: MotionPredictor,
    clip_context_head: Head,
    key_frame_head: Head,
    predicted_motion_head: Head,
    motion_head: Head,
}

/// Less than this share of a position's cells known: the position is left out of the loss.
const KNOWN_SHARE_MIN: f64 = 0.5;

impl Model {
    /// Untrained networks; a seed gives the same weights on every machine.
    pub fn random(config: &ModelConfig, seed: u64, device: Device) -> Result<Self, ModelError> {
        config.validate()?;
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(seed));
        let mut root = builder.root();
        let (hidden, embedding) = (i64::from(config.head_hidden), i64::from(config.embedding));
        let video = VideoNetwork::new(root.enter("v"), config)?;
        let key_frame = KeyFrameNetwork::new(root.enter("i"), config)?;
        let motion = MotionNetwork::new(root.enter("m"), config)?;
        let predictor = MotionPredictor::new(root.enter("predictor"), config, config.video_features())?;
        let mut heads = root.enter("head");
        let mut head = |name: &str, features: i64| {
            Head::new(heads.enter(name), features, hidden, embedding, config.norm)
        };
        let clip_context_head = head("clip_context", config.video_features())?;
        let key_frame_head = head("key_frame", config.key_frame_features())?;
        let predicted_motion_head = head("predicted_motion", i64::from(config.predictor.features))?;
        let motion_head = head("motion", config.motion_features())?;
        Ok(Self {
            config: config.clone(),
            store: builder.finish(device)?,
            video,
            key_frame,
            motion,
            predictor,
            clip_context_head,
            key_frame_head,
            predicted_motion_head,
            motion_head,
        })
    }

    /// What decided the shapes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The parameters.
    pub fn store(&self) -> &ParameterStore {
        &self.store
    }

    /// Where the parameters are.
    pub fn device(&self) -> Device {
        self.store.trained().device()
    }

    /// Normalised clips `[B, 3, T, S, S]` on the model's device → what downstream tasks use: `[B, C]`, f32, without gradient.
    /// Uses the remembered statistics.
    ///
    /// # Errors
    /// Clips of another shape than the configuration's.
    pub fn features(&self, clips: &Tensor) -> Result<Tensor, ModelError> {
        let pass = Pass::evaluate(super::Precision::Float32);
        no_grad(|| Ok(self.video.forward(clips, pass)?.pooled()))
    }

    /// The V-Network, for training on labels.
    pub fn video(&self) -> &VideoNetwork {
        &self.video
    }

    /// Normalised pictures `[B, 3, S, S]` → pooled features of the I-Network `[B, C]`, f32, without gradient.
    ///
    /// # Errors
    /// Pictures of another shape than the configuration's.
    pub fn key_frame_features(&self, pictures: &Tensor) -> Result<Tensor, ModelError> {
        let pass = Pass::evaluate(super::Precision::Float32);
        no_grad(|| Ok(self.key_frame.forward(pictures, pass)?.to_kind(Kind::Float)))
    }

    /// Motion maps `[B, 2, F, s, s]` → features of the M-Network, averaged over positions: `[B, C]`, f32, without gradient.
    ///
    /// # Errors
    /// Maps of another shape than the configuration's.
    pub fn motion_features(&self, maps: &Tensor) -> Result<Tensor, ModelError> {
        let pass = Pass::evaluate(super::Precision::Float32);
        no_grad(|| {
            Ok(self
                .motion
                .forward(maps, pass)?
                .mean_dim([1i64].as_slice(), false, Kind::Float))
        })
    }

    /// Everything that the two losses need.
    ///
    /// # Errors
    /// An input of another shape than the configuration's.
    pub fn forward(&self, views: &Views, pass: Pass) -> Result<Embeddings, ModelError> {
        let windows = i64::from(1 + self.config.sample.hard_negatives);
        let frames = i64::from(self.config.sample.target_frames);
        let crop = i64::from(self.config.motion_crop);
        let batch = views.clips.size()[0];
        expect_shape("motion", &views.motion, &[batch, windows, 2, frames, crop, crop])?;
        expect_shape("known", &views.known, &[batch, windows, frames, crop, crop])?;
        expect_shape("key_frames", &views.key_frames, &[batch, 3, -1, -1])?;

        let features = self.video.forward(&views.clips, pass)?;
        let pretraining = features.pretraining();
        let context = pretraining.mean_dim([2i64, 3, 4].as_slice(), false, None);
        let memory = pretraining.flatten(2, 4).transpose(1, 2);
        let predicted = self.predictor.forward(&memory, pass)?;
        let key_frame = self.key_frame.forward(&views.key_frames, pass)?;
        let motion = self.motion.forward(&views.motion.flatten(0, 1), pass)?;

        let positions = self.config.motion_positions();
        let embedding = i64::from(self.config.embedding);
        Ok(Embeddings {
            clip_context: self.clip_context_head.forward(&context, pass),
            key_frame: self.key_frame_head.forward(&key_frame, pass),
            predicted_motion: self
                .predicted_motion_head
                .forward(&predicted.flatten(0, 1), pass)
                .view([batch, positions, embedding]),
            motion: self
                .motion_head
                .forward(&motion.flatten(0, 1), pass)
                .view([batch, windows, positions, embedding]),
            motion_known: self.known_positions(&views.known),
            pooled: no_grad(|| features.pooled()).detach(),
        })
    }

    /// Cells known `[B, 1 + N, F, s, s]` → positions known `[B, 1 + N, P]`, boolean.
    fn known_positions(&self, known: &Tensor) -> Tensor {
        let share = known
            .to_kind(Kind::Float)
            .adaptive_avg_pool3d(self.config.motion_grid())
            .flatten(2, 4);
        share.ge(KNOWN_SHARE_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NormKind, Precision, Preset};
    use super::*;

    fn views(config: &ModelConfig, batch: i64) -> Views {
        let float = (Kind::Float, Device::Cpu);
        let frames = i64::from(config.sample.clip_frames);
        let maps = i64::from(config.sample.target_frames);
        let windows = i64::from(1 + config.sample.hard_negatives);
        let (crop, motion_crop) = (i64::from(config.crop), i64::from(config.motion_crop));
        let ramp = |shape: &[i64]| {
            let count: i64 = shape.iter().product();
            (Tensor::arange(count, float) * 0.37).sin().view(shape)
        };
        Views {
            clips: ramp(&[batch, 3, frames, crop, crop]),
            key_frames: ramp(&[batch, 3, crop, crop]),
            motion: ramp(&[batch, windows, 2, maps, motion_crop, motion_crop]),
            known: Tensor::ones([batch, windows, maps, motion_crop, motion_crop], float),
        }
    }

    #[test]
    fn the_paper_preset_has_the_papers_shapes() {
        let config = Preset::Paper.model(NormKind::Batch);
        let model = Model::random(&config, 1, Device::Cpu).unwrap();
        let shape_of = |name: &str| {
            let found = model.store().parameters().iter().find(|p| p.name == name);
            found.unwrap_or_else(|| panic!("no {name}")).tensor.size()
        };
        assert_eq!(shape_of("v.stem.spatial.weight"), [83, 3, 1, 7, 7]);
        assert_eq!(shape_of("v.stem.temporal.weight"), [64, 83, 3, 1, 1]);
        assert_eq!(shape_of("v.layer1.0.conv2.temporal.weight"), [64, 144, 3, 1, 1]);
        assert_eq!(shape_of("v.layer4.1.conv3.weight"), [2048, 512, 1, 1, 1]);
        assert_eq!(shape_of("i.layer4.0.conv2.weight"), [512, 512, 3, 3]);
        assert_eq!(shape_of("m.stem.weight"), [64, 2, 3, 7, 7]);
        assert_eq!(shape_of("predictor.memory_position"), [98, 512]);
        assert_eq!(shape_of("predictor.query_position"), [49, 512]);
        assert_eq!(shape_of("head.clip_context.fc1.weight"), [2048, 2048]);
        let pass = Pass::evaluate(Precision::Float32);
        let views = views(&config, 1);
        let (features, motion) = no_grad(|| {
            let features = model.video.forward(&views.clips, pass).unwrap();
            (
                features,
                model
                    .motion
                    .forward(&views.motion.get(0).narrow(0, 0, 1), pass)
                    .unwrap(),
            )
        });
        assert_eq!(features.layer3.size(), [1, 1024, 4, 7, 7]);
        assert_eq!(features.layer4.size(), [1, 2048, 2, 4, 4]);
        assert_eq!(features.pretraining().size(), [1, 2048, 2, 7, 7]);
        assert_eq!(features.pooled().size(), [1, 2048]);
        assert_eq!(motion.size(), [1, 49, 512]);
    }

    #[test]
    fn every_preset_gives_embeddings_of_unit_length_and_a_gradient_to_every_parameter() {
        for (preset, norm) in [
            (Preset::Small, NormKind::Group),
            (Preset::Micro, NormKind::Batch),
            (Preset::Micro, NormKind::Group),
        ] {
            let config = preset.model(norm);
            let model = Model::random(&config, 1, Device::Cpu).unwrap();
            let out = model
                .forward(&views(&config, 2), Pass::train(Precision::Float32))
                .unwrap();
            let (positions, e) = (config.motion_positions(), i64::from(config.embedding));
            assert_eq!(out.clip_context.size(), [2, e]);
            assert_eq!(out.key_frame.size(), [2, e]);
            assert_eq!(out.predicted_motion.size(), [2, positions, e]);
            assert_eq!(out.motion.size(), [2, 4, positions, e]);
            assert_eq!(out.motion_known.size(), [2, 4, positions]);
            assert_eq!(out.pooled.size(), [2, config.video_features()]);
            let mut sum = Tensor::from(0.0);
            for rows in [
                &out.clip_context,
                &out.key_frame,
                &out.predicted_motion,
                &out.motion,
            ] {
                let lengths = rows.square().sum_dim_intlist(-1, false, Kind::Float);
                assert!(
                    (lengths - 1.0).abs().max().double_value(&[]) < 1e-4,
                    "{preset:?} {norm:?}"
                );
                let weights = (Tensor::arange(rows.numel() as i64, (Kind::Float, Device::Cpu)) * 1.7).sin();
                sum += (rows * weights.view_as(rows)).sum(Kind::Float);
            }
            let trained: Vec<_> = model.store().trained_parameters().map(|p| &p.tensor).collect();
            let gradients = Tensor::run_backward(&[sum], &trained, false, false);
            for (parameter, gradient) in model.store().trained_parameters().zip(&gradients) {
                assert!(gradient.defined(), "{} takes no part", parameter.name);
            }
        }
    }

    #[test]
    fn bfloat16_computes_nearly_the_same() {
        let config = Preset::Micro.model(NormKind::Batch);
        let views = views(&config, 3);
        let run = |precision| {
            let model = Model::random(&config, 1, Device::Cpu).unwrap();
            no_grad(|| model.forward(&views, Pass::train(precision))).unwrap()
        };
        let (exact, rounded) = (run(Precision::Float32), run(Precision::BFloat16));
        assert_eq!(rounded.predicted_motion.kind(), Kind::Float);
        let cosine = (&exact.motion * &rounded.motion).sum_dim_intlist(-1, false, Kind::Float);
        let mean = cosine.mean(Kind::Float).double_value(&[]);
        assert!(mean > 0.98 && mean < 0.999_999_9, "mean cosine {mean}");
    }

    #[test]
    fn a_seed_gives_the_same_weights() {
        let config = Preset::Micro.model(NormKind::Batch);
        let weights = |seed| {
            Model::random(&config, seed, Device::Cpu)
                .unwrap()
                .store()
                .trained()
                .detach()
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }

    #[test]
    fn features_of_a_clip_do_not_depend_on_its_company() {
        let config = Preset::Micro.model(NormKind::Batch);
        let model = Model::random(&config, 1, Device::Cpu).unwrap();
        let clips = views(&config, 2).clips;
        let both = model.features(&clips).unwrap();
        let alone = model.features(&clips.narrow(0, 1, 1)).unwrap();
        assert!(!both.requires_grad());
        assert!((both.get(1) - alone.get(0)).abs().max().double_value(&[]) < 1e-4);
    }

    #[test]
    fn an_input_of_another_shape_is_refused_by_name() {
        let config = Preset::Micro.model(NormKind::Batch);
        let model = Model::random(&config, 1, Device::Cpu).unwrap();
        let clips = views(&config, 1).clips.narrow(2, 0, 4);
        let told = model.features(&clips).unwrap_err().to_string();
        assert_eq!(
            told,
            "tensor `clips` has shape [1, 3, 4, 64, 64]; [-1, 3, 8, 64, 64] is right"
        );
    }

    #[test]
    fn a_position_counts_as_known_when_half_of_its_cells_are() {
        let config = Preset::Micro.model(NormKind::Batch);
        let model = Model::random(&config, 1, Device::Cpu).unwrap();
        let known = views(&config, 1).known;
        // The first position covers 4 maps of 8×8 cells: leave two maps known, then one less cell.
        let _ = known.narrow(2, 0, 2).narrow(3, 0, 8).narrow(4, 0, 8).fill_(0.0);
        assert_eq!(model.known_positions(&known).int64_value(&[0, 0, 0]), 1);
        let _ = known.narrow(2, 0, 3).narrow(3, 0, 1).narrow(4, 0, 1).fill_(0.0);
        let positions = model.known_positions(&known);
        assert_eq!(positions.int64_value(&[0, 0, 0]), 0);
        assert_eq!(positions.sum(Kind::Int64).int64_value(&[]), 4 * 9 - 4);
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_with_the_key() {
        let mut config = Preset::Micro.model(NormKind::Batch);
        config.sample.clip_frames = 12;
        let told = Model::random(&config, 1, Device::Cpu).unwrap_err().to_string();
        assert!(
            told.starts_with("model: sample.clip_frames is 12: must be a multiple of 8"),
            "{told}"
        );
    }
}
