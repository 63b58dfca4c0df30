use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

use super::centre_crop::centre_crop;
use super::dataset::{Dataset, LabelledVideo, Part};
use super::features::{VideoOutcome, features_of, video_progress};
use super::knn::VOTE_TEMPERATURE;
use super::read::{VideoClips, read_clips};
use super::report::{
    DatasetReport, EVAL_SCHEMA, EvalReport, SettingsReport, ShortVideo, SkippedVideo, VideosUsed,
};
use super::score::{Comparison, Split, knn, retrieval};
use super::similarity::UnitFeatures;
use super::{EvalError, Weights};
use crate::model::{Model, ModelError};

/// Clips that go through the network at once: bounds its memory.
const CLIPS_AT_ONCE: usize = 10;

/// What `comove eval` is asked for; a field an option.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// The command's first word.
    pub task: EvalTask,
    /// `--checkpoint`: a snapshot, a folder of snapshots (the newest is taken), or `random`.
    pub weights: Weights,
    /// `--dataset`: a folder of class folders, or of `train` and `test` with class folders in them.
    pub dataset: PathBuf,
    /// `--clips`: clips of a video, at most; 10 in the paper.
    pub clips: u32,
    /// `--device`, resolved.
    pub device: Device,
    /// `--decode-threads`: videos decoded at a time.
    pub decode_threads: NonZeroUsize,
}

/// A way to judge features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalTask {
    /// `eval retrieval`.
    Retrieval,
    /// `eval knn`.
    Knn {
        /// `--neighbours`: how many vote; 5 by default.
        neighbours: u32,
        /// `--folds`: parts of a data set without a split; 5 by default.
        folds: u32,
        /// `--seed`: which videos are in which fold.
        seed: u64,
    },
}

impl EvalOptions {
    /// Clips of a video, as in the paper.
    pub const CLIPS: u32 = 10;
    /// Neighbours that vote.
    pub const NEIGHBOURS: u32 = 5;
    /// Folds of a data set without a split.
    pub const FOLDS: u32 = 5;
    /// Videos decoded at a time.
    pub const DECODE_THREADS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

    fn check(&self) -> Result<(), EvalError> {
        let at_least = |option, value: u32, least: u32, allowed| match value >= least {
            true => Ok(()),
            false => Err(EvalError::Option {
                option,
                value: value.into(),
                allowed,
            }),
        };
        at_least("--clips", self.clips, 1, "at least 1 is needed")?;
        if let EvalTask::Knn {
            neighbours, folds, ..
        } = self.task
        {
            at_least("--neighbours", neighbours, 1, "at least 1 is needed")?;
            at_least("--folds", folds, 2, "at least 2 are needed")?;
        }
        Ok(())
    }
}

