//! Chosen frames of a video → PNG files with their motion.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::InspectError;
use super::displacement::Displacements;
use super::overlay::{FramePixels, OverlayStyle, draw_overlay};
use super::report::OverlayFacts;
use super::survey::Survey;
use super::walk::{FrameCounter, Walk};
use crate::decode::{VideoFrame, VideoReader};
use crate::h264::{FrameMotion, MotionField, PictureType};

/// Pictures where neither `--every` nor `--at-most` says how many.
const DEFAULT_PICTURES: u32 = 24;

/// `--overlay` and what goes with it; a field an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayOptions {
    /// `--overlay`: where the pictures go. Made where it is missing.
    pub folder: PathBuf,
    /// `--every`: one picture out of so many frames; without, as many as `at_most` allows, evenly spread.
    pub every: Option<NonZeroU32>,
    /// `--at-most`: so many pictures at most; without, 24, or any number where `every` is given.
    pub at_most: Option<NonZeroU32>,
}

impl OverlayOptions {
    /// Display ranks of the frames to draw, out of `frames`.
    fn ranks(&self, frames: u64) -> Vec<u64> {
        let at_most = match (self.at_most, self.every) {
            (Some(at_most), _) => u64::from(at_most.get()),
            (None, Some(_)) => frames,
            (None, None) => u64::from(DEFAULT_PICTURES),
        };
        match self.every {
            Some(every) => (0..frames)
                .step_by(every.get() as usize)
                .take(at_most as usize)
                .collect(),
            None => {
                let pictures = at_most.min(frames);
                // In the middle of equal parts: the first frame has no motion.
                (0..pictures)
                    .map(|nth| (2 * nth + 1) * frames / (2 * pictures))
                    .collect()
            }
        }
    }
}

/// The motion of a frame that is to be drawn.
struct ChosenMotion {
    displacements: Displacements,
    coded_type: PictureType,
    crop: [u32; 4],
}

/// Decodes motion ahead of the pictures that are drawn: no further than frames are reordered.
struct MotionAhead<'a> {
    walk: Walk,
    counter: FrameCounter,
    /// Rank of each frame in coding order, and the other way round.
    ranks: &'a [u64],
    coded_of_rank: HashMap<u64, usize>,
    chosen: HashSet<u64>,
    poc_per_frame: i32,
    ready: HashMap<u64, ChosenMotion>,
    buffer: FrameMotion,
    ended: bool,
}

impl MotionAhead<'_> {
    /// The motion of the frame with this rank; `None` where no picture of it could be decoded.
    fn take(&mut self, rank: u64) -> Result<Option<ChosenMotion>, InspectError> {
        while !self.ended && !self.is_complete(rank) {
            self.step()?;
        }
        Ok(self.ready.remove(&rank))
    }

    /// Whether all pictures of the frame have come: a later frame has.
    fn is_complete(&self, rank: u64) -> bool {
        let coded = self.coded_of_rank.get(&rank);
        coded.is_none_or(|coded| self.counter.frames() > coded + 1)
    }

    fn step(&mut self) -> Result<(), InspectError> {
        let Some((unit, decoder)) = self.walk.next()? else {
            self.ended = true;
            return Ok(());
        };
        let Self {
            counter,
            ranks,
            chosen,
            poc_per_frame,
            ready,
            buffer,
            ..
        } = self;
        let mut take = |picture: &MotionField<'_>| {
            let (coded, _) = counter.place(unit.segment, picture);
            let Some(rank) = ranks.get(coded).filter(|rank| chosen.contains(rank)) else {
                return;
            };
            picture.frame_motion(buffer);
            let coded_type = picture.header().slice_types.coded_type();
            // Of two fields, the one with motion; if both have, the first.
            let replace = ready
                .get(rank)
                .is_none_or(|earlier| earlier.coded_type == PictureType::I);
            if replace {
                let motion = ChosenMotion {
                    displacements: Displacements::of(buffer, *poc_per_frame),
                    coded_type,
                    crop: picture.header().crop,
                };
                ready.insert(*rank, motion);
            }
        };
        // Errors are in the report already: the first pass met the same.
        let _ = decoder.decode(&unit.data, &mut take);
        Ok(())
    }
}

