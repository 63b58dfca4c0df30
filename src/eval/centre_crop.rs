//! Stored clips → what the network sees of them.

use tch::{Device, Kind, Tensor};

use super::read::VideoClips;
use crate::model::{ModelConfig, normalise_rgb};
use crate::window::FrameSize;

/// The part of a line that is cut out, in pixels of the stored picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    start: f64,
    length: f64,
}

/// Where the square in the middle of the source picture lies in the stored one: columns, then rows.
///
/// Pictures are stored stretched to one size. The square's side is the same part of the source's shorter side as the crop is
/// of the stored height, so a source of the stored shape loses nothing to scaling (paper: 112 of 128).
fn central_square(source: FrameSize, stored: FrameSize, crop: u32) -> (Cut, Cut) {
    let part = (f64::from(crop) / f64::from(stored.height)).min(1.0);
    let side = part * f64::from(source.width.min(source.height));
    let cut = |source: u32, stored: u32| {
        let length = side / f64::from(source.max(1)) * f64::from(stored);
        Cut {
            start: (f64::from(stored) - length) / 2.0,
            length,
        }
    };
    (cut(source.width, stored.width), cut(source.height, stored.height))
}

/// `[out, in]`: each row mixes the two pixels nearest to one output pixel's centre (linear interpolation, pixel centres at
/// halves).
fn interpolation(cut: Cut, pixels_in: u32, pixels_out: u32) -> Tensor {
    let mut weights = vec![0.0_f32; pixels_in as usize * pixels_out as usize];
    let last = f64::from(pixels_in - 1);
    for (out, row) in weights.chunks_exact_mut(pixels_in as usize).enumerate() {
        let centre = cut.start + (out as f64 + 0.5) * cut.length / f64::from(pixels_out) - 0.5;
        let centre = centre.clamp(0.0, last);
        let left = centre.floor();
        let share = (centre - left) as f32;
        row[left as usize] += 1.0 - share;
        row[(left + 1.0).min(last) as usize] += share;
    }
    Tensor::from_slice(&weights).view([i64::from(pixels_out), i64::from(pixels_in)])
}

/// Clips `[N, T, H, W, 3]`, bytes → their central squares `[N, 3, T, S, S]`, normalised, on `device`.
pub fn centre_crop(video: &VideoClips, config: &ModelConfig, device: Device) -> Tensor {
    let stored = config.sample.frame_size;
    let (columns, rows) = central_square(video.source_size, stored, config.crop);
    let across = interpolation(columns, stored.width, config.crop).to_device(device);
    let down = interpolation(rows, stored.height, config.crop).to_device(device);
    let pictures = Tensor::from_slice(&video.pixels)
        .view([
            video.clips as i64,
            i64::from(config.sample.clip_frames),
            i64::from(stored.height),
            i64::from(stored.width),
            3,
        ])
        .to_device(device)
        .permute([0, 4, 1, 2, 3])
        .to_kind(Kind::Float)
        / 255.0;
    let crops = down.matmul(&pictures.matmul(&across.tr()));
    normalise_rgb(&crops)
}
