//! Sequence parameter set (clause 7.3.2.1.1, 7.4.2.1.1, Annex E).

use super::bits::BitReader;
use super::error::{Syntax, SyntaxError, Unsupported};

/// MaxFS of level 6.2 (Table A-1), in macroblocks.
pub(crate) const MAX_FRAME_SIZE_MBS: u32 = 139_264;
/// Largest PicWidthInMbs and FrameHeightInMbs: Sqrt(MaxFS * 8), clause A.3.1.
const MAX_SIDE_MBS: u32 = 1055;

/// seq_parameter_set_data(), as far as motion depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) profile_idc: u8,
    pub(crate) constraint_set_flags: u8,
    pub(crate) level_idc: u8,
    pub(crate) seq_parameter_set_id: u32,
    pub(crate) chroma_format_idc: u32,
    pub(crate) separate_colour_plane_flag: bool,
    pub(crate) bit_depth_luma: u32,
    pub(crate) bit_depth_chroma: u32,
    pub(crate) log2_max_frame_num: u32,
    pub(crate) pic_order_cnt_type: u32,
    pub(crate) log2_max_pic_order_cnt_lsb: u32,
    pub(crate) delta_pic_order_always_zero_flag: bool,
    pub(crate) offset_for_non_ref_pic: i32,
    pub(crate) offset_for_top_to_bottom_field: i32,
    pub(crate) offset_for_ref_frame: Vec<i32>,
    pub(crate) max_num_ref_frames: u32,
    pub(crate) gaps_in_frame_num_value_allowed_flag: bool,
    pub(crate) pic_width_in_mbs: u32,
    pub(crate) pic_height_in_map_units: u32,
    pub(crate) frame_mbs_only_flag: bool,
    pub(crate) mb_adaptive_frame_field_flag: bool,
    pub(crate) direct_8x8_inference_flag: bool,
    /// Left, right, top, bottom, in luma samples.
    pub(crate) crop: [u32; 4],
    pub(crate) vui: Vui,
}

/// vui_parameters(), as far as it is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Vui {
    pub(crate) num_units_in_tick: u32,
    pub(crate) time_scale: u32,
    pub(crate) fixed_frame_rate_flag: bool,
    /// max_num_reorder_frames and max_dec_frame_buffering, if bitstream_restriction_flag is 1.
    pub(crate) reordering: Option<(u32, u32)>,
}

impl Sps {
    /// ChromaArrayType.
    pub(crate) fn chroma_array_type(&self) -> u32 {
        if self.separate_colour_plane_flag {
            0
        } else {
            self.chroma_format_idc
        }
    }

    /// FrameHeightInMbs.
    pub(crate) fn frame_height_in_mbs(&self) -> u32 {
        (2 - u32::from(self.frame_mbs_only_flag)) * self.pic_height_in_map_units
    }

    /// MaxDpbFrames (clause A.3.1, Table A-1).
    pub(crate) fn max_dpb_frames(&self) -> u32 {
        let level_1b = self.level_idc == 9
            || (self.level_idc == 11
                && matches!(self.profile_idc, 66 | 77 | 88)
                && self.constraint_set_flags & 0x10 != 0);
        let max_dpb_mbs = match self.level_idc {
            _ if level_1b => 396,
            0..=10 => 396,
            11 => 900,
            12 | 13 | 20 => 2376,
            21 => 4752,
            22 | 30 => 8100,
            31 => 18_000,
            32 => 20_480,
            40 | 41 => 32_768,
            42 => 34_816,
            50 => 110_400,
            51 | 52 => 184_320,
            60..=62 => 696_320,
            _ => 696_320,
        };
        (max_dpb_mbs / (self.pic_width_in_mbs * self.frame_height_in_mbs())).min(16)
    }

    /// How many frames may precede a picture in decoding order and follow it in output order.
    pub(crate) fn max_num_reorder_frames(&self) -> u32 {
        if let Some((reorder, _)) = self.vui.reordering {
            return reorder.min(16);
        }
        // Intra-only profiles are inferred to reorder nothing (E.2.1).
        let intra_only = self.constraint_set_flags & 0x08 != 0
            && matches!(self.profile_idc, 44 | 86 | 100 | 110 | 122 | 244);
        if intra_only || self.pic_order_cnt_type == 2 {
            0
        } else {
            self.max_dpb_frames()
        }
    }

