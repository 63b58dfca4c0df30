//! Motion in the rows of the Python package motion-vector-extractor (2.0), which are libavcodec's `AVMotionVector`s:
//! a row a partition and list, macroblock by macroblock, nothing finer than 8x8.

use crate::h264::{MotionField, Mv, Partition, PictureStructure, PictureType};

/// source, w, h, src_x, src_y, dst_x, dst_y, motion_x, motion_y, motion_scale.
pub const COLUMNS: usize = 10;
/// Vectors are in quarter samples.
const MOTION_SCALE: i32 = 4;

/// A picture's macroblocks with their place in the frame.
struct Macroblock {
    position: usize,
    /// First column and row in 4x4 blocks of the picture's own structure.
    at: [usize; 2],
    /// Luma samples of the frame to the left of and above the macroblock.
    left: i32,
    top: i32,
    /// Its vertical displacements count double: it is in a field.
    field: bool,
}

fn macroblocks<'f>(picture: &'f MotionField<'f>) -> impl Iterator<Item = Macroblock> + use<'f> {
    let header = picture.header();
    let width = header.width_mbs.max(1) as usize;
    let field_picture = matches!(
        header.structure,
        PictureStructure::TopField | PictureStructure::BottomField
    );
    (0..picture.macroblocks()).map(move |position| {
        let (x, y) = (position % width, position / width);
        Macroblock {
            position,
            at: [4 * x, 4 * y],
            left: 16 * x as i32,
            // A field's macroblock covers two in height: its rows are given to the upper half.
            top: if field_picture { 32 } else { 16 } * y as i32,
            field: field_picture || picture.mb_flags(position).field,
        }
    })
}

/// Lists that rows are given for: those that a partition uses. An 8x8 macroblock of a B slice counts for both unless it is
/// direct, as in libavcodec.
fn lists(picture: &MotionField<'_>, mb: &Macroblock, b_picture: bool) -> [bool; 2] {
    let flags = picture.mb_flags(mb.position);
    if flags.intra || flags.lost {
        return [false; 2];
    }
    let quarters = picture.partition(mb.position) == Partition::Quarters;
    if quarters && !picture.is_direct(mb.position) {
        return [true, b_picture];
    }
    [0, 1].map(|list| {
        [[0, 0], [2, 0], [0, 2], [2, 2]]
            .iter()
            .any(|[x, y]| picture.ref_idx(list, mb.at[0] + x, mb.at[1] + y) >= 0)
    })
}

/// First block and size in samples of each partition.
fn partitions(partition: Partition) -> (&'static [[usize; 2]], [i32; 2]) {
    match partition {
        Partition::Whole => (&[[0, 0]], [16, 16]),
        Partition::Rows => (&[[0, 0], [0, 2]], [16, 8]),
        Partition::Columns => (&[[0, 0], [2, 0]], [8, 16]),
        Partition::Quarters => (&[[0, 0], [2, 0], [0, 2], [2, 2]], [8, 8]),
    }
}

/// How many rows a picture has.
pub fn count_rows(picture: &MotionField<'_>) -> u32 {
    let b_picture = picture.header().slice_types.coded_type() == PictureType::B;
    macroblocks(picture)
        .map(|mb| {
            let used = lists(picture, &mb, b_picture)
                .iter()
                .filter(|&&used| used)
                .count();
            (used * partitions(picture.partition(mb.position)).0.len()) as u32
        })
        .sum()
}

/// Appends a picture's rows.
pub fn append_rows(picture: &MotionField<'_>, rows: &mut Vec<i32>) {
    let b_picture = picture.header().slice_types.coded_type() == PictureType::B;
    for mb in macroblocks(picture) {
        let used = lists(picture, &mb, b_picture);
        for list in (0..2).filter(|&list| used[list]) {
            let (blocks, [width, height]) = partitions(picture.partition(mb.position));
            for &[x, y] in blocks {
                let mv = picture.mv(list, mb.at[0] + x, mb.at[1] + y);
                let centre = [
                    mb.left + 4 * x as i32 + width / 2,
                    mb.top + 4 * y as i32 + height / 2,
                ];
                rows.extend(row(list, [width, height], centre, mv, mb.field));
            }
        }
    }
}

fn row(list: usize, size: [i32; 2], centre: [i32; 2], mv: Mv, field: bool) -> [i32; COLUMNS] {
    let motion = [i32::from(mv[0]), i32::from(mv[1]) * if field { 2 } else { 1 }];
    let [x, y] = [0, 1].map(|axis| centre[axis] + motion[axis] / MOTION_SCALE);
    let source = if list == 0 { -1 } else { 1 };
    [
        source,
        size[0],
        size[1],
        x,
        y,
        centre[0],
        centre[1],
        motion[0],
        motion[1],
        MOTION_SCALE,
    ]
}
