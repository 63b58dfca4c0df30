//! Macroblock to slice group map (clause 8.2.2).

use super::pps::{Pps, SliceGroupMap};
use super::slice_header::SliceHeader;
use super::sps::Sps;

/// MbToSliceGroupMap of the current picture (equations 8-16 to 8-26); for an MBAFF frame, of its macroblock pairs.
/// Empty if there is one slice group.
pub(crate) fn macroblock_to_slice_group_map(sps: &Sps, pps: &Pps, sh: &SliceHeader, map: &mut Vec<u8>) {
    map.clear();
    let Some(groups) = &pps.slice_groups else {
        return;
    };
    let width = sps.pic_width_in_mbs as usize;
    let units = map_units(sps, pps, sh, groups);
    let mbaff = sps.mb_adaptive_frame_field_flag && !sh.field_pic_flag;
    if sps.frame_mbs_only_flag || sh.field_pic_flag || mbaff {
        // For MBAFF the standard assigns macroblocks by mbAddr / 2: the map of units is that of pairs.
        map.extend_from_slice(&units);
    } else {
        let height = sps.frame_height_in_mbs() as usize;
        map.extend((0..width * height).map(|i| units[i / (2 * width) * width + i % width]));
    }
}

/// mapUnitToSliceGroupMap.
fn map_units(sps: &Sps, pps: &Pps, sh: &SliceHeader, groups: &SliceGroupMap) -> Vec<u8> {
    let width = sps.pic_width_in_mbs as usize;
    let height = sps.pic_height_in_map_units as usize;
    let size = width * height;
    let count = pps.num_slice_groups as usize;
    let mut map = vec![0u8; size];
    match groups {
        SliceGroupMap::Interleaved { run_length } => {
            let mut i = 0;
            while i < size {
                for (group, &run) in run_length.iter().enumerate() {
                    let end = (i + run as usize).min(size);
                    map[i.min(size)..end].fill(group as u8);
                    i = end;
                }
            }
        }
        SliceGroupMap::Dispersed => {
            for (i, unit) in map.iter_mut().enumerate() {
                *unit = ((i % width + (i / width * count) / 2) % count) as u8;
            }
        }
        SliceGroupMap::Foreground { rectangles } => {
            map.fill(count as u8 - 1);
            for (group, &(top_left, bottom_right)) in rectangles.iter().enumerate().rev() {
                let (x0, y0) = (top_left as usize % width, top_left as usize / width);
                let (x1, y1) = (bottom_right as usize % width, bottom_right as usize / width);
                for y in y0..=y1.min(height - 1) {
                    for x in x0..=x1 {
                        map[y * width + x] = group as u8;
                    }
                }
            }
        }
        SliceGroupMap::Changing {
            map_type,
            direction_flag,
            change_rate,
        } => {
            let in_group0 =
                (u64::from(sh.slice_group_change_cycle) * u64::from(*change_rate)).min(size as u64) as usize;
            let direction = usize::from(*direction_flag);
            if *map_type == 3 {
                box_out(&mut map, width, height, in_group0, direction);
            } else {
                let upper_left = if *direction_flag {
                    size - in_group0
                } else {
                    in_group0
                };
                for (i, unit) in map.iter_mut().enumerate() {
                    let place = if *map_type == 4 {
                        i
                    } else {
                        i % width * height + i / width
                    };
                    *unit = if place < upper_left {
                        direction as u8
                    } else {
                        1 - direction as u8
                    };
                }
            }
        }
        SliceGroupMap::Explicit { slice_group_id } => {
            for (unit, &group) in map.iter_mut().zip(slice_group_id) {
                *unit = group.min(count as u8 - 1);
            }
        }
    }
    map
}

/// slice_group_map_type 3 (8.2.2.4).
fn box_out(map: &mut [u8], width: usize, height: usize, in_group0: usize, direction: usize) {
    map.fill(1);
    let (width, height, direction) = (width as i32, height as i32, direction as i32);
    let (mut x, mut y) = ((width - direction) / 2, (height - direction) / 2);
    let (mut left, mut top, mut right, mut bottom) = (x, y, x, y);
    let (mut dx, mut dy) = (direction - 1, direction);
    let mut k = 0;
    while k < in_group0 {
        let unit = &mut map[(y * width + x) as usize];
        let vacant = *unit == 1;
        if vacant {
            *unit = 0;
            k += 1;
        }
        if dx == -1 && x == left {
            left = (left - 1).max(0);
            x = left;
            (dx, dy) = (0, 2 * direction - 1);
        } else if dx == 1 && x == right {
            right = (right + 1).min(width - 1);
            x = right;
            (dx, dy) = (0, 1 - 2 * direction);
        } else if dy == -1 && y == top {
            top = (top - 1).max(0);
            y = top;
            (dx, dy) = (1 - 2 * direction, 0);
        } else if dy == 1 && y == bottom {
            bottom = (bottom + 1).min(height - 1);
            y = bottom;
            (dx, dy) = (2 * direction - 1, 0);
        } else {
            (x, y) = (x + dx, y + dy);
        }
    }
}
