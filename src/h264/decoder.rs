//! The decoder: NAL units in, coded pictures out.

use std::sync::Arc;

use super::annexb::nal_units;
use super::bits::BitReader;
use super::dpb::{BOTTOM, Dpb, FRAME, MAX_REF_FRAMES, TOP};
use super::error::{DecodeError, NalKind, SyntaxError};
use super::motion::{BYTES_PER_MACROBLOCK, PictureMotion};
use super::motion_field::MotionField;
use super::nal::{NalHeader, nal_unit_type as nut, unescape};
use super::poc::PocState;
use super::pps::Pps;
use super::ref_lists::{ListBuilder, MISSING, RefLists};
use super::slice_data::Scratch;
use super::slice_header::{SliceHeader, SliceStart};
use super::sps::Sps;

/// Receives every coded picture, in decoding order.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&MotionField<'_>);

/// One stream's decoder state: parameter sets, reference pictures with their motion and order counts, no pixels.
///
/// Memory is bounded: motion takes [`BYTES_PER_MACROBLOCK`] (145) bytes a macroblock, and at most
/// [`MAX_FRAMES`](MotionDecoder::MAX_FRAMES) (18) frames of it are held: 16 reference frames, the picture under way and a
/// spare one. That is 21 MB at 1080p and 363 MB at the largest size of level 6.2. To that come 32 SPS and 256 PPS (140 kB
/// each at most, if they map slice groups one by one) and twice the largest NAL unit.
/// [`memory_bytes`](MotionDecoder::memory_bytes) tells how much it is now.
#[derive(Default)]
pub struct MotionDecoder {
    pub(super) sps: Vec<Option<Arc<Sps>>>,
    pub(super) pps: Vec<Option<Arc<Pps>>>,
    pub(super) dpb: Dpb,
    pub(super) poc: PocState,
    pub(super) current: Option<CurrentPicture>,
    pub(super) first_field: Option<FirstField>,
    /// PrevRefFrameNum; `None` at the beginning of a sequence, where no gap is inferred.
    pub(super) prev_ref_frame_num: Option<u32>,
    pub(super) last_id: u32,
    /// After an error: pictures are skipped until the next random access point.
    pub(super) waiting: bool,
    /// Slice header of the last skipped slice, to count skipped pictures.
    pub(super) skipped_header: Option<SliceHeader>,
    /// recovery_frame_cnt of this access unit.
    pub(super) recovery_point: Option<u32>,
    /// Size in macroblocks and field coding of the frames in the DPB.
    pub(super) format: Option<(u32, u32, bool)>,
    pub(super) header: SliceHeader,
    pub(super) lists: RefLists,
    pub(super) builder: ListBuilder,
    pub(super) scratch: Scratch,
    pub(super) group_map: Vec<u8>,
    /// What `group_map` was made from: parameter sets, slice_group_change_cycle, structure.
    pub(super) group_map_key: Option<(Arc<Sps>, Arc<Pps>, u32, u8)>,
    pub(super) rbsp: Vec<u8>,
}

/// The picture that slices are being decoded into.
pub(super) struct CurrentPicture {
    pub(super) motion: Box<PictureMotion>,
    pub(super) sps: Arc<Sps>,
    /// Header of its first slice.
    pub(super) header: SliceHeader,
    pub(super) id: u32,
    pub(super) structure: u8,
    pub(super) poc: [i32; 2],
    /// It is the second field of a frame.
    pub(super) second_field: bool,
}

/// A field whose frame's other field may come next.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstField {
    pub(super) id: u32,
    pub(super) structure: u8,
    pub(super) frame_num: u32,
    pub(super) reference: bool,
    pub(super) idr: bool,
}

/// What went wrong and what was skipped during one call.
#[derive(Default)]
pub(super) struct Outcome {
    error: Option<DecodeError>,
    pub(super) skipped: u32,
}

impl Outcome {
    /// The first error counts.
    pub(super) fn fail(&mut self, error: DecodeError) {
        self.error.get_or_insert(error);
    }

    fn result(self) -> Result<(), DecodeError> {
        match (self.error, self.skipped) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(()),
            (None, pictures) => Err(DecodeError::AwaitingRandomAccess { pictures }),
        }
    }
}

impl MotionDecoder {
    /// A decoder at the beginning of a stream. Decoding starts with the first picture, whatever it is.
    pub fn new() -> MotionDecoder {
        MotionDecoder::default()
    }

    /// Decodes one access unit (Annex B, start codes of three or four bytes): one frame, one field or both fields
    /// of a frame. `sink` is called once per coded picture, in decoding order.
    ///
    /// # Errors
    /// The first error found; [`DecodeError::recovery`] says what the decoder does next. Pictures in which an error
    /// was found are still given to `sink`, with [`lost`](super::MbFlags::lost) macroblocks. After an error in
    /// slices, pictures are skipped until the next IDR picture or recovery point.
    pub fn decode(&mut self, access_unit: &[u8], sink: Sink<'_>) -> Result<(), DecodeError> {
        let mut outcome = Outcome::default();
        self.recovery_point = None;
        for nal in nal_units(access_unit) {
            let Some(header) = NalHeader::parse(nal) else {
                let error = SyntaxError::invalid("forbidden_zero_bit", 1);
                outcome.fail(error.at(NalKind::Other(nal.first().map_or(0, |b| b & 31)), 0));
                continue;
            };
            match header.nal_unit_type {
                nut::SLICE | nut::IDR_SLICE | nut::PARTITION_A => {
                    self.slice_nal(nal, header, &mut outcome, sink)
                }
                nut::SPS => self.sps_nal(nal, &mut outcome),
                nut::PPS => self.pps_nal(nal, &mut outcome),
                nut::SEI => self.sei_nal(nal),
                nut::END_OF_SEQUENCE => {
                    self.finish_picture(&mut outcome, sink);
                }
                _ => {}
            }
        }
        self.finish_picture(&mut outcome, sink);
        outcome.result()
    }

