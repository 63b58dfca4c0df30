use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use comove::prepare::{Fit, PrepareOptions, PrepareSettings, SETTINGS_FILE, prepare};
use comove::telemetry::{LogConfig, start_log};

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove prepare UCF-101 --out ucf101-h264
  comove prepare hmdb51 --out hmdb51-h264 --size 176x128 --frame-rate 30 --bit-rate 400

Encoding parameters can give a class away: figures count only where all videos have the same. A run that was broken off goes
on where it stopped when it is started again.";

/// Re-encode a data set to one size, frame rate, GOP and bit rate in H.264, keeping its layout and label files.
#[derive(Debug, Args)]
pub(super) struct PrepareArgs {
    /// The folder of the data set, in any codec.
    dataset: PathBuf,
    /// The folder for the result.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Size of all videos.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "320x240", value_parser = size)]
    size: (u32, u32),
    /// What becomes of pictures of another shape: crop cuts off what is too much, stretch distorts.
    #[arg(long, value_enum, default_value = "crop")]
    fit: FitName,
    /// Pictures a second of all videos.
    #[arg(long, value_name = "N", default_value_t = PrepareSettings::default().frame_rate)]
    frame_rate: u32,
    /// Pictures from one key frame to the next.
    #[arg(long, value_name = "N", default_value_t = PrepareSettings::default().gop)]
    gop: u32,
    /// B pictures between two references.
    #[arg(long, value_name = "N", default_value_t = PrepareSettings::default().b_frames)]
    b_frames: u32,
    /// Bit rate of all videos, kbit/s.
    #[arg(long, value_name = "KBPS", default_value_t = PrepareSettings::default().bit_rate_kbps)]
    bit_rate: u32,
    /// Videos encoded at a time [default: the number of cores].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FitName {
    Crop,
    Stretch,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.ok_or_else(|| "a size is WIDTHxHEIGHT, such as 320x240".to_owned())
}

pub(super) fn run(args: &PrepareArgs) -> Result<(), Failure> {
    start_log(&LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    })?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = PrepareOptions {
        dataset: args.dataset.clone(),
        out: args.out.clone(),
        settings: PrepareSettings {
            width: args.size.0,
            height: args.size.1,
            fit: match args.fit {
                FitName::Crop => Fit::Crop,
                FitName::Stretch => Fit::Stretch,
            },
            frame_rate: args.frame_rate,
            gop: args.gop,
            b_frames: args.b_frames,
            bit_rate_kbps: args.bit_rate,
        },
        threads: args.threads.unwrap_or(cores),
    };
    let prepared = prepare(&options).map_err(anyhow::Error::from)?;
    say!(
        "{}: {} encoded, {} there already, {} other files copied, {} failed; settings in {SETTINGS_FILE}",
        args.out.display(),
        prepared.encoded,
        prepared.kept,
        prepared.copied,
        prepared.failed.len()
    );
    for failed in &prepared.failed {
        say!("failed: {}: {}", failed.video.display(), failed.reason);
    }
    if prepared.failed.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("{} videos could not be encoded", prepared.failed.len()).into())
}
