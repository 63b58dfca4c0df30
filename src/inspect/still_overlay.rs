//! A key frame and the motion that follows it → one picture for people.

use bytes::Bytes;
use tiny_skia::{FilterQuality, Pixmap, PixmapPaint, Transform};

use super::displacement::Displacements;
use super::overlay::{FramePixels, OverlayStyle, draw_overlay};
use crate::h264::{FrameMotion, MotionDecoder, MotionField};
use crate::window::FrameSize;

/// What counts as fast: the displacement that so many blocks of a hundred do not exceed.
const FAST_PERCENTILE: usize = 95;

/// Motion read for one picture.
#[derive(Clone, Debug)]
pub struct StillMotion {
    displacements: Displacements,
    crop: [u32; 4],
}

impl StillMotion {
    /// The motion of the last predicted picture among `following`, which come after `key_frame`. `None` where there is none, or
    /// it cannot be read.
    pub fn read(key_frame: &Bytes, following: &[Bytes]) -> Option<Self> {
        let mut decoder = MotionDecoder::new();
        let mut pocs: Vec<i32> = Vec::new();
        let mut last: Option<(FrameMotion, [u32; 4])> = None;
        for unit in std::iter::once(key_frame).chain(following) {
            let mut sink = |field: &MotionField<'_>| {
                let header = field.header();
                pocs.push(header.poc);
                let mut motion = FrameMotion::default();
                field.frame_motion(&mut motion);
                if motion.intra.iter().any(|intra| !intra) {
                    last = Some((motion, header.crop));
                }
            };
            // What was read before the error can be shown; errors are counted where the stream is learned from.
            if decoder.decode(unit, &mut sink).is_err() {
                break;
            }
        }
        let (motion, crop) = last?;
        Some(Self {
            displacements: Displacements::of(&motion, poc_per_frame(&pocs)),
            crop,
        })
    }

    /// Pixels a frame that few blocks exceed.
    fn fast(&self) -> f64 {
        let mut speeds: Vec<f32> = self
            .displacements
            .blocks
            .iter()
            .flatten()
            .map(|[x, y]| x.hypot(*y))
            .collect();
        if speeds.is_empty() {
            return 1.0;
        }
        let at = (speeds.len() * FAST_PERCENTILE / 100).min(speeds.len() - 1);
        let (_, fast, _) = speeds.select_nth_unstable_by(at, f32::total_cmp);
        f64::from(*fast)
    }
}

/// Pictures order counts rise by 2 a frame in most streams, by 1 in some.
fn poc_per_frame(pocs: &[i32]) -> i32 {
    match pocs.windows(2).any(|pair| (pair[1] - pair[0]) % 2 != 0) {
        true => 1,
        false => 2,
    }
}

/// Draws a frame (packed RGB `[height, width, 3]`) with `motion` over it as a PNG at most `width_max` wide. `None` where the
/// pixels do not fit the size.
pub fn draw_still(
    rgb: &[u8],
    size: FrameSize,
    motion: Option<&StillMotion>,
    width_max: u32,
) -> Option<Vec<u8>> {
    let picture = match motion {
        Some(motion) => {
            let frame = FramePixels {
                size,
                rgb,
                crop_left: motion.crop[0],
                crop_top: motion.crop[1],
            };
            let style = OverlayStyle::for_video(size, motion.fast());
            draw_overlay(&frame, &motion.displacements, style)?
        }
        None => rgb_pixmap(rgb, size)?,
    };
    let shown = match picture.width() > width_max {
        false => picture,
        true => shrunk(&picture, width_max)?,
    };
    shown.encode_png().ok()
}

/// Packed RGB as an opaque picture. `None` where the bytes do not fit the size.
pub fn rgb_pixmap(rgb: &[u8], size: FrameSize) -> Option<Pixmap> {
    let mut pixmap = Pixmap::new(size.width, size.height)?;
    if rgb.len() != 3 * size.area() {
        return None;
    }
    for (to, from) in pixmap.data_mut().chunks_exact_mut(4).zip(rgb.chunks_exact(3)) {
        to[..3].copy_from_slice(from);
        to[3] = u8::MAX;
    }
    Some(pixmap)
}

fn shrunk(picture: &Pixmap, width: u32) -> Option<Pixmap> {
    let scale = width as f32 / picture.width() as f32;
    let height = (picture.height() as f32 * scale).round().max(1.0) as u32;
    let mut small = Pixmap::new(width, height)?;
    let paint = PixmapPaint {
        quality: FilterQuality::Bilinear,
        ..PixmapPaint::default()
    };
    small.draw_pixmap(
        0,
        0,
        picture.as_ref(),
        &paint,
        Transform::from_scale(scale, scale),
        None,
    );
    Some(small)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_picture_is_made_narrower_and_a_wrong_one_refused() {
        let size = FrameSize {
            width: 64,
            height: 32,
        };
        let rgb = vec![120; 3 * size.area()];
        let png = draw_still(&rgb, size, None, 16).unwrap();
        let small = Pixmap::decode_png(&png).unwrap();
        assert_eq!((small.width(), small.height()), (16, 8));
        assert!(draw_still(&rgb[1..], size, None, 16).is_none());
    }

    #[test]
    fn order_counts_tell_how_much_they_rise_a_frame() {
        assert_eq!(poc_per_frame(&[0, 8, 4, 2]), 2);
        assert_eq!(poc_per_frame(&[0, 1, 2]), 1);
        assert_eq!(poc_per_frame(&[0]), 2);
    }

    #[test]
    fn bytes_that_are_no_video_have_no_motion() {
        let junk = Bytes::from_static(&[0, 0, 1, 0x65, 1, 2, 3]);
        assert!(StillMotion::read(&junk, std::slice::from_ref(&junk)).is_none());
    }
}
