//! A decoded frame and its motion → a picture with arrows. Pure.
//!
//! An arrow stands at a cell's centre and points to where the content is moving: its direction is the displacement since
//! the frame before, its length the displacement times a gain that the legend shows.

use tiny_skia::{
    Color, FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, Transform,
};

use super::direction_colour::direction_colour;
use super::displacement::{BLOCK, Displacements};
use super::legend::draw_legend;
use super::statistics::STILL_BELOW;
use crate::window::FrameSize;

/// Blocks in a row of a cell: one arrow a macroblock.
const CELL_BLOCKS: usize = 4;
/// Small pictures are enlarged until they have at least this many columns.
const MIN_WIDTH: u32 = 640;
/// Gain at most: more would turn noise into long arrows.
const MAX_GAIN: f32 = 8.0;
/// A shorter arrow, in output pixels, would be all head: a dot says that the cell moves a little.
const SHORTEST_ARROW: f32 = 5.0;
/// Over intra coded blocks.
const INTRA_TINT: [u8; 3] = [255, 0, 200];
const INTRA_OPACITY: f32 = 0.22;
/// How much of the picture's colour and brightness stays under the arrows.
const SATURATION: f32 = 0.35;
const BRIGHTNESS: f32 = 0.75;

/// How overlay pictures of one video are drawn: the same for all of them, so that they can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverlayStyle {
    /// Output pixels per source pixel.
    pub scale: u32,
    /// Arrow length in source pixels for a displacement of one pixel per frame.
    pub gain: f32,
}

/// A decoded frame: packed RGB, `[height, width, 3]`.
#[derive(Clone, Copy, Debug)]
pub struct FramePixels<'a> {
    /// Columns and rows.
    pub size: FrameSize,
    /// `height * width * 3` bytes.
    pub rgb: &'a [u8],
    /// Luma samples of the coded frame that are cropped away on the left and on the top; motion is counted with them.
    pub crop_left: u32,
    /// See `crop_left`.
    pub crop_top: u32,
}

impl OverlayStyle {
    /// A style for frames of `size`. A motion of `fast` pixels per frame gets an arrow a little longer than a cell.
    pub fn for_video(size: FrameSize, fast: f64) -> Self {
        let cell = (CELL_BLOCKS * BLOCK) as f32;
        let gain = (1.25 * cell / (fast as f32).max(STILL_BELOW)).clamp(1.0, MAX_GAIN);
        Self {
            scale: MIN_WIDTH.div_ceil(size.width.max(1)).clamp(1, 8),
            gain: gain.floor(),
        }
    }
}

/// Draws the frame with its motion. `None` where the pixels do not fit the size, or the picture would be empty or
/// larger than memory.
pub fn draw_overlay(frame: &FramePixels<'_>, motion: &Displacements, style: OverlayStyle) -> Option<Pixmap> {
    let mut canvas = enlarged(frame, motion, style.scale)?;
    let scale = style.scale as f32;
    let (left, top) = (frame.crop_left as f32, frame.crop_top as f32);
    for row in (0..motion.rows).step_by(CELL_BLOCKS) {
        for column in (0..motion.columns).step_by(CELL_BLOCKS) {
            let (end_column, end_row) = (
                (column + CELL_BLOCKS).min(motion.columns),
                (row + CELL_BLOCKS).min(motion.rows),
            );
            let (mean, known) = motion.mean(column..end_column, row..end_row);
            let blocks = (end_column - column) * (end_row - row);
            let Some([x, y]) = mean.filter(|[x, y]| 2 * known >= blocks && x.hypot(*y) >= STILL_BELOW) else {
                continue;
            };
            let centre = |from: usize, to: usize, cropped: f32| {
                scale * ((from + to) as f32 * BLOCK as f32 / 2.0 - cropped)
            };
            let start = [centre(column, end_column, left), centre(row, end_row, top)];
            let reach = scale * style.gain;
            let end = [start[0] + reach * x, start[1] + reach * y];
            let colour = direction_colour(x, y);
            match reach * x.hypot(y) < SHORTEST_ARROW {
                true => fill(&mut canvas, start[0] - 1.0, start[1] - 1.0, 2.0, 2.0, colour),
                false => draw_arrow(&mut canvas, start, end, colour, arrow_width(style.scale)),
            }
        }
    }
    draw_legend(&mut canvas, style);
    Some(canvas)
}

fn arrow_width(scale: u32) -> f32 {
    1.0 + 0.35 * scale as f32
}

