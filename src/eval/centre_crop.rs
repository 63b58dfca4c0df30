//! Stored clips → what the network sees of them.

use tch::{Device, Tensor, no_grad};

use super::read::VideoClips;
use crate::model::ModelConfig;
use crate::train::{Appearance, Crop, ViewDraw, view};
use crate::window::FrameSize;

/// The square in the middle of the source picture.
///
/// Pictures are stored stretched to one size. The square's side is the same part of the source's shorter side as the crop is
/// of the stored height, so a source of the stored shape loses nothing to scaling (paper: 112 of 128).
pub(super) fn central_square(source: FrameSize, stored: FrameSize, crop: u32) -> Crop {
    let part = (f64::from(crop) / f64::from(stored.height)).min(1.0);
    let side = part * f64::from(source.width.min(source.height));
    Crop {
        left: (f64::from(source.width) - side) / 2.0,
        top: (f64::from(source.height) - side) / 2.0,
        width: side,
        height: side,
        flipped: false,
    }
}

/// Clips `[N, T, H, W, 3]`, bytes → their central squares `[N, 3, T, S, S]` on `device`, cut, scaled and normalised by the
/// code that makes the views of training.
pub fn centre_crop(video: &VideoClips, config: &ModelConfig, device: Device) -> Tensor {
    let FrameSize { width, height } = config.sample.frame_size;
    let source = video.source_size;
    let draw = ViewDraw {
        crop: central_square(source, config.sample.frame_size, config.crop),
        appearance: Appearance::untouched(),
    };
    let frames = Tensor::from_slice(&video.pixels)
        .view([
            video.clips as i64,
            i64::from(config.sample.clip_frames),
            i64::from(height),
            i64::from(width),
            3,
        ])
        .to_device(device);
    let draws = vec![draw; video.clips];
    let source_sizes = vec![(source.width, source.height); video.clips];
    no_grad(|| view(&frames, &draws, &source_sizes, config.crop))
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::model::{NormKind, Preset, normalise_rgb};

    fn size(width: u32, height: u32) -> FrameSize {
        FrameSize { width, height }
    }

    /// One clip whose pixel (x, y) has red x and green y in every picture.
    fn ramps(config: &ModelConfig, source_size: FrameSize) -> VideoClips {
        let stored = config.sample.frame_size;
        let picture =
            (0..stored.height).flat_map(|y| (0..stored.width).flat_map(move |x| [x as u8, y as u8, 0]));
        let pictures = config.sample.clip_frames as usize;
        let one: Vec<u8> = picture.collect();
        VideoClips {
            pixels: one.repeat(pictures),
            clips: 1,
            missing_frames: 0,
            source_size,
        }
    }

    /// Red and green of one pixel of the crop, as stored columns and rows.
    fn position(crop: &Tensor, config: &ModelConfig, x: i64, y: i64) -> [f64; 2] {
        let shape = [
            1,
            3,
            i64::from(config.sample.clip_frames),
            i64::from(config.crop),
            i64::from(config.crop),
        ];
        assert_eq!(crop.size(), shape);
        let zero = normalise_rgb(&Tensor::zeros([1, 3, 1, 1, 1], (Kind::Float, Device::Cpu)));
        let one = normalise_rgb(&Tensor::ones([1, 3, 1, 1, 1], (Kind::Float, Device::Cpu)));
        [0, 1].map(|channel| {
            let at = |tensor: &Tensor, index: &[i64]| tensor.double_value(index);
            let (black, white) = (
                at(&zero, &[0, channel, 0, 0, 0]),
                at(&one, &[0, channel, 0, 0, 0]),
            );
            255.0 * (at(crop, &[0, channel, 3, y, x]) - black) / (white - black)
        })
    }

    #[test]
    fn a_source_of_the_stored_shape_is_cut_without_scaling() {
        let config = Preset::Micro.model(NormKind::Batch);
        let crop = centre_crop(&ramps(&config, size(640, 480)), &config, Device::Cpu);
        // 64 of 96 columns and 64 of 72 rows.
        for (x, y) in [(0, 0), (63, 63), (10, 40)] {
            let [column, row] = position(&crop, &config, x, y);
            assert!((column - (x as f64 + 16.0)).abs() < 1e-3, "{column}");
            assert!((row - (y as f64 + 4.0)).abs() < 1e-3, "{row}");
        }
    }

    #[test]
    fn the_square_is_square_in_the_source() {
        let config = Preset::Micro.model(NormKind::Batch);
        for source in [size(1280, 720), size(360, 640), size(480, 480)] {
            let crop = centre_crop(&ramps(&config, source), &config, Device::Cpu);
            let [left, top] = position(&crop, &config, 8, 8);
            let [right, bottom] = position(&crop, &config, 55, 55);
            let width = (right - left) * f64::from(source.width) / 96.0;
            let height = (bottom - top) * f64::from(source.height) / 72.0;
            assert!(
                (width / height - 1.0).abs() < 1e-3,
                "{source:?}: {width} x {height}"
            );
            let shorter = f64::from(source.width.min(source.height));
            assert!(
                (width / 47.0 * 64.0 - shorter * 64.0 / 72.0).abs() < 0.3,
                "{source:?}"
            );
            assert!(((left + right) / 2.0 - 47.5).abs() < 1e-3, "in the middle");
            assert!(((top + bottom) / 2.0 - 35.5).abs() < 1e-3, "in the middle");
        }
    }
}
