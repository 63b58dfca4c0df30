//! Slice header (clause 7.3.3, 7.4.3).

use super::bits::BitReader;
use super::error::{Syntax, SyntaxError};
use super::nal::{NalHeader, nal_unit_type};
use super::pps::{Pps, SliceGroupMap};
use super::sps::Sps;

/// slice_type modulo 5 (Table 7-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SliceType {
    /// Predicted from list 0.
    P,
    /// Predicted from two lists.
    B,
    /// Intra.
    I,
    /// Switching P: motion as in P.
    SP,
    /// Switching I: intra.
    SI,
}

impl SliceType {
    pub(crate) fn is_intra(self) -> bool {
        matches!(self, SliceType::I | SliceType::SI)
    }
}

/// One command of ref_pic_list_modification() (7.3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListModification {
    /// modification_of_pic_nums_idc 0: abs_diff_pic_num_minus1 + 1 is subtracted.
    Subtract(u32),
    /// modification_of_pic_nums_idc 1: abs_diff_pic_num_minus1 + 1 is added.
    Add(u32),
    /// modification_of_pic_nums_idc 2: long_term_pic_num.
    LongTerm(u32),
}

/// memory_management_control_operation (Table 7-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mmco {
    /// 1: a short-term picture is no longer a reference; difference_of_pic_nums_minus1 + 1.
    UnmarkShort(u32),
    /// 2: a long-term picture is no longer a reference; long_term_pic_num.
    UnmarkLong(u32),
    /// 3: a short-term picture becomes long-term; difference_of_pic_nums_minus1 + 1, long_term_frame_idx.
    AssignLong(u32, u32),
    /// 4: max_long_term_frame_idx_plus1.
    MaxLongTermIdx(u32),
    /// 5: no picture is a reference any more.
    Reset,
    /// 6: the current picture becomes long-term; long_term_frame_idx.
    CurrentLong(u32),
}

/// slice_header(), as far as motion and parsing depend on it. Kept between slices, so that its lists stay allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SliceHeader {
    pub(crate) nal_unit_type: u8,
    pub(crate) nal_ref_idc: u8,
    pub(crate) first_mb_in_slice: u32,
    pub(crate) slice_type: SliceType,
    pub(crate) pic_parameter_set_id: u32,
    pub(crate) colour_plane_id: u32,
    pub(crate) frame_num: u32,
    pub(crate) field_pic_flag: bool,
    pub(crate) bottom_field_flag: bool,
    pub(crate) idr_pic_id: u32,
    pub(crate) pic_order_cnt_lsb: u32,
    pub(crate) delta_pic_order_cnt_bottom: i32,
    pub(crate) delta_pic_order_cnt: [i32; 2],
    pub(crate) redundant_pic_cnt: u32,
    pub(crate) direct_spatial_mv_pred_flag: bool,
    pub(crate) num_ref_idx_active: [u32; 2],
    pub(crate) modifications: [Vec<ListModification>; 2],
    pub(crate) long_term_reference_flag: bool,
    pub(crate) adaptive_ref_pic_marking_mode_flag: bool,
    pub(crate) mmco: Vec<Mmco>,
    pub(crate) cabac_init_idc: u32,
    pub(crate) slice_qp_y: i32,
    pub(crate) slice_group_change_cycle: u32,
}

impl Default for SliceHeader {
    fn default() -> Self {
        SliceHeader {
            nal_unit_type: 0,
            nal_ref_idc: 0,
            first_mb_in_slice: 0,
            slice_type: SliceType::I,
            pic_parameter_set_id: 0,
            colour_plane_id: 0,
            frame_num: 0,
            field_pic_flag: false,
            bottom_field_flag: false,
            idr_pic_id: 0,
            pic_order_cnt_lsb: 0,
            delta_pic_order_cnt_bottom: 0,
            delta_pic_order_cnt: [0; 2],
            redundant_pic_cnt: 0,
            direct_spatial_mv_pred_flag: false,
            num_ref_idx_active: [0; 2],
            modifications: [Vec::new(), Vec::new()],
            long_term_reference_flag: false,
            adaptive_ref_pic_marking_mode_flag: false,
            mmco: Vec::new(),
            cabac_init_idc: 0,
            slice_qp_y: 26,
            slice_group_change_cycle: 0,
        }
    }
}

