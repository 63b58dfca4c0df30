use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use comove::extract::{Existing, ExtractError, ExtractOptions, Layout, extract};
use comove::telemetry::{LogConfig, start_log};

use super::{Failure, complain};

pub(super) const EXAMPLES: &str = "Examples:
  comove extract video.mp4 --out motion                     motion/video.npz, for numpy.load
  comove extract archive/*.mp4 --out motion --existing=skip go on where an earlier run stopped
  comove extract video.mp4 --out rows --format mv-extractor the rows of the package motion-vector-extractor

Arrays, for T frames in display order on a grid of H x W blocks of 4x4 samples:
  motion             float32 [T, H, W, 2]     displacement right and down since the frame before, in pixels per frame
  vectors            int16   [T, H, W, 2, 2]  by list: the coded vector (x, y) in quarter samples of the frame
  reference_distance int16   [T, H, W, 2]     by list: order counts back to the reference; -32768 where there is none
  intra              bool    [T, H, W]        no motion here: intra coded, lost, or the reference is missing
  frame_types        str     [T]              I, P or B
  pts_ns             int64   [T]              presentation time in nanoseconds; -1 where there is none
  coded_order        int64   [T]              place in decoding order
  size, crop         int32   [2], [4]         height and width of the picture; samples cropped left, top, right, bottom
  poc_per_frame      int32                    order counts from one frame to the next
With --format mv-extractor, motion_vectors int32 [N, 10] and offsets int64 [T + 1] stand in place of the first four: the rows of
frame t are motion_vectors[offsets[t]:offsets[t + 1]].";

/// Write the motion of videos to .npz files, for numpy.
#[derive(Debug, Args)]
pub(super) struct ExtractArgs {
    /// The video files: H.264 in mp4, mov, mkv, ts, flv or avi, or raw.
    #[arg(required = true, value_name = "VIDEO")]
    videos: Vec<PathBuf>,
    /// The folder for the .npz files; it is made where it is not there.
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// What is written.
    #[arg(long, value_name = "LAYOUT", default_value = "grid")]
    format: Format,
    /// What to do with files that are there already.
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    existing: ExistingChoice,
    /// Videos worked on at a time [default: one for each core].
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Every vector on the grid of 4x4 blocks, with references.
    Grid,
    /// The rows of the Python package motion-vector-extractor.
    MvExtractor,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExistingChoice {
    /// Stop before anything is read.
    Fail,
    /// Leave their videos out.
    Skip,
    /// Write them anew.
    Replace,
}

pub(super) fn run(args: &ExtractArgs) -> Result<(), Failure> {
    start_log(&LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    })?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let options = ExtractOptions {
        videos: args.videos.clone(),
        folder: args.out.clone(),
        layout: match args.format {
            Format::Grid => Layout::Grid,
            Format::MvExtractor => Layout::MvExtractor,
        },
        existing: match args.existing {
            ExistingChoice::Fail => Existing::Fail,
            ExistingChoice::Skip => Existing::Skip,
            ExistingChoice::Replace => Existing::Replace,
        },
        jobs: args.jobs.map_or_else(cores, NonZeroUsize::get),
    };
    let report = extract(&options).map_err(|error| match error {
        ExtractError::Write { .. } => Failure::Failed(error.into()),
        usage => Failure::Usage(usage.to_string()),
    })?;
    let mut failed = 0;
    for video in &report.videos {
        match &video.outputs {
            Ok(outputs) if outputs.is_empty() => say!("{}: left out", video.video.display()),
            Ok(outputs) => {
                for (output, bytes) in outputs {
                    let size = bytesize::ByteSize(*bytes);
                    say!("{}: {} frames, {size}", output.display(), video.frames);
                }
                if let Some(first) = &video.first_error {
                    let (name, units) = (video.video.display(), video.damaged);
                    complain(format_args!(
                        "{name}: {units} access units are damaged; the first: {first}"
                    ));
                }
            }
            Err(error) => {
                failed += 1;
                complain(format_args!("{error}"));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Failed(anyhow!(
            "{failed} of {} videos could not be extracted",
            report.videos.len()
        ))),
    }
}
