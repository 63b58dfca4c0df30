use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use tch::Device;

use super::EvalError;
use super::dataset::{Dataset, DatasetOptions, LabelledVideo, Part};
use super::embeddings::{Embedded, write_embeddings};
use super::features::{VideoOutcome, features_of, video_progress};
use super::finetune::{Finetune, FinetuneSettings};
use super::html::write_page;
use super::knn::VOTE_TEMPERATURE;
use super::probe::probe;
use super::report::{
    DatasetReport, EVAL_SCHEMA, EvalReport, SettingsReport, ShortVideo, SkippedVideo, VideosUsed,
    WeightsReport,
};
use super::score::{Comparison, Split, knn, retrieval};
use super::similarity::UnitFeatures;
use super::source::FeatureSource;
use crate::model::ModelConfig;

/// What `comove eval` is asked for; a field an option.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// The command's first word.
    pub task: EvalTask,
    /// What gives features: a checkpoint, untrained weights, or a baseline.
    pub source: FeatureSource,
    /// `--dataset` and what goes with it.
    pub dataset: DatasetOptions,
    /// `--clips`: clips of a video, at most; 10 in the paper.
    pub clips: u32,
    /// `--device`, resolved.
    pub device: Device,
    /// `--decode-threads`: videos decoded at a time.
    pub decode_threads: NonZeroUsize,
    /// `--embeddings`: an `.npz` file for the features.
    pub embeddings: Option<PathBuf>,
    /// `--report`: an HTML file.
    pub page: Option<PathBuf>,
}

/// A way to judge features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EvalTask {
    /// `eval retrieval`.
    Retrieval,
    /// `eval knn`.
    Knn {
        /// `--neighbours`: how many vote; 5 by default.
        neighbours: u32,
        /// `--folds` and `--seed`.
        folds: Folds,
    },
    /// `eval probe`.
    Probe(Folds),
    /// `eval finetune`.
    Finetune(FinetuneSettings, Folds),
}

/// How a data set without a split is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folds {
    /// `--folds`: parts; 5 by default.
    pub count: u32,
    /// `--seed`: which videos are in which; in fine-tuning all that is random.
    pub seed: u64,
}

impl EvalTask {
    fn folds(&self) -> Option<Folds> {
        match *self {
            Self::Retrieval => None,
            Self::Knn { folds, .. } | Self::Probe(folds) | Self::Finetune(_, folds) => Some(folds),
        }
    }
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
        if let EvalTask::Knn { neighbours, .. } = self.task {
            at_least("--neighbours", neighbours, 1, "at least 1 is needed")?;
        }
        if let Some(folds) = self.task.folds() {
            at_least("--folds", folds.count, 2, "at least 2 are needed")?;
        }
        if let EvalTask::Finetune(settings, _) = &self.task {
            settings.check()?;
            if matches!(self.source, FeatureSource::Baseline { .. }) {
                return Err(EvalError::NeedsNetwork("there is nothing to fine-tune"));
            }
        }
        Ok(())
    }
}

/// Evaluates by the data set's label. The same options, files and device give the same report.
///
/// # Errors
/// Options or a data set that make no sense, weights that cannot be loaded or give no usable features, or no video that can
/// be decoded. Single videos that cannot be decoded are part of the report.
pub fn evaluate(options: &EvalOptions) -> Result<EvalReport, EvalError> {
    options.check()?;
    let dataset = Dataset::open(&options.dataset)?;
    let featured = Featured::new(options, &dataset)?;
    featured.judge(options, &dataset)
}

