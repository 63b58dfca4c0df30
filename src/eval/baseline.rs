//! Features that nothing was learned for: what any figure has to be compared with.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tch::{Kind, Tensor};

use crate::replay::{MASKED, MOTION_UNITS_PER_PIXEL};
use crate::window::FrameSize;

/// A feature that takes no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// A random direction for each video.
    Random,
    /// The centre crop's pixels, averaged over 2 × 12 × 12 blocks of a clip.
    Pixels,
    /// How much of each ninth of the picture moves whither and how fast, from the bitstream.
    MotionHistogram,
    /// The centre crop's mean colour.
    MeanColour,
    /// The file's size.
    FileSize,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Random,
        Self::Pixels,
        Self::MotionHistogram,
        Self::MeanColour,
        Self::FileSize,
    ];

    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Pixels => "pixels",
            Self::MotionHistogram => "motion-histogram",
            Self::MeanColour => "mean-colour",
            Self::FileSize => "file-size",
        }
    }
}

/// Channels of a random direction.
const RANDOM_CHANNELS: usize = 64;

/// A direction that follows from the seed and the video's place in the list.
pub fn random_direction(seed: u64, place: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(place);
    (0..RANDOM_CHANNELS)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect()
}

/// Normalised clips `[N, 3, T, S, S]` → mean over the clips of block means, `[3 · 2 · 12 · 12]`.
pub fn pixels(clips: &Tensor) -> Tensor {
    clips
        .adaptive_avg_pool3d([2, 12, 12])
        .mean_dim(0, false, Kind::Float)
        .flatten(0, -1)
}

/// Distances between cosines of lifted points follow those between the points, if these are short against 1.
fn lifted(point: impl IntoIterator<Item = f32>) -> Vec<f32> {
    const SCALE: f32 = 0.25;
    std::iter::once(1.0)
        .chain(point.into_iter().map(|x| SCALE * x))
        .collect()
}

/// Normalised clips `[N, 3, T, S, S]` → their mean colour, lifted so that near colours have a large cosine.
pub fn mean_colour(clips: &Tensor) -> Result<Vec<f32>, tch::TchError> {
    let mean = clips.mean_dim([0i64, 2, 3, 4].as_slice(), false, Kind::Float);
    Ok(lifted(Vec::<f32>::try_from(mean)?))
}

/// Bytes → the place of their logarithm on a quarter circle, so that near sizes have a large cosine.
pub fn file_size(bytes: u64) -> Vec<f32> {
    // 1 byte to 1 TB.
    let place = ((bytes.max(1) as f64).ln() / 1e12f64.ln()).min(1.0) * std::f64::consts::FRAC_PI_2;
    vec![place.cos() as f32, place.sin() as f32]
}

const DIRECTIONS: usize = 8;
/// Speeds are told apart at these, in pixels per frame.
const SPEEDS: [f32; 3] = [0.25, 1.0, 2.5];
/// Eight directions at three speeds, still, unknown.
const BINS: usize = DIRECTIONS * SPEEDS.len() + 2;
/// The picture is cut into so many parts each way.
const PARTS: usize = 3;

/// Maps `[2, h, w]` → share of the cells of each ninth of the picture that moves into each direction at each speed, stands
/// still, or is unknown, over all maps; square roots, so that a cosine is a Bhattacharyya coefficient.
pub fn motion_histogram(maps: &[Vec<i16>], size: FrameSize) -> Vec<f32> {
    let mut counts = vec![0u32; PARTS * PARTS * BINS];
    let (width, height) = (size.width as usize, size.height as usize);
    let area = size.area();
    for map in maps {
        for cell in 0..area {
            let part = (cell / width * PARTS / height) * PARTS + cell % width * PARTS / width;
            counts[part * BINS + bin(map[cell], map[area + cell])] += 1;
        }
    }
    let all = counts.iter().sum::<u32>().max(1) as f32;
    counts
        .into_iter()
        .map(|count| (count as f32 / all).sqrt())
        .collect()
}

fn bin(x: i16, y: i16) -> usize {
    if x == MASKED || y == MASKED {
        return BINS - 1;
    }
    let (x, y) = (f32::from(x), f32::from(y));
    let pixels = x.hypot(y) / f32::from(MOTION_UNITS_PER_PIXEL);
    let Some(speed) = SPEEDS.iter().rposition(|&least| pixels >= least) else {
        return BINS - 2;
    };
    let turns = y.atan2(x) / std::f32::consts::TAU;
    let direction = (turns * DIRECTIONS as f32).round().rem_euclid(DIRECTIONS as f32) as usize;
    speed * DIRECTIONS + direction % DIRECTIONS
}

#[cfg(test)]
mod tests {
    use super::super::similarity::UnitFeatures;
    use super::*;

    fn nearest(rows: &[Vec<f32>]) -> usize {
        let mut features = UnitFeatures::default();
        rows.iter().for_each(|row| features.push(row).unwrap());
        (1..rows.len())
            .max_by(|&a, &b| features.cosine(0, a).total_cmp(&features.cosine(0, b)))
            .unwrap()
    }

    #[test]
    fn near_sizes_and_colours_are_near() {
        let sizes = [100_000u64, 50_000, 103_000, 160_000];
        assert_eq!(nearest(&sizes.map(file_size)), 2);
        let colours = [
            [0.2f32, 0.1, -0.3],
            [0.4, 0.2, -0.6],
            [0.22, 0.1, -0.28],
            [0.1, 0.05, -0.15],
        ];
        assert_eq!(nearest(&colours.map(lifted)), 2);
    }

    #[test]
    fn motion_is_counted_by_place_direction_and_speed() {
        let size = FrameSize { width: 3, height: 3 };
        let mut map = vec![0i16; 18];
        map[0] = 2 * MOTION_UNITS_PER_PIXEL;
        map[4] = MASKED;
        map[13] = MASKED;
        map[9 + 8] = -3 * MOTION_UNITS_PER_PIXEL;
        let histogram = motion_histogram(&[map], size);
        let set: Vec<usize> = (0..histogram.len()).filter(|&n| histogram[n] > 0.0).collect();
        assert_eq!(set.len(), 9);
        assert!(
            set.contains(&DIRECTIONS),
            "right at middle speed in the first part"
        );
        assert!(set.contains(&(4 * BINS + BINS - 1)));
        assert!(
            set.contains(&(8 * BINS + 2 * DIRECTIONS + 6)),
            "up and fast in the last"
        );
        assert!((histogram.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn random_directions_follow_from_seed_and_place() {
        assert_eq!(random_direction(1, 5), random_direction(1, 5));
        assert_ne!(random_direction(1, 5), random_direction(1, 6));
        assert_ne!(random_direction(1, 5), random_direction(2, 5));
    }
}
