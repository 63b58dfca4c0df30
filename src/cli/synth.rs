use std::num::NonZeroUsize;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;
use comove::synth::{LABELS_FILE, SynthOptions, synthesise};
use comove::telemetry::{LogConfig, start_log};

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove synth bench
  comove run bench/train --checkpoint-dir bench-checkpoints --max-steps 2000
  comove eval retrieval --checkpoint bench-checkpoints --dataset bench --label context,motion,action

Every video has a context (its surroundings) and a motion, drawn apart from each other; labels.csv
has both, and as `action` the two together.";

/// Make a labelled test set: rendered scenes in real H.264, whose context and motion are known.
#[derive(Debug, Args)]
pub(super) struct SynthArgs {
    /// The folder, new or empty.
    dir: PathBuf,
    /// Kinds of surroundings, 2 to 12.
    #[arg(long, value_name = "C", default_value_t = 6)]
    contexts: u32,
    /// Kinds of motion, 2 to 12.
    #[arg(long, value_name = "M", default_value_t = 6)]
    motions: u32,
    /// Videos, a third of them for the test: 2·C·M at least; a multiple of C·M has every combination equally often.
    #[arg(long, value_name = "N", default_value_t = 360)]
    videos: u32,
    /// Everything random follows from it: the same seed gives the same files.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Videos rendered at a time [default: the number of cores].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(args: &SynthArgs) -> Result<(), Failure> {
    start_log(&LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    })?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = SynthOptions {
        folder: args.dir.clone(),
        contexts: args.contexts,
        motions: args.motions,
        videos: args.videos,
        seed: args.seed,
        threads: args.threads.unwrap_or(cores),
    };
    let made = synthesise(&options).map_err(anyhow::Error::from)?;
    say!(
        "{}: {} train and {} test videos, {}; labels in {LABELS_FILE}",
        args.dir.display(),
        made.train,
        made.test,
        ByteSize(made.bytes)
    );
    Ok(())
}