/// Evaluates by each of several columns of labels, in their order, with one pass over the videos.
///
/// # Errors
/// As [`evaluate`]; and when a label's column names other videos than the first one's, or one file is to be written for several.
pub fn evaluate_labels(options: &EvalOptions, labels: &[String]) -> Result<Vec<EvalReport>, EvalError> {
    options.check()?;
    if labels.len() > 1 && (options.embeddings.is_some() || options.page.is_some()) {
        return Err(EvalError::OneLabel);
    }
    let datasets = labels
        .iter()
        .map(|label| {
            Dataset::open(&DatasetOptions {
                label: Some(label.clone()),
                ..options.dataset.clone()
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = datasets.first() else {
        return Ok(Vec::new());
    };
    let first_videos: HashSet<&Path> = first.paths().collect();
    for (label, dataset) in labels.iter().zip(&datasets) {
        if dataset.paths().collect::<HashSet<_>>() != first_videos {
            return Err(EvalError::LabelOfOthers(label.clone()));
        }
    }
    let featured = Featured::new(options, first)?;
    datasets
        .iter()
        .map(|dataset| featured.judge(options, dataset))
        .collect()
}

/// What the videos of a data set gave, whatever their labels.
#[derive(Debug)]
struct Featured {
    /// By the video's file: the order of a data set's videos goes by their label.
    outcomes: HashMap<PathBuf, VideoOutcome>,
    weights: WeightsReport,
    model: ModelConfig,
}

impl Featured {
    fn new(options: &EvalOptions, dataset: &Dataset) -> Result<Self, EvalError> {
        let (extractor, weights) = options.source.load(options.device)?;
        let model = extractor.config().clone();
        let reader = extractor.reader(options.clips);
        let paths: Vec<&Path> = dataset.paths().collect();
        let progress = video_progress(paths.len());
        let outcomes = features_of(
            &paths,
            options.decode_threads.get(),
            |path| reader.read(path),
            |place, seen| extractor.feature(place, seen),
            &progress,
        )?;
        progress.finish_and_clear();
        Ok(Self {
            outcomes: paths.into_iter().map(Path::to_owned).zip(outcomes).collect(),
            weights,
            model,
        })
    }

    fn judge(&self, options: &EvalOptions, dataset: &Dataset) -> Result<EvalReport, EvalError> {
        let spec = self.model.sample;
        let gathered = Gathered::new(dataset, &self.outcomes)?;
        gathered.check(dataset, options.task)?;
        let comparison = gathered.comparison(dataset);
        let seed = options.task.folds().map(|folds| folds.seed);
        let mut report = EvalReport {
            schema: EVAL_SCHEMA,
            weights: self.weights.clone(),
            settings: SettingsReport {
                clips_per_video: options.clips,
                clip_frames: spec.clip_frames,
                clip_stride: spec.clip_stride,
                crop: self.model.crop,
                feature_channels: gathered.features.channels(),
                device: device_name(options.device),
                fold_seed: seed.filter(|_| !dataset.is_split()),
                vote_temperature: VOTE_TEMPERATURE,
            },
            dataset: gathered.report(dataset, options.clips),
            retrieval: None,
            knn: None,
            probe: None,
            finetune: None,
        };
        match options.task {
            EvalTask::Retrieval => report.retrieval = Some(retrieval(&comparison)),
            EvalTask::Knn { neighbours, folds } => {
                let count = folds.count as usize;
                report.knn = Some(knn(&comparison, neighbours as usize, count, folds.seed));
            }
            EvalTask::Probe(folds) => {
                report.probe = Some(probe(&comparison, folds.count as usize, folds.seed)?)
            }
            EvalTask::Finetune(settings, folds) => {
                let FeatureSource::Network { weights, .. } = &options.source else {
                    return Err(EvalError::NeedsNetwork("there is nothing to fine-tune"));
                };
                let finetune = Finetune {
                    weights,
                    device: options.device,
                    settings,
                    paths: &gathered.paths,
                    clips: options.clips,
                    threads: options.decode_threads.get(),
                    seed: folds.seed,
                };
                report.finetune = Some(finetune.run(&comparison, folds.count as usize)?);
            }
        }
        if let Some(path) = &options.embeddings {
            gathered.write_embeddings(dataset, path)?;
        }
        if let Some(path) = &options.page {
            write_page(path, &report, &comparison, &gathered.paths)?;
        }
        Ok(report)
    }
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Outcomes of all videos, sorted out.
#[derive(Debug, Default)]
struct Gathered<'a> {
    features: UnitFeatures,
    /// File of each feature.
    paths: Vec<&'a Path>,
    /// Group of each feature; empty where each video stands for itself.
    groups: Vec<usize>,
    /// Class of each feature.
    classes: Vec<usize>,
    /// Part of each feature.
    parts: Vec<Part>,
    /// Clips behind each feature.
    clip_counts: Vec<usize>,
    skipped: Vec<(Part, SkippedVideo)>,
    short: Vec<ShortVideo>,
}

impl<'a> Gathered<'a> {
    fn new(dataset: &'a Dataset, outcomes: &HashMap<PathBuf, VideoOutcome>) -> Result<Self, EvalError> {
        let mut gathered = Self::default();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let grouped = dataset.videos.iter().all(|video| video.group.is_some());
        for labelled in &dataset.videos {
            let LabelledVideo {
                path,
                class,
                part,
                group,
            } = labelled;
            let outcome = outcomes.get(path).ok_or_else(|| {
                let label = dataset.annotations.as_ref().and_then(|facts| facts.label.clone());
                EvalError::LabelOfOthers(label.unwrap_or_default())
            })?;
            let video = dataset.relative(path);
            match outcome {
                VideoOutcome::Feature {
                    feature,
                    clips,
                    missing_frames,
                } => {
                    gathered
                        .features
                        .push(feature)
                        .map_err(|source| EvalError::Feature {
                            video: path.clone(),
                            source,
                        })?;
                    gathered.paths.push(path);
                    if let (true, Some(group)) = (grouped, group) {
                        let next = numbers.len();
                        gathered.groups.push(*numbers.entry(group).or_insert(next));
                    }
                    gathered.classes.push(*class);
                    gathered.parts.push(*part);
                    gathered.clip_counts.push(*clips);
                    if *missing_frames > 0 {
                        gathered.short.push(ShortVideo {
                            video,
                            missing_frames: *missing_frames,
                        });
                    }
                }
                VideoOutcome::Skipped { reason } => {
                    gathered.skipped.push((
                        *part,
                        SkippedVideo {
                            video,
                            reason: reason.clone(),
                        },
                    ));
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
                    part: name.to_owned(),
                    videos: self.skipped.iter().filter(|(of, _)| *of == part).count(),
                    first: first.clone(),
                });
            }
        }
        let needed = match task.folds() {
            _ if dataset.is_split() => 1,
            None => 2,
            Some(folds) => folds.count as usize,
        };
        let groups = self.groups.iter().max().map_or(usize::MAX, |last| last + 1);
        if !dataset.is_split() && groups < needed {
            return Err(EvalError::TooFewGroups {
                groups,
                folds: needed,
            });
        }
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
            groups: &self.groups,
            split: dataset.is_split().then(|| Split {
                train: self.videos_of(Part::Train),
                test: self.videos_of(Part::Test),
            }),
        }
    }

    fn write_embeddings(&self, dataset: &Dataset, path: &Path) -> Result<(), EvalError> {
        let number = |part: &Part| match part {
            Part::Train => 0u8,
            Part::Test => 1,
            Part::Whole => 2,
        };
        let videos: Vec<String> = self.paths.iter().map(|path| dataset.relative(path)).collect();
        let parts: Vec<u8> = self.parts.iter().map(number).collect();
        let embedded = Embedded {
            features: self.features.values(),
            channels: self.features.channels(),
            classes: &self.classes,
            parts: &parts,
            videos: &videos,
            class_names: &dataset.classes,
        };
        write_embeddings(path, &embedded)
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
            groups: self.groups.iter().max().map(|last| last + 1),
            annotations: dataset.annotations.clone(),
            missing: dataset
                .missing
                .iter()
                .map(|missing| SkippedVideo {
                    video: missing.video.clone(),
                    reason: missing.reason.clone(),
                })
                .collect(),
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
