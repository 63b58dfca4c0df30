//! The overlay's legend: a wheel with the colour of every direction, as large as the arrow of a motion of N pixels per
//! frame, and N.

use tiny_skia::{Color, Pixmap};

use super::direction_colour::direction_colour;
use super::overlay::{OverlayStyle, draw_arrow, fill};

/// Arrows of the wheel.
const SPOKES: u32 = 16;

/// Part of a picture's width that the wheel's radius takes, about.
const RADIUS_PART: f32 = 1.0 / 24.0;

/// Digits, three columns by five rows; a row a number, the leftmost column its highest bit.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// `px/f`: pixels per frame.
const UNIT: [[u8; 5]; 4] = [[7, 5, 7, 4, 4], [0, 5, 2, 5, 0], [1, 1, 2, 4, 4], [3, 4, 7, 4, 4]];

/// The whole pixels per frame whose arrow comes nearest to `wanted` output pixels, among 1, 2, 5, 10, 20, 50.
fn round_motion(arrow_per_pixel: f32, wanted: f32) -> u32 {
    let off = |motion: u32| (motion as f32 * arrow_per_pixel / wanted).ln().abs();
    [1, 2, 5, 10, 20, 50]
        .into_iter()
        .min_by(|&a, &b| off(a).total_cmp(&off(b)))
        .unwrap_or(1)
}

/// Draws the legend into the lower right corner. Pictures too small for it go without.
pub(super) fn draw_legend(canvas: &mut Pixmap, style: OverlayStyle) {
    let arrow_per_pixel = style.gain * style.scale as f32;
    let motion = round_motion(arrow_per_pixel, RADIUS_PART * canvas.width() as f32);
    let dot = (canvas.width() as f32 / 320.0).floor().max(2.0);
    let radius = motion as f32 * arrow_per_pixel;
    let side = (2.0 * radius + 20.0).max(30.0 * dot);
    let height = side + 5.0 * dot + 6.0;
    let (width, bottom) = (canvas.width() as f32, canvas.height() as f32);
    if side * 2.0 > width || height * 2.0 > bottom {
        return;
    }
    let (left, top) = (width - side, bottom - height);
    fill(canvas, left, top, side, height, Color::from_rgba8(0, 0, 0, 190));
    let centre = [left + side / 2.0, top + side / 2.0];
    for spoke in 0..SPOKES {
        let angle = std::f32::consts::TAU * spoke as f32 / SPOKES as f32;
        let (x, y) = (angle.cos(), angle.sin());
        // From a little outside the centre, where the colours would run together.
        let start = [centre[0] + 0.3 * radius * x, centre[1] + 0.3 * radius * y];
        let end = [centre[0] + radius * x, centre[1] + radius * y];
        draw_arrow(canvas, start, end, direction_colour(x, y), 1.4);
    }
    draw_number(canvas, motion, centre[0], top + side - 2.0, dot);
}

/// Draws a number and its unit, centred on `middle`, letters 5 dots high.
fn draw_number(canvas: &mut Pixmap, number: u32, middle: f32, top: f32, dot: f32) {
    let digits = number.to_string();
    let digits = digits.bytes().map(|byte| DIGITS[usize::from(byte - b'0')]);
    let letters: Vec<[u8; 5]> = digits.chain(UNIT).collect();
    // Whole pixels: dots between pixels would blur.
    let mut left = (middle - dot * (4.0 * letters.len() as f32 - 1.0) / 2.0).round();
    for letter in letters {
        for (row, bits) in letter.into_iter().enumerate() {
            for column in 0..3_usize {
                if bits >> (2 - column) & 1 == 1 {
                    let (x, y) = (left + dot * column as f32, top.round() + dot * row as f32);
                    fill(canvas, x, y, dot, dot, Color::WHITE);
                }
            }
        }
        left += 4.0 * dot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_is_as_large_as_a_round_motion() {
        assert_eq!(round_motion(1.0, 28.0), 20);
        assert_eq!(round_motion(8.0, 28.0), 5);
        assert_eq!(round_motion(16.0, 28.0), 2);
        assert_eq!(round_motion(64.0, 28.0), 1);
    }

    #[test]
    fn small_pictures_go_without_and_large_ones_have_it_in_the_corner() {
        let style = OverlayStyle { scale: 1, gain: 4.0 };
        let drawn = |width, height| {
            let mut canvas = Pixmap::new(width, height).unwrap();
            draw_legend(&mut canvas, style);
            let touched = canvas.pixels().iter().filter(|pixel| pixel.alpha() > 0).count();
            (touched, canvas.pixels()[0].alpha())
        };
        assert_eq!(drawn(60, 60).0, 0);
        let (touched, first) = drawn(640, 360);
        assert!(touched > 1000);
        assert_eq!(first, 0);
    }
}
