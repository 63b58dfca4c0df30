//! Any bytes as slice data under valid parameter sets and slice headers. The first three bytes choose the sequence; then
//! every slice has three bytes for its header, one for its length in units of four bytes, and its data.
#![no_main]

use comove_fuzz::bit_writer::BitWriter;
use comove_fuzz::decode;
use comove_fuzz::h264::{FrameMotion, MotionDecoder};
use libfuzzer_sys::fuzz_target;

/// What the parameter sets say.
struct Sequence {
    high: bool,
    chroma_format_idc: u32,
    frame_mbs_only: bool,
    mbaff: bool,
    direct_8x8_inference: bool,
    width_mbs: u32,
    map_units: u32,
    cabac: bool,
    transform_8x8: bool,
    slice_groups: bool,
    bit_depth: u32,
    max_num_ref_frames: u32,
    pic_order_cnt_type: u32,
}

impl Sequence {
    fn new(choice: [u8; 3]) -> Sequence {
        let bit = |n: usize| choice[n / 8] >> (n % 8) & 1 != 0;
        let frame_mbs_only = bit(0);
        Sequence {
            high: bit(1),
            chroma_format_idc: if bit(1) { u32::from(choice[0] >> 2 & 3) } else { 1 },
            frame_mbs_only,
            mbaff: !frame_mbs_only && bit(4),
            direct_8x8_inference: !frame_mbs_only || bit(5),
            cabac: bit(6),
            transform_8x8: bit(1) && bit(7),
            width_mbs: 1 + u32::from(choice[1] & 3),
            map_units: 1 + u32::from(choice[1] >> 2 & 3),
            slice_groups: choice[1] >> 4 == 15,
            bit_depth: if bit(1) { u32::from(choice[1] >> 4 & 3) * 2 } else { 0 },
            max_num_ref_frames: u32::from(choice[2] & 15) + 1,
            pic_order_cnt_type: u32::from(choice[2] >> 4) % 3,
        }
    }

    fn parameter_sets(&self) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut sps = BitWriter::default();
        sps.u(8, if self.high { 244 } else { 77 }).u(8, 0).u(8, 40).ue(0);
        if self.high {
            sps.ue(self.chroma_format_idc);
            if self.chroma_format_idc == 3 {
                sps.u(1, 0);
            }
            sps.ue(self.bit_depth).ue(self.bit_depth).u(1, 0).u(1, 0);
        }
        sps.ue(0).ue(self.pic_order_cnt_type);
        match self.pic_order_cnt_type {
            0 => {
                sps.ue(4);
            }
            1 => {
                sps.u(1, 1).se(-1).se(1).ue(1).se(2);
            }
            _ => {}
        }
        sps.ue(self.max_num_ref_frames).u(1, 1).ue(self.width_mbs - 1).ue(self.map_units - 1);
        sps.u(1, u32::from(self.frame_mbs_only));
        if !self.frame_mbs_only {
            sps.u(1, u32::from(self.mbaff));
        }
        sps.u(1, u32::from(self.direct_8x8_inference)).u(1, 0).u(1, 0);
        sps.nal(3, 7, &mut stream);
        let mut pps = BitWriter::default();
        pps.ue(0).ue(0).u(1, u32::from(self.cabac)).u(1, 0);
        if self.slice_groups {
            pps.ue(1).ue(1);
        } else {
            pps.ue(0);
        }
        pps.ue(1).ue(1).u(1, 0).u(2, 0).se(0).se(0).se(0).u(1, 0).u(1, 0).u(1, 0);
        if self.transform_8x8 {
            pps.u(1, 1).u(1, 0).se(0);
        }
        pps.nal(3, 8, &mut stream);
        stream
    }
}

/// Where the next picture stands.
#[derive(Default)]
struct Order {
    frame_num: u32,
    poc: u32,
    idr_pic_id: u32,
}

