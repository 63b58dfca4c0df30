//! Motion of many frames → figures, in memory that does not grow. Pure.

use serde::Serialize;

use super::displacement::Displacements;

/// A block that moved less than this, in pixels per frame, stands still.
pub const STILL_BELOW: f32 = 0.25;

/// Magnitudes are counted in steps of this many pixels per frame, so percentiles are exact to one step.
const STEP: f32 = 1.0 / 16.0;
/// Steps counted one by one: up to 128 pixels per frame. Beyond it only the maximum is known.
const STEPS: usize = 2048;

/// Sectors of the direction histogram, counter-clockwise as seen on the screen.
const DIRECTIONS: usize = 8;

/// Macroblocks by how they were coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacroblockCounts {
    /// All.
    pub all: u64,
    /// Intra coded.
    pub intra: u64,
    /// Skipped.
    pub skipped: u64,
    /// Not decoded.
    pub lost: u64,
}

/// Adds up motion, frame by frame.
#[derive(Clone, Debug)]
pub struct MotionTotals {
    known: u64,
    macroblocks: MacroblockCounts,
    still: u64,
    magnitude_sum: f64,
    magnitude_max: f32,
    steps: Vec<u64>,
    directions: [u64; DIRECTIONS],
}

/// Motion statistics over all 4×4 blocks of all P and B pictures. A field counts as the frame that its rows are spread to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MotionFacts {
    /// Blocks with a motion vector.
    pub blocks: u64,
    /// Part of the macroblocks that are intra coded.
    pub intra_fraction: f64,
    /// Part of the macroblocks that are skipped: neither motion nor residual was coded for them.
    pub skip_fraction: f64,
    /// Part of the macroblocks that could not be decoded.
    pub lost_fraction: f64,
    /// Part of the blocks with a vector that moved less than a quarter pixel per frame.
    pub still_fraction: f64,
    /// How far blocks with a vector moved, in pixels per frame.
    pub magnitude: MagnitudeFacts,
    /// Where blocks that do not stand still went: parts of one.
    pub directions: DirectionFacts,
}

/// Magnitudes in pixels per frame. Percentiles are exact to 1/16 pixel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MagnitudeFacts {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// Nine of ten blocks moved no further.
    pub p90: f64,
    /// 99 of 100 blocks moved no further.
    pub p99: f64,
    /// The furthest.
    pub max: f64,
}

/// Parts of the moving blocks by direction on the screen, in sectors of 45 degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct DirectionFacts {
    pub right: f64,
    pub up_right: f64,
    pub up: f64,
    pub up_left: f64,
    pub left: f64,
    pub down_left: f64,
    pub down: f64,
    pub down_right: f64,
}

impl Default for MotionTotals {
    fn default() -> Self {
        Self {
            known: 0,
            macroblocks: MacroblockCounts::default(),
            still: 0,
            magnitude_sum: 0.0,
            magnitude_max: 0.0,
            steps: vec![0; STEPS],
            directions: [0; DIRECTIONS],
        }
    }
}

/// Sector of a displacement, 0 to the right, then counter-clockwise on the screen, whose y axis points down.
fn sector([x, y]: [f32; 2]) -> usize {
    let eighths = (-y).atan2(x) / std::f32::consts::FRAC_PI_4;
    (eighths.round() as i32).rem_euclid(DIRECTIONS as i32) as usize
}

impl MotionTotals {
    /// Adds a picture that is not an intra picture.
    pub fn add(&mut self, frame: &Displacements, macroblocks: MacroblockCounts) {
        self.macroblocks.all += macroblocks.all;
        self.macroblocks.intra += macroblocks.intra;
        self.macroblocks.skipped += macroblocks.skipped;
        self.macroblocks.lost += macroblocks.lost;
        for displacement in frame.blocks.iter().flatten().copied() {
            self.known += 1;
            let magnitude = displacement[0].hypot(displacement[1]);
            self.magnitude_sum += f64::from(magnitude);
            self.magnitude_max = self.magnitude_max.max(magnitude);
            self.steps[((magnitude / STEP).round() as usize).min(STEPS - 1)] += 1;
            if magnitude < STILL_BELOW {
                self.still += 1;
            } else {
                self.directions[sector(displacement)] += 1;
            }
        }
    }

    /// Magnitude, in pixels per frame, that `part` of the blocks do not exceed.
    pub fn percentile(&self, part: f64) -> f64 {
        self.magnitude_of_rank((part * self.known as f64).ceil() as u64)
    }

