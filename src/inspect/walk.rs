//! A video file → its access units, with a motion decoder beside them.

use std::path::Path;

use crate::h264::{MotionDecoder, MotionField};
use crate::ingest::{AccessUnit, IngestError, Templates, UnitReader};

/// Goes through the access units of a file in coding order.
pub struct Walk {
    units: UnitReader,
    segment: Option<u64>,
    segments: u64,
    decoder: MotionDecoder,
}

impl Walk {
    /// Opens a video file.
    pub fn open(video: &Path) -> Result<Self, IngestError> {
        Ok(Self {
            units: UnitReader::open_file(video, &Templates::default())?,
            segment: None,
            segments: 0,
            decoder: MotionDecoder::new(),
        })
    }

    /// The next access unit, and the decoder that is to decode it: a fresh one in each segment, as in training.
    pub fn next(&mut self) -> Result<Option<(AccessUnit, &mut MotionDecoder)>, IngestError> {
        let Some(unit) = self.units.next().transpose()? else {
            return Ok(None);
        };
        if self.segment != Some(unit.segment) {
            self.segment = Some(unit.segment);
            self.segments += 1;
            self.decoder = MotionDecoder::new();
        }
        Ok(Some((unit, &mut self.decoder)))
    }

    /// Segments begun so far.
    pub fn segments(&self) -> u64 {
        self.segments
    }
}

/// Numbers frames in coding order: the two fields of a frame are one.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameCounter {
    last: Option<(u64, u32)>,
    frames: usize,
}

impl FrameCounter {
    /// The number of the frame that this picture belongs to, and whether it is the frame's first.
    pub fn place(&mut self, segment: u64, picture: &MotionField<'_>) -> (usize, bool) {
        let key = (segment, picture.frame_id());
        let first = self.last != Some(key);
        self.last = Some(key);
        self.frames += usize::from(first);
        (self.frames - 1, first)
    }

    /// Frames begun so far.
    pub fn frames(&self) -> usize {
        self.frames
    }
}