    /// Ends the stream: finishes a picture still open.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn flush(&mut self, sink: Sink<'_>) -> Result<(), DecodeError> {
        let mut outcome = Outcome::default();
        self.finish_picture(&mut outcome, sink);
        self.first_field = None;
        outcome.result()
    }

    /// Most frames' motion that is ever held.
    pub const MAX_FRAMES: usize = MAX_REF_FRAMES + 2;

    /// Heap memory held now, in bytes, without what the parameter sets take.
    pub fn memory_bytes(&self) -> usize {
        let current = self.current.as_ref().map_or(0, |c| c.motion.bytes());
        self.dpb.bytes() + current + self.rbsp.capacity() + self.group_map.capacity() + self.scratch.bytes()
    }

    /// Panics if the state is inconsistent, for fuzzing: the reference pictures' number, sizes and marks, the bounds of
    /// the reference lists, the bound of memory, no picture open between calls.
    pub fn check_invariants(&self) {
        self.dpb.check_invariants();
        assert!(self.current.is_none(), "a picture is open between calls");
        assert!(self.sps.len() <= 32 && self.pps.len() <= 256);
        let (width, height, _) = self.format.unwrap_or_default();
        assert_eq!(
            self.dpb.frame_bytes,
            (width * height) as usize * BYTES_PER_MACROBLOCK
        );
        assert!(self.group_map.len() <= (width * height) as usize);
        for (list, &len) in self.lists.entries.iter().zip(&self.lists.len) {
            assert!(len <= list.len(), "a list of {len} entries");
            for entry in list {
                let missing = entry.code == MISSING;
                assert!(missing || usize::from(entry.code >> 2) < MAX_REF_FRAMES);
                assert!(missing || entry.code & FRAME != 0, "an entry without a field");
            }
        }
        if let Some(first) = self.first_field {
            assert!(first.structure == TOP || first.structure == BOTTOM);
        }
    }

    fn slice_nal(&mut self, nal: &[u8], header: NalHeader, outcome: &mut Outcome, sink: Sink<'_>) {
        let kind = if header.nal_unit_type == nut::PARTITION_A {
            NalKind::DataPartition
        } else {
            NalKind::Slice
        };
        let mut rbsp = std::mem::take(&mut self.rbsp);
        unescape(nal, &mut rbsp);
        let mut r = BitReader::new(&rbsp);
        if let Err(error) = self.slice(&mut r, header, outcome, sink) {
            let error = error.at(kind, r.position());
            if !self.waiting {
                outcome.fail(error);
                self.waiting = true;
            }
        }
        self.rbsp = rbsp;
    }

    /// Decodes a slice's NAL unit.
    fn slice(
        &mut self,
        r: &mut BitReader<'_>,
        nal: NalHeader,
        outcome: &mut Outcome,
        sink: Sink<'_>,
    ) -> Result<(), SyntaxError> {
        let start = SliceStart::parse(r)?;
        let missing = |set, id| SyntaxError::MissingSet { set, id };
        let pps_id = start.pic_parameter_set_id;
        let pps = self
            .pps
            .get(pps_id as usize)
            .cloned()
            .flatten()
            .ok_or(missing(NalKind::Pps, pps_id))?;
        let sps_id = pps.seq_parameter_set_id;
        let sps = self
            .sps
            .get(sps_id as usize)
            .cloned()
            .flatten()
            .ok_or(missing(NalKind::Sps, sps_id))?;
        self.header.parse(r, start, nal, &sps, &pps)?;
        if self.header.redundant_pic_cnt > 0 || self.header.colour_plane_id != 0 {
            return Ok(());
        }
        let new_picture = self
            .current
            .as_ref()
            .is_none_or(|c| self.header.begins_new_picture(&c.header));
        if new_picture {
            self.finish_picture(outcome, sink);
            if !self.may_start(outcome) {
                return Ok(());
            }
            self.begin_picture(sps);
        }
        self.decode_slice(r, &pps)
    }

    /// While waiting, only a random access point may start decoding.
    fn may_start(&mut self, outcome: &mut Outcome) -> bool {
        if !self.waiting {
            return true;
        }
        if self.header.idr() || self.recovery_point.is_some() {
            self.waiting = false;
            self.skipped_header = None;
            self.dpb.clear();
            self.poc = PocState::default();
            self.prev_ref_frame_num = None;
            self.first_field = None;
            return true;
        }
        if self
            .skipped_header
            .as_ref()
            .is_none_or(|last| self.header.begins_new_picture(last))
        {
            outcome.skipped += 1;
        }
        self.skipped_header = Some(self.header.clone());
        false
    }

    pub(super) fn new_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.last_id
    }
}
