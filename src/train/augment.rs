use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor, no_grad};

use super::appearance::LUMA;
use super::resample::{Axis, apply, blurring, resampling};
use super::{Appearance, Batch, Crop, ObjectiveConfig};
use crate::model::{ModelConfig, Views, normalise_rgb};
use crate::replay::{MASKED, MOTION_UNITS_PER_PIXEL};

/// What is done to one view of a sample, the same for all its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewDraw {
    /// The part that is seen.
    pub crop: Crop,
    /// How it looks.
    pub appearance: Appearance,
}

/// What is done to a sample. The clip's crop holds for its motion too; the key frame has its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleDraw {
    /// Clip and motion.
    pub clip: ViewDraw,
    /// Key frame.
    pub key_frame: ViewDraw,
}

impl SampleDraw {
    /// Draws both views of a sample whose source has this size; a `strength` of 1 is the paper's, 0 leaves but the mirroring.
    pub fn draw(rng: &mut ChaCha8Rng, source_width: u32, source_height: u32, strength: f64) -> Self {
        let mut view = || ViewDraw {
            crop: Crop::draw(rng, source_width, source_height, strength),
            appearance: Appearance::draw(rng, strength),
        };
        Self {
            clip: view(),
            key_frame: view(),
        }
    }
}

/// Motion is measured in a crop of this many pixels a side (the paper's frames are 256 pixels high), so that it grows with
/// what it moves when a smaller crop is enlarged.
const MOTION_CROP_PIXELS: f64 = 256.0;
/// Longer displacements are cut off, pixels.
const MOTION_MAX_PIXELS: f64 = 10.0;
/// A cell is known when at least this share of what it is mixed from is.
const KNOWN_SHARE_MIN: f64 = 0.5;

/// Stored samples → what the networks see, on the batch's device. One draw a sample.
pub fn augment(batch: &Batch, draws: &[SampleDraw], config: &ModelConfig) -> Views {
    augment_with(batch, draws, config, &ObjectiveConfig::default())
}

/// As [`augment`], with the motion's geometry as the objective has it.
pub fn augment_with(
    batch: &Batch,
    draws: &[SampleDraw],
    config: &ModelConfig,
    objective: &ObjectiveConfig,
) -> Views {
    no_grad(|| {
        let clip_draws: Vec<_> = draws.iter().map(|draw| draw.clip).collect();
        let key_draws: Vec<_> = draws.iter().map(|draw| draw.key_frame).collect();
        let key_frames = view(
            &batch.key_frames.unsqueeze(1),
            &key_draws,
            &batch.source_sizes,
            config.crop,
        );
        let (motion, known) = motion_views(batch, &clip_draws, config, objective);
        Views {
            clips: view(&batch.clips, &clip_draws, &batch.source_sizes, config.crop),
            key_frames: key_frames.squeeze_dim(2),
            motion,
            known,
        }
    })
}

/// The columns and the rows of crops, as parts of the source.
fn axes(draws: &[ViewDraw], source_sizes: &[(u32, u32)]) -> [Axis; 2] {
    let [mut columns, mut rows] = [Axis::default(), Axis::default()];
    for (draw, &(source_width, source_height)) in draws.iter().zip(source_sizes) {
        let crop = draw.crop;
        columns.starts.push((crop.left / f64::from(source_width)) as f32);
        columns
            .lengths
            .push((crop.width / f64::from(source_width)) as f32);
        columns.mirrored.push(if crop.flipped { 1.0 } else { 0.0 });
        rows.starts.push((crop.top / f64::from(source_height)) as f32);
        rows.lengths.push((crop.height / f64::from(source_height)) as f32);
        rows.mirrored.push(0.0);
    }
    [columns, rows]
}

