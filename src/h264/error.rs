//! What can be wrong with a stream, where, and what the decoder does about it.

use std::fmt;

use thiserror::Error;

/// The NAL unit in which an error was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalKind {
    /// `slice_layer_without_partitioning_rbsp()`, nal_unit_type 1 or 5.
    Slice,
    /// `slice_data_partition_a_layer_rbsp()`, nal_unit_type 2.
    DataPartition,
    /// Supplemental enhancement information, nal_unit_type 6.
    Sei,
    /// Sequence parameter set, nal_unit_type 7.
    Sps,
    /// Picture parameter set, nal_unit_type 8.
    Pps,
    /// Any other type, or a NAL unit without a usable header.
    Other(u8),
}

impl fmt::Display for NalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NalKind::Slice => f.write_str("slice"),
            NalKind::DataPartition => f.write_str("data partition"),
            NalKind::Sei => f.write_str("SEI"),
            NalKind::Sps => f.write_str("SPS"),
            NalKind::Pps => f.write_str("PPS"),
            NalKind::Other(t) => write!(f, "NAL unit of type {t}"),
        }
    }
}

/// A legal construct that this decoder does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// The picture is larger than level 6.2 allows (139 264 macroblocks).
    PictureSize,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsupported::PictureSize => "picture larger than level 6.2",
        })
    }
}

/// What the decoder does after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Only this NAL unit was left out; decoding goes on with the next one.
    SkipsNalUnit,
    /// Pictures are skipped until the next IDR picture or recovery point.
    WaitsForRandomAccess,
}

/// An error found while decoding an access unit.
///
/// Every variant says where the stream is at fault; [`DecodeError::recovery`] says what happens next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A syntax element has a value that the standard does not allow.
    #[error("{nal}: {element} = {value} is not allowed (bit {bit})")]
    InvalidSyntaxElement {
        /// Where it was.
        nal: NalKind,
        /// The syntax element, as the standard calls it.
        element: &'static str,
        /// The value that was read.
        value: i64,
        /// Position in the RBSP (after removal of emulation prevention bytes), in bits.
        bit: u64,
    },
    /// The NAL unit ended inside a syntax element.
    #[error("{nal}: ends inside {element} (bit {bit})")]
    Truncated {
        /// Where it was.
        nal: NalKind,
        /// The syntax element, as the standard calls it.
        element: &'static str,
        /// Position in the RBSP, in bits.
        bit: u64,
    },
    /// A slice or picture parameter set refers to a parameter set that was never received.
    #[error("{nal}: refers to {set} {id}, which was not received")]
    MissingParameterSet {
        /// Which NAL unit referred to it.
        nal: NalKind,
        /// Which kind of set: SPS or PPS.
        set: NalKind,
        /// Its identifier.
        id: u32,
    },
    /// Macroblocks of a picture were in no decodable slice.
    #[error("picture with frame_num {frame_num}: {lost} of {of} macroblocks are missing")]
    MissingMacroblocks {
        /// frame_num of the picture.
        frame_num: u32,
        /// How many macroblocks are lost; their [`MbFlags`](super::MbFlags) say so.
        lost: u32,
        /// How many macroblocks the picture has.
        of: u32,
    },
    /// A legal construct that this decoder does not decode.
    #[error("{nal}: unsupported: {feature} (bit {bit})")]
    Unsupported {
        /// Where it was.
        nal: NalKind,
        /// What it was.
        feature: Unsupported,
        /// Position in the RBSP, in bits.
        bit: u64,
    },
    /// Pictures were skipped because the decoder waits for an IDR picture or a recovery point.
    #[error("{pictures} picture(s) skipped while waiting for an IDR picture or a recovery point")]
    AwaitingRandomAccess {
        /// How many coded pictures of the access unit were skipped.
        pictures: u32,
    },
}

impl DecodeError {
    /// What the decoder does next.
    pub fn recovery(&self) -> Recovery {
        match self {
            DecodeError::InvalidSyntaxElement { nal, .. }
            | DecodeError::Truncated { nal, .. }
            | DecodeError::MissingParameterSet { nal, .. }
            | DecodeError::Unsupported { nal, .. } => match nal {
                NalKind::Slice | NalKind::DataPartition => Recovery::WaitsForRandomAccess,
                NalKind::Sei | NalKind::Sps | NalKind::Pps | NalKind::Other(_) => Recovery::SkipsNalUnit,
            },
            DecodeError::MissingMacroblocks { .. } | DecodeError::AwaitingRandomAccess { .. } => {
                Recovery::WaitsForRandomAccess
            }
        }
    }
}

/// A fault in syntax, before it is known in which NAL unit and at which bit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    Invalid { element: &'static str, value: i64 },
    Truncated { element: &'static str },
    Unsupported(Unsupported),
    MissingSet { set: NalKind, id: u32 },
}

impl SyntaxError {
    /// A value outside its range; out of line, so that decoding loops stay small.
    #[cold]
    #[inline(never)]
    pub(crate) fn invalid(element: &'static str, value: impl Into<i64>) -> SyntaxError {
        SyntaxError::Invalid {
            element,
            value: value.into(),
        }
    }

    pub(crate) fn at(self, nal: NalKind, bit: u64) -> DecodeError {
        match self {
            SyntaxError::Invalid { element, value } => DecodeError::InvalidSyntaxElement {
                nal,
                element,
                value,
                bit,
            },
            SyntaxError::Truncated { element } => DecodeError::Truncated { nal, element, bit },
            SyntaxError::Unsupported(feature) => DecodeError::Unsupported { nal, feature, bit },
            SyntaxError::MissingSet { set, id } => DecodeError::MissingParameterSet { nal, set, id },
        }
    }
}

pub(crate) type Syntax<T> = Result<T, SyntaxError>;
