use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::noise::{cells, lattice, smooth};

/// A kind of surroundings: which texture the background has. Colours, scale, direction and place are each scene's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// Rows of bricks with joints, each row shifted.
    Bricks,
    /// Round spots on a jittered lattice.
    Dots,
    /// Smooth clouds in several octaves.
    Clouds,
    /// Parallel boards with grain.
    Planks,
    /// Cells with thin dark seams.
    Pebbles,
    /// Rings around two centres.
    Ripples,
    /// A chequered floor.
    Checks,
    /// House fronts with windows.
    Windows,
    /// Bands bent into waves.
    Waves,
    /// Triangles of two shades.
    Triangles,
    /// Threads over and under.
    Weave,
    /// Fine thin scratches in all directions.
    Scratches,
}

impl Context {
    /// All of them, in the order in which `--contexts` takes them.
    pub const ALL: [Self; 12] = [
        Self::Bricks,
        Self::Dots,
        Self::Clouds,
        Self::Planks,
        Self::Pebbles,
        Self::Ripples,
        Self::Checks,
        Self::Windows,
        Self::Waves,
        Self::Triangles,
        Self::Weave,
        Self::Scratches,
    ];

    /// As labels have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bricks => "bricks",
            Self::Dots => "dots",
            Self::Clouds => "clouds",
            Self::Planks => "planks",
            Self::Pebbles => "pebbles",
            Self::Ripples => "ripples",
            Self::Checks => "checks",
            Self::Windows => "windows",
            Self::Waves => "waves",
            Self::Triangles => "triangles",
            Self::Weave => "weave",
            Self::Scratches => "scratches",
        }
    }

    /// Where between two colours (0..1) and how bright (about 0.6..1) the texture is at a place, in units of its own size.
    fn shade(self, x: f32, y: f32, seed: u32) -> (f32, f32) {
        let step = |inside: bool| if inside { 1.0 } else { 0.0 };
        let fraction = |v: f32| v - v.floor();
        let cell = |x: f32, y: f32| lattice(x.floor() as i32, y.floor() as i32, seed);
        match self {
            Self::Bricks => {
                let row = (y * 2.0).floor();
                let along = x + 0.5 * (row % 2.0);
                let joint = fraction(along) < 0.08 || fraction(y * 2.0) < 0.16;
                (step(joint), 0.7 + 0.3 * cell(along, y * 2.0))
            }
            Self::Dots => {
                let (nearest, _, (cx, cy)) = cells(x * 1.4, y * 1.4, seed);
                (step(nearest < 0.3), 0.8 + 0.2 * lattice(cx, cy, seed))
            }
            Self::Clouds => {
                let octave = |n: i32| {
                    let scale = 2f32.powi(n);
                    smooth(x * scale, y * scale, seed + n as u32) / scale
                };
                (((0..4).map(octave).sum::<f32>() / 1.875 - 0.5) * 2.2 + 0.5, 1.0)
            }
            Self::Planks => {
                let board = (y * 1.6).floor() as i32;
                let seam = fraction(y * 1.6) < 0.1;
                let grain = smooth(x * 0.8, y * 14.0, seed ^ 7);
                (step(seam), 0.6 + 0.25 * lattice(board, 3, seed) + 0.15 * grain)
            }
            Self::Pebbles => {
                let (first, second, (cx, cy)) = cells(x * 1.3, y * 1.3, seed);
                (step(second - first < 0.09), 0.6 + 0.4 * lattice(cx, cy, seed ^ 5))
            }
            Self::Ripples => {
                let centre = |n: i32| (5.0 * lattice(n, 1, seed) - 2.5, 4.0 * lattice(n, 2, seed) - 2.0);
                let ((ax, ay), (bx, by)) = (centre(0), centre(1));
                let wave = |cx: f32, cy: f32| ((x - cx).hypot(y - cy) * 9.0).sin();
                ((wave(ax, ay) + wave(bx, by)) * 0.4 + 0.5, 1.0)
            }
            Self::Checks => {
                let odd = (x * 1.5).floor() as i64 + (y * 1.5).floor() as i64;
                (step(odd.rem_euclid(2) == 1), 0.8 + 0.2 * cell(x * 1.5, y * 1.5))
            }
            Self::Windows => {
                let house = (x * 0.7).floor() as i32;
                let (column, row) = (fraction(x * 2.8), fraction(y * 2.2));
                let window = (0.3..0.75).contains(&column) && (0.25..0.8).contains(&row);
                let lit = lattice((x * 2.8).floor() as i32, (y * 2.2).floor() as i32, seed) > 0.35;
                (step(window && lit), 0.65 + 0.35 * lattice(house, 9, seed))
            }
            Self::Waves => {
                let bent = y * 7.0 + 1.6 * (x * 2.4 + 6.0 * lattice(1, 1, seed)).sin();
                ((bent.sin() * 1.6).clamp(-1.0, 1.0) * 0.5 + 0.5, 1.0)
            }
            Self::Triangles => {
                let (u, v) = (x * 1.3 + y * 0.75, y * 1.5);
                let upper = fraction(u) + fraction(v) > 1.0;
                (step(upper), 0.7 + 0.3 * cell(u, v))
            }
            Self::Weave => {
                let (u, v) = (x * 2.2, y * 2.2);
                let over = (u.floor() as i64 + v.floor() as i64).rem_euclid(2) == 0;
                let across = if over { fraction(u) } else { fraction(v) };
                (step(over), 0.55 + 0.45 * (across * std::f32::consts::PI).sin())
            }
            Self::Scratches => {
                let line = |n: i32| {
                    let angle = std::f32::consts::PI * lattice(n, 4, seed);
                    let along = x * angle.cos() + y * angle.sin();
                    let bend = 0.12 * smooth(x * 1.5, y * 1.5, seed + n as u32);
                    fraction(along * 0.55 + bend + lattice(n, 5, seed)) < 0.035
                };
                (step((0..7).any(line)), 0.8 + 0.2 * smooth(x * 2.0, y * 2.0, seed))
            }
        }
    }
}