/// Evaluates. The same options, files and device give the same report.
///
/// # Errors
/// Options or a data set that make no sense, weights that cannot be loaded or give no usable features, or no video that can
/// be decoded. Single videos that cannot be decoded are part of the report.
pub fn evaluate(options: &EvalOptions) -> Result<EvalReport, EvalError> {
    options.check()?;
    let dataset = Dataset::scan(&options.dataset)?;
    let (model, weights) = options.weights.load(options.device)?;
    let spec = model.config().sample;
    let paths: Vec<&Path> = dataset.videos.iter().map(|video| video.path.as_path()).collect();
    let progress = video_progress(paths.len());
    let outcomes = features_of(
        &paths,
        options.decode_threads.get(),
        |path| read_clips(path, spec, options.clips),
        |clips| mean_feature(&model, clips),
        &progress,
    )?;
    progress.finish_and_clear();
    let gathered = Gathered::new(&dataset, outcomes)?;
    gathered.check(&dataset, options.task)?;
    let comparison = gathered.comparison(&dataset);
    let (mut retrieval_figures, mut knn_figures, mut fold_seed) = (None, None, None);
    match options.task {
        EvalTask::Retrieval => retrieval_figures = Some(retrieval(&comparison)),
        EvalTask::Knn {
            neighbours,
            folds,
            seed,
        } => {
            fold_seed = (!dataset.is_split()).then_some(seed);
            knn_figures = Some(knn(&comparison, neighbours as usize, folds as usize, seed));
        }
    }
    Ok(EvalReport {
        schema: EVAL_SCHEMA,
        weights,
        settings: SettingsReport {
            clips_per_video: options.clips,
            clip_frames: spec.clip_frames,
            clip_stride: spec.clip_stride,
            crop: model.config().crop,
            feature_channels: gathered.features.channels(),
            device: device_name(options.device),
            fold_seed,
            vote_temperature: VOTE_TEMPERATURE,
        },
        dataset: gathered.report(&dataset, options.clips),
        retrieval: retrieval_figures,
        knn: knn_figures,
    })
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Mean over a video's clips of the pooled layer 4.
fn mean_feature(model: &Model, video: &VideoClips) -> Result<Vec<f32>, ModelError> {
    let clips = centre_crop(video, model.config(), model.device());
    let mut features = Vec::new();
    for clips in clips.split(CLIPS_AT_ONCE as i64, 0) {
        features.push(model.features(&clips)?);
    }
    let mean = Tensor::cat(&features, 0).mean_dim(0, false, tch::Kind::Float);
    Ok(Vec::try_from(mean.to_device(Device::Cpu))?)
}

/// Outcomes of all videos, sorted out.
#[derive(Debug, Default)]
struct Gathered {
    features: UnitFeatures,
    /// Class of each feature.
    classes: Vec<usize>,
    /// Part of each feature.
    parts: Vec<Part>,
    /// Clips behind each feature.
    clip_counts: Vec<usize>,
    skipped: Vec<(Part, SkippedVideo)>,
    short: Vec<ShortVideo>,
}

impl Gathered {
    fn new(dataset: &Dataset, outcomes: Vec<VideoOutcome>) -> Result<Self, EvalError> {
        let mut gathered = Self::default();
        for (LabelledVideo { path, class, part }, outcome) in dataset.videos.iter().zip(outcomes) {
            let video = dataset.relative(path);
            match outcome {
                VideoOutcome::Feature {
                    feature,
                    clips,
                    missing_frames,
                } => {
                    gathered
                        .features
                        .push(&feature)
                        .map_err(|source| EvalError::Feature {
                            video: path.clone(),
                            source,
                        })?;
                    gathered.classes.push(*class);
                    gathered.parts.push(*part);
                    gathered.clip_counts.push(clips);
                    if missing_frames > 0 {
                        gathered.short.push(ShortVideo {
                            video,
                            missing_frames,
                        });
                    }
                }
                VideoOutcome::Skipped { reason } => {
                    gathered.skipped.push((*part, SkippedVideo { video, reason }));
                }
            }
        }
        Ok(gathered)
    }

    fn videos_of(&self, part: Part) -> Vec<usize> {
        (0..self.parts.len())
            .filter(|&video| self.parts[video] == part)
            .collect()
    }

    /// Whether enough is left to be compared.
    fn check(&self, dataset: &Dataset, task: EvalTask) -> Result<(), EvalError> {
        for (part, name) in [
            (Part::Train, "train"),
            (Part::Test, "test"),
            (Part::Whole, "the data set"),
        ] {
            let first = self.skipped.iter().find(|(of, _)| *of == part);
            if let Some((_, first)) = first
                && self.videos_of(part).is_empty()
            {
                return Err(EvalError::NoneDecoded {
                    part: name,
                    videos: self.skipped.iter().filter(|(of, _)| *of == part).count(),
                    first: first.clone(),
                });
            }
        }
        let needed = match task {
            _ if dataset.is_split() => 1,
            EvalTask::Retrieval => 2,
            EvalTask::Knn { folds, .. } => folds as usize,
        };
        match self.parts.len() {
            videos if videos < needed => Err(EvalError::TooFew {
                videos,
                needed,
                skipped: self.skipped.len(),
            }),
            _ => Ok(()),
        }
    }

    fn comparison(&self, dataset: &Dataset) -> Comparison<'_> {
        Comparison {
            features: &self.features,
            classes: &self.classes,
            class_count: dataset.classes.len(),
            split: dataset.is_split().then(|| Split {
                train: self.videos_of(Part::Train),
                test: self.videos_of(Part::Test),
            }),
        }
    }

    fn report(&self, dataset: &Dataset, clips_wanted: u32) -> DatasetReport {
        let count = |part| self.parts.iter().filter(|&&of| of == part).count();
        let without_train = |class: &usize| {
            let has = |wanted: Part| {
                (0..self.parts.len()).any(|at| self.classes[at] == *class && self.parts[at] == wanted)
            };
            has(Part::Test) && !has(Part::Train)
        };
        DatasetReport {
            root: dataset.root.clone(),
            classes: dataset.classes.clone(),
            videos_found: dataset.videos.len(),
            videos_used: VideosUsed {
                train: count(Part::Train),
                test: count(Part::Test),
                whole: count(Part::Whole),
            },
            clips: self.clip_counts.iter().sum(),
            skipped: self.skipped.iter().map(|(_, video)| video.clone()).collect(),
            short: self.short.clone(),
            fewer_clips: self
                .clip_counts
                .iter()
                .filter(|&&clips| clips < clips_wanted as usize)
                .count(),
            classes_without_train: (0..dataset.classes.len())
                .filter(without_train)
                .map(|class| dataset.classes[class].clone())
                .collect(),
            unused: dataset.unused.clone(),
            other_files: dataset
                .other_files
                .iter()
                .map(|path| dataset.relative(path))
                .collect(),
        }
    }
}