/// The frame, `scale` times as large, paler than it was, and tinted where blocks are intra coded.
fn enlarged(frame: &FramePixels<'_>, motion: &Displacements, scale: u32) -> Option<Pixmap> {
    let FrameSize { width, height } = frame.size;
    if frame.rgb.len() != width as usize * height as usize * 3 {
        return None;
    }
    let mut canvas = Pixmap::new(width.checked_mul(scale)?, height.checked_mul(scale)?)?;
    let block_of = |at: usize, cropped: u32, blocks: usize| {
        ((at + cropped as usize) / BLOCK).min(blocks.saturating_sub(1))
    };
    let (canvas_width, scale) = (canvas.width() as usize, scale as usize);
    for (y, line) in canvas.pixels_mut().chunks_exact_mut(canvas_width).enumerate() {
        let source_row = &frame.rgb[y / scale * width as usize * 3..][..width as usize * 3];
        let row = block_of(y / scale, frame.crop_top, motion.rows);
        for (x, pixel) in line.iter_mut().enumerate() {
            let rgb = &source_row[x / scale * 3..][..3];
            let column = block_of(x / scale, frame.crop_left, motion.columns);
            let known = motion
                .blocks
                .get(row * motion.columns + column)
                .is_some_and(Option::is_some);
            *pixel = pale([rgb[0], rgb[1], rgb[2]], !known);
        }
    }
    Some(canvas)
}

fn pale(rgb: [u8; 3], intra: bool) -> PremultipliedColorU8 {
    let grey = 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]);
    let mut mixed = rgb.map(|component| BRIGHTNESS * (grey + SATURATION * (f32::from(component) - grey)));
    if intra {
        for (component, tint) in mixed.iter_mut().zip(INTRA_TINT) {
            *component += INTRA_OPACITY * (f32::from(tint) - *component);
        }
    }
    let [red, green, blue] = mixed.map(|component| component.round() as u8);
    PremultipliedColorU8::from_rgba(red, green, blue, 255).unwrap_or(PremultipliedColorU8::TRANSPARENT)
}

/// Paint of one colour, with smooth edges.
pub(super) fn paint(colour: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(colour);
    paint.anti_alias = true;
    paint
}

/// Draws an arrow with a dark rim, so that it stands out on bright and dark ground.
pub(super) fn draw_arrow(canvas: &mut Pixmap, start: [f32; 2], end: [f32; 2], colour: Color, width: f32) {
    let Some((shaft, head)) = arrow(start, end, width) else {
        return;
    };
    let stroke = |width| Stroke {
        width,
        line_cap: LineCap::Round,
        ..Stroke::default()
    };
    let rim = paint(Color::from_rgba8(0, 0, 0, 200));
    let ink = paint(colour);
    let here = Transform::identity();
    if let Some(shaft) = &shaft {
        canvas.stroke_path(shaft, &rim, &stroke(width + 1.6), here, None);
    }
    canvas.stroke_path(&head, &rim, &stroke(1.6), here, None);
    if let Some(shaft) = &shaft {
        canvas.stroke_path(shaft, &ink, &stroke(width), here, None);
    }
    canvas.fill_path(&head, &ink, FillRule::Winding, here, None);
}

/// Shaft (none for an arrow that is all head) and head.
fn arrow(start: [f32; 2], end: [f32; 2], width: f32) -> Option<(Option<Path>, Path)> {
    let (x, y) = (end[0] - start[0], end[1] - start[1]);
    let length = x.hypot(y);
    if length == 0.0 || !length.is_finite() {
        return None;
    }
    let (ux, uy) = (x / length, y / length);
    let head_length = (3.2 * width).min(length);
    let half = 0.5 * head_length;
    let base = [end[0] - head_length * ux, end[1] - head_length * uy];
    let mut head = PathBuilder::new();
    head.move_to(end[0], end[1]);
    head.line_to(base[0] - half * uy, base[1] + half * ux);
    head.line_to(base[0] + half * uy, base[1] - half * ux);
    head.close();
    let mut shaft = PathBuilder::new();
    if length > head_length {
        shaft.move_to(start[0], start[1]);
        shaft.line_to(base[0], base[1]);
    }
    Some((shaft.finish(), head.finish()?))
}

