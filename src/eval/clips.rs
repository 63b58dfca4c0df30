use std::collections::BTreeSet;

use crate::window::SampleSpec;

/// Which pictures of a video the clips are made of.
///
/// Paper, section 4.3: ten clips, spread evenly over the video, whose features are averaged. Pictures are counted in display
/// order from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipPlan {
    starts: Vec<u64>,
    spec: SampleSpec,
    pictures: u64,
}

impl ClipPlan {
    /// At most `clips` clips for a video of `pictures` pictures: the first begins with the video, the last ends with it.
    /// Clips that would coincide are taken once, so a video of `span` pictures gives one clip. A video shorter than that
    /// gives one clip too, in which the last picture stands still until the end.
    ///
    /// `None` for a video without a picture, or when no clip is wanted.
    pub fn new(spec: SampleSpec, pictures: u64, clips: u32) -> Option<Self> {
        if pictures == 0 || clips == 0 {
            return None;
        }
        let last_start = pictures.saturating_sub(u64::from(spec.clip_span_frames()));
        let starts: BTreeSet<u64> = if clips == 1 {
            BTreeSet::from([last_start / 2])
        } else {
            let intervals = u64::from(clips - 1);
            (0..=intervals)
                .map(|nth| (nth * last_start + intervals / 2) / intervals)
                .collect()
        };
        Some(Self {
            starts: starts.into_iter().collect(),
            spec,
            pictures,
        })
    }

    /// One clip that begins `part` (0..1) of the way from the first possible place to the last.
    pub fn at(spec: SampleSpec, pictures: u64, part: f64) -> Option<Self> {
        let last_start = pictures
            .checked_sub(1)?
            .min(pictures.saturating_sub(u64::from(spec.clip_span_frames())));
        Some(Self {
            starts: vec![(last_start as f64 * part.clamp(0.0, 1.0)).round() as u64],
            spec,
            pictures,
        })
    }

    /// How many clips there are.
    pub fn clips(&self) -> usize {
        self.starts.len()
    }

    /// Picture numbers of one clip, `clip_frames` of them, never falling.
    fn clip(&self, start: u64) -> impl Iterator<Item = u64> + '_ {
        (0..u64::from(self.spec.clip_frames))
            .map(move |nth| (start + nth * u64::from(self.spec.clip_stride)).min(self.pictures - 1))
    }

    /// Picture numbers of all clips, one clip after the other.
    pub fn pictures(&self) -> impl Iterator<Item = u64> + '_ {
        self.starts.iter().flat_map(|&start| self.clip(start))
    }

    /// Source frames that a clip lacks, because the video is shorter than one; they repeat its last picture.
    pub fn missing_frames(&self) -> u64 {
        u64::from(self.spec.clip_span_frames()).saturating_sub(self.pictures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::FrameSize;

    fn spec(clip_frames: u32, clip_stride: u32) -> SampleSpec {
        let size = FrameSize {
            width: 32,
            height: 24,
        };
        SampleSpec {
            clip_frames,
            clip_stride,
            target_offset: 1,
            target_frames: 1,
            hard_negatives: 0,
            key_frame_margin: 0,
            frame_size: size,
            motion_size: size,
        }
    }

    #[test]
    fn ten_clips_reach_from_the_first_picture_to_the_last() {
        let plan = ClipPlan::new(spec(16, 4), 300, 10).unwrap();
        assert_eq!(plan.clips(), 10);
        let pictures: Vec<u64> = plan.pictures().collect();
        assert_eq!(pictures.len(), 160);
        assert_eq!(pictures[..3], [0, 4, 8]);
        assert_eq!(pictures[159], 299);
        assert_eq!(plan.missing_frames(), 0);
        let gaps: Vec<u64> = plan.starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|&gap| gap == 26 || gap == 27), "{gaps:?}");
    }

    #[test]
    fn clips_that_coincide_are_taken_once() {
        let plan = ClipPlan::new(spec(4, 2), 9, 10).unwrap();
        assert_eq!(plan.starts, [0, 1, 2]);
        let plan = ClipPlan::new(spec(4, 2), 7, 10).unwrap();
        assert_eq!(plan.starts, [0]);
        assert_eq!(plan.missing_frames(), 0);
    }

    #[test]
    fn a_short_video_stands_still_at_its_last_picture() {
        let plan = ClipPlan::new(spec(4, 2), 4, 10).unwrap();
        assert_eq!(plan.pictures().collect::<Vec<_>>(), [0, 2, 3, 3]);
        assert_eq!(plan.missing_frames(), 3);
    }

    #[test]
    fn a_single_clip_is_taken_from_the_middle() {
        let plan = ClipPlan::new(spec(4, 2), 27, 1).unwrap();
        assert_eq!(plan.starts, [10]);
    }

    #[test]
    fn nothing_comes_of_a_video_without_pictures() {
        assert_eq!(ClipPlan::new(spec(4, 2), 0, 10), None);
    }
}
