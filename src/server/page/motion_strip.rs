use crate::inspect::{direction_rgb, rgb_pixmap};
use crate::replay::{MASKED, MOTION_UNITS_PER_PIXEL, Sample};
use crate::window::FrameSize;

/// Output pixels of a cell of the motion map.
const CELL: usize = 4;
/// Pixels a frame from which on a colour is at its brightest.
const BRIGHTEST: f32 = 4.0;
/// Where motion is not known.
const UNKNOWN: [u8; 3] = [90, 90, 90];

/// A sample's motion target as one PNG, its maps side by side: the colour says where to (as on the arrows' wheel), the brightness how
/// fast, grey that it is not known.
pub(super) fn target(sample: &Sample) -> Option<Vec<u8>> {
    let FrameSize { width, height } = sample.spec.motion_size;
    let (width, height) = (width as usize, height as usize);
    let cells = width * height;
    let maps = sample.target.len().checked_div(2 * cells)?;
    let mut rgb = vec![0; 3 * maps * width * CELL * height * CELL];
    let row_pixels = maps * width * CELL;
    for (map, components) in sample.target.chunks_exact(2 * cells).enumerate() {
        let (x, y) = components.split_at(cells);
        for cell in 0..cells {
            let colour = colour(x[cell], y[cell]);
            let (left, top) = ((map * width + cell % width) * CELL, cell / width * CELL);
            for row in top..top + CELL {
                let at = 3 * (row * row_pixels + left);
                for pixel in rgb[at..at + 3 * CELL].chunks_exact_mut(3) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }
    let size = FrameSize {
        width: u32::try_from(row_pixels).ok()?,
        height: u32::try_from(height * CELL).ok()?,
    };
    rgb_pixmap(&rgb, size)?.encode_png().ok()
}

fn colour(x: i16, y: i16) -> [u8; 3] {
    if x == MASKED && y == MASKED {
        return UNKNOWN;
    }
    let pixels = |component: i16| f32::from(component) / f32::from(MOTION_UNITS_PER_PIXEL);
    let (x, y) = (pixels(x), pixels(y));
    let speed = x.hypot(y);
    if speed == 0.0 {
        return [0, 0, 0];
    }
    let brightness = (speed / BRIGHTEST).min(1.0).sqrt();
    direction_rgb(x, y).map(|component| (brightness * f32::from(component)) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::page::tests::a_sample;

    #[test]
    fn rest_is_black_the_unknown_grey_and_fast_motion_bright() {
        assert_eq!(colour(0, 0), [0, 0, 0]);
        assert_eq!(colour(MASKED, MASKED), UNKNOWN);
        let unit = MOTION_UNITS_PER_PIXEL;
        let [red, ..] = colour(8 * unit, 0);
        let [slow_red, ..] = colour(unit, 0);
        assert!(red > 250 && slow_red > 80 && slow_red < 200, "{red}, {slow_red}");
    }

    #[test]
    fn the_maps_of_a_target_stand_side_by_side() {
        let sample = a_sample(3);
        let strip = tiny_skia::Pixmap::decode_png(&target(&sample).unwrap()).unwrap();
        let FrameSize { width, height } = sample.spec.motion_size;
        assert_eq!(strip.width(), width * CELL as u32 * sample.spec.target_frames);
        assert_eq!(strip.height(), height * CELL as u32);
    }
}