/// The first three elements of a slice header; the rest needs the parameter sets they name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SliceStart {
    pub(crate) first_mb_in_slice: u32,
    pub(crate) slice_type: SliceType,
    pub(crate) pic_parameter_set_id: u32,
}

impl SliceStart {
    pub(crate) fn parse(r: &mut BitReader<'_>) -> Syntax<SliceStart> {
        let first_mb_in_slice = r.ue_max("first_mb_in_slice", super::sps::MAX_FRAME_SIZE_MBS - 1)?;
        let slice_type = match r.ue_max("slice_type", 9)? % 5 {
            0 => SliceType::P,
            1 => SliceType::B,
            2 => SliceType::I,
            3 => SliceType::SP,
            _ => SliceType::SI,
        };
        let pic_parameter_set_id = r.ue_max("pic_parameter_set_id", 255)?;
        Ok(SliceStart {
            first_mb_in_slice,
            slice_type,
            pic_parameter_set_id,
        })
    }
}

impl SliceHeader {
    /// IdrPicFlag.
    pub(crate) fn idr(&self) -> bool {
        self.nal_unit_type == nal_unit_type::IDR_SLICE
    }

    /// 1 for the top field, 2 for the bottom field, 3 for a frame.
    pub(crate) fn structure(&self) -> u8 {
        match (self.field_pic_flag, self.bottom_field_flag) {
            (false, _) => 3,
            (true, false) => 1,
            (true, true) => 2,
        }
    }

    /// memory_management_control_operation 5 is present.
    pub(crate) fn has_mmco5(&self) -> bool {
        self.mmco.contains(&Mmco::Reset)
    }

    /// True if this slice begins a new primary coded picture after `last` (7.4.1.2.4).
    pub(crate) fn begins_new_picture(&self, last: &SliceHeader) -> bool {
        self.frame_num != last.frame_num
            || self.pic_parameter_set_id != last.pic_parameter_set_id
            || self.field_pic_flag != last.field_pic_flag
            || self.bottom_field_flag != last.bottom_field_flag
            || (self.nal_ref_idc == 0) != (last.nal_ref_idc == 0)
            || self.pic_order_cnt_lsb != last.pic_order_cnt_lsb
            || self.delta_pic_order_cnt_bottom != last.delta_pic_order_cnt_bottom
            || self.delta_pic_order_cnt != last.delta_pic_order_cnt
            || self.idr() != last.idr()
            || (self.idr() && self.idr_pic_id != last.idr_pic_id)
    }

