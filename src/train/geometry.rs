use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A part of the source picture, in source pixels (not whole ones), whatever size the picture is stored in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// From the left edge.
    pub left: f64,
    /// From the upper edge.
    pub top: f64,
    /// Columns.
    pub width: f64,
    /// Rows.
    pub height: f64,
    /// Mirrored left to right.
    pub flipped: bool,
}

const AREA_MIN: f64 = 0.2;
const ASPECT_MIN: f64 = 3.0 / 4.0;
const ASPECT_MAX: f64 = 4.0 / 3.0;
const FLIP_PROBABILITY: f64 = 0.5;
const ATTEMPTS: usize = 10;

impl Crop {
    /// The whole picture as it is.
    pub fn whole(source_width: u32, source_height: u32) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            width: f64::from(source_width),
            height: f64::from(source_height),
            flipped: false,
        }
    }

    /// A random part as torchvision's `RandomResizedCrop` draws it: 0.2 to 1 of the area, 3:4 to 4:3 in shape, tried ten times,
    /// else the largest part of a legal shape in the middle; mirrored every other time. With a `strength` below 1 parts are larger:
    /// from 0.6 of the area at 0.5.
    pub fn draw(rng: &mut ChaCha8Rng, source_width: u32, source_height: u32, strength: f64) -> Self {
        let (source_width, source_height) = (f64::from(source_width), f64::from(source_height));
        let area_min = 1.0 - strength * (1.0 - AREA_MIN);
        let (width, height) = draw_size(rng, source_width, source_height, area_min);
        Self {
            left: rng.random_range(0.0..=source_width - width),
            top: rng.random_range(0.0..=source_height - height),
            width,
            height,
            flipped: rng.random_bool(FLIP_PROBABILITY),
        }
    }
}

fn draw_size(rng: &mut ChaCha8Rng, source_width: f64, source_height: f64, area_min: f64) -> (f64, f64) {
    for _ in 0..ATTEMPTS {
        let area = source_width * source_height * rng.random_range(area_min..=1.0);
        let aspect = rng.random_range(ASPECT_MIN.ln()..=ASPECT_MAX.ln()).exp();
        let (width, height) = ((area * aspect).sqrt(), (area / aspect).sqrt());
        if width <= source_width && height <= source_height {
            return (width, height);
        }
    }
    let aspect = (source_width / source_height).clamp(ASPECT_MIN, ASPECT_MAX);
    if source_width / source_height < aspect {
        (source_width, source_width / aspect)
    } else {
        (source_height * aspect, source_height)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn weaker_crops_are_larger() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let areas = (0..300).map(|_| {
            let crop = Crop::draw(&mut rng, 320, 240, 0.5);
            crop.width * crop.height / (320.0 * 240.0)
        });
        let least = areas.fold(1.0, f64::min);
        assert!((0.5999..0.65).contains(&least), "{least}");
        let whole = Crop::draw(&mut rng, 320, 240, 0.0);
        assert!(whole.width * whole.height > 0.999 * 320.0 * 240.0, "{whole:?}");
    }

    #[test]
    fn crops_lie_inside_and_keep_area_and_shape_in_source_pixels() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (width, height) in [(1920, 1080), (320, 240), (100, 1000), (1, 1)] {
            let mut flips = 0;
            for _ in 0..500 {
                let crop = Crop::draw(&mut rng, width, height, 1.0);
                assert!(
                    crop.left >= 0.0 && crop.left + crop.width <= f64::from(width) + 1e-9,
                    "{crop:?}"
                );
                assert!(
                    crop.top >= 0.0 && crop.top + crop.height <= f64::from(height) + 1e-9,
                    "{crop:?}"
                );
                let aspect = crop.width / crop.height;
                assert!((0.7499..1.3334).contains(&aspect), "{crop:?}");
                if width == 320 {
                    let area = crop.width * crop.height / (320.0 * 240.0);
                    assert!((0.1999..=1.0).contains(&area), "{crop:?}");
                }
                flips += u32::from(crop.flipped);
            }
            assert!((180..320).contains(&flips), "{flips} of 500 mirrored");
        }
    }
}
