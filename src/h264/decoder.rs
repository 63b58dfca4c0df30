//! The decoder: NAL units in, coded pictures out.

use std::sync::Arc;

use super::annexb::nal_units;
use super::bits::BitReader;
use super::dpb::{BOTTOM, Dpb, FRAME, MAX_REF_FRAMES, Marking, TOP};
use super::error::{DecodeError, NalKind, SyntaxError};
use super::motion::{
    BYTES_PER_MACROBLOCK, MotionField, PictureHeader, PictureMotion, PictureStructure, Slot, Timing,
};
use super::nal::{NalHeader, nal_unit_type as nut, unescape};
use super::poc::PocState;
use super::pps::Pps;
use super::ref_lists::{ListBuilder, MISSING, RefLists, order_cnt_of};
use super::slice_data::Scratch;
use super::slice_header::{SliceHeader, SliceStart};
use super::sps::Sps;

/// Receives every coded picture, in decoding order.
type Sink<'s> = &'s mut dyn FnMut(&MotionField<'_>);

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
struct Outcome {
    error: Option<DecodeError>,
    skipped: u32,
}

impl Outcome {
    /// The first error counts.
    fn fail(&mut self, error: DecodeError) {
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

    fn sps_nal(&mut self, nal: &[u8], outcome: &mut Outcome) {
        unescape(nal, &mut self.rbsp);
        let mut r = BitReader::new(&self.rbsp);
        match Sps::parse(&mut r) {
            Ok(sps) => {
                let id = sps.seq_parameter_set_id as usize;
                self.sps.resize(32, None);
                if self.sps[id].as_deref() != Some(&sps) {
                    self.sps[id] = Some(Arc::new(sps));
                }
            }
            Err(error) => outcome.fail(error.at(NalKind::Sps, r.position())),
        }
    }

    fn pps_nal(&mut self, nal: &[u8], outcome: &mut Outcome) {
        unescape(nal, &mut self.rbsp);
        let mut r = BitReader::new(&self.rbsp);
        match Pps::parse(&mut r) {
            Ok(pps) => {
                let id = pps.pic_parameter_set_id as usize;
                self.pps.resize(256, None);
                if self.pps[id].as_deref() != Some(&pps) {
                    self.pps[id] = Some(Arc::new(pps));
                }
            }
            Err(error) => outcome.fail(error.at(NalKind::Pps, r.position())),
        }
    }

    /// Looks for a recovery point SEI message (D.1.8).
    fn sei_nal(&mut self, nal: &[u8]) {
        unescape(nal, &mut self.rbsp);
        let end = self.rbsp.len() - super::bits::PADDING;
        let mut at = 0;
        let number = |at: &mut usize| {
            let mut value = 0usize;
            while *at < end {
                let byte = self.rbsp[*at];
                *at += 1;
                value += usize::from(byte);
                if byte != 255 {
                    break;
                }
            }
            value
        };
        while at + 2 < end {
            let payload_type = number(&mut at);
            let size = number(&mut at);
            if payload_type == 6 && at < end {
                let mut r = BitReader::new(&self.rbsp[at..]);
                self.recovery_point = Some(r.ue());
                return;
            }
            at += size;
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

    fn new_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.last_id
    }

    /// The first field that the picture of `self.header` completes.
    fn paired_with(&mut self) -> Option<FirstField> {
        let sh = &self.header;
        self.first_field.take().filter(|first| {
            sh.field_pic_flag
                && sh.structure() != first.structure
                && sh.frame_num == first.frame_num
                && (sh.nal_ref_idc != 0) == first.reference
                && (!sh.idr() || first.idr)
        })
    }

    fn begin_picture(&mut self, sps: Arc<Sps>) {
        let format = (
            sps.pic_width_in_mbs,
            sps.frame_height_in_mbs(),
            sps.frame_mbs_only_flag,
        );
        if self.format != Some(format) {
            self.dpb.clear();
            self.dpb.drop_pool();
            self.dpb.frame_bytes = (format.0 * format.1) as usize * BYTES_PER_MACROBLOCK;
            self.group_map.clear();
            self.group_map_key = None;
            self.first_field = None;
            if self.format.is_some() {
                self.prev_ref_frame_num = None;
            }
            self.format = Some(format);
        }
        let first = self.paired_with();
        if first.is_none() {
            self.fill_gap(&sps);
        }
        let poc = self.poc.decode(&sps, &self.header);
        let structure = self.header.structure();
        let id = match first {
            Some(first) => first.id,
            None => self.new_id(),
        };
        let height = sps.frame_height_in_mbs() >> u32::from(structure != FRAME);
        let mut motion = self.dpb.take_buffer((sps.pic_width_in_mbs * height) as usize);
        motion.reset(sps.pic_width_in_mbs as usize, height as usize);
        motion.slots = [Slot::default(); MAX_REF_FRAMES];
        for (slot, frame) in motion.slots.iter_mut().zip(&self.dpb.frames) {
            *slot = Slot {
                id: frame.id,
                poc: frame.poc,
            };
        }
        motion.header = self.picture_header(&sps, structure, poc, height);
        let header = self.header.clone();
        let second_field = first.is_some();
        self.current = Some(CurrentPicture {
            motion,
            sps,
            header,
            id,
            structure,
            poc,
            second_field,
        });
    }

    fn picture_header(&self, sps: &Sps, structure: u8, poc: [i32; 2], height_mbs: u32) -> PictureHeader {
        let sh = &self.header;
        PictureHeader {
            structure: match structure {
                TOP => PictureStructure::TopField,
                BOTTOM => PictureStructure::BottomField,
                _ if sps.mb_adaptive_frame_field_flag => PictureStructure::Mbaff,
                _ => PictureStructure::Frame,
            },
            idr: sh.idr(),
            recovery_point: self.recovery_point,
            mmco5: sh.has_mmco5(),
            nal_ref_idc: sh.nal_ref_idc,
            slice_types: Default::default(),
            poc: order_cnt_of(structure, poc),
            poc_top: (structure & TOP != 0).then_some(poc[0]),
            poc_bottom: (structure & BOTTOM != 0).then_some(poc[1]),
            frame_num: sh.frame_num,
            slices: 0,
            width_mbs: sps.pic_width_in_mbs,
            height_mbs,
            width: sps.pic_width_in_mbs * 16,
            height: sps.frame_height_in_mbs() * 16,
            crop: [sps.crop[0], sps.crop[2], sps.crop[1], sps.crop[3]],
            profile_idc: sps.profile_idc,
            level_idc: sps.level_idc,
            max_num_reorder_frames: sps.max_num_reorder_frames(),
            pic_order_cnt_type: sps.pic_order_cnt_type,
            timing: Timing {
                num_units_in_tick: sps.vui.num_units_in_tick,
                time_scale: sps.vui.time_scale,
                fixed_frame_rate: sps.vui.fixed_frame_rate_flag,
            },
        }
    }

    /// Infers frames for a gap in frame_num (8.2.5.2), allowed or not: a lost reference leaves the same gap.
    fn fill_gap(&mut self, sps: &Sps) {
        let Some(previous) = self.prev_ref_frame_num else {
            return;
        };
        let frame_num = self.header.frame_num;
        let max_frame_num = 1u32 << sps.log2_max_frame_num;
        if self.header.idr() || frame_num == previous {
            return;
        }
        let missing = frame_num.wrapping_sub(previous + 1) & (max_frame_num - 1);
        // Of more frames than the window holds, only the last ones stay.
        let kept = missing.min(sps.max_num_ref_frames.max(1));
        let mut next = (previous + 1) & (max_frame_num - 1);
        if missing > kept {
            next = (previous + missing - kept) & (max_frame_num - 1);
            self.poc.skip_to(sps, next);
            next = (next + 1) & (max_frame_num - 1);
        }
        for _ in 0..kept {
            let poc = self.poc.decode_non_existing(sps, next);
            let id = self.new_id();
            let max_num_ref_frames = sps.max_num_ref_frames as usize;
            let m = Marking {
                id,
                structure: FRAME,
                frame_num: next,
                max_frame_num,
                max_num_ref_frames,
                poc,
            };
            self.dpb.insert_non_existing(&m);
            self.prev_ref_frame_num = Some(next);
            next = (next + 1) & (max_frame_num - 1);
        }
    }

    /// Hands the current picture out and marks it (8.2.5).
    fn finish_picture(&mut self, outcome: &mut Outcome, sink: Sink<'_>) {
        let Some(mut current) = self.current.take() else {
            return;
        };
        let lost = current.motion.conceal_lost();
        let sh = &current.header;
        if lost > 0 {
            let of = current.motion.flags.len() as u32;
            outcome.fail(DecodeError::MissingMacroblocks {
                frame_num: sh.frame_num,
                lost,
                of,
            });
            self.waiting = true;
        }
        sink(&MotionField::new(&current.motion, current.id));
        let mmco5 = sh.has_mmco5();
        let reference = sh.nal_ref_idc != 0;
        let mut poc = current.poc;
        if mmco5 {
            // tempPicOrderCnt is subtracted (8.2.1).
            let temp = order_cnt_of(current.structure, poc);
            poc = [poc[0].wrapping_sub(temp), poc[1].wrapping_sub(temp)];
            self.poc
                .reset_by_mmco5(if current.structure == BOTTOM { 0 } else { poc[0] });
        }
        let frame_num = if mmco5 { 0 } else { sh.frame_num };
        if !current.second_field && current.structure != FRAME {
            let (id, structure, idr) = (current.id, current.structure, sh.idr());
            self.first_field = Some(FirstField {
                id,
                structure,
                frame_num,
                reference,
                idr,
            });
        }
        if reference {
            self.prev_ref_frame_num = Some(frame_num);
            let marking = Marking {
                id: current.id,
                structure: current.structure,
                frame_num: sh.frame_num,
                max_frame_num: 1 << current.sps.log2_max_frame_num,
                max_num_ref_frames: current.sps.max_num_ref_frames as usize,
                poc,
            };
            self.dpb.store(&marking, sh, current.motion);
        } else {
            self.dpb.recycle(current.motion);
        }
    }
}
