use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use comove::inspect::{InspectOptions, OverlayOptions, inspect};
use comove::telemetry::{LogConfig, start_log};

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove inspect video.mp4
  comove inspect video.mp4 --overlay pictures              arrows over 24 frames, spread over the video
  comove inspect video.mp4 --overlay pictures --every 100
  comove inspect video.mp4 --json | jq .motion";

/// Say what the codec sees in a video: frame types, GOPs, motion, and how fast that is read.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The video file: H.264 in mp4, mov, mkv, ts, flv or avi, or raw.
    video: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write pictures of frames with their motion as arrows to this folder.
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,
    /// One picture out of so many frames.
    #[arg(long, value_name = "N", requires = "overlay")]
    every: Option<NonZeroU32>,
    /// So many pictures at most.
    #[arg(long, value_name = "N", requires = "overlay")]
    at_most: Option<NonZeroU32>,
}

pub(super) fn run(args: &InspectArgs) -> Result<(), Failure> {
    start_log(&LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    })?;
    let options = InspectOptions {
        video: args.video.clone(),
        overlay: args.overlay.clone().map(|folder| OverlayOptions {
            folder,
            every: args.every,
            at_most: args.at_most,
        }),
    };
    let report = inspect(&options).map_err(anyhow::Error::from)?;
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?
        );
    } else {
        say_as_is!("{report}");
    }
    Ok(())
}