    pub(crate) fn parse(r: &mut BitReader<'_>) -> Syntax<Sps> {
        let profile_idc = r.u(8) as u8;
        let constraint_set_flags = r.u(8) as u8;
        let level_idc = r.u(8) as u8;
        let seq_parameter_set_id = r.ue_max("seq_parameter_set_id", 31)?;
        let (mut chroma_format_idc, mut separate_colour_plane_flag) = (1, false);
        let (mut bit_depth_luma, mut bit_depth_chroma) = (8, 8);
        if matches!(
            profile_idc,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        ) {
            chroma_format_idc = r.ue_max("chroma_format_idc", 3)?;
            if chroma_format_idc == 3 {
                separate_colour_plane_flag = r.flag();
            }
            bit_depth_luma = 8 + r.ue_max("bit_depth_luma_minus8", 6)?;
            bit_depth_chroma = 8 + r.ue_max("bit_depth_chroma_minus8", 6)?;
            let _qpprime_y_zero_transform_bypass_flag = r.flag();
            if r.flag() {
                let lists = if chroma_format_idc != 3 { 8 } else { 12 };
                for i in 0..lists {
                    if r.flag() {
                        scaling_list(r, if i < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let log2_max_frame_num = 4 + r.ue_max("log2_max_frame_num_minus4", 12)?;
        let pic_order_cnt_type = r.ue_max("pic_order_cnt_type", 2)?;
        let mut sps = Sps {
            profile_idc,
            constraint_set_flags,
            level_idc,
            seq_parameter_set_id,
            chroma_format_idc,
            separate_colour_plane_flag,
            bit_depth_luma,
            bit_depth_chroma,
            log2_max_frame_num,
            pic_order_cnt_type,
            log2_max_pic_order_cnt_lsb: 4,
            delta_pic_order_always_zero_flag: false,
            offset_for_non_ref_pic: 0,
            offset_for_top_to_bottom_field: 0,
            offset_for_ref_frame: Vec::new(),
            max_num_ref_frames: 0,
            gaps_in_frame_num_value_allowed_flag: false,
            pic_width_in_mbs: 0,
            pic_height_in_map_units: 0,
            frame_mbs_only_flag: true,
            mb_adaptive_frame_field_flag: false,
            direct_8x8_inference_flag: false,
            crop: [0; 4],
            vui: Vui::default(),
        };
        if pic_order_cnt_type == 0 {
            sps.log2_max_pic_order_cnt_lsb = 4 + r.ue_max("log2_max_pic_order_cnt_lsb_minus4", 12)?;
        } else if pic_order_cnt_type == 1 {
            sps.delta_pic_order_always_zero_flag = r.flag();
            sps.offset_for_non_ref_pic = r.se();
            sps.offset_for_top_to_bottom_field = r.se();
            let cycle = r.ue_max("num_ref_frames_in_pic_order_cnt_cycle", 255)?;
            for _ in 0..cycle {
                sps.offset_for_ref_frame.push(r.se());
            }
        }
        sps.max_num_ref_frames = r.ue_max("max_num_ref_frames", 16)?;
        sps.gaps_in_frame_num_value_allowed_flag = r.flag();
        sps.pic_width_in_mbs = 1 + r.ue_max("pic_width_in_mbs_minus1", 0xffff)?;
        sps.pic_height_in_map_units = 1 + r.ue_max("pic_height_in_map_units_minus1", 0xffff)?;
        sps.frame_mbs_only_flag = r.flag();
        let height = sps.frame_height_in_mbs();
        if sps.pic_width_in_mbs > MAX_SIDE_MBS
            || height > MAX_SIDE_MBS
            || sps.pic_width_in_mbs * height > MAX_FRAME_SIZE_MBS
        {
            return Err(SyntaxError::Unsupported(Unsupported::PictureSize));
        }
        if !sps.frame_mbs_only_flag {
            sps.mb_adaptive_frame_field_flag = r.flag();
        }
        sps.direct_8x8_inference_flag = r.flag();
        if r.flag() {
            sps.parse_cropping(r)?;
        }
        r.check("vui_parameters_present_flag")?;
        if r.flag() {
            // Broken VUI is common in the field and changes no motion: what was readable counts.
            sps.vui = Vui::parse(r);
        }
        Ok(sps)
    }

    fn parse_cropping(&mut self, r: &mut BitReader<'_>) -> Syntax<()> {
        let (sub_width, sub_height) = match self.chroma_array_type() {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let unit_y = sub_height * (2 - u32::from(self.frame_mbs_only_flag));
        let offsets = [r.ue(), r.ue(), r.ue(), r.ue()];
        let units = [sub_width, sub_width, unit_y, unit_y];
        for (crop, (offset, unit)) in self.crop.iter_mut().zip(offsets.into_iter().zip(units)) {
            *crop = offset.saturating_mul(unit);
        }
        let width = self.crop[0].saturating_add(self.crop[1]);
        let height = self.crop[2].saturating_add(self.crop[3]);
        if width >= self.pic_width_in_mbs * 16 {
            return Err(SyntaxError::invalid("frame_crop_right_offset", offsets[1]));
        }
        if height >= self.frame_height_in_mbs() * 16 {
            return Err(SyntaxError::invalid("frame_crop_bottom_offset", offsets[3]));
        }
        Ok(())
    }
}

/// scaling_list() (7.3.2.1.1.1): read for its length only.
pub(crate) fn scaling_list(r: &mut BitReader<'_>, size: u32) -> Syntax<()> {
    let mut last_scale = 8i32;
    let mut next_scale = 8i32;
    for _ in 0..size {
        if next_scale != 0 {
            let delta_scale = r.se_in("delta_scale", -128, 127)?;
            next_scale = (last_scale + delta_scale + 256) % 256;
        }
        if next_scale != 0 {
            last_scale = next_scale;
        }
    }
    Ok(())
}

impl Vui {
    /// vui_parameters() (E.1.1).
    fn parse(r: &mut BitReader<'_>) -> Vui {
        let mut vui = Vui::default();
        if r.flag() && r.u(8) == 255 {
            r.u(32);
        }
        if r.flag() {
            r.u(1);
        }
        if r.flag() {
            r.u(4);
            if r.flag() {
                r.u(24);
            }
        }
        if r.flag() {
            r.ue();
            r.ue();
        }
        if r.flag() {
            let num_units_in_tick = r.u(32);
            let time_scale = r.u(32);
            let fixed = r.flag();
            if r.overrun() {
                return vui;
            }
            vui.num_units_in_tick = num_units_in_tick;
            vui.time_scale = time_scale;
            vui.fixed_frame_rate_flag = fixed;
        }
        let nal_hrd = r.flag();
        if nal_hrd && !skip_hrd(r) {
            return vui;
        }
        let vcl_hrd = r.flag();
        if vcl_hrd && !skip_hrd(r) {
            return vui;
        }
        if nal_hrd || vcl_hrd {
            r.u(1);
        }
        r.u(1);
        if r.flag() {
            r.u(1);
            for _ in 0..4 {
                r.ue();
            }
            let max_num_reorder_frames = r.ue();
            let max_dec_frame_buffering = r.ue();
            if !r.overrun() && max_num_reorder_frames <= max_dec_frame_buffering {
                vui.reordering = Some((max_num_reorder_frames, max_dec_frame_buffering));
            }
        }
        vui
    }
}

/// hrd_parameters() (E.1.2); false if it is not one.
fn skip_hrd(r: &mut BitReader<'_>) -> bool {
    let cpb_cnt_minus1 = r.ue();
    if cpb_cnt_minus1 > 31 {
        return false;
    }
    r.u(8);
    for _ in 0..=cpb_cnt_minus1 {
        r.ue();
        r.ue();
        r.u(1);
    }
    r.u(20);
    !r.overrun()
}
