//! A video file → the pictures of its clips, in bounded memory.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::clips::ClipPlan;
use crate::decode::{DecodeError, VideoReader};
use crate::ingest::IngestError;
use crate::window::{FrameSize, SampleSpec};

/// Pictures kept while a video is read, so that one of usual length is decoded once. A longer one is decoded twice: to
/// count its pictures, and to take those that its clips need.
const KEPT_BYTES: usize = 128 << 20;

/// The clips of one video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoClips {
    /// `[N, T, H, W, 3]`, one byte a component.
    pub pixels: Vec<u8>,
    /// Clips (N).
    pub clips: usize,
    /// Pictures that each clip lacks, because the video is shorter.
    pub missing_frames: u64,
    /// The video's own size: pictures are stretched to the size of stored ones.
    pub source_size: FrameSize,
}

/// Why a video gave no clips.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It cannot be opened as H.264.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Its motion cannot be read.
    #[error("access unit {unit}: {message}")]
    Motion {
        /// The unit.
        unit: u64,
        /// What is wrong with it.
        message: String,
    },
    /// It has no P or B picture.
    #[error("it has key frames only: there is no motion in the bitstream")]
    NoMotion,
    /// Its size cannot be told.
    #[error(transparent)]
    File(std::io::Error),
    /// It has a video track without pictures.
    #[error("no picture in it")]
    Empty,
    /// Two passes over it gave different pictures.
    #[error("decoded twice, it gave {first} pictures, then {second}")]
    Unsteady {
        /// Pictures of the first pass.
        first: u64,
        /// Pictures of the second.
        second: u64,
    },
}

/// Reads at most `clips` evenly spread clips, scaled to the size of stored pictures in the same way as for training.
pub fn read_clips(path: &Path, spec: SampleSpec, clips: u32) -> Result<VideoClips, ReadError> {
    let mut source_size = spec.frame_size;
    let open = || -> Result<_, DecodeError> {
        let reader = VideoReader::open(path, Some(spec.frame_size))?;
        source_size = reader.native_size();
        Ok(reader.map(|frame| frame.map(|frame| frame.pixels)))
    };
    let (plan, pixels) = collect_clips(open, spec, clips, KEPT_BYTES)?;
    Ok(VideoClips {
        pixels,
        clips: plan.clips(),
        missing_frames: plan.missing_frames(),
        source_size,
    })
}

/// Reads one clip that begins `part` (0..1) of the way from the first possible place to the last, for training on labels.
pub fn read_clip_at(path: &Path, spec: SampleSpec, part: f64) -> Result<VideoClips, ReadError> {
    let mut source_size = spec.frame_size;
    let open = || -> Result<_, DecodeError> {
        let reader = VideoReader::open(path, Some(spec.frame_size))?;
        source_size = reader.native_size();
        Ok(reader.map(|frame| frame.map(|frame| frame.pixels)))
    };
    let (plan, pixels) = collect(open, spec, KEPT_BYTES, |pictures| {
        ClipPlan::at(spec, pictures, part)
    })?;
    Ok(VideoClips {
        pixels,
        clips: plan.clips(),
        missing_frames: plan.missing_frames(),
        source_size,
    })
}

fn collect_clips<P>(
    open: impl FnMut() -> Result<P, DecodeError>,
    spec: SampleSpec,
    clips: u32,
    kept_bytes: usize,
) -> Result<(ClipPlan, Vec<u8>), ReadError>
where
    P: Iterator<Item = Result<Vec<u8>, DecodeError>>,
{
    collect(open, spec, kept_bytes, |pictures| {
        ClipPlan::new(spec, pictures, clips)
    })
}

fn collect<P>(
    mut open: impl FnMut() -> Result<P, DecodeError>,
    spec: SampleSpec,
    kept_bytes: usize,
    plan: impl FnOnce(u64) -> Option<ClipPlan>,
) -> Result<(ClipPlan, Vec<u8>), ReadError>
where
    P: Iterator<Item = Result<Vec<u8>, DecodeError>>,
{
    let picture_bytes = 3 * spec.frame_size.width as usize * spec.frame_size.height as usize;
    let keep_at_most = kept_bytes / picture_bytes.max(1);
    let mut kept = HashMap::new();
    let mut pictures = 0_u64;
    for picture in open()? {
        let picture = picture?;
        match pictures {
            number if number < keep_at_most as u64 => {
                kept.insert(number, picture);
            }
            number if number == keep_at_most as u64 => kept.clear(),
            _ => {}
        }
        pictures += 1;
    }
    let plan = plan(pictures).ok_or(ReadError::Empty)?;
    if pictures > keep_at_most as u64 {
        let wanted: HashSet<u64> = plan.pictures().collect();
        let mut again = 0;
        for picture in open()? {
            let picture = picture?;
            if wanted.contains(&again) {
                kept.insert(again, picture);
            }
            again += 1;
        }
        if again != pictures {
            return Err(ReadError::Unsteady {
                first: pictures,
                second: again,
            });
        }
    }
    let mut pixels = Vec::with_capacity(plan.clips() * spec.clip_frames as usize * picture_bytes);
    for number in plan.pictures() {
        // Every picture of the plan was read: it plans no others than the video has.
        let picture = kept.get(&number).ok_or(ReadError::Empty)?;
        pixels.extend_from_slice(picture);
    }
    Ok((plan, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: SampleSpec = SampleSpec {
        clip_frames: 4,
        clip_stride: 2,
        target_offset: 1,
        target_frames: 1,
        hard_negatives: 0,
        key_frame_margin: 0,
        frame_size: FrameSize { width: 1, height: 1 },
        motion_size: FrameSize { width: 1, height: 1 },
    };

    fn numbered(pictures: u8) -> impl Iterator<Item = Result<Vec<u8>, DecodeError>> {
        (0..pictures).map(|number| Ok(vec![number; 3]))
    }

    #[test]
    fn a_long_video_gives_the_same_clips_as_if_it_were_kept_whole() {
        for pictures in [1, 5, 7, 8, 40] {
            let mut passes = 0;
            let mut read = |kept_pictures: usize| {
                let open = || {
                    passes += 1;
                    Ok(numbered(pictures))
                };
                collect_clips(open, SPEC, 3, 3 * kept_pictures).unwrap()
            };
            let whole = read(40);
            assert_eq!(read(usize::from(pictures)), whole, "just fits");
            for kept_pictures in [0, 4] {
                assert_eq!(
                    read(kept_pictures),
                    whole,
                    "{pictures} pictures, {kept_pictures} kept"
                );
            }
            assert!(passes >= 5, "videos that are not kept are read twice");
        }
        let (plan, pixels) = collect_clips(|| Ok(numbered(40)), SPEC, 2, 0).unwrap();
        assert_eq!(plan.clips(), 2);
        let numbers: Vec<u8> = pixels.chunks(3).map(|picture| picture[0]).collect();
        assert_eq!(numbers, [0, 2, 4, 6, 33, 35, 37, 39]);
    }

    #[test]
    fn a_video_that_shrinks_between_passes_is_refused() {
        let mut passes = [40, 30].into_iter();
        let open = || Ok(numbered(passes.next().unwrap()));
        let result = collect_clips(open, SPEC, 2, 0);
        assert!(
            matches!(result, Err(ReadError::Unsteady { first: 40, .. })),
            "{result:?}"
        );
    }

    #[test]
    fn a_video_without_pictures_is_refused() {
        let result = collect_clips(|| Ok(numbered(0)), SPEC, 2, 100);
        assert!(matches!(result, Err(ReadError::Empty)));
    }
}
