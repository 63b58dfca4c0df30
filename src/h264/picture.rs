//! A coded picture's beginning and end (clause 8.2): what it is made of before its slices, where it goes after them.

use std::sync::Arc;

use super::decoder::{CurrentPicture, FirstField, MotionDecoder, Outcome, Sink};
use super::dpb::{BOTTOM, FRAME, MAX_REF_FRAMES, Marking, TOP};
use super::error::DecodeError;
use super::motion::{BYTES_PER_MACROBLOCK, Slot};
use super::motion_field::MotionField;
use super::picture_header::{PictureHeader, PictureStructure, Timing};
use super::ref_lists::order_cnt_of;
use super::sps::Sps;

impl MotionDecoder {
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

    pub(super) fn begin_picture(&mut self, sps: Arc<Sps>) {
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
    pub(super) fn finish_picture(&mut self, outcome: &mut Outcome, sink: Sink<'_>) {
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
