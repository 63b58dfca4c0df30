//! Picture parameter set (clause 7.3.2.2, 7.4.2.2).

use super::bits::BitReader;
use super::error::Syntax;
use super::sps::MAX_FRAME_SIZE_MBS;

/// How macroblocks are assigned to slice groups (8.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SliceGroupMap {
    /// slice_group_map_type 0: run_length_minus1 + 1 of each group.
    Interleaved { run_length: Vec<u32> },
    /// slice_group_map_type 1.
    Dispersed,
    /// slice_group_map_type 2: top_left and bottom_right of each group but the last.
    Foreground { rectangles: Vec<(u32, u32)> },
    /// slice_group_map_type 3, 4, 5.
    Changing {
        map_type: u32,
        direction_flag: bool,
        change_rate: u32,
    },
    /// slice_group_map_type 6: slice_group_id of each map unit.
    Explicit { slice_group_id: Vec<u8> },
}

/// pic_parameter_set_rbsp(), as far as motion depends on it (scaling lists come last and do not).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pps {
    pub(crate) pic_parameter_set_id: u32,
    pub(crate) seq_parameter_set_id: u32,
    pub(crate) entropy_coding_mode_flag: bool,
    pub(crate) bottom_field_pic_order_in_frame_present_flag: bool,
    pub(crate) num_slice_groups: u32,
    pub(crate) slice_groups: Option<SliceGroupMap>,
    pub(crate) num_ref_idx_default_active: [u32; 2],
    pub(crate) weighted_pred_flag: bool,
    pub(crate) weighted_bipred_idc: u32,
    pub(crate) pic_init_qp_minus26: i32,
    pub(crate) deblocking_filter_control_present_flag: bool,
    pub(crate) constrained_intra_pred_flag: bool,
    pub(crate) redundant_pic_cnt_present_flag: bool,
    pub(crate) transform_8x8_mode_flag: bool,
}

impl Pps {
    pub(crate) fn parse(r: &mut BitReader<'_>) -> Syntax<Pps> {
        let pic_parameter_set_id = r.ue_max("pic_parameter_set_id", 255)?;
        let seq_parameter_set_id = r.ue_max("seq_parameter_set_id", 31)?;
        let entropy_coding_mode_flag = r.flag();
        let bottom_field_pic_order_in_frame_present_flag = r.flag();
        let num_slice_groups = 1 + r.ue_max("num_slice_groups_minus1", 7)?;
        let mut slice_groups = None;
        if num_slice_groups > 1 {
            slice_groups = Some(parse_slice_groups(r, num_slice_groups)?);
        }
        let num_ref_idx_default_active = [
            1 + r.ue_max("num_ref_idx_l0_default_active_minus1", 31)?,
            1 + r.ue_max("num_ref_idx_l1_default_active_minus1", 31)?,
        ];
        let weighted_pred_flag = r.flag();
        let weighted_bipred_idc = r.u(2);
        let pic_init_qp_minus26 = r.se_in("pic_init_qp_minus26", -62, 25)?;
        let _pic_init_qs_minus26 = r.se();
        let _chroma_qp_index_offset = r.se();
        let deblocking_filter_control_present_flag = r.flag();
        let constrained_intra_pred_flag = r.flag();
        let redundant_pic_cnt_present_flag = r.flag();
        r.check("redundant_pic_cnt_present_flag")?;
        let transform_8x8_mode_flag = r.more_rbsp_data() && r.flag();
        Ok(Pps {
            pic_parameter_set_id,
            seq_parameter_set_id,
            entropy_coding_mode_flag,
            bottom_field_pic_order_in_frame_present_flag,
            num_slice_groups,
            slice_groups,
            num_ref_idx_default_active,
            weighted_pred_flag,
            weighted_bipred_idc,
            pic_init_qp_minus26,
            deblocking_filter_control_present_flag,
            constrained_intra_pred_flag,
            redundant_pic_cnt_present_flag,
            transform_8x8_mode_flag,
        })
    }
}

fn parse_slice_groups(r: &mut BitReader<'_>, num_slice_groups: u32) -> Syntax<SliceGroupMap> {
    let map_type = r.ue_max("slice_group_map_type", 6)?;
    Ok(match map_type {
        0 => {
            let mut run_length = Vec::new();
            for _ in 0..num_slice_groups {
                run_length.push(1 + r.ue_max("run_length_minus1", MAX_FRAME_SIZE_MBS - 1)?);
            }
            SliceGroupMap::Interleaved { run_length }
        }
        1 => SliceGroupMap::Dispersed,
        2 => {
            let mut rectangles = Vec::new();
            for _ in 1..num_slice_groups {
                let top_left = r.ue_max("top_left", MAX_FRAME_SIZE_MBS - 1)?;
                let bottom_right = r.ue_max("bottom_right", MAX_FRAME_SIZE_MBS - 1)?;
                rectangles.push((top_left, bottom_right));
            }
            SliceGroupMap::Foreground { rectangles }
        }
        3..=5 => {
            let direction_flag = r.flag();
            let change_rate = 1 + r.ue_max("slice_group_change_rate_minus1", MAX_FRAME_SIZE_MBS - 1)?;
            SliceGroupMap::Changing {
                map_type,
                direction_flag,
                change_rate,
            }
        }
        _ => {
            let units = 1 + r.ue_max("pic_size_in_map_units_minus1", MAX_FRAME_SIZE_MBS - 1)?;
            let bits = 32 - (num_slice_groups - 1).leading_zeros();
            let mut slice_group_id = Vec::new();
            for _ in 0..units {
                r.check("slice_group_id")?;
                slice_group_id.push(r.u(bits) as u8);
            }
            SliceGroupMap::Explicit { slice_group_id }
        }
    })
}
