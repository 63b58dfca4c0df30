use std::path::Path;

use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::baseline::{self, Baseline};
use super::centre_crop::{central_square, centre_crop};
use super::read::{ReadError, VideoClips, read_clips};
use super::read_motion::{MotionWindows, read_all_motion, read_motion};
use super::{EvalError, Weights};
use crate::model::{Model, ModelConfig, ModelError, NormKind, Preset};
use crate::train::{Appearance, Batch, ObjectiveConfig, ViewDraw, motion_views};
use crate::window::FrameSize;

/// Clips that go through the network at once: bounds its memory.
const CLIPS_AT_ONCE: usize = 10;

/// Which of the three networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPart {
    /// The V-Network: clips. What downstream tasks use.
    V,
    /// The I-Network: single pictures, the middle one of each clip.
    I,
    /// The M-Network: motion from the bitstream, so of H.264 files alone.
    M,
}

/// What gives features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeatureSource {
    /// `--checkpoint` and `--network`.
    Network {
        /// Its weights.
        weights: Weights,
        /// Which.
        part: NetworkPart,
    },
    /// `--baseline`.
    Baseline {
        /// Which.
        baseline: Baseline,
        /// `--preset`: size of clips and crops.
        preset: Preset,
        /// `--seed`, of random features.
        seed: u64,
    },
}

/// What was read of a video, by whichever thread.
#[derive(Debug)]
pub enum Seen {
    /// Its clips.
    Clips(VideoClips),
    /// Its motion in windows.
    Windows(MotionWindows),
    /// All of its motion maps.
    Maps(Vec<Vec<i16>>),
    /// Its file's size.
    Bytes(u64),
}

impl Seen {
    /// Clips or windows, and frames that each lacks.
    pub fn clips(&self) -> (usize, u64) {
        match self {
            Self::Clips(clips) => (clips.clips, clips.missing_frames),
            Self::Windows(windows) => (windows.windows, windows.missing_frames),
            Self::Maps(_) | Self::Bytes(_) => (1, 0),
        }
    }
}

/// Reads what a feature is made of. Shared by the reading threads.
#[derive(Clone, Debug)]
pub struct Reader {
    config: ModelConfig,
    what: What,
    clips: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Clips,
    Windows,
    Maps,
    Bytes,
}

impl Reader {
    /// Reads one video.
    pub fn read(&self, path: &Path) -> Result<Seen, ReadError> {
        let spec = self.config.sample;
        Ok(match self.what {
            What::Clips => Seen::Clips(read_clips(path, spec, self.clips)?),
            What::Windows => Seen::Windows(read_motion(path, spec, self.clips)?),
            What::Maps => Seen::Maps(read_all_motion(path, spec.motion_size)?),
            What::Bytes => Seen::Bytes(std::fs::metadata(path).map_err(ReadError::File)?.len()),
        })
    }
}

/// A loaded source of features. Lives on the thread that owns the tensors.
#[derive(Debug)]
pub enum Extractor {
    /// A network.
    Network(Box<Model>, NetworkPart),
    /// None.
    Baseline(Baseline, Box<ModelConfig>, u64),
}

impl FeatureSource {
    /// Loads weights, where there are any.
    pub(super) fn load(
        &self,
        device: Device,
    ) -> Result<(Extractor, super::report::WeightsReport), EvalError> {
        match self {
            Self::Network { weights, part } => {
                let (model, mut report) = weights.load(device)?;
                report.network = Some(*part);
                Ok((Extractor::Network(Box::new(model), *part), report))
            }
            Self::Baseline {
                baseline,
                preset,
                seed,
            } => {
                let config = Box::new(preset.model(NormKind::Batch));
                let report = super::report::WeightsReport {
                    source: "baseline",
                    checkpoint: None,
                    step: 0,
                    preset: preset.name().into(),
                    seed: (*baseline == Baseline::Random).then_some(*seed),
                    network: None,
                    baseline: Some(*baseline),
                };
                Ok((Extractor::Baseline(*baseline, config, *seed), report))
            }
        }
    }
}

impl Extractor {
    /// Shapes of clips and maps.
    pub fn config(&self) -> &ModelConfig {
        match self {
            Self::Network(model, _) => model.config(),
            Self::Baseline(_, config, _) => config,
        }
    }

