use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl FrameSize {
    /// Pixels.
    pub fn area(self) -> usize {
        self.width as usize * self.height as usize
    }
}

/// The shape of a sample, in frames of display order and in pixels (paper, section 4 and released code).
///
/// With `clip_frames` 16, `clip_stride` 4, `target_offset` 3 and `target_frames` 8 a clip covers frames 0, 4, …, 60 and its
/// motion target the maps of frames 63 … 70.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSpec {
    /// Frames in a clip (T).
    pub clip_frames: u32,
    /// Source frames from one clip frame to the next.
    pub clip_stride: u32,
    /// Source frames from the clip's last frame to the first motion map of the target; below 0 the target begins within the
    /// clip, at its first frame at the earliest.
    pub target_offset: i32,
    /// Consecutive motion maps in the target, and in each hard negative (F).
    pub target_frames: u32,
    /// Further motion windows of the same segment that do not overlap the target (N).
    pub hard_negatives: u32,
    /// A key frame this many source frames before or after the clip still belongs to it.
    pub key_frame_margin: u32,
    /// The size that every stored picture is scaled to, whatever its shape.
    pub frame_size: FrameSize,
    /// The grid that every stored motion map is averaged to.
    pub motion_size: FrameSize,
}

impl SampleSpec {
    /// Source frames from the clip's first frame to its last, both counted.
    pub fn clip_span_frames(&self) -> u32 {
        (self.clip_frames - 1) * self.clip_stride + 1
    }

    /// Source frames from the clip's first frame to the target's last, both counted.
    pub fn span_frames(&self) -> u32 {
        (self.target_start_frames() + self.target_frames).max(self.clip_span_frames())
    }

    /// Source frames from the clip's first frame to the target's first.
    pub fn target_start_frames(&self) -> u32 {
        (self.clip_span_frames() - 1).saturating_add_signed(self.target_offset)
    }

    /// Frames of the shortest video that gives a sample: [`Self::span_frames`], and more only where the frames before the
    /// target are too few for the hard negatives, which begin at different frames and do not overlap the target.
    pub fn needed_frames(&self) -> u32 {
        let starts_before_target = (self.span_frames() + 1).saturating_sub(2 * self.target_frames);
        match self.hard_negatives.saturating_sub(starts_before_target) {
            0 => self.span_frames(),
            missing => self.span_frames() + self.target_frames - 1 + missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_window_covers_71_frames() {
        let size = FrameSize {
            width: 176,
            height: 128,
        };
        let spec = SampleSpec {
            clip_frames: 16,
            clip_stride: 4,
            target_offset: 3,
            target_frames: 8,
            hard_negatives: 3,
            key_frame_margin: 5,
            frame_size: size,
            motion_size: size,
        };
        assert_eq!(spec.clip_span_frames(), 61);
        assert_eq!(spec.span_frames(), 71);
        assert_eq!(spec.needed_frames(), 71);
    }

    #[test]
    fn a_target_within_the_clip_makes_the_window_no_longer() {
        let size = FrameSize { width: 1, height: 1 };
        let spec = SampleSpec {
            clip_frames: 8,
            clip_stride: 2,
            target_offset: -3,
            target_frames: 4,
            hard_negatives: 3,
            key_frame_margin: 0,
            frame_size: size,
            motion_size: size,
        };
        assert_eq!((spec.target_start_frames(), spec.span_frames()), (11, 15));
    }

    #[test]
    fn hard_negatives_that_do_not_fit_before_the_target_ask_for_frames_behind_it() {
        let size = FrameSize { width: 1, height: 1 };
        let mut spec = SampleSpec {
            clip_frames: 2,
            clip_stride: 1,
            target_offset: 1,
            target_frames: 2,
            hard_negatives: 1,
            key_frame_margin: 0,
            frame_size: size,
            motion_size: size,
        };
        // Frames 0 1 | 2 3: one negative at 0.
        assert_eq!((spec.span_frames(), spec.needed_frames()), (4, 4));
        // Frames 0 1 | 2 3 | 4 5 6: negatives at 0, 4, 5.
        spec.hard_negatives = 3;
        assert_eq!(spec.needed_frames(), 7);
    }
}