    /// Reads what follows pic_parameter_set_id.
    pub(crate) fn parse(
        &mut self,
        r: &mut BitReader<'_>,
        start: SliceStart,
        nal: NalHeader,
        sps: &Sps,
        pps: &Pps,
    ) -> Syntax<()> {
        self.nal_unit_type = nal.nal_unit_type;
        self.nal_ref_idc = nal.nal_ref_idc;
        self.first_mb_in_slice = start.first_mb_in_slice;
        self.slice_type = start.slice_type;
        self.pic_parameter_set_id = start.pic_parameter_set_id;
        self.colour_plane_id = if sps.separate_colour_plane_flag { r.u(2) } else { 0 };
        if self.colour_plane_id > 2 {
            return Err(SyntaxError::invalid("colour_plane_id", self.colour_plane_id));
        }
        self.frame_num = r.u(sps.log2_max_frame_num);
        self.field_pic_flag = !sps.frame_mbs_only_flag && r.flag();
        self.bottom_field_flag = self.field_pic_flag && r.flag();
        self.idr_pic_id = if self.idr() {
            r.ue_max("idr_pic_id", 65535)?
        } else {
            0
        };
        self.parse_order(r, sps, pps);
        self.redundant_pic_cnt = if pps.redundant_pic_cnt_present_flag {
            r.ue_max("redundant_pic_cnt", 127)?
        } else {
            0
        };
        self.direct_spatial_mv_pred_flag = self.slice_type == SliceType::B && r.flag();
        self.parse_num_ref_idx(r, pps)?;
        self.parse_modifications(r)?;
        let weighted = match self.slice_type {
            SliceType::P | SliceType::SP => pps.weighted_pred_flag,
            SliceType::B => pps.weighted_bipred_idc == 1,
            SliceType::I | SliceType::SI => false,
        };
        if weighted {
            self.pred_weight_table(r, sps)?;
        }
        self.long_term_reference_flag = false;
        self.adaptive_ref_pic_marking_mode_flag = false;
        self.mmco.clear();
        if self.nal_ref_idc != 0 {
            self.dec_ref_pic_marking(r)?;
        }
        self.cabac_init_idc = 0;
        if pps.entropy_coding_mode_flag && !self.slice_type.is_intra() {
            self.cabac_init_idc = r.ue_max("cabac_init_idc", 2)?;
        }
        let slice_qp_delta = r.se_in("slice_qp_delta", -(26 + 51 + 36), 26 + 51 + 36)?;
        self.slice_qp_y = 26 + pps.pic_init_qp_minus26 + slice_qp_delta;
        if matches!(self.slice_type, SliceType::SP | SliceType::SI) {
            if self.slice_type == SliceType::SP {
                let _sp_for_switch_flag = r.flag();
            }
            let _slice_qs_delta = r.se();
        }
        if pps.deblocking_filter_control_present_flag && r.ue_max("disable_deblocking_filter_idc", 2)? != 1 {
            let _slice_alpha_c0_offset_div2 = r.se_in("slice_alpha_c0_offset_div2", -6, 6)?;
            let _slice_beta_offset_div2 = r.se_in("slice_beta_offset_div2", -6, 6)?;
        }
        self.slice_group_change_cycle = 0;
        if let Some(SliceGroupMap::Changing { change_rate, .. }) = pps.slice_groups {
            // Ceil( Log2( PicSizeInMapUnits / SliceGroupChangeRate + 1 ) ) bits, the division not rounded.
            let units = sps.pic_width_in_mbs * sps.pic_height_in_map_units;
            let steps = units.div_ceil(change_rate);
            let bits = 32 - steps.leading_zeros();
            self.slice_group_change_cycle = r.u(bits);
        }
        r.check("slice_header")
    }

    fn parse_order(&mut self, r: &mut BitReader<'_>, sps: &Sps, pps: &Pps) {
        self.pic_order_cnt_lsb = 0;
        self.delta_pic_order_cnt_bottom = 0;
        self.delta_pic_order_cnt = [0; 2];
        let both = pps.bottom_field_pic_order_in_frame_present_flag && !self.field_pic_flag;
        if sps.pic_order_cnt_type == 0 {
            self.pic_order_cnt_lsb = r.u(sps.log2_max_pic_order_cnt_lsb);
            if both {
                self.delta_pic_order_cnt_bottom = r.se();
            }
        } else if sps.pic_order_cnt_type == 1 && !sps.delta_pic_order_always_zero_flag {
            self.delta_pic_order_cnt[0] = r.se();
            if both {
                self.delta_pic_order_cnt[1] = r.se();
            }
        }
    }