/// A slice's NAL unit; bits of `choice` choose its header.
fn slice(s: &Sequence, order: &mut Order, choice: [u8; 3], data: &[u8], unit: &mut Vec<u8>) {
    let bits = u32::from_le_bytes([choice[0], choice[1], choice[2], 0]);
    let bit = |n: u32| bits >> n & 1;
    let idr = bits & 63 == 63;
    let slice_type = if idr { 2 } else { [0, 1, 0, 1, 2, 3, 1, 4][(bits & 7) as usize] };
    let reference = idr || bit(3) == 0;
    let field = !s.frame_mbs_only && bit(6) != 0;
    if bit(4) == 0 {
        order.poc = (order.poc + 1 + (bits >> 16 & 3)) & 255;
        order.frame_num = (order.frame_num + bit(5)) & 15;
    }
    if idr {
        (order.frame_num, order.poc) = (0, 0);
        order.idr_pic_id = (order.idr_pic_id + 1) & 255;
    }
    let mut w = BitWriter::default();
    w.ue(if bit(7) == 0 { 0 } else { bits >> 8 & 7 }).ue(slice_type).ue(0).u(4, order.frame_num);
    if !s.frame_mbs_only {
        w.u(1, u32::from(field));
        if field {
            w.u(1, bit(11));
        }
    }
    if idr {
        w.ue(order.idr_pic_id);
    }
    if s.pic_order_cnt_type == 0 {
        w.u(8, order.poc);
    }
    if slice_type == 1 {
        w.u(1, bit(12));
    }
    let lists = match slice_type {
        0 | 3 => 1,
        1 => 2,
        _ => 0,
    };
    if lists > 0 {
        w.u(1, bit(13));
        for _ in 0..lists * bit(13) {
            w.ue(bits >> 18 & 15);
        }
        for _ in 0..lists {
            w.u(1, bit(14));
            if bit(14) != 0 {
                w.ue(bits >> 18 & 1).ue(bits >> 19 & 7).ue(3);
            }
        }
    }
    if reference {
        if idr {
            w.u(2, bits >> 14 & 3);
        } else {
            w.u(1, bit(15));
            if bit(15) != 0 {
                match bits >> 20 & 7 {
                    0 => w.ue(1).ue(bits >> 16 & 7),
                    1 => w.ue(2).ue(bits >> 16 & 7),
                    2 => w.ue(3).ue(bits >> 16 & 7).ue(bits >> 18 & 3),
                    3 => w.ue(4).ue(bits >> 16 & 7),
                    4 => w.ue(5),
                    5 => w.ue(4).ue(4).ue(6).ue(bits >> 16 & 3),
                    _ => w.ue(4).ue(3).ue(3).ue(bits >> 16 & 3).ue(bits >> 18 & 3),
                };
                w.ue(0);
            }
        }
    }
    if s.cabac && lists > 0 {
        w.ue(bits >> 8 & 1);
    }
    w.se((bits >> 16) as i32 % 26);
    if slice_type == 3 {
        w.u(1, 0);
    }
    if slice_type >= 3 {
        w.se(0);
    }
    if s.cabac {
        w.align();
    }
    w.bytes(data).nal(u8::from(reference), if idr { 5 } else { 1 }, unit);
}

fuzz_target!(|data: &[u8]| {
    let [a, b, c, rest @ ..] = data else { return };
    let sequence = Sequence::new([*a, *b, *c]);
    let mut decoder = MotionDecoder::new();
    let mut motion = FrameMotion::default();
    decode(&mut decoder, &sequence.parameter_sets(), &mut motion);
    let mut order = Order::default();
    let mut rest = rest;
    while let [x, y, z, length, tail @ ..] = rest {
        let (bytes, after) = tail.split_at((usize::from(*length) * 4).min(tail.len()));
        rest = after;
        let mut unit = Vec::new();
        slice(&sequence, &mut order, [*x, *y, *z], bytes, &mut unit);
        decode(&mut decoder, &unit, &mut motion);
        if order.poc & 7 == 0 {
            // The state after damage is that of a waiting decoder; a new one sees more of the data.
            decoder = MotionDecoder::new();
            decode(&mut decoder, &sequence.parameter_sets(), &mut motion);
        }
    }
});
