//! Headers of all pictures → the list of frames, and figures about it. Pure.

use super::gops::{CodedFrame, Entry, GopFacts};
use super::order::{Place, display_ranks, reorder_depth};
use super::report::{BitFacts, PictureFacts};
use crate::h264::{PictureHeader, PictureStructure, PictureType};

/// One frame, or a pair of fields, in coding order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameRecord {
    place: Place,
    entry: Entry,
    reference: bool,
    bits: u64,
    /// The most general type of its pictures.
    pub coded_type: PictureType,
    /// Presentation time of its first access unit.
    pub pts_ns: Option<u64>,
}

/// The access unit that a picture comes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnitFacts {
    /// The segment that it belongs to.
    pub segment: u64,
    /// Its compressed size, with everything in it.
    pub bytes: u64,
    /// Presentation time.
    pub pts_ns: Option<u64>,
}

/// Which frame a picture belongs to: a segment, and the motion decoder's number within it.
type FrameKey = (u64, u32);

/// Gathers what headers say, picture by picture in coding order.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    frames: Vec<FrameRecord>,
    pictures: PictureFacts,
    last_frame: Option<FrameKey>,
    epoch: u32,
    mbaff: bool,
}

impl Survey {
    /// Takes note of an access unit, before its pictures.
    pub fn add_unit(&mut self) {
        self.pictures.access_units += 1;
    }

    /// Takes note of a picture. Of an access unit with two pictures, the first is charged with all bytes.
    pub fn add_picture(
        &mut self,
        header: &PictureHeader,
        frame_id: u32,
        unit: UnitFacts,
        first_of_unit: bool,
    ) {
        let key = (unit.segment, frame_id);
        let bits = if first_of_unit { 8 * unit.bytes } else { 0 };
        let coded_type = header.slice_types.coded_type();
        let pictures = &mut self.pictures;
        pictures.min_slices = match pictures.frames {
            0 => header.slices,
            _ => pictures.min_slices.min(header.slices),
        };
        pictures.max_slices = pictures.max_slices.max(header.slices);
        pictures.idr += u64::from(header.idr);
        pictures.recovery_points += u64::from(header.recovery_point.is_some() && !header.idr);
        let field = matches!(
            header.structure,
            PictureStructure::TopField | PictureStructure::BottomField
        );
        pictures.fields += u64::from(field);
        self.mbaff |= header.structure == PictureStructure::Mbaff;
        if self.last_frame == Some(key)
            && let Some(frame) = self.frames.last_mut()
        {
            // The second field of a frame: its poc is that of the frame if it is the smaller.
            frame.place.poc = frame.place.poc.min(header.poc);
            frame.coded_type = frame.coded_type.max(coded_type);
            frame.reference |= header.nal_ref_idc > 0;
            frame.bits += bits;
            return;
        }
        let new_segment = self.last_frame.is_none_or(|(segment, _)| segment != unit.segment);
        self.last_frame = Some(key);
        // After operation 5 a frame counts as if its own count were 0 (clause 8.2.1).
        let poc = if header.mmco5 { 0 } else { header.poc };
        self.epoch += u32::from(header.idr || header.mmco5 || new_segment);
        pictures.frames += 1;
        self.frames.push(FrameRecord {
            place: Place {
                epoch: self.epoch,
                poc,
            },
            entry: match header.recovery_point {
                _ if header.idr => Entry::Idr,
                Some(_) => Entry::RecoveryPoint,
                None => Entry::None,
            },
            reference: header.nal_ref_idc > 0,
            bits,
            coded_type,
            pts_ns: unit.pts_ns,
        });
    }

    /// Frames in coding order.
    pub fn frames(&self) -> &[FrameRecord] {
        &self.frames
    }

    /// Position in display order of each frame.
    pub fn ranks(&self) -> Vec<u64> {
        let places: Vec<Place> = self.frames.iter().map(|frame| frame.place).collect();
        display_ranks(&places)
    }

