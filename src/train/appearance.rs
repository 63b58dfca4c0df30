use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What happens to the colours and the sharpness of a view, the same for all its frames.
///
/// Brightness, contrast, saturation, hue and grey are all linear in the pixel once the view's mean brightness is known, so
/// together they are one matrix and one offset: pixel → `matrix` · pixel + `mean_share` · (mean luma of the view). Hue turns
/// the chroma plane of YUV (as NVIDIA's DALI does), which leaves luma as it is; values are cut off at 0 and 1 once, at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appearance {
    /// Rows: new red, green, blue; columns: old.
    pub matrix: [[f64; 3]; 3],
    /// How much of the mean luma is added to each channel.
    pub mean_share: f64,
    /// Standard deviation of the Gaussian blur, in pixels of the crop; 0 for none.
    pub blur_sigma: f64,
}

/// Rec. 601, as in torchvision.
pub(super) const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

const JITTER_PROBABILITY: f64 = 0.5;
const JITTER: f64 = 0.4;
const HUE_TURNS: f64 = 0.1;
const GREY_PROBABILITY: f64 = 0.2;
const BLUR_PROBABILITY: f64 = 0.5;
const BLUR_SIGMA: std::ops::RangeInclusive<f64> = 0.1..=2.0;

type Matrix = [[f64; 3]; 3];

impl Appearance {
    /// Nothing changes.
    pub fn untouched() -> Self {
        Self {
            matrix: saturation(1.0),
            mean_share: 0.0,
            blur_sigma: 0.0,
        }
    }

    /// Jitter of 0.4, 0.4, 0.4 and 0.1 every other time, grey one time in five, blur every other time: that at a `strength` of 1, and
    /// in proportion below.
    pub fn draw(rng: &mut ChaCha8Rng, strength: f64) -> Self {
        let mut drawn = Self::untouched();
        let (jitter, turns) = (JITTER * strength, HUE_TURNS * strength);
        if rng.random_bool(JITTER_PROBABILITY) {
            let brightness = rng.random_range(1.0 - jitter..=1.0 + jitter);
            let contrast = rng.random_range(1.0 - jitter..=1.0 + jitter);
            let saturated = saturation(rng.random_range(1.0 - jitter..=1.0 + jitter));
            let turned = hue(rng.random_range(-turns..=turns));
            drawn.matrix = scaled(product(turned, saturated), brightness * contrast);
            drawn.mean_share = brightness * (1.0 - contrast);
        }
        if rng.random_bool(GREY_PROBABILITY * strength) {
            drawn.matrix = product(saturation(0.0), drawn.matrix);
        }
        if rng.random_bool(BLUR_PROBABILITY * strength) {
            drawn.blur_sigma = rng.random_range(BLUR_SIGMA);
        }
        drawn
    }
}

/// Mixes each colour with its luma: 0 is grey, 1 changes nothing.
fn saturation(factor: f64) -> Matrix {
    let mut matrix = [LUMA.map(|weight| (1.0 - factor) * weight); 3];
    for (channel, row) in matrix.iter_mut().enumerate() {
        row[channel] += factor;
    }
    matrix
}

/// Turns hue by a part of the full circle. Grey stays grey, luma stays as it is.
fn hue(turns: f64) -> Matrix {
    const U_SCALE: f64 = 0.492;
    const V_SCALE: f64 = 0.877;
    let (sin, cos) = (std::f64::consts::TAU * turns).sin_cos();
    let chroma = |scale: f64, channel: usize| {
        let mut row = LUMA.map(|weight| -scale * weight);
        row[channel] += scale;
        row
    };
    let (u, v) = (chroma(U_SCALE, 2), chroma(V_SCALE, 0));
    let mut matrix = [[0.0; 3]; 3];
    for column in 0..3 {
        let turned_u = cos * u[column] - sin * v[column];
        let turned_v = sin * u[column] + cos * v[column];
        let luma = LUMA[column];
        let red = luma + turned_v / V_SCALE;
        let blue = luma + turned_u / U_SCALE;
        let green = (luma - LUMA[0] * red - LUMA[2] * blue) / LUMA[1];
        matrix[0][column] = red;
        matrix[1][column] = green;
        matrix[2][column] = blue;
    }
    matrix
}

fn product(left: Matrix, right: Matrix) -> Matrix {
    let entry = |row: usize, column: usize| (0..3).map(|k| left[row][k] * right[k][column]).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column)))
}

fn scaled(matrix: Matrix, factor: f64) -> Matrix {
    matrix.map(|row| row.map(|value| value * factor))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn apply(matrix: Matrix, pixel: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(pixel).map(|(a, b)| a * b).sum())
    }

    fn near(a: [f64; 3], b: [f64; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    #[test]
    fn turning_hue_keeps_grey_and_luma_and_is_undone_by_turning_back() {
        let pixel = [0.2, 0.5, 0.9];
        let luma = |pixel: [f64; 3]| pixel.iter().zip(LUMA).map(|(a, b)| a * b).sum::<f64>();
        let turned = apply(hue(0.07), pixel);
        assert!((luma(turned) - luma(pixel)).abs() < 1e-9);
        assert!(!near(turned, pixel));
        assert!(near(apply(hue(-0.07), turned), pixel));
        assert!(near(apply(hue(0.1), [0.4; 3]), [0.4; 3]));
        assert!(near(apply(hue(0.0), pixel), pixel));
    }

    #[test]
    fn no_saturation_is_grey() {
        let grey = apply(saturation(0.0), [1.0, 0.0, 0.0]);
        assert!(near(grey, [0.299; 3]));
        assert!(near(apply(saturation(1.0), [0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]));
    }

    #[test]
    fn draws_as_often_as_the_paper() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (mut blurred, mut grey, mut plain) = (0, 0, 0);
        for _ in 0..2000 {
            let drawn = Appearance::draw(&mut rng, 1.0);
            blurred += u32::from(drawn.blur_sigma > 0.0);
            assert!(drawn.blur_sigma <= 2.0);
            let is_grey = near(drawn.matrix[0], drawn.matrix[1]) && near(drawn.matrix[1], drawn.matrix[2]);
            grey += u32::from(is_grey);
            plain += u32::from(drawn.matrix == saturation(1.0));
        }
        assert!((900..1100).contains(&blurred), "{blurred}");
        assert!((320..480).contains(&grey), "{grey}");
        assert!((720..880).contains(&plain), "{plain}");
    }

    #[test]
    fn without_strength_nothing_changes_and_with_half_of_it_half_as_much() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut blurred = 0;
        for _ in 0..500 {
            let none = Appearance::draw(&mut rng, 0.0);
            assert!(none.blur_sigma == 0.0 && none.mean_share.abs() < 1e-12);
            assert!(near(apply(none.matrix, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9]));
            let half = Appearance::draw(&mut rng, 0.5);
            blurred += u32::from(half.blur_sigma > 0.0);
            // Brightness and contrast stretch white by at most 1.2 each.
            assert!(apply(half.matrix, [1.0; 3])[0] <= 1.2 * 1.2 + 1e-9);
        }
        assert!(
            (90..160).contains(&blurred),
            "{blurred} of 500, and a quarter is right"
        );
    }
}
