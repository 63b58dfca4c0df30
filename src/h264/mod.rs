//! Motion from the bitstream: an access unit goes in, motion fields come out, no pixel is reconstructed.
//!
//! Takes access units of an H.264 stream (Annex B), gives a [`MotionField`] for every coded picture: which
//! macroblocks are intra, and for every 4x4 block and list the vector, the reference index and the referenced
//! picture's order count, exactly as ITU-T H.264 derives them. It is a pure function of the bytes: no thread, no clock, no I/O. When
//! overloaded there is nothing to drop here: the caller decides which access units to decode. When bytes are
//! damaged, an error names the syntax element and the bit, and decoding resumes at the next random access point.
//!
//! The files follow the standard: `annexb` and `nal` (Annex B, 7.3.1), `sps`, `pps`, `slice_header` (7.3.2, 7.3.3),
//! `picture`, `fmo`, `poc`, `ref_lists`, `dpb` (8.2), `slice_data`, `macroblock`, `inter` (7.3.4, 7.3.5), `neighbours` (6.4),
//! `mv_prediction`, `direct` (8.4.1), `cavlc*` (9.1, 9.2), `cabac*` (9.3). `motion` is how a picture's motion is stored,
//! `motion_field` and `frame_motion` how it is read.
#![forbid(unsafe_code)]
// Lists and quadrants index several arrays at once, as in the standard's equations.
#![allow(clippy::needless_range_loop)]

pub mod annexb;
mod bits;
mod cabac;
mod cabac_residual;
mod cabac_syntax;
mod cabac_tables;
mod cavlc;
mod cavlc_lookup;
mod cavlc_residual;
mod cavlc_tables;
mod decode_slice;
mod decoder;
mod direct;
mod dpb;
mod entropy;
mod error;
mod fmo;
mod frame_motion;
mod inter;
mod macroblock;
mod motion;
mod motion_field;
mod motion_grid;
mod mv_prediction;
mod nal;
mod neighbours;
mod parameter_sets;
mod picture;
mod picture_header;
mod poc;
mod pps;
mod ref_lists;
mod slice_data;
mod slice_header;
mod sps;

pub use decoder::MotionDecoder;
pub use error::{DecodeError, NalKind, Recovery, Unsupported};
pub use frame_motion::FrameMotion;
pub use motion::{BYTES_PER_MACROBLOCK, MbFlags, Mv, Partition};
pub use motion_field::{MotionField, Reference};
pub use nal::NalHeader;
pub use picture_header::{PictureHeader, PictureStructure, PictureType, SliceTypes, Timing};
pub use slice_header::SliceType;