    /// How much the picture order count rises from one frame to the next: the commonest difference between neighbours in
    /// display order, of equally common ones the smallest. Nothing in the stream says so.
    pub fn poc_per_frame(&self) -> i32 {
        let mut places: Vec<Place> = self.frames.iter().map(|frame| frame.place).collect();
        places.sort_by_key(|place| (place.epoch, place.poc));
        let mut counts = std::collections::BTreeMap::<i32, u64>::new();
        for pair in places.windows(2) {
            let step = pair[1].poc.saturating_sub(pair[0].poc);
            if pair[0].epoch == pair[1].epoch && step > 0 {
                *counts.entry(step).or_default() += 1;
            }
        }
        // H.264 suggests one for each field (clause 8.2.1).
        let commonest = counts.into_iter().max_by_key(|&(step, count)| (count, -step));
        commonest.map_or(2, |(step, _)| step)
    }

    /// Counts of pictures.
    pub fn picture_facts(&self) -> PictureFacts {
        let of_type = |wanted| {
            self.frames
                .iter()
                .filter(|frame| frame.coded_type == wanted)
                .count() as u64
        };
        PictureFacts {
            i: of_type(PictureType::I),
            p: of_type(PictureType::P),
            b: of_type(PictureType::B),
            ..self.pictures
        }
    }