    /// What reads for it.
    pub fn reader(&self, clips: u32) -> Reader {
        let what = match self {
            Self::Network(_, NetworkPart::V | NetworkPart::I) => What::Clips,
            Self::Network(_, NetworkPart::M) => What::Windows,
            Self::Baseline(Baseline::MotionHistogram, ..) => What::Maps,
            Self::Baseline(Baseline::FileSize | Baseline::Random, ..) => What::Bytes,
            Self::Baseline(Baseline::Pixels | Baseline::MeanColour, ..) => What::Clips,
        };
        Reader {
            config: self.config().clone(),
            what,
            clips,
        }
    }

    /// The feature of the video that stands at `place` in the list.
    pub fn feature(&self, place: usize, seen: &Seen) -> Result<Vec<f32>, ModelError> {
        match (self, seen) {
            (Self::Network(model, part), Seen::Clips(clips)) => network_feature(model, *part, clips),
            (Self::Network(model, _), Seen::Windows(windows)) => {
                let maps = central_motion(windows, model.config(), model.device());
                to_host(mean_of(&maps, |maps| model.motion_features(maps))?)
            }
            (Self::Baseline(Baseline::MeanColour, config, _), Seen::Clips(clips)) => {
                Ok(baseline::mean_colour(&centre_crop(clips, config, Device::Cpu))?)
            }
            (Self::Baseline(_, config, _), Seen::Clips(clips)) => {
                to_host(baseline::pixels(&centre_crop(clips, config, Device::Cpu)))
            }
            (Self::Baseline(_, _, seed), Seen::Bytes(_)) if self.is(Baseline::Random) => {
                Ok(baseline::random_direction(*seed, place as u64))
            }
            (_, Seen::Bytes(bytes)) => Ok(baseline::file_size(*bytes)),
            (_, Seen::Maps(maps)) => Ok(baseline::motion_histogram(maps, self.config().sample.motion_size)),
            (Self::Baseline(..), Seen::Windows(_)) => Ok(Vec::new()),
        }
    }

    fn is(&self, wanted: Baseline) -> bool {
        matches!(self, Self::Baseline(baseline, ..) if *baseline == wanted)
    }
}

/// The mean of what a network makes of a video's clips, without the M-Network's.
pub(super) fn network_feature(
    model: &Model,
    part: NetworkPart,
    clips: &VideoClips,
) -> Result<Vec<f32>, ModelError> {
    let clips = centre_crop(clips, model.config(), model.device());
    let middle = clips.size()[2] / 2;
    let of = |clips: &Tensor| match part {
        NetworkPart::I => model.key_frame_features(&clips.select(2, middle)),
        NetworkPart::V | NetworkPart::M => model.features(clips),
    };
    to_host(mean_of(&clips, of)?)
}

fn to_host(feature: Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(Vec::<f32>::try_from(feature.to_device(Device::Cpu))?)
}

/// Mean over the first dimension of the features of pieces that fit into memory.
fn mean_of(
    input: &Tensor,
    features: impl Fn(&Tensor) -> Result<Tensor, ModelError>,
) -> Result<Tensor, ModelError> {
    let mut rows = Vec::new();
    for piece in input.split(CLIPS_AT_ONCE as i64, 0) {
        rows.push(features(&piece)?);
    }
    Ok(Tensor::cat(&rows, 0).mean_dim(0, false, Kind::Float))
}

/// Windows `[N, F, 2, h, w]` → what the M-Network sees of their central squares, `[N, 2, F, s, s]`.
fn central_motion(windows: &MotionWindows, config: &ModelConfig, device: Device) -> Tensor {
    let (spec, count) = (config.sample, windows.windows as i64);
    let FrameSize { width, height } = spec.motion_size;
    let source = windows.source_size;
    let draw = ViewDraw {
        crop: central_square(source, spec.frame_size, config.crop),
        appearance: Appearance::untouched(),
    };
    let nothing = Tensor::zeros([0], (Kind::Uint8, device));
    let batch = Batch {
        clips: nothing.shallow_clone(),
        key_frames: nothing.shallow_clone(),
        motion: Tensor::from_slice(&windows.cells)
            .view([
                count,
                1,
                i64::from(spec.target_frames),
                2,
                i64::from(height),
                i64::from(width),
            ])
            .to_device(device),
        source_sizes: vec![(source.width, source.height); windows.windows],
        scenes: nothing,
    };
    let draws = vec![draw; windows.windows];
    no_grad(|| {
        motion_views(&batch, &draws, config, &ObjectiveConfig::default())
            .0
            .squeeze_dim(1)
    })
}