    fn parse_num_ref_idx(&mut self, r: &mut BitReader<'_>, pps: &Pps) -> Syntax<()> {
        self.num_ref_idx_active = [0; 2];
        if self.slice_type.is_intra() {
            return Ok(());
        }
        let lists = if self.slice_type == SliceType::B { 2 } else { 1 };
        let max = if self.field_pic_flag { 32 } else { 16 };
        let over = r.flag();
        const ELEMENTS: [&str; 2] = ["num_ref_idx_l0_active_minus1", "num_ref_idx_l1_active_minus1"];
        for (list, element) in ELEMENTS.into_iter().enumerate().take(lists) {
            self.num_ref_idx_active[list] = if over {
                1 + r.ue_max(element, max - 1)?
            } else {
                pps.num_ref_idx_default_active[list]
            };
            if self.num_ref_idx_active[list] > max {
                return Err(SyntaxError::invalid(element, self.num_ref_idx_active[list] - 1));
            }
        }
        Ok(())
    }

    fn parse_modifications(&mut self, r: &mut BitReader<'_>) -> Syntax<()> {
        for list in 0..2 {
            self.modifications[list].clear();
            if self.num_ref_idx_active[list] == 0 || !r.flag() {
                continue;
            }
            loop {
                let command = match r.ue_max("modification_of_pic_nums_idc", 3)? {
                    0 => ListModification::Subtract(1 + r.ue_max("abs_diff_pic_num_minus1", 1 << 17)?),
                    1 => ListModification::Add(1 + r.ue_max("abs_diff_pic_num_minus1", 1 << 17)?),
                    2 => ListModification::LongTerm(r.ue_max("long_term_pic_num", 1 << 17)?),
                    _ => break,
                };
                // At most num_ref_idx_active commands are allowed.
                if self.modifications[list].len() as u32 >= self.num_ref_idx_active[list] {
                    return Err(SyntaxError::invalid("modification_of_pic_nums_idc", 3));
                }
                self.modifications[list].push(command);
            }
        }
        Ok(())
    }

    /// pred_weight_table() (7.3.3.2): weights change no motion, so it is only passed over.
    fn pred_weight_table(&self, r: &mut BitReader<'_>, sps: &Sps) -> Syntax<()> {
        r.ue_max("luma_log2_weight_denom", 7)?;
        let chroma = sps.chroma_array_type() != 0;
        if chroma {
            r.ue_max("chroma_log2_weight_denom", 7)?;
        }
        for list in 0..2 {
            for _ in 0..self.num_ref_idx_active[list] {
                if r.flag() {
                    r.se_in("luma_weight", -128, 127)?;
                    r.se_in("luma_offset", -128, 127)?;
                }
                if chroma && r.flag() {
                    for _ in 0..2 {
                        r.se_in("chroma_weight", -128, 127)?;
                        r.se_in("chroma_offset", -128, 127)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn dec_ref_pic_marking(&mut self, r: &mut BitReader<'_>) -> Syntax<()> {
        if self.idr() {
            let _no_output_of_prior_pics_flag = r.flag();
            self.long_term_reference_flag = r.flag();
            return Ok(());
        }
        self.adaptive_ref_pic_marking_mode_flag = r.flag();
        if !self.adaptive_ref_pic_marking_mode_flag {
            return Ok(());
        }
        loop {
            let command = match r.ue_max("memory_management_control_operation", 6)? {
                0 => return Ok(()),
                1 => Mmco::UnmarkShort(1 + r.ue_max("difference_of_pic_nums_minus1", 1 << 17)?),
                2 => Mmco::UnmarkLong(r.ue_max("long_term_pic_num", 63)?),
                3 => {
                    let difference = 1 + r.ue_max("difference_of_pic_nums_minus1", 1 << 17)?;
                    Mmco::AssignLong(difference, r.ue_max("long_term_frame_idx", 31)?)
                }
                4 => Mmco::MaxLongTermIdx(r.ue_max("max_long_term_frame_idx_plus1", 32)?),
                5 => Mmco::Reset,
                _ => Mmco::CurrentLong(r.ue_max("long_term_frame_idx", 31)?),
            };
            // Sixteen frames, each field once, and one command for each of the other kinds is all that can be meant.
            if self.mmco.len() >= 66 {
                return Err(SyntaxError::invalid("memory_management_control_operation", 66));
            }
            self.mmco.push(command);
        }
    }
}
