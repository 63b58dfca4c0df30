use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use comove::eval::{
    Baseline, DatasetOptions, EvalOptions, EvalTask, FeatureSource, FinetuneSettings, Folds, GroupRule,
    NamePattern, NetworkPart, Weights, evaluate, evaluate_labels,
};
use comove::model::Preset;
use comove::telemetry::{LogConfig, start_log};
use comove::train::{DeviceChoice, open_device};

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove eval knn --checkpoint checkpoints/latest --dataset actions
  comove eval knn --checkpoint random --dataset actions               what untrained weights give
  comove eval knn --baseline pixels --dataset actions                 what no network gives
  comove eval retrieval --checkpoint checkpoints --dataset UCF-101 --annotations ucfTrainTestlist --report ucf101.html
  comove eval probe --checkpoint checkpoints --dataset hmdb51 --annotations testTrainMulti_7030_splits --split 2
  comove eval finetune --checkpoint checkpoints --dataset k400 --annotations annotations --device cuda
  comove eval retrieval --checkpoint checkpoints --dataset bench --label context,motion --json > both.json

A data set is a folder of videos in any codec. Labels come from --annotations; else from labels.csv in the folder, which
`comove synth` writes; else from the folders: one for each class, or with train and test (and val) above those.";

/// Judge a checkpoint by how well videos of one class are told from others.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Recall at 1, 5, 10, 20 and 50: is a video of the same class among the nearest?
    Retrieval(Common),
    /// Accuracy of a vote of the nearest neighbours.
    Knn {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        folds: FoldArgs,
        /// Neighbours that vote.
        #[arg(short = 'k', long, default_value_t = EvalOptions::NEIGHBOURS)]
        neighbours: u32,
    },
    /// Accuracy of a linear classifier on frozen features.
    Probe {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        folds: FoldArgs,
    },
    /// Accuracy of the whole V-Network after training it on the labels.
    Finetune {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        folds: FoldArgs,
        #[command(flatten)]
        training: TrainingArgs,
    },
}

#[derive(Debug, Args)]
struct FoldArgs {
    /// Parts of a data set that has no train and test part.
    #[arg(long, default_value_t = EvalOptions::FOLDS)]
    folds: u32,
}

#[derive(Debug, Args)]
struct TrainingArgs {
    /// Passes over the training videos.
    #[arg(long, default_value_t = FinetuneSettings::default().epochs)]
    epochs: u32,
    /// Clips a step.
    #[arg(long, default_value_t = FinetuneSettings::default().batch_size)]
    batch_size: u32,
    /// Learning rate of AdamW after the warm-up; it falls to 0.
    #[arg(long, default_value_t = FinetuneSettings::default().learning_rate)]
    learning_rate: f64,
    /// How strongly weights are pulled to zero.
    #[arg(long, default_value_t = FinetuneSettings::default().weight_decay)]
    weight_decay: f64,
    /// Share of the feature dropped before the classifier.
    #[arg(long, default_value_t = FinetuneSettings::default().dropout)]
    dropout: f64,
}

