//! One slice of the current picture: its lists and what else its macroblocks are decoded with, then slice_data().

use std::sync::Arc;

use super::bits::BitReader;
use super::cabac_syntax::Cabac;
use super::cavlc::Cavlc;
use super::decoder::MotionDecoder;
use super::direct::Colocated;
use super::entropy::Entropy;
use super::error::SyntaxError;
use super::fmo::macroblock_to_slice_group_map;
use super::motion::PictureMotion;
use super::nal::nal_unit_type as nut;
use super::pps::Pps;
use super::ref_lists::ListContext;
use super::slice_data::{Scratch, SliceContext, SliceDecoder};
use super::slice_header::SliceType;

impl MotionDecoder {
    /// Decodes slice_data() of `self.header` into the current picture.
    pub(super) fn decode_slice(&mut self, r: &mut BitReader<'_>, pps: &Arc<Pps>) -> Result<(), SyntaxError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let sps = current.sps.clone();
        let sh = &self.header;
        let structure = current.structure;
        let picture = &mut current.motion;
        picture.header.slices += 1;
        picture.header.slice_types.insert(sh.slice_type);
        let context = ListContext {
            structure,
            frame_num: sh.frame_num,
            max_frame_num: 1 << sps.log2_max_frame_num,
            poc: picture.header.poc,
            poc_type_0: sps.pic_order_cnt_type == 0,
        };
        self.builder.build(&self.dpb, &context, sh, &mut self.lists);
        let key = Some((sps.clone(), pps.clone(), sh.slice_group_change_cycle, structure));
        if pps.slice_groups.is_some() && self.group_map_key != key {
            macroblock_to_slice_group_map(&sps, pps, sh, &mut self.group_map);
            self.group_map_key = key;
        }
        let colocated = if sh.slice_type == SliceType::B {
            Colocated::new(&self.dpb, &self.lists, structure, picture.header.poc)
        } else {
            Colocated::NONE
        };
        let context = SliceContext {
            sps: &sps,
            pps,
            sh,
            lists: &self.lists,
            group_map: if pps.slice_groups.is_some() {
                &self.group_map
            } else {
                &[]
            },
            structure,
            poc: current.poc,
            colocated,
        };
        let mbaff = sps.mb_adaptive_frame_field_flag && !sh.field_pic_flag;
        if pps.entropy_coding_mode_flag {
            r.align();
            let (data, at) = r.remaining_bytes();
            let init = if sh.slice_type.is_intra() {
                0
            } else {
                sh.cabac_init_idc as usize + 1
            };
            let entropy = Cabac::new(data, at, init, sh.slice_qp_y);
            run(entropy, mbaff, &context, picture, &mut self.scratch, r)
        } else {
            let partitioned = sh.nal_unit_type == nut::PARTITION_A;
            if partitioned {
                let _slice_id = r.ue();
            }
            run(
                Cavlc::new(r.clone(), partitioned),
                mbaff,
                &context,
                picture,
                &mut self.scratch,
                r,
            )
        }
    }
}

/// Runs the slice decoder; on errors `r` is moved to where they are.
fn run<E: Entropy>(
    entropy: E,
    mbaff: bool,
    context: &SliceContext<'_>,
    picture: &mut PictureMotion,
    scratch: &mut Scratch,
    r: &mut BitReader<'_>,
) -> Result<(), SyntaxError> {
    let (result, position) = if mbaff {
        let mut slice = SliceDecoder::<E, true>::new(entropy, context, picture, scratch);
        (slice.run(), slice.e.position())
    } else {
        let mut slice = SliceDecoder::<E, false>::new(entropy, context, picture, scratch);
        (slice.run(), slice.e.position())
    };
    if result.is_err() {
        r.skip(position.saturating_sub(r.position()));
    }
    result
}