/// Draws the chosen frames. `fast` is what counts as fast in this video, in pixels per frame.
pub fn write_overlay(
    video: &Path,
    options: &OverlayOptions,
    survey: &Survey,
    fast: f64,
) -> Result<OverlayFacts, InspectError> {
    let written = |path: &Path, result: std::io::Result<()>| {
        result.map_err(|source| InspectError::Write {
            path: path.to_owned(),
            source,
        })
    };
    written(&options.folder, fs::create_dir_all(&options.folder))?;
    let ranks = survey.ranks();
    let chosen: HashSet<u64> = options.ranks(ranks.len() as u64).into_iter().collect();
    let matcher = FrameMatcher::new(survey, &ranks);
    let mut motion = MotionAhead {
        walk: Walk::open(video)?,
        counter: FrameCounter::default(),
        ranks: &ranks,
        coded_of_rank: ranks
            .iter()
            .enumerate()
            .map(|(coded, &rank)| (rank, coded))
            .collect(),
        chosen,
        poc_per_frame: survey.poc_per_frame(),
        ready: HashMap::new(),
        buffer: FrameMotion::default(),
        ended: false,
    };
    let reader = VideoReader::open(video, None)?;
    let style = OverlayStyle::for_video(reader.native_size(), fast);
    let mut facts = OverlayFacts {
        folder: options.folder.clone(),
        pictures: Vec::new(),
        without_pixels: 0,
        gain: style.gain,
        scale: style.scale,
    };
    let mut missing = motion.chosen.clone();
    for frame in reader {
        let frame = frame?;
        let Some(rank) = matcher.rank_of(&frame).filter(|rank| missing.contains(rank)) else {
            continue;
        };
        let Some(chosen) = motion.take(rank)? else {
            continue;
        };
        let pixels = FramePixels {
            size: frame.size,
            rgb: &frame.pixels,
            crop_left: chosen.crop[0],
            crop_top: chosen.crop[1],
        };
        let Some(picture) = draw_overlay(&pixels, &chosen.displacements, style) else {
            continue;
        };
        let name = picture_name(rank, frame.pts_ns, chosen.coded_type);
        let path = options.folder.join(&name);
        let png = picture.encode_png().map_err(|error| InspectError::Write {
            path: path.clone(),
            source: std::io::Error::other(error),
        })?;
        written(&path, fs::write(&path, png))?;
        facts.pictures.push(name);
        missing.remove(&rank);
        if missing.is_empty() {
            break;
        }
    }
    facts.without_pixels = missing.len() as u64;
    Ok(facts)
}

/// `frame000123_4.920s_P.png`: display order, presentation time where the file has one, coded type.
fn picture_name(rank: u64, pts_ns: Option<u64>, coded_type: PictureType) -> String {
    match pts_ns {
        Some(pts_ns) => format!("frame{rank:06}_{:.3}s_{coded_type:?}.png", pts_ns as f64 / 1e9),
        None => format!("frame{rank:06}_{coded_type:?}.png"),
    }
}

/// Finds the frame that decoded pixels belong to: by their time where every frame has its own, else by counting.
///
/// Counting alone is not enough: a decoder leaves out pictures that it cannot decode, at the start of a stream that was cut.
enum FrameMatcher {
    ByTime(HashMap<u64, u64>),
    ByCount,
}

impl FrameMatcher {
    fn new(survey: &Survey, ranks: &[u64]) -> Self {
        let frames = survey.frames();
        let by_time: HashMap<u64, u64> = frames
            .iter()
            .zip(ranks)
            .filter_map(|(frame, &rank)| Some((frame.pts_ns?, rank)))
            .collect();
        match by_time.len() == frames.len() {
            true => Self::ByTime(by_time),
            false => Self::ByCount,
        }
    }

    fn rank_of(&self, frame: &VideoFrame) -> Option<u64> {
        match self {
            Self::ByTime(by_time) => by_time.get(&frame.pts_ns?).copied(),
            Self::ByCount => Some(frame.index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(every: Option<u32>, at_most: Option<u32>) -> OverlayOptions {
        OverlayOptions {
            folder: PathBuf::new(),
            every: every.and_then(NonZeroU32::new),
            at_most: at_most.and_then(NonZeroU32::new),
        }
    }

    #[test]
    fn pictures_are_spread_evenly_or_taken_every_so_many_frames() {
        assert_eq!(options(None, Some(4)).ranks(40), [5, 15, 25, 35]);
        assert_eq!(options(None, Some(4)).ranks(3), [0, 1, 2]);
        assert_eq!(options(None, None).ranks(1000).len(), 24);
        assert_eq!(options(Some(10), None).ranks(35), [0, 10, 20, 30]);
        assert_eq!(options(Some(10), Some(2)).ranks(35), [0, 10]);
        assert!(options(None, None).ranks(0).is_empty());
    }

    #[test]
    fn names_sort_in_display_order() {
        let name = picture_name(12, Some(480_000_000), PictureType::B);
        assert_eq!(name, "frame000012_0.480s_B.png");
        assert_eq!(picture_name(3, None, PictureType::I), "frame000003_I.png");
    }
}
