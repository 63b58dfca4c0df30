//! Values that look random and follow from their place alone.

/// A number in 0..1 for a lattice point; the same for the same point and seed.
pub fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca6b) ^ seed;
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / (1u32 << 24) as f32
}

/// Value noise in 0..1: lattice values, mixed smoothly in between.
pub fn smooth(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - column), ease(y - row));
    let at = |dx: i32, dy: i32| lattice(column as i32 + dx, row as i32 + dy, seed);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
    upper + (lower - upper) * v
}

/// Distances from a point to the nearest and the second nearest of points strewn one a lattice cell, and the nearest's cell.
pub fn cells(x: f32, y: f32, seed: u32) -> (f32, f32, (i32, i32)) {
    let (column, row) = (x.floor() as i32, y.floor() as i32);
    let (mut first, mut second, mut nearest) = (f32::MAX, f32::MAX, (column, row));
    for cell_y in row - 1..=row + 1 {
        for cell_x in column - 1..=column + 1 {
            let px = cell_x as f32 + 0.15 + 0.7 * lattice(cell_x, cell_y, seed);
            let py = cell_y as f32 + 0.15 + 0.7 * lattice(cell_x, cell_y, seed ^ 0x55aa_1234);
            let distance = (px - x).hypot(py - y);
            if distance < first {
                (second, first, nearest) = (first, distance, (cell_x, cell_y));
            } else if distance < second {
                second = distance;
            }
        }
    }
    (first, second, nearest)
}
