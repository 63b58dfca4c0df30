use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use comove::eval::{EvalOptions, EvalTask, Weights, evaluate};
use comove::model::Preset;
use comove::telemetry::{LogConfig, start_log};
use comove::train::{DeviceChoice, open_device};

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove eval knn --checkpoint checkpoints/latest --dataset ucf101
  comove eval knn --checkpoint random --dataset ucf101             what untrained weights give
  comove eval retrieval --checkpoint checkpoints --dataset hmdb51 --json > retrieval.json

A data set is a folder with one folder of videos for each class, or with train and test (and val) above those.";

/// Judge a checkpoint by how well videos of one class are told from others. Nothing is trained.
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
        /// Neighbours that vote.
        #[arg(short = 'k', long, default_value_t = EvalOptions::NEIGHBOURS)]
        neighbours: u32,
        /// Parts of a data set that has no train and test folders.
        #[arg(long, default_value_t = EvalOptions::FOLDS)]
        folds: u32,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// A checkpoint, a folder of them (the newest is taken), or `random` for untrained weights.
    #[arg(long, value_name = "DIR|random")]
    checkpoint: PathBuf,
    /// The folder of the data set.
    #[arg(long, value_name = "FOLDER")]
    dataset: PathBuf,
    /// The network's size, for `--checkpoint random` [default: micro].
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
    /// Decides which videos are in which fold, and which weights are random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetName {
    Paper,
    Small,
    Micro,
}

impl Common {
    fn weights(&self) -> Result<Weights, Failure> {
        if self.checkpoint.as_os_str() != "random" {
            return match self.preset {
                None => Ok(Weights::Checkpoint(self.checkpoint.clone())),
                Some(_) => Err(Failure::Usage(
                    "--preset goes with --checkpoint random: a checkpoint knows its own".to_owned(),
                )),
            };
        }
        Ok(Weights::Random {
            preset: match self.preset {
                Some(PresetName::Paper) => Preset::Paper,
                Some(PresetName::Small) => Preset::Small,
                Some(PresetName::Micro) | None => Preset::Micro,
            },
            seed: self.seed,
        })
    }
}

pub(super) fn run(args: &EvalArgs) -> Result<(), Failure> {
    let (common, task) = match &args.task {
        Task::Retrieval(common) => (common, EvalTask::Retrieval),
        Task::Knn {
            common,
            neighbours,
            folds,
        } => {
            let task = EvalTask::Knn {
                neighbours: *neighbours,
                folds: *folds,
                seed: common.seed,
            };
            (common, task)
        }
    };
    let weights = common.weights()?;
    start_log(&LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    })?;
    let options = EvalOptions {
        task,
        weights,
        dataset: common.dataset.clone(),
        clips: common.clips,
        device: open_device(common.device).map_err(anyhow::Error::from)?,
        decode_threads: common.decode_threads,
    };
    let report = evaluate(&options).map_err(anyhow::Error::from)?;
    if common.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?
        );
    } else {
        say_as_is!("{report}");
    }
    Ok(())
}