#[derive(Debug, Args)]
struct Common {
    /// A checkpoint, a folder of them (the newest is taken), or `random` for untrained weights.
    #[arg(long, value_name = "DIR|random", required_unless_present = "baseline")]
    checkpoint: Option<PathBuf>,
    /// A feature that takes no network, in place of a checkpoint.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["checkpoint", "network"])]
    baseline: Option<BaselineName>,
    /// Whose features: v (clips), i (single pictures) or m (motion; H.264 only).
    #[arg(long, value_name = "v|i|m", default_value = "v")]
    network: NetworkName,
    /// The folder of the data set.
    #[arg(long, value_name = "FOLDER")]
    dataset: PathBuf,
    /// Labels and split: a CSV file (comove's or Kinetics'), or a folder with those or with UCF101's or HMDB51's lists.
    #[arg(long, value_name = "FILE|FOLDER")]
    annotations: Option<PathBuf>,
    /// Which of the splits that UCF101 and HMDB51 come with.
    #[arg(long, value_name = "N", default_value_t = 1)]
    split: u32,
    /// Which column of the CSV file is the label, where it has several. With several columns, one report each from one pass over
    /// the videos (--json: an array).
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    label: Vec<String>,
    /// Videos whose names have the same text at `{}` are cuts of one scene and stay together, as in `v_*_g{}_c*`.
    #[arg(long, value_name = "PATTERN", conflicts_with = "group_file")]
    group_pattern: Option<NamePattern>,
    /// The same from a CSV file with the columns video and group.
    #[arg(long, value_name = "FILE")]
    group_file: Option<PathBuf>,
    /// The network's size, for `--checkpoint random` and baselines [default: micro].
    #[arg(long, value_name = "NAME")]
    preset: Option<PresetName>,
    /// Where to compute: auto, cpu, cuda or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Clips of a video, at most.
    #[arg(long, default_value_t = EvalOptions::CLIPS)]
    clips: u32,
    /// Videos decoded at a time.
    #[arg(long, default_value_t = EvalOptions::DECODE_THREADS)]
    decode_threads: NonZeroUsize,
    /// Everything random: folds, untrained weights, fine-tuning.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the report as one HTML file, with pictures.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write the features, labels and names of all videos to an .npz file.
    #[arg(long, value_name = "FILE.npz")]
    embeddings: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetName {
    Paper,
    Small,
    Micro,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NetworkName {
    V,
    I,
    M,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BaselineName {
    Random,
    Pixels,
    MotionHistogram,
    MeanColour,
    FileSize,
}

impl Common {
    fn source(&self) -> Result<FeatureSource, Failure> {
        let preset = match self.preset {
            Some(PresetName::Paper) => Preset::Paper,
            Some(PresetName::Small) => Preset::Small,
            Some(PresetName::Micro) | None => Preset::Micro,
        };
        let part = match self.network {
            NetworkName::V => NetworkPart::V,
            NetworkName::I => NetworkPart::I,
            NetworkName::M => NetworkPart::M,
        };
        let weights = match (&self.checkpoint, self.baseline) {
            (_, Some(baseline)) => {
                return Ok(FeatureSource::Baseline {
                    baseline: match baseline {
                        BaselineName::Random => Baseline::Random,
                        BaselineName::Pixels => Baseline::Pixels,
                        BaselineName::MotionHistogram => Baseline::MotionHistogram,
                        BaselineName::MeanColour => Baseline::MeanColour,
                        BaselineName::FileSize => Baseline::FileSize,
                    },
                    preset,
                    seed: self.seed,
                });
            }
            (Some(path), None) if path.as_os_str() != "random" && self.preset.is_some() => {
                let why = "--preset goes with --checkpoint random: a checkpoint knows its own";
                return Err(Failure::Usage(why.to_owned()));
            }
            (Some(path), None) if path.as_os_str() != "random" => Weights::Checkpoint(path.clone()),
            _ => Weights::Random {
                preset,
                seed: self.seed,
            },
        };
        Ok(FeatureSource::Network { weights, part })
    }

    fn dataset(&self) -> DatasetOptions {
        let by_file = self.group_file.clone().map(GroupRule::Table);
        DatasetOptions {
            root: self.dataset.clone(),
            annotations: self.annotations.clone(),
            split: self.split,
            label: self.label.first().cloned(),
            groups: self.group_pattern.clone().map(GroupRule::Pattern).or(by_file),
        }
    }
}

pub(super) fn run(args: &EvalArgs) -> Result<(), Failure> {
    let folds = |common: &Common, folds: &FoldArgs| Folds {
        count: folds.folds,
        seed: common.seed,
    };
    let (common, task) = match &args.task {
        Task::Retrieval(common) => (common, EvalTask::Retrieval),
        Task::Knn {
            common,
            folds: of,
            neighbours,
        } => {
            let task = EvalTask::Knn {
                neighbours: *neighbours,
                folds: folds(common, of),
            };
            (common, task)
        }
        Task::Probe { common, folds: of } => (common, EvalTask::Probe(folds(common, of))),
        Task::Finetune {
            common,
            folds: of,
            training,
        } => {
            let settings = FinetuneSettings {
                epochs: training.epochs,
                batch_size: training.batch_size,
                learning_rate: training.learning_rate,
                weight_decay: training.weight_decay,
                dropout: training.dropout,
            };
            (common, EvalTask::Finetune(settings, folds(common, of)))
        }
    };
    let source = common.source()?;
    start_log(&LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    })?;
    let options = EvalOptions {
        task,
        source,
        dataset: common.dataset(),
        clips: common.clips,
        device: open_device(common.device).map_err(anyhow::Error::from)?,
        decode_threads: common.decode_threads,
        embeddings: common.embeddings.clone(),
        page: common.report.clone(),
    };
    let reports = match common.label.len() {
        0 | 1 => vec![evaluate(&options).map_err(anyhow::Error::from)?],
        _ => evaluate_labels(&options, &common.label).map_err(anyhow::Error::from)?,
    };
    if common.json {
        let json = match reports.as_slice() {
            [report] => serde_json::to_string_pretty(report),
            several => serde_json::to_string_pretty(several),
        };
        say!("{}", json.map_err(anyhow::Error::from)?);
    } else {
        for report in &reports {
            say_as_is!("{report}");
        }
    }
    Ok(())
}
