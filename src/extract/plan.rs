//! The first pass over a video: how many frames there are, of what size, and in which order they are shown.

use std::path::Path;

use super::ExtractError;
use super::rows::count_rows;
use crate::h264::{MotionField, PictureType};
use crate::inspect::survey::{Survey, UnitFacts};
use crate::inspect::walk::Walk;

/// Size of a frame, as far as it is shown, on the grid of 4x4 blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Luma samples cropped from the coded frame: left, top, right, bottom.
    pub crop: [u32; 4],
    /// Luma samples of the coded frame: width, height.
    pub coded: [u32; 2],
    /// Blocks in a row: those that are at least partly left of the right crop.
    pub columns: usize,
    /// Rows of blocks.
    pub rows: usize,
}

impl Grid {
    pub fn of(picture: &MotionField<'_>) -> Grid {
        let header = picture.header();
        let [_, _, right, bottom] = header.crop;
        Grid {
            crop: header.crop,
            coded: [header.width, header.height],
            columns: header.width.saturating_sub(right).div_ceil(4).max(1) as usize,
            rows: header.height.saturating_sub(bottom).div_ceil(4).max(1) as usize,
        }
    }

    /// Luma samples of the picture that is shown: width, height.
    pub fn shown(&self) -> [u32; 2] {
        let [left, top, right, bottom] = self.crop;
        let [width, height] = self.coded;
        [
            width.saturating_sub(left + right),
            height.saturating_sub(top + bottom),
        ]
    }
}

/// A stretch of frames of one size. Most videos have one.
pub struct Part {
    pub grid: Grid,
    /// Place in display order of each frame, in coding order.
    pub ranks: Vec<u64>,
    /// Type of each frame, in coding order.
    pub types: Vec<PictureType>,
    /// Presentation time of each frame, in coding order.
    pub pts_ns: Vec<Option<u64>>,
    /// Picture order counts from one frame to the next.
    pub poc_per_frame: i32,
    /// Rows that the other package's layout has for each frame, in coding order.
    pub rows: Vec<u32>,
}

/// What the first pass found.
pub struct Plan {
    pub parts: Vec<Part>,
    /// Units in which something was wrong.
    pub errors: u64,
    /// The first of these errors.
    pub first_error: Option<String>,
}

struct Open {
    grid: Grid,
    survey: Survey,
    rows: Vec<u32>,
}

impl Open {
    fn close(self) -> Part {
        let frames = self.survey.frames();
        Part {
            grid: self.grid,
            ranks: self.survey.ranks(),
            types: frames.iter().map(|frame| frame.coded_type).collect(),
            pts_ns: frames.iter().map(|frame| frame.pts_ns).collect(),
            poc_per_frame: self.survey.poc_per_frame(),
            rows: self.rows,
        }
    }
}

impl Plan {
    /// Goes through the video once; `progress` is told of each access unit.
    pub fn of(video: &Path, progress: &dyn Fn()) -> Result<Plan, ExtractError> {
        let mut walk = Walk::open(video)?;
        let mut parts: Vec<Part> = Vec::new();
        let mut open: Option<Open> = None;
        let mut frames = FrameCount::default();
        let (mut units, mut errors, mut first_error) = (0, 0, None);
        while let Some((unit, decoder)) = walk.next()? {
            let (segment, bytes, pts_ns) = (unit.segment, unit.data.len() as u64, unit.pts_ns);
            let facts = UnitFacts {
                segment,
                bytes,
                pts_ns,
            };
            let mut first_of_unit = true;
            let result = decoder.decode(&unit.data, &mut |picture| {
                let grid = Grid::of(picture);
                if open.as_ref().is_none_or(|part| part.grid != grid) {
                    parts.extend(open.take().map(Open::close));
                }
                let part = open.get_or_insert_with(|| Open {
                    grid,
                    survey: Survey::default(),
                    rows: Vec::new(),
                });
                part.survey
                    .add_picture(picture.header(), picture.frame_id(), facts, first_of_unit);
                first_of_unit = false;
                let rows = count_rows(picture);
                match part.rows.last_mut() {
                    Some(last) if !frames.begins(segment, picture) => *last += rows,
                    _ => part.rows.push(rows),
                }
            });
            units += 1;
            if let Err(error) = result {
                errors += 1;
                first_error.get_or_insert_with(|| format!("access unit {}: {error}", unit.index));
            }
            progress();
        }
        parts.extend(open.map(Open::close));
        if parts.is_empty() {
            return Err(ExtractError::NoPicture {
                video: video.to_owned(),
                access_units: units,
                first: first_error.unwrap_or_default(),
            });
        }
        Ok(Plan {
            parts,
            errors,
            first_error,
        })
    }
}

/// Tells frames from second fields.
#[derive(Default)]
pub struct FrameCount {
    last: Option<(u64, u32)>,
}

impl FrameCount {
    /// This picture is not the second field of the frame before.
    pub fn begins(&mut self, segment: u64, picture: &MotionField<'_>) -> bool {
        let key = Some((segment, picture.frame_id()));
        std::mem::replace(&mut self.last, key) != key
    }
}