/// Frames `[B, T, H, W, 3]`, u8 → `[B, 3, T, S, S]`, normalised. Evaluation sees its clips through it too.
pub(crate) fn view(frames: &Tensor, draws: &[ViewDraw], source_sizes: &[(u32, u32)], side: u32) -> Tensor {
    let device = frames.device();
    let size = frames.size();
    let (batch, count, height, width) = (size[0], size[1], size[2], size[3]);
    let side = i64::from(side);
    let [columns, rows] = axes(draws, source_sizes);
    let sigmas: Vec<f32> = draws
        .iter()
        .map(|draw| draw.appearance.blur_sigma as f32)
        .collect();
    let blur = blurring(&sigmas, side, device);
    let planes =
        frames
            .permute([0, 4, 1, 2, 3])
            .to_kind(Kind::Float)
            .reshape([batch, 3 * count, height, width])
            / 255.0;
    let cropped = apply(
        &planes,
        &blur.bmm(&resampling(&rows, height, side, device)),
        &blur.bmm(&resampling(&columns, width, side, device)),
    );
    let pixels = cropped.reshape([batch, 3, count * side * side]);
    let coloured = recoloured(&pixels, draws, device);
    normalise_rgb(&coloured.view([batch, 3, count, side, side]))
}

/// Pixels `[B, 3, M]` in 0..1, each sample with its own colours.
fn recoloured(pixels: &Tensor, draws: &[ViewDraw], device: Device) -> Tensor {
    let batch = draws.len() as i64;
    let flat = |values: Vec<f64>| Tensor::from_slice(&values).to_kind(Kind::Float).to_device(device);
    let matrices = flat(
        draws
            .iter()
            .flat_map(|draw| draw.appearance.matrix)
            .flatten()
            .collect(),
    );
    let shares = flat(draws.iter().map(|draw| draw.appearance.mean_share).collect());
    let luma = flat(LUMA.to_vec()).view([1, 3, 1]);
    let mean =
        (pixels.mean_dim([2i64].as_slice(), true, Kind::Float) * luma).sum_dim_intlist(1, true, Kind::Float);
    let coloured = matrices.view([batch, 3, 3]).bmm(pixels) + mean * shares.view([batch, 1, 1]);
    coloured.clamp(0.0, 1.0)
}

