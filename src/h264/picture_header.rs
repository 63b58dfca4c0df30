//! What is known of a coded picture besides its motion.

use super::slice_header::SliceType;

/// How a coded picture covers its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PictureStructure {
    /// A frame without field macroblocks.
    #[default]
    Frame,
    /// A frame with MbaffFrameFlag 1: macroblock pairs may be field pairs.
    Mbaff,
    /// A top field.
    TopField,
    /// A bottom field.
    BottomField,
}

/// Coded type of a picture: the most general of its slices' types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PictureType {
    /// All slices are I or SI.
    I,
    /// There are P or SP slices, and none is B.
    P,
    /// There are B slices.
    B,
}

/// The slice types that occur in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SliceTypes(u8);

impl SliceTypes {
    pub(crate) fn insert(&mut self, slice_type: SliceType) {
        self.0 |= 1 << slice_type as u8;
    }

    /// True if a slice of this type occurs.
    pub fn has(self, slice_type: SliceType) -> bool {
        self.0 & 1 << slice_type as u8 != 0
    }

    /// The most general type.
    pub fn coded_type(self) -> PictureType {
        if self.has(SliceType::B) {
            PictureType::B
        } else if self.has(SliceType::P) || self.has(SliceType::SP) {
            PictureType::P
        } else {
            PictureType::I
        }
    }
}

impl std::fmt::Display for SliceTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let order = [
            SliceType::I,
            SliceType::P,
            SliceType::B,
            SliceType::SI,
            SliceType::SP,
        ];
        let mut separator = "";
        for slice_type in order.into_iter().filter(|&t| self.has(t)) {
            write!(f, "{separator}{slice_type:?}")?;
            separator = "+";
        }
        Ok(())
    }
}

/// Frame timing of the VUI; zeros if the stream does not give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// num_units_in_tick.
    pub num_units_in_tick: u32,
    /// time_scale: a frame lasts 2 * num_units_in_tick / time_scale seconds if the rate is fixed.
    pub time_scale: u32,
    /// fixed_frame_rate_flag.
    pub fixed_frame_rate: bool,
}

/// What is known of a coded picture besides its motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureHeader {
    /// Frame or field.
    pub structure: PictureStructure,
    /// nal_unit_type 5.
    pub idr: bool,
    /// recovery_frame_cnt of a recovery point SEI message in this access unit.
    pub recovery_point: Option<u32>,
    /// memory_management_control_operation 5: after it, order counts start anew and all before it has been output (C.4.4).
    pub mmco5: bool,
    /// nal_ref_idc of the first slice: 0 if no picture refers to this one.
    pub nal_ref_idc: u8,
    /// The types of the picture's slices.
    pub slice_types: SliceTypes,
    /// PicOrderCnt() as the picture was decoded: of a frame the lesser of its fields'.
    pub poc: i32,
    /// TopFieldOrderCnt, unless this is a bottom field.
    pub poc_top: Option<i32>,
    /// BottomFieldOrderCnt, unless this is a top field.
    pub poc_bottom: Option<i32>,
    /// frame_num as coded.
    pub frame_num: u32,
    /// Number of slices, redundant ones not counted.
    pub slices: u32,
    /// Macroblocks in a row.
    pub width_mbs: u32,
    /// Rows of macroblocks of this structure: half the frame's for a field.
    pub height_mbs: u32,
    /// Luma samples in a row of the frame, before cropping.
    pub width: u32,
    /// Luma rows of the frame, before cropping.
    pub height: u32,
    /// Luma samples of the frame to crop: left, top, right, bottom.
    pub crop: [u32; 4],
    /// profile_idc.
    pub profile_idc: u8,
    /// level_idc.
    pub level_idc: u8,
    /// How many frames may precede a picture in decoding order and follow it in output order:
    /// max_num_reorder_frames of the VUI, else the DPB's size.
    pub max_num_reorder_frames: u32,
    /// pic_order_cnt_type; 2 means that output order is decoding order.
    pub pic_order_cnt_type: u32,
    /// Frame timing.
    pub timing: Timing,
}