/// Fills a rectangle with one colour.
pub(super) fn fill(canvas: &mut Pixmap, left: f32, top: f32, width: f32, height: f32, colour: Color) {
    if let Some(rectangle) = Rect::from_xywh(left, top, width, height) {
        canvas.fill_rect(rectangle, &paint(colour), Transform::identity(), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: FrameSize = FrameSize {
        width: 64,
        height: 48,
    };

    fn still(block: impl Fn(usize, usize) -> Option<[f32; 2]>) -> Displacements {
        let (columns, rows) = (16, 12);
        let blocks = (0..columns * rows)
            .map(|at| block(at % columns, at / columns))
            .collect();
        Displacements {
            columns,
            rows,
            blocks,
        }
    }

    fn grey_frame(rgb: &[u8]) -> FramePixels<'_> {
        FramePixels {
            size: SIZE,
            rgb,
            crop_left: 0,
            crop_top: 0,
        }
    }

    /// Pixels of `drawn` that differ from the same picture without motion, in source coordinates.
    fn touched(drawn: &Pixmap, blank: &Pixmap, scale: usize) -> Vec<(usize, usize)> {
        let width = drawn.width() as usize;
        let differs = |&at: &usize| drawn.pixels()[at] != blank.pixels()[at];
        (0..drawn.pixels().len())
            .filter(differs)
            .map(|at| (at % width / scale, at / width / scale))
            .collect()
    }

    #[test]
    fn an_arrow_reaches_from_the_cell_to_where_it_moves() {
        let rgb = vec![90; 64 * 48 * 3];
        let frame = grey_frame(&rgb);
        let style = OverlayStyle { scale: 4, gain: 2.0 };
        let blank = draw_overlay(&frame, &still(|_, _| Some([0.0, 0.0])), style).unwrap();
        // The macroblock at columns 0..16, rows 0..16 moves 8 to the right and 4 down.
        let moving = still(|x, y| Some(if x < 4 && y < 4 { [8.0, 4.0] } else { [0.0, 0.0] }));
        let drawn = draw_overlay(&frame, &moving, style).unwrap();
        let touched = touched(&drawn, &blank, 4);
        let (x, y): (Vec<usize>, Vec<usize>) = touched.into_iter().unzip();
        assert!((7..=8).contains(x.iter().min().unwrap()), "starts at the centre");
        assert!(
            (23..=24).contains(x.iter().max().unwrap()),
            "ends 16 further right"
        );
        assert!((7..=8).contains(y.iter().min().unwrap()));
        assert!((15..=17).contains(y.iter().max().unwrap()), "and 8 further down");
    }

    #[test]
    fn a_motion_too_small_for_an_arrow_is_a_dot() {
        let rgb = vec![90; 64 * 48 * 3];
        let frame = grey_frame(&rgb);
        let style = OverlayStyle { scale: 1, gain: 1.0 };
        let blank = draw_overlay(&frame, &still(|_, _| Some([0.0, 0.0])), style).unwrap();
        let touched_by = |x: f32| {
            let moving = still(|column, row| Some([if column < 4 && row < 4 { x } else { 0.0 }, 0.0]));
            touched(&draw_overlay(&frame, &moving, style).unwrap(), &blank, 1).len()
        };
        assert_eq!(touched_by(0.2), 0);
        assert_eq!(touched_by(1.0), 4);
        assert!(touched_by(6.0) > 10);
    }

    #[test]
    fn cropping_moves_the_arrows_with_the_picture() {
        let rgb = vec![90; 64 * 48 * 3];
        let style = OverlayStyle { scale: 1, gain: 1.0 };
        let moving = still(|x, y| {
            Some(if x == 5 && y == 5 {
                [160.0, 0.0]
            } else {
                [0.0, 0.0]
            })
        });
        let first_column = |crop_left| {
            let frame = FramePixels {
                crop_left,
                ..grey_frame(&rgb)
            };
            let blank = draw_overlay(&frame, &still(|_, _| Some([0.0, 0.0])), style).unwrap();
            let drawn = draw_overlay(&frame, &moving, style).unwrap();
            touched(&drawn, &blank, 1)
                .into_iter()
                .map(|(x, _)| x)
                .min()
                .unwrap()
        };
        assert_eq!(first_column(0), first_column(8) + 8);
    }

    #[test]
    fn intra_blocks_are_tinted_and_have_no_arrow() {
        let rgb = vec![90; 64 * 48 * 3];
        let frame = grey_frame(&rgb);
        let style = OverlayStyle { scale: 1, gain: 1.0 };
        let drawn = draw_overlay(&frame, &still(|x, _| (x >= 8).then_some([0.0, 0.0])), style).unwrap();
        let pixel = |x: usize| {
            let pixel = drawn.pixels()[2 * 64 + x];
            (pixel.red(), pixel.green())
        };
        let (red, green) = pixel(31);
        assert!(red > green + 40, "tinted");
        let (red, green) = pixel(32);
        assert_eq!(red, green, "not tinted");
    }

    #[test]
    fn pixels_that_do_not_fit_are_refused() {
        let style = OverlayStyle::for_video(SIZE, 4.0);
        assert!(draw_overlay(&grey_frame(&[0; 5]), &still(|_, _| None), style).is_none());
    }

    #[test]
    fn slow_videos_get_longer_arrows_and_small_ones_larger_pictures() {
        let slow = OverlayStyle::for_video(SIZE, 1.0);
        let fast = OverlayStyle::for_video(SIZE, 30.0);
        assert_eq!((slow.gain, fast.gain), (8.0, 1.0));
        assert_eq!(slow.scale, 8);
        let large = FrameSize {
            width: 1920,
            height: 1080,
        };
        assert_eq!(OverlayStyle::for_video(large, 4.0).scale, 1);
    }
}
