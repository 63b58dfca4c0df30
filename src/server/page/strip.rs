use crate::inspect::rgb_pixmap;
use crate::replay::Sample;
use crate::window::FrameSize;

/// A sample's clip as one PNG, its pictures side by side, for the style sheet to play.
pub(super) fn clip(sample: &Sample) -> Option<Vec<u8>> {
    let FrameSize { width, height } = sample.spec.frame_size;
    let (width, height) = (width as usize, height as usize);
    let frames = sample.clip.len().checked_div(3 * width * height)?;
    let mut strip = Vec::with_capacity(sample.clip.len());
    for row in 0..height {
        for frame in 0..frames {
            let at = 3 * width * (frame * height + row);
            strip.extend_from_slice(sample.clip.get(at..at + 3 * width)?);
        }
    }
    let size = FrameSize {
        width: u32::try_from(width * frames).ok()?,
        height: height as u32,
    };
    rgb_pixmap(&strip, size)?.encode_png().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::page::tests::a_sample;

    #[test]
    fn the_pictures_of_a_clip_stand_side_by_side() {
        let sample = a_sample(7);
        let png = clip(&sample).unwrap();
        let strip = tiny_skia::Pixmap::decode_png(&png).unwrap();
        let FrameSize { width, height } = sample.spec.frame_size;
        assert_eq!(
            (strip.width(), strip.height()),
            (width * sample.spec.clip_frames, height)
        );
        for frame in 0..sample.spec.clip_frames {
            let pixel = strip.pixel(frame * width + 1, 2).unwrap();
            let at = 3 * ((frame * height + 2) * width + 1) as usize;
            assert_eq!(
                [pixel.red(), pixel.green(), pixel.blue()],
                sample.clip[at..at + 3],
                "frame {frame}"
            );
        }
    }
}