/// Motion as the M-Network sees it `[B, 1 + N, 2, F, s, s]` in −1..1, and which cells are known `[B, 1 + N, F, s, s]`.
///
/// Known and unknown cells are resampled apart and divided by each other's weight: an unknown cell neither counts as standing
/// still nor dilutes its neighbours.
pub(crate) fn motion_views(
    batch: &Batch,
    draws: &[ViewDraw],
    config: &ModelConfig,
    objective: &ObjectiveConfig,
) -> (Tensor, Tensor) {
    let device = batch.motion.device();
    let size = batch.motion.size();
    let (samples, windows, maps, rows_in, columns_in) = (size[0], size[1], size[2], size[4], size[5]);
    let side = i64::from(config.motion_crop);
    let [columns, rows] = axes(draws, &batch.source_sizes);
    let columns = resampling(&columns, columns_in, side, device);
    let rows = resampling(&rows, rows_in, side, device);

    let known = batch.motion.narrow(3, 0, 1).ne(i64::from(MASKED));
    let displacement = batch.motion.to_kind(Kind::Float) * known.to_kind(Kind::Float);
    let planes = |tensor: &Tensor, count: i64| tensor.reshape([samples, count, rows_in, columns_in]);
    let sum = apply(&planes(&displacement, windows * maps * 2), &rows, &columns);
    let weight = apply(
        &planes(&known.to_kind(Kind::Float), windows * maps),
        &rows,
        &columns,
    );
    let sum = sum.reshape([samples, windows, maps, 2, side, side]);
    let weight = weight.reshape([samples, windows, maps, 1, side, side]);
    // A little below the bound: weights that sum to exactly a half must not fall to rounding.
    let known = weight.ge(KNOWN_SHARE_MIN - 1e-4).to_kind(Kind::Float);
    // Unmasked, an unknown cell counts as standing still.
    let (weight, known) = match objective.mask_unknown_motion {
        true => (weight, known),
        false => (weight.ones_like(), known.ones_like()),
    };

    let mut factors = Vec::with_capacity(2 * draws.len());
    for (draw, &(_, source_height)) in draws.iter().zip(&batch.source_sizes) {
        let turned = draw.crop.flipped && objective.turn_flipped_motion;
        let direction = if turned { -1.0 } else { 1.0 };
        let (width, height) = match objective.scale_cropped_motion {
            true => (draw.crop.width, draw.crop.height),
            // As if the crop were the whole height of the source.
            false => (f64::from(source_height), f64::from(source_height)),
        };
        factors.push((direction * MOTION_CROP_PIXELS / width) as f32);
        factors.push((MOTION_CROP_PIXELS / height) as f32);
    }
    let factors = Tensor::from_slice(&factors)
        .to_device(device)
        .view([samples, 1, 1, 2, 1, 1]);
    let pixels = sum / weight.clamp_min(1e-6) * factors / f64::from(MOTION_UNITS_PER_PIXEL);
    let scaled = pixels.clamp(-MOTION_MAX_PIXELS, MOTION_MAX_PIXELS) / MOTION_MAX_PIXELS * &known;
    (scaled.transpose(2, 3).contiguous(), known.squeeze_dim(3))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng;

    use super::*;
    use crate::ingest::StreamName;
    use crate::model::{NormKind, Preset, RGB_MEAN, RGB_STD};
    use crate::replay::{Sample, SampleId, TimeRange};

    const SOURCE: (u32, u32) = (400, 180);

    /// A rectangle of the source, in parts of it: left, right, top, bottom.
    const BRIGHT: [f64; 4] = [0.35, 0.65, 0.3, 0.7];

    fn config() -> ModelConfig {
        Preset::Micro.model(NormKind::Batch)
    }

    fn inside(row: u32, rows: u32, column: u32, columns: u32) -> bool {
        let x = (f64::from(column) + 0.5) / f64::from(columns);
        let y = (f64::from(row) + 0.5) / f64::from(rows);
        (BRIGHT[0]..BRIGHT[1]).contains(&x) && (BRIGHT[2]..BRIGHT[3]).contains(&y)
    }

    /// White where it moves by (2, 1) pixels a frame; black where it stands still.
    fn sample(motion_units: impl Fn(usize, bool, u32) -> i16) -> Arc<Sample> {
        let spec = config().sample;
        let (frame, map) = (spec.frame_size, spec.motion_size);
        let mut picture = Vec::new();
        for row in 0..frame.height {
            for column in 0..frame.width {
                let value = if inside(row, frame.height, column, frame.width) {
                    255
                } else {
                    0
                };
                picture.extend([value; 3]);
            }
        }
        let mut window = Vec::new();
        for _ in 0..spec.target_frames {
            for axis in 0..2 {
                for row in 0..map.height {
                    for column in 0..map.width {
                        window.push(motion_units(
                            axis,
                            inside(row, map.height, column, map.width),
                            column,
                        ));
                    }
                }
            }
        }
        Arc::new(Sample {
            id: SampleId(0),
            stream: StreamName::new("s").unwrap(),
            segment: 0,
            spec,
            source_width: SOURCE.0,
            source_height: SOURCE.1,
            clip: picture.repeat(spec.clip_frames as usize),
            key_frame: picture,
            negatives: window.repeat(spec.hard_negatives as usize),
            target: window,
            pts: None,
            arrival: TimeRange {
                first_ns: 0,
                last_ns: 0,
            },
            frame_rate: None,
        })
    }

    fn views(sample: &Arc<Sample>, draws: &[SampleDraw]) -> Views {
        let samples: Vec<_> = draws.iter().map(|_| Arc::clone(sample)).collect();
        let batch = Batch::gather(&samples, &config(), Device::Cpu).unwrap();
        augment(&batch, draws, &config())
    }

    fn plain(crop: Crop) -> SampleDraw {
        let view = ViewDraw {
            crop,
            appearance: Appearance::untouched(),
        };
        SampleDraw {
            clip: view,
            key_frame: view,
        }
    }

    fn moving(axis: usize, inside: bool, _column: u32) -> i16 {
        if inside {
            MOTION_UNITS_PER_PIXEL * [2, 1][axis]
        } else {
            0
        }
    }

    #[test]
    fn clip_and_motion_stay_aligned_x_turns_its_sign_and_lengths_follow_the_crop() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let crops: Vec<Crop> = (0..24)
            .map(|_| Crop::draw(&mut rng, SOURCE.0, SOURCE.1, 1.0))
            .collect();
        let draws: Vec<SampleDraw> = crops.iter().map(|&crop| plain(crop)).collect();
        let seen = views(&sample(moving), &draws);
        let side = i64::from(config().motion_crop);
        let mut compared = 0;
        for (index, crop) in crops.iter().enumerate() {
            let index = index as i64;
            // Red of the first frame, back in 0..1, at the resolution of the motion.
            let red = seen.clips.get(index).get(0).get(0) * f64::from(RGB_STD[0]) + f64::from(RGB_MEAN[0]);
            let red = red
                .view([1, 1, 64, 64])
                .adaptive_avg_pool2d([side, side])
                .view([side, side]);
            let window = seen.motion.get(index).get(1);
            let (x, y) = (window.get(0).get(3), window.get(1).get(3));
            let direction = if crop.flipped { -1.0 } else { 1.0 };
            let expected_x = direction * (2.0 * 256.0 / crop.width).min(10.0) / 10.0;
            let expected_y = (256.0 / crop.height).min(10.0) / 10.0;
            for row in 0..side {
                for column in 0..side {
                    let at = [row, column];
                    let (moves_x, moves_y) = (x.double_value(&at), y.double_value(&at));
                    let brightness = red.double_value(&at);
                    // At the rectangle's edge cells are mixtures, but of both directions alike.
                    let (share_x, share_y) = (moves_x / expected_x, moves_y / expected_y);
                    assert!(
                        (share_x - share_y).abs() < 1e-3,
                        "{crop:?} {at:?}: {moves_x}, {moves_y}"
                    );
                    compared += u32::from(share_y > 0.99);
                    let mixed = (0.05..0.95).contains(&brightness);
                    assert!(
                        mixed || (share_y - brightness).abs() < 0.7,
                        "{crop:?} {at:?}: {brightness} moves {share_y}"
                    );
                }
            }
            let agreement = (y / expected_y - &red).abs().mean(Kind::Float).double_value(&[]);
            assert!(
                agreement < 0.03,
                "{crop:?}: picture and motion differ by {agreement} on average"
            );
        }
        assert!(compared > 1000, "only {compared} cells lay inside the rectangle");
    }

    #[test]
    fn the_whole_picture_gives_the_papers_scale_and_long_displacements_are_cut_off() {
        let units = |axis: usize, _: bool, _: u32| MOTION_UNITS_PER_PIXEL * [5, -40][axis];
        let seen = views(&sample(units), &[plain(Crop::whole(SOURCE.0, SOURCE.1)); 2]);
        let value = |axis: i64| seen.motion.double_value(&[0, 2, axis, 0, 5, 5]);
        assert!((value(0) - 5.0 * 256.0 / 400.0 / 10.0).abs() < 1e-5);
        assert_eq!(value(1), -1.0);
        assert_eq!(seen.known.min().double_value(&[]), 1.0);
    }

    #[test]
    fn unknown_cells_do_not_bleed_into_their_neighbours() {
        // The left half is unknown.
        let half = config().sample.motion_size.width / 2;
        let units = |_: usize, _: bool, column: u32| {
            if column < half {
                MASKED
            } else {
                3 * MOTION_UNITS_PER_PIXEL
            }
        };
        let seen = views(&sample(units), &[plain(Crop::whole(SOURCE.0, SOURCE.1)); 2]);
        let expected = 3.0 * 256.0 / 400.0 / 10.0;
        let side = i64::from(config().motion_crop);
        for column in 0..side {
            let known = seen.known.double_value(&[0, 0, 1, 4, column]);
            let x = seen.motion.double_value(&[0, 0, 0, 1, 4, column]);
            assert_eq!(
                known,
                if column < side / 2 { 0.0 } else { 1.0 },
                "column {column}"
            );
            let expected = if column < side / 2 { 0.0 } else { expected };
            assert!((x - expected).abs() < 1e-5, "column {column}: {x}");
        }
    }

    #[test]
    fn the_key_frame_has_its_own_crop() {
        let mut draw = plain(Crop::whole(SOURCE.0, SOURCE.1));
        draw.key_frame.crop = Crop {
            left: 0.4 * 400.0,
            top: 0.4 * 180.0,
            width: 0.2 * 400.0,
            height: 0.2 * 180.0,
            flipped: false,
        };
        let seen = views(&sample(moving), &[draw; 2]);
        assert_eq!(seen.key_frames.size(), [2, 3, 64, 64]);
        let white = (1.0 - f64::from(RGB_MEAN[2])) / f64::from(RGB_STD[2]);
        assert!((seen.key_frames.get(0).get(2).min().double_value(&[]) - white).abs() < 1e-4);
        assert!(seen.clips.get(0).get(2).min().double_value(&[]) < 0.0);
    }

    #[test]
    fn colours_change_alike_in_all_frames_and_stay_pixels() {
        let mut draw = plain(Crop::whole(SOURCE.0, SOURCE.1));
        draw.clip.appearance = Appearance {
            matrix: [[0.5, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]],
            mean_share: 0.1,
            blur_sigma: 1.0,
        };
        let seen = views(&sample(moving), &[draw; 2]);
        let frames = seen.clips.get(0);
        assert_eq!(frames.narrow(1, 0, 1), frames.narrow(1, 7, 1));
        let brightest = |channel: usize| {
            let value = frames.get(channel as i64).max().double_value(&[]);
            value * f64::from(RGB_STD[channel]) + f64::from(RGB_MEAN[channel])
        };
        // The rectangle is 0.3 · 0.4 of the picture, so its mean luma is 0.12.
        assert!(
            (brightest(0) - (0.5 + 0.1 * 0.12)).abs() < 0.005,
            "{}",
            brightest(0)
        );
        assert!((brightest(1) - 1.0).abs() < 1e-5, "{}", brightest(1));
    }

    #[test]
    fn each_correction_of_the_geometry_can_be_left_out_on_its_own() {
        let units = |axis: usize, _: bool, column: u32| match (axis, column) {
            (_, 0..24) => MASKED,
            (0, _) => MOTION_UNITS_PER_PIXEL / 2,
            _ => 0,
        };
        let sample = sample(units);
        let samples = vec![Arc::clone(&sample), sample];
        let batch = Batch::gather(&samples, &config(), Device::Cpu).unwrap();
        // The right half of the source, mirrored: known and unknown cells are both far from the edge of a small crop.
        let crop = Crop {
            left: 0.0,
            top: 0.0,
            width: 400.0,
            height: 90.0,
            flipped: true,
        };
        let seen = |objective: ObjectiveConfig| {
            let views = augment_with(&batch, &[plain(crop), plain(crop)], &config(), &objective);
            // Mirrored: what was known on the right is on the left now.
            let x = views.motion.double_value(&[0, 0, 0, 1, 12, 2]);
            (x, views.known.double_value(&[0, 0, 1, 12, 22]))
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
        let all = ObjectiveConfig::default();
        let (x, known) = seen(all);
        assert!(
            near(x, -0.5 * 256.0 / 400.0 / 10.0) && known == 0.0,
            "{x} {known}"
        );
        let (x, _) = seen(ObjectiveConfig {
            turn_flipped_motion: false,
            ..all
        });
        assert!(near(x, 0.5 * 256.0 / 400.0 / 10.0), "{x}");
        let (x, _) = seen(ObjectiveConfig {
            scale_cropped_motion: false,
            ..all
        });
        assert!(near(x, -0.5 * 256.0 / 180.0 / 10.0), "{x}");
        let (_, known) = seen(ObjectiveConfig {
            mask_unknown_motion: false,
            ..all
        });
        assert_eq!(known, 1.0);
    }
}