/// A picture that the camera looks at a part of: RGB, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Backdrop {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Components in 0..255, not yet rounded.
    pub pixels: Vec<[f32; 3]>,
}

/// A shade with a faint tint. Were scenes' colours far apart, they would tell one scene from another by themselves, and matching
/// clips with key frames would teach nothing of what a scene shows.
pub(super) fn muted_colour(rng: &mut ChaCha8Rng) -> [f32; 3] {
    let shade = rng.random_range(40.0..215.0);
    std::array::from_fn(|_| shade + rng.random_range(-12.0..12.0))
}

/// What a backdrop is painted with, whatever its context.
#[derive(Clone, Debug, PartialEq)]
pub struct Paint {
    /// Pixels that one unit of the texture takes.
    pub unit_pixels: f32,
    /// The texture is turned by this.
    pub angle: f32,
    /// Random values of the texture.
    pub seed: u32,
    /// The texture's two colours.
    pub colours: [[f32; 3]; 2],
    /// Mean of each channel, imposed.
    pub mean: [f32; 3],
    /// Standard deviation of the channels, imposed.
    pub spread: f32,
}

impl Paint {
    /// Draws everything but what the context decides.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        let luma = rng.random_range(104.0..134.0);
        Self {
            unit_pixels: rng.random_range(24.0..38.0),
            angle: rng.random_range(-0.35..0.35),
            seed: rng.random(),
            colours: [muted_colour(rng), muted_colour(rng)],
            mean: std::array::from_fn(|_| luma + rng.random_range(-9.0..9.0)),
            spread: rng.random_range(28.0..40.0),
        }
    }

    /// Paints a backdrop: texture, then `clutter` over it, then mean and spread put right.
    pub fn backdrop(
        &self,
        context: Context,
        (width, height): (usize, usize),
        clutter: impl Fn(f32, f32) -> Option<[f32; 3]>,
    ) -> Backdrop {
        let (sin, cos) = self.angle.sin_cos();
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let (x, y) = (
                    column as f32 - width as f32 / 2.0,
                    row as f32 - height as f32 / 2.0,
                );
                if let Some(colour) = clutter(x, y) {
                    pixels.push(colour);
                    continue;
                }
                let (u, v) = (
                    (x * cos - y * sin) / self.unit_pixels,
                    (x * sin + y * cos) / self.unit_pixels,
                );
                let (share, bright) = context.shade(u, v, self.seed);
                let share = share.clamp(0.0, 1.0);
                let [a, b] = self.colours;
                pixels.push(std::array::from_fn(|c| (a[c] + (b[c] - a[c]) * share) * bright));
            }
        }
        let mut backdrop = Backdrop {
            width,
            height,
            pixels,
        };
        backdrop.impose(self.mean, self.spread);
        backdrop
    }
}

