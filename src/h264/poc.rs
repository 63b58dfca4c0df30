//! Decoding process for picture order count (clause 8.2.1).

use super::slice_header::SliceHeader;
use super::sps::Sps;

/// What the picture order count of the next picture depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct PocState {
    /// False until the first picture; a stream that begins without an IDR picture starts from its own
    /// pic_order_cnt_lsb.
    started: bool,
    prev_pic_order_cnt_msb: i32,
    prev_pic_order_cnt_lsb: i32,
    prev_frame_num: u32,
    prev_frame_num_offset: i32,
}

impl PocState {
    /// TopFieldOrderCnt and BottomFieldOrderCnt; of a field, only its own entry means something.
    pub(crate) fn decode(&mut self, sps: &Sps, sh: &SliceHeader) -> [i32; 2] {
        if !self.started && !sh.idr() {
            self.prev_pic_order_cnt_lsb = sh.pic_order_cnt_lsb as i32;
            self.prev_frame_num = sh.frame_num;
        }
        self.started = true;
        match sps.pic_order_cnt_type {
            0 => self.type_0(sps, sh),
            1 => {
                let offset = self.frame_num_offset(sps, sh.frame_num, sh.idr());
                type_1(
                    sps,
                    sh.frame_num,
                    offset,
                    sh.nal_ref_idc != 0,
                    sh.field_pic_flag,
                    sh.delta_pic_order_cnt,
                )
            }
            _ => {
                let offset = self.frame_num_offset(sps, sh.frame_num, sh.idr());
                type_2(sh.frame_num, offset, sh.nal_ref_idc != 0, sh.idr())
            }
        }
    }

    /// Order counts of a frame inferred for a gap in frame_num; type 0 gives it none.
    pub(crate) fn decode_non_existing(&mut self, sps: &Sps, frame_num: u32) -> [i32; 2] {
        if sps.pic_order_cnt_type == 0 {
            return [0; 2];
        }
        let offset = self.frame_num_offset(sps, frame_num, false);
        if sps.pic_order_cnt_type == 1 {
            type_1(sps, frame_num, offset, true, false, [0; 2])
        } else {
            type_2(frame_num, offset, true, false)
        }
    }

    /// Passes over inferred frames up to `frame_num` of which none will be kept.
    pub(crate) fn skip_to(&mut self, sps: &Sps, frame_num: u32) {
        if sps.pic_order_cnt_type != 0 {
            self.frame_num_offset(sps, frame_num, false);
        }
    }

    /// Clause 8.2.1.1.
    fn type_0(&mut self, sps: &Sps, sh: &SliceHeader) -> [i32; 2] {
        if sh.idr() {
            self.prev_pic_order_cnt_msb = 0;
            self.prev_pic_order_cnt_lsb = 0;
        }
        let max_lsb = 1i32 << sps.log2_max_pic_order_cnt_lsb;
        let lsb = sh.pic_order_cnt_lsb as i32;
        let prev_lsb = self.prev_pic_order_cnt_lsb;
        let prev_msb = self.prev_pic_order_cnt_msb;
        let msb = if lsb < prev_lsb && prev_lsb - lsb >= max_lsb / 2 {
            prev_msb.wrapping_add(max_lsb)
        } else if lsb > prev_lsb && lsb - prev_lsb > max_lsb / 2 {
            prev_msb.wrapping_sub(max_lsb)
        } else {
            prev_msb
        };
        let order = msb.wrapping_add(lsb);
        if sh.nal_ref_idc != 0 {
            self.prev_pic_order_cnt_msb = msb;
            self.prev_pic_order_cnt_lsb = lsb;
        }
        let bottom = if sh.field_pic_flag {
            order
        } else {
            order.wrapping_add(sh.delta_pic_order_cnt_bottom)
        };
        [order, bottom]
    }

    /// FrameNumOffset, equations 8-6 and 8-11.
    fn frame_num_offset(&mut self, sps: &Sps, frame_num: u32, idr: bool) -> i32 {
        let offset = if idr {
            0
        } else if self.prev_frame_num > frame_num {
            self.prev_frame_num_offset
                .wrapping_add(1 << sps.log2_max_frame_num)
        } else {
            self.prev_frame_num_offset
        };
        self.prev_frame_num_offset = offset;
        self.prev_frame_num = frame_num;
        offset
    }

    /// After a picture with memory_management_control_operation 5; `top` is its TopFieldOrderCnt after the reset
    /// (0 for a bottom field).
    pub(crate) fn reset_by_mmco5(&mut self, top: i32) {
        self.prev_pic_order_cnt_msb = 0;
        self.prev_pic_order_cnt_lsb = top;
        self.prev_frame_num = 0;
        self.prev_frame_num_offset = 0;
    }
}

/// Clause 8.2.1.2.
fn type_1(sps: &Sps, frame_num: u32, offset: i32, reference: bool, field: bool, delta: [i32; 2]) -> [i32; 2] {
    let cycle = sps.offset_for_ref_frame.len() as i32;
    let mut abs_frame_num = if cycle != 0 {
        offset.wrapping_add(frame_num as i32)
    } else {
        0
    };
    if !reference && abs_frame_num > 0 {
        abs_frame_num -= 1;
    }
    let mut expected = 0i32;
    if abs_frame_num > 0 {
        let cycle_count = (abs_frame_num - 1) / cycle;
        let in_cycle = ((abs_frame_num - 1) % cycle) as usize;
        let whole = sps
            .offset_for_ref_frame
            .iter()
            .fold(0i32, |sum, &o| sum.wrapping_add(o));
        expected = cycle_count.wrapping_mul(whole);
        for &o in &sps.offset_for_ref_frame[..=in_cycle] {
            expected = expected.wrapping_add(o);
        }
    }
    if !reference {
        expected = expected.wrapping_add(sps.offset_for_non_ref_pic);
    }
    let top = expected.wrapping_add(delta[0]);
    let bottom = if field {
        expected
            .wrapping_add(sps.offset_for_top_to_bottom_field)
            .wrapping_add(delta[0])
    } else {
        top.wrapping_add(sps.offset_for_top_to_bottom_field)
            .wrapping_add(delta[1])
    };
    [top, bottom]
}

/// Clause 8.2.1.3.
fn type_2(frame_num: u32, offset: i32, reference: bool, idr: bool) -> [i32; 2] {
    let order = if idr {
        0
    } else {
        let twice = offset.wrapping_add(frame_num as i32).wrapping_mul(2);
        if reference { twice } else { twice.wrapping_sub(1) }
    };
    [order, order]
}
