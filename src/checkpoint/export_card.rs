use std::fmt::Write;

use super::manifest::Manifest;
use crate::model::{RGB_MEAN, RGB_STD};

/// The model card of an exported snapshot: Markdown, with the front matter that model hubs read.
pub fn model_card(manifest: &Manifest, parameters: i64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_card(&mut text, manifest, parameters);
    text
}

fn write_card(text: &mut String, manifest: &Manifest, parameters: i64) -> std::fmt::Result {
    let model = &manifest.model;
    let sample = &model.sample;
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(manifest.created_unix);
    let (frames, stride, crop) = (sample.clip_frames, sample.clip_stride, model.crop);
    let channels = model.video_features();
    writeln!(
        text,
        "---\nlibrary_name: pytorch\npipeline_tag: video-classification\ntags: [video, self-supervised, comove]\n---\n"
    )?;
    writeln!(text, "# V-Network, step {}\n", manifest.step)?;
    writeln!(
        text,
        "A video network (R(2+1)D of bottlenecks) that comove {} trained without labels, by context matching and motion prediction \
         from compressed H.264 video (arXiv 2104.00862). It turns clips into features; it names no classes.\n",
        manifest.comove_version
    )?;
    writeln!(text, "| | |\n| --- | --- |")?;
    writeln!(text, "| training steps | {} |", manifest.step)?;
    writeln!(
        text,
        "| written | {} |",
        humantime::format_rfc3339_seconds(written)
    )?;
    writeln!(text, "| parameters, all networks | {parameters} |")?;
    writeln!(
        text,
        "| input | float32 `[B, 3, {frames}, {crop}, {crop}]`, RGB, normalised |"
    )?;
    writeln!(
        text,
        "| clip | {frames} pictures, every {stride}. picture of the video |"
    )?;
    writeln!(
        text,
        "| output | float32 `[B, {channels}]`: layer 4, averaged over time and space |"
    )?;
    writeln!(
        text,
        "| seal of the snapshot's manifest | `{}` |\n",
        manifest.seal
    )?;
    writeln!(text, "## Input\n")?;
    writeln!(
        text,
        "Pixels in 0..1, minus mean {RGB_MEAN:?}, over deviation {RGB_STD:?}, by channel. Evaluation stretches pictures to {}×{} and \
         takes the square in the middle, {crop} pixels a side; ten clips spread over the video, features averaged.\n",
        sample.frame_size.width, sample.frame_size.height
    )?;
    writeln!(text, "## Use\n")?;
    writeln!(text, "```python\n{}```\n", snippet(frames, crop))?;
    writeln!(
        text,
        "`model.safetensors` holds the tensors of all networks by name (`v.` the V-Network, `i.` the I-Network, `m.` the M-Network, \
         `predictor.`, `head.`); `manifest.json` is the snapshot's, with the whole configuration of its run.\n"
    )?;
    writeln!(text, "## Figures of the last report\n")?;
    writeln!(text, "```json\n{:#}\n```\n", manifest.metrics)?;
    writeln!(text, "## What it learned from\n")?;
    writeln!(
        text,
        "Stream by stream: samples, and the ranges of presentation times and wall-clock times.\n\n```json\n{:#}\n```\n",
        manifest.provenance
    )?;
    writeln!(text, "## Licence\n")?;
    writeln!(
        text,
        "comove is MIT OR Apache-2.0. That says nothing about these weights: whoever owns the videos above and passes the weights on \
         decides; put the licence here before you do."
    )
}

/// A program that runs as it stands, in the folder of the export.
fn snippet(frames: u32, crop: u32) -> String {
    format!(
        "import torch\n\n\
         network = torch.jit.load(\"v_network.pt\", map_location=\"cpu\").eval()\n\
         mean = torch.tensor({RGB_MEAN:?}).view(1, 3, 1, 1, 1)\n\
         deviation = torch.tensor({RGB_STD:?}).view(1, 3, 1, 1, 1)\n\
         pixels = torch.rand(2, 3, {frames}, {crop}, {crop})  # two clips, RGB in 0..1\n\
         with torch.no_grad():\n    features = network((pixels - mean) / deviation)\n\
         print(features.shape)\n"
    )
}
