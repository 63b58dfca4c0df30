use super::{BlockMotion, CodedType, CropRect, FrameSize, MotionGrid, MotionMap, PictureFacts};
use crate::h264::annexb::nal_units;
use crate::h264::{DecodeError, FrameMotion, MotionDecoder, MotionField, PictureType, Recovery};

/// Reads what the chooser needs to know out of access units, one stream's in decoding order.
pub struct FactsReader {
    motion_size: FrameSize,
    decoder: MotionDecoder,
    // Reused from picture to picture.
    frame_motion: FrameMotion,
    grid: Option<MotionGrid>,
    last_frame_id: Option<u32>,
}

/// What is in an access unit.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitContent {
    /// A picture: a frame, both fields of one, or its first field.
    Picture(PictureFacts),
    /// The second field of the unit before.
    SecondField,
    /// No picture: parameter sets or other side information only.
    NoPicture,
}

/// What came of an access unit.
pub struct Read {
    /// What is in it; where the error says so, only until there.
    pub content: UnitContent,
    /// What is wrong with it.
    pub error: Option<ReadError>,
}

/// What is wrong with an access unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bitstream is.
    #[error(transparent)]
    Bitstream(#[from] DecodeError),
    /// It is no video.
    #[error("the access unit of {bytes} bytes has no NAL unit")]
    NoNalUnit {
        /// Its size.
        bytes: usize,
    },
    /// The demuxer did not cut the stream at its pictures.
    #[error("the access unit has {pictures} pictures; it must have one")]
    SeveralPictures {
        /// Frames in it.
        pictures: usize,
    },
}

impl ReadError {
    /// Whether the unit's picture cannot be used, nor those that refer to it.
    pub fn loses_picture(&self) -> bool {
        match self {
            Self::Bitstream(error) => error.recovery() != Recovery::SkipsNalUnit,
            Self::NoNalUnit { .. } | Self::SeveralPictures { .. } => true,
        }
    }

    /// Its kind, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoNalUnit { .. } => "no_nal_unit",
            Self::SeveralPictures { .. } => "several_pictures",
            Self::Bitstream(error) => match error {
                DecodeError::InvalidSyntaxElement { .. } => "invalid_syntax_element",
                DecodeError::Truncated { .. } => "truncated",
                DecodeError::MissingParameterSet { .. } => "missing_parameter_set",
                DecodeError::MissingMacroblocks { .. } => "missing_macroblocks",
                DecodeError::Unsupported { .. } => "unsupported",
                DecodeError::AwaitingRandomAccess { .. } => "awaiting_random_access",
            },
        }
    }
}

impl FactsReader {
    /// A reader at the beginning of a segment.
    pub fn new(motion_size: FrameSize) -> Self {
        Self {
            motion_size,
            decoder: MotionDecoder::new(),
            frame_motion: FrameMotion::default(),
            grid: None,
            last_frame_id: None,
        }
    }

    /// A new segment begins: nothing refers to what was read before.
    pub fn begin_segment(&mut self) {
        self.decoder = MotionDecoder::new();
        self.last_frame_id = None;
    }

    /// Reads one access unit (Annex B).
    pub fn read(&mut self, access_unit: &[u8]) -> Read {
        let mut pictures: Vec<(u32, PictureFacts)> = Vec::with_capacity(1);
        let (frame_motion, grid, size) = (&mut self.frame_motion, &mut self.grid, self.motion_size);
        let mut sink = |field: &MotionField<'_>| {
            let facts = facts(field, size, frame_motion, grid);
            match pictures.last_mut() {
                Some((id, first)) if *id == field.frame_id() => add_second_field(first, facts),
                _ => pictures.push((field.frame_id(), facts)),
            }
        };
        let error = self.decoder.decode(access_unit, &mut sink).err();
        let continues_last = pictures
            .first()
            .is_some_and(|(id, _)| self.last_frame_id == Some(*id));
        if let Some((id, _)) = pictures.last() {
            self.last_frame_id = Some(*id);
        }
        let mut error = error.map(ReadError::from);
        if pictures.len() > 1 {
            error = error.or(Some(ReadError::SeveralPictures {
                pictures: pictures.len(),
            }));
        }
        if pictures.is_empty() && nal_units(access_unit).next().is_none() {
            error = error.or(Some(ReadError::NoNalUnit {
                bytes: access_unit.len(),
            }));
        }
        let content = match pictures.pop() {
            None => UnitContent::NoPicture,
            Some(_) if continues_last => UnitContent::SecondField,
            Some((_, facts)) => UnitContent::Picture(facts),
        };
        Read { content, error }
    }
}

fn facts(
    field: &MotionField<'_>,
    motion_size: FrameSize,
    frame_motion: &mut FrameMotion,
    grid: &mut Option<MotionGrid>,
) -> PictureFacts {
    let header = field.header();
    let [left, top, right, bottom] = header.crop;
    let crop = CropRect {
        x: left,
        y: top,
        width: header.width.saturating_sub(left.saturating_add(right)).max(1),
        height: header.height.saturating_sub(top.saturating_add(bottom)).max(1),
    };
    let coded_type = match header.slice_types.coded_type() {
        PictureType::I => CodedType::I,
        PictureType::P => CodedType::P,
        PictureType::B => CodedType::B,
    };
    let motion = if coded_type == CodedType::I {
        MotionMap::masked()
    } else {
        field.frame_motion(frame_motion);
        let (width4, height4) = (frame_motion.width4, frame_motion.height4);
        let grid = match grid.take() {
            Some(fitting) if fitting.fits(crop, width4, height4) => grid.insert(fitting),
            _ => grid.insert(MotionGrid::new(motion_size, crop, width4, height4)),
        };
        grid.average(&BlockMotion {
            width4,
            height4,
            mv: &frame_motion.mv,
            poc_delta: &frame_motion.poc_delta,
            intra: &frame_motion.intra,
        })
    };
    PictureFacts {
        // After operation 5 the picture's own count is 0 (8.2.1), and so are those that follow it counted.
        poc: if header.mmco5 { 0 } else { header.poc },
        starts_poc_period: header.idr || header.mmco5,
        idr: header.idr,
        random_access: header.idr || header.recovery_point == Some(0),
        reference: header.nal_ref_idc != 0,
        coded_type,
        width: crop.width,
        height: crop.height,
        motion,
    }
}

/// A frame coded as two fields is one picture: its type is the first field's (the second of a key frame is often P), its
/// motion the first that is known.
fn add_second_field(first: &mut PictureFacts, second: PictureFacts) {
    first.poc = first.poc.min(second.poc);
    first.reference |= second.reference;
    if first.motion.known_cells() == 0 {
        first.motion = second.motion;
    }
}