impl Backdrop {
    /// Shifts and stretches the colours to this mean and this spread, so that neither tells the context. Cutting off at black
    /// and white moves both a little: more rounds bring them back, the last ones the mean alone.
    fn impose(&mut self, mean: [f32; 3], spread: f32) {
        for round in 0..12 {
            let (sum, deviation) = self.mean_and_spread();
            let stretch = if round < 6 {
                spread / deviation.max(1.0)
            } else {
                1.0
            };
            for pixel in &mut self.pixels {
                *pixel = std::array::from_fn(|c| (mean[c] + (pixel[c] - sum[c]) * stretch).clamp(4.0, 251.0));
            }
        }
    }

    /// Mean of each channel, and the root of the mean square of all channels' deviations from it.
    fn mean_and_spread(&self) -> ([f32; 3], f32) {
        let count = self.pixels.len().max(1) as f64;
        let mean: [f64; 3] =
            std::array::from_fn(|c| self.pixels.iter().map(|p| f64::from(p[c])).sum::<f64>() / count);
        let square = |p: &[f32; 3]| (0..3).map(|c| (f64::from(p[c]) - mean[c]).powi(2)).sum::<f64>();
        let variance = self.pixels.iter().map(square).sum::<f64>() / (3.0 * count);
        (mean.map(|m| m as f32), variance.sqrt() as f32)
    }

    /// The colour at a place measured from the middle, mixed from its four neighbours; beyond the edge it is mirrored.
    pub fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let (x, y) = (x + self.width as f32 / 2.0, y + self.height as f32 / 2.0);
        let (column, row) = (x.floor(), y.floor());
        let (u, v) = (x - column, y - row);
        let inside = |place: i64, size: usize| {
            let (place, size) = (place.rem_euclid(2 * size as i64) as usize, size);
            if place < size { place } else { 2 * size - 1 - place }
        };
        let rows = [row as i64, row as i64 + 1].map(|row| inside(row, self.height) * self.width);
        let columns = [column as i64, column as i64 + 1].map(|column| inside(column, self.width));
        let [a, b] = columns.map(|column| self.pixels[rows[0] + column]);
        let [c, d] = columns.map(|column| self.pixels[rows[1] + column]);
        std::array::from_fn(|n| {
            let upper = a[n] + (b[n] - a[n]) * u;
            let lower = c[n] + (d[n] - c[n]) * u;
            upper + (lower - upper) * v
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn mean_and_spread_do_not_depend_on_the_context() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for context in Context::ALL {
            let mut paint = Paint::draw(&mut rng);
            paint.colours = [[200.0, 60.0, 50.0], [40.0, 120.0, 90.0]];
            let backdrop = paint.backdrop(context, (240, 180), |_, _| None);
            let (mean, spread) = backdrop.mean_and_spread();
            for c in 0..3 {
                assert!(
                    (mean[c] - paint.mean[c]).abs() < 2.0,
                    "{context:?} {mean:?} {:?}",
                    paint.mean
                );
            }
            assert!(
                (spread - paint.spread).abs() < 5.0,
                "{context:?} {spread} {}",
                paint.spread
            );
        }
    }

    #[test]
    fn contexts_have_names_of_their_own() {
        let names: std::collections::HashSet<_> = Context::ALL.iter().map(|context| context.name()).collect();
        assert_eq!(names.len(), Context::ALL.len());
    }
}
