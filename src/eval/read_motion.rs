//! An H.264 file → its motion maps in display order, without decoding it.

use std::path::Path;

use super::clips::ClipPlan;
use super::read::ReadError;
use crate::ingest::{Templates, UnitReader};
use crate::window::{CodedType, FactsReader, FrameSize, MotionMap, PictureFacts, SampleSpec, UnitContent};

/// The motion windows of one video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MotionWindows {
    /// `[N, F, 2, h, w]` in 1/64 pixel per frame, [`MASKED`](crate::replay::MASKED) where unknown.
    pub cells: Vec<i16>,
    /// Windows (N).
    pub windows: usize,
    /// Maps that each window lacks, because the video is shorter.
    pub missing_frames: u64,
    /// The video's own size.
    pub source_size: FrameSize,
}

/// Reads at most `windows` evenly spread windows of consecutive maps, as long as the targets of training.
pub fn read_motion(path: &Path, spec: SampleSpec, windows: u32) -> Result<MotionWindows, ReadError> {
    let pictures = pictures_in_display_order(path, spec.motion_size)?;
    let consecutive = SampleSpec {
        clip_frames: spec.target_frames,
        clip_stride: 1,
        ..spec
    };
    let plan = ClipPlan::new(consecutive, pictures.len() as u64, windows).ok_or(ReadError::Empty)?;
    let poc_per_frame = poc_step(&pictures);
    let mut cells = Vec::new();
    for number in plan.pictures() {
        pictures[number as usize]
            .1
            .motion
            .append_per_frame(spec.motion_size, poc_per_frame, &mut cells);
    }
    Ok(MotionWindows {
        cells,
        windows: plan.clips(),
        missing_frames: plan.missing_frames(),
        source_size: FrameSize {
            width: pictures[0].1.width,
            height: pictures[0].1.height,
        },
    })
}

/// Pictures with their place: the period in which counts are comparable, and the count.
type Placed = ((u32, i32), PictureFacts);

fn pictures_in_display_order(path: &Path, size: FrameSize) -> Result<Vec<Placed>, ReadError> {
    let mut reader = FactsReader::new(size);
    let (mut pictures, mut period, mut segment) = (Vec::<Placed>::new(), 0, None);
    for unit in UnitReader::open_file(path, &Templates::default())? {
        let unit = unit?;
        if segment.replace(unit.segment) != Some(unit.segment) {
            reader.begin_segment();
            period += 1;
        }
        let read = reader.read(&unit.data);
        if let Some(error) = read.error.filter(|error| error.loses_picture()) {
            return Err(ReadError::Motion {
                unit: unit.index,
                message: error.to_string(),
            });
        }
        if let UnitContent::Picture(facts) = read.content {
            period += u32::from(facts.starts_poc_period);
            pictures.push(((period, facts.poc), facts));
        }
    }
    if pictures.iter().all(|(_, facts)| facts.coded_type == CodedType::I) {
        // Not a single vector: intra-only video has nothing to say here.
        return Err(if pictures.is_empty() {
            ReadError::Empty
        } else {
            ReadError::NoMotion
        });
    }
    pictures.sort_by_key(|(place, _)| *place);
    Ok(pictures)
}

/// The commonest difference between neighbours in display order, of equally common ones the smallest.
fn poc_step(pictures: &[Placed]) -> i32 {
    let mut counts = std::collections::BTreeMap::<i32, u32>::new();
    for pair in pictures.windows(2) {
        let step = pair[1].0.1.saturating_sub(pair[0].0.1);
        if pair[0].0.0 == pair[1].0.0 && step > 0 {
            *counts.entry(step).or_default() += 1;
        }
    }
    // H.264 suggests one for each field (clause 8.2.1).
    counts
        .into_iter()
        .max_by_key(|&(step, count)| (count, -step))
        .map_or(2, |(step, _)| step)
}

/// All maps of a video: `[2, h, w]` each, in 1/64 pixel per frame.
pub fn read_all_motion(path: &Path, size: FrameSize) -> Result<Vec<Vec<i16>>, ReadError> {
    let pictures = pictures_in_display_order(path, size)?;
    let poc_per_frame = poc_step(&pictures);
    let cells = |map: &MotionMap| {
        let mut cells = Vec::with_capacity(2 * size.area());
        map.append_per_frame(size, poc_per_frame, &mut cells);
        cells
    };
    Ok(pictures.iter().map(|(_, facts)| cells(&facts.motion)).collect())
}