    /// How lines were scanned.
    pub fn scan(&self) -> &'static str {
        match (self.pictures.fields > 0, self.mbaff) {
            (false, false) => "progressive",
            (true, false) => "fields",
            (false, true) => "mbaff",
            (true, true) => "fields+mbaff",
        }
    }

    /// Groups of pictures.
    pub fn gop_facts(&self) -> GopFacts {
        let coded: Vec<CodedFrame> = self
            .frames
            .iter()
            .zip(self.ranks())
            .map(|(frame, rank)| CodedFrame {
                entry: frame.entry,
                rank,
            })
            .collect();
        GopFacts::of(&coded)
    }

    /// Most frames that a decoder has to hold back.
    pub fn reorder_depth(&self) -> usize {
        reorder_depth(&self.ranks())
    }

    /// B frames that may be referred to, and frames of any type that may not.
    pub fn reference_counts(&self) -> (u64, u64) {
        let count =
            |wanted: fn(&FrameRecord) -> bool| self.frames.iter().filter(|f| wanted(f)).count() as u64;
        (
            count(|frame| frame.coded_type == PictureType::B && frame.reference),
            count(|frame| !frame.reference),
        )
    }

    /// From the first frame's time to the last one's, plus one frame of the nominal rate or else of the mean length.
    pub fn duration_seconds(&self, frame_rate: Option<[u32; 2]>) -> Option<f64> {
        let times = || self.frames.iter().filter_map(|frame| frame.pts_ns);
        let (first, last) = (times().min()?, times().max()?);
        let between = (last - first) as f64 / 1e9;
        let frame = match frame_rate {
            Some([frames, seconds]) => f64::from(seconds) / f64::from(frames.max(1)),
            None => between / (times().count().max(2) - 1) as f64,
        };
        Some(between + frame)
    }

    /// Compressed sizes.
    pub fn bit_facts(&self, duration_seconds: Option<f64>) -> BitFacts {
        let mean = |wanted: &dyn Fn(&FrameRecord) -> bool| {
            let (bits, frames) = self
                .frames
                .iter()
                .filter(|frame| wanted(frame))
                .fold((0, 0_u64), |(bits, frames), frame| {
                    (bits + frame.bits, frames + 1)
                });
            (frames > 0).then(|| bits as f64 / frames as f64)
        };
        let of_type = |wanted| mean(&|frame: &FrameRecord| frame.coded_type == wanted);
        let all: u64 = self.frames.iter().map(|frame| frame.bits).sum();
        BitFacts {
            per_frame: mean(&|_| true).unwrap_or(0.0),
            per_i: of_type(PictureType::I),
            per_p: of_type(PictureType::P),
            per_b: of_type(PictureType::B),
            rate: duration_seconds
                .filter(|&seconds| seconds > 0.0)
                .map(|seconds| all as f64 / seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::{SliceType, SliceTypes};

    fn header(slice_type: SliceType, poc: i32) -> PictureHeader {
        let mut slice_types = SliceTypes::default();
        slice_types.insert(slice_type);
        PictureHeader {
            slice_types,
            poc,
            slices: 1,
            nal_ref_idc: 1,
            ..PictureHeader::default()
        }
    }

    fn unit(bytes: u64, pts_ms: u64) -> UnitFacts {
        UnitFacts {
            segment: 0,
            bytes,
            pts_ns: Some(pts_ms * 1_000_000),
        }
    }

    /// IDR, P, B that is no reference: 25 frames a second.
    fn short_stream() -> Survey {
        let mut survey = Survey::default();
        let idr = PictureHeader {
            idr: true,
            ..header(SliceType::I, 0)
        };
        let b = PictureHeader {
            nal_ref_idc: 0,
            ..header(SliceType::B, 2)
        };
        survey.add_picture(&idr, 1, unit(100, 0), true);
        survey.add_picture(&header(SliceType::P, 4), 2, unit(50, 80), true);
        survey.add_picture(&b, 3, unit(10, 40), true);
        survey
    }

    #[test]
    fn frames_are_counted_by_type_and_their_bits_are_averaged() {
        let survey = short_stream();
        let facts = survey.picture_facts();
        assert_eq!(
            (facts.frames, facts.i, facts.p, facts.b, facts.idr),
            (3, 1, 1, 1, 1)
        );
        assert_eq!(survey.ranks(), [0, 2, 1]);
        assert_eq!((survey.poc_per_frame(), survey.reorder_depth()), (2, 1));
        assert_eq!(survey.reference_counts(), (0, 1));
        let seconds = survey.duration_seconds(Some([25, 1])).unwrap();
        assert!((seconds - 0.12).abs() < 1e-9);
        let bits = survey.bit_facts(Some(seconds));
        assert_eq!(
            (bits.per_i, bits.per_p, bits.per_b),
            (Some(800.0), Some(400.0), Some(80.0))
        );
        assert!((bits.rate.unwrap() - 1280.0 / 0.12).abs() < 1e-6);
    }

    #[test]
    fn two_fields_are_one_frame_of_the_more_general_type() {
        let mut survey = Survey::default();
        let field = |slice_type, structure, poc| PictureHeader {
            structure,
            ..header(slice_type, poc)
        };
        let top = field(SliceType::I, PictureStructure::TopField, 0);
        let bottom = field(SliceType::P, PictureStructure::BottomField, 1);
        survey.add_picture(&top, 7, unit(30, 0), true);
        survey.add_picture(&bottom, 7, unit(20, 0), true);
        let facts = survey.picture_facts();
        assert_eq!((facts.frames, facts.fields, facts.i, facts.p), (1, 2, 0, 1));
        assert_eq!(survey.bit_facts(None).per_frame, 400.0);
        assert_eq!(survey.scan(), "fields");
    }

    #[test]
    fn counts_that_start_anew_without_an_idr_picture_keep_the_order() {
        let mut survey = short_stream();
        let reset = PictureHeader {
            mmco5: true,
            ..header(SliceType::P, 6)
        };
        survey.add_picture(&reset, 4, unit(10, 120), true);
        survey.add_picture(&header(SliceType::P, 2), 5, unit(10, 160), true);
        assert_eq!(survey.ranks(), [0, 2, 1, 3, 4]);
        assert_eq!(survey.gop_facts().count, 1);
    }

    #[test]
    fn a_new_segment_starts_frames_anew() {
        let mut survey = short_stream();
        let next = UnitFacts {
            segment: 1,
            ..unit(10, 200)
        };
        survey.add_picture(&header(SliceType::P, 0), 3, next, true);
        assert_eq!(
            survey.frames().len(),
            4,
            "the same number in another segment is another frame"
        );
        assert_eq!(survey.ranks(), [0, 2, 1, 3]);
    }
}