    /// The same among the blocks that do not stand still; none where all do.
    pub fn percentile_of_moving(&self, part: f64) -> Option<f64> {
        let moving = self.known - self.still;
        let rank = self.still + (part * moving as f64).ceil() as u64;
        (moving > 0).then(|| self.magnitude_of_rank(rank))
    }

    fn magnitude_of_rank(&self, wanted: u64) -> f64 {
        let mut counted = 0;
        for (step, &blocks) in self.steps[..STEPS - 1].iter().enumerate() {
            counted += blocks;
            if counted >= wanted {
                return step as f64 * f64::from(STEP);
            }
        }
        f64::from(self.magnitude_max)
    }

    /// The figures; `None` where no frame had a motion vector.
    pub fn facts(&self) -> Option<MotionFacts> {
        if self.known == 0 {
            return None;
        }
        let moving = (self.known - self.still).max(1) as f64;
        let of_macroblocks = |count: u64| count as f64 / self.macroblocks.all.max(1) as f64;
        let [right, up_right, up, up_left, left, down_left, down, down_right] =
            self.directions.map(|blocks| blocks as f64 / moving);
        Some(MotionFacts {
            blocks: self.known,
            intra_fraction: of_macroblocks(self.macroblocks.intra),
            skip_fraction: of_macroblocks(self.macroblocks.skipped),
            lost_fraction: of_macroblocks(self.macroblocks.lost),
            still_fraction: self.still as f64 / self.known as f64,
            magnitude: MagnitudeFacts {
                mean: self.magnitude_sum / self.known as f64,
                p50: self.percentile(0.5),
                p90: self.percentile(0.9),
                p99: self.percentile(0.99),
                max: f64::from(self.magnitude_max),
            },
            directions: DirectionFacts {
                right,
                up_right,
                up,
                up_left,
                left,
                down_left,
                down,
                down_right,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(blocks: Vec<Option<[f32; 2]>>) -> Displacements {
        Displacements {
            columns: blocks.len(),
            rows: 1,
            blocks,
        }
    }

    #[test]
    fn directions_are_those_on_the_screen() {
        let mut totals = MotionTotals::default();
        totals.add(
            &frame(vec![
                Some([2.0, 0.0]),
                Some([2.0, 0.1]),
                Some([0.0, -3.0]),
                Some([-1.0, 1.0]),
                Some([0.1, 0.0]),
                None,
            ]),
            MacroblockCounts {
                all: 4,
                intra: 1,
                skipped: 3,
                lost: 2,
            },
        );
        let facts = totals.facts().unwrap();
        assert_eq!(facts.directions.right, 0.5);
        assert_eq!(facts.directions.up, 0.25, "y points down in a picture");
        assert_eq!(facts.directions.down_left, 0.25);
        assert_eq!((facts.still_fraction, facts.skip_fraction), (0.2, 0.75));
        assert_eq!((facts.intra_fraction, facts.lost_fraction), (0.25, 0.5));
        assert_eq!(facts.magnitude.max, 3.0);
        assert_eq!(totals.percentile(0.2), 0.125);
        assert_eq!(totals.percentile_of_moving(0.25), Some(1.4375));
        assert_eq!(totals.percentile_of_moving(1.0), Some(3.0));
    }

    #[test]
    fn no_vector_is_not_zero_motion() {
        let mut totals = MotionTotals::default();
        totals.add(&frame(vec![None, None]), MacroblockCounts::default());
        assert_eq!(totals.facts(), None);
        assert_eq!(totals.percentile_of_moving(0.5), None);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_magnitudes(
            mut lengths in prop::collection::vec(0.0_f32..200.0, 1..200), part in 0.01_f64..1.0
        ) {
            let mut totals = MotionTotals::default();
            totals.add(&frame(lengths.iter().map(|&x| Some([x, 0.0])).collect()), MacroblockCounts::default());
            lengths.sort_by(f32::total_cmp);
            let rank = (part * lengths.len() as f64).ceil() as usize;
            let exact = f64::from(lengths[rank - 1]);
            let counted = totals.percentile(part);
            let bounded = exact < f64::from(STEP) * (STEPS as f64 - 2.0);
            prop_assert!(!bounded || (counted - exact).abs() <= f64::from(STEP), "{counted} {exact}");
        }
    }
}
