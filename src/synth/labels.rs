use std::fmt::Write;

use super::plan::{SynthPart, VideoPlan};
use super::run::SynthOptions;
use super::scene::{FRAME, FRAME_RATE, FRAMES};

/// The file that says which video has which labels: comma-separated, with a header.
pub const LABELS_FILE: &str = "labels.csv";
/// The file that says how the data set was made.
pub const SETTINGS_FILE: &str = "synth.json";

/// A video's path under the data set's folder.
pub fn video_path(plan: &VideoPlan) -> String {
    format!("{}/{:06}.mp4", plan.part.name(), plan.number)
}

/// The content of [`LABELS_FILE`]: context and motion apart, and as `action` the two together.
pub fn labels_csv(videos: &[VideoPlan]) -> String {
    let mut text = String::from("video,split,scene,context,motion,action\n");
    for video in videos {
        let (context, motion) = (video.context.name(), video.motion.name());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{},{},{},{context},{motion},{context}-{motion}",
            video_path(video),
            video.part.name(),
            video.scene
        );
    }
    text
}

/// The content of [`SETTINGS_FILE`].
pub fn settings_json(options: &SynthOptions, videos: &[VideoPlan], encoder: &str) -> String {
    let of_part = |part| videos.iter().filter(|video| video.part == part).count();
    let value = serde_json::json!({
        "schema": "comove.synth.v1",
        "comove": env!("CARGO_PKG_VERSION"),
        "encoder": encoder,
        "seed": options.seed,
        "contexts": options.contexts,
        "motions": options.motions,
        "videos": { "train": of_part(SynthPart::Train), "test": of_part(SynthPart::Test) },
        "width": FRAME.width,
        "height": FRAME.height,
        "frame_rate": FRAME_RATE,
        "frames": FRAMES,
    });
    format!("{value:#}\n")
}
