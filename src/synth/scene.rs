use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::encode::EncoderSettings;
use super::movement::Movement;
use super::plan::VideoPlan;
use super::texture::{Backdrop, Paint, muted_colour};
use crate::window::FrameSize;

/// Size of every video.
pub const FRAME: FrameSize = FrameSize {
    width: 160,
    height: 120,
};
/// Pictures a second.
pub const FRAME_RATE: u32 = 25;
/// Pictures of a video: 3.2 s.
pub const FRAMES: u32 = 80;

/// The scene is so much larger than the picture that no camera sees its edge.
const BACKDROP: (usize, usize) = (480, 360);

/// An outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A disc.
    Disc,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A star with five points.
    Star,
    /// A long rectangle.
    Bar,
}

impl Shape {
    const ALL: [Self; 5] = [Self::Disc, Self::Square, Self::Triangle, Self::Star, Self::Bar];

    /// How far inside a point is, in units of the shape's size: negative outside.
    pub fn inside(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Disc => 1.0 - x.hypot(y),
            Self::Square => 0.86 - x.abs().max(y.abs()),
            Self::Triangle => (0.6 - y).min(0.55 + 0.5 * y - 0.87 * x.abs()),
            Self::Star => {
                let angle = y.atan2(x);
                let edge = 0.72 + 0.28 * (5.0 * angle).cos();
                edge - x.hypot(y)
            }
            Self::Bar => (1.1 - x.abs()).min(0.5 - y.abs()),
        }
    }
}

/// Something that stands or moves before the backdrop.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its outline.
    pub shape: Shape,
    /// Pixels from its middle to its edge.
    pub size: f32,
    /// Place of rest, in pixels from the middle of the scene.
    pub rest: (f32, f32),
    /// Turn at rest.
    pub angle: f32,
    /// Keeps objects out of step, 0..1.
    pub shift: f32,
    /// Its two colours.
    pub colours: [[f32; 3]; 2],
    /// Stripes across it.
    pub stripes: f32,
}

/// What the light does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// How much it swells and fades.
    pub swing: f32,
    /// How often a second.
    pub hertz: f32,
    /// Where it begins.
    pub phase: f32,
    /// How much brighter one side is than the other, to the right and downwards.
    pub slope: (f32, f32),
}

/// Everything that decides the pictures of a video, and how they are encoded.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Behind everything.
    pub backdrop: Backdrop,
    /// Before it.
    pub objects: Vec<Object>,
    /// How it moves.
    pub movement: Movement,
    /// How it is lit.
    pub light: Light,
    /// Largest deviation of a pixel by noise.
    pub noise: f32,
    /// Noise of its own.
    pub noise_seed: u32,
    /// How it is encoded.
    pub encoder: EncoderSettings,
}

/// Numbers of random streams: a scene's surroundings and a video's own things are drawn apart.
const SCENES: u64 = 1 << 32;
const VIDEOS: u64 = 2 << 32;

fn random(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

impl Scene {
    /// Draws a video's scene. Videos of the same scene number share the backdrop and the objects' looks, nothing else.
    pub fn draw(seed: u64, plan: &VideoPlan) -> Self {
        let rng = &mut random(seed, SCENES + u64::from(plan.scene));
        let paint = Paint::draw(rng);
        let clutter: Vec<Object> = (0..rng.random_range(10..16))
            .map(|_| Object::draw(rng, (220.0, 160.0), 8.0..20.0))
            .collect();
        let covered = |x: f32, y: f32| clutter.iter().rev().find_map(|thing| thing.colour_at(x, y));
        let backdrop = paint.backdrop(plan.context, BACKDROP, covered);
        let looks: Vec<Object> = (0..rng.random_range(2..4))
            .map(|_| Object::draw(rng, (52.0, 36.0), 13.0..22.0))
            .collect();

        let rng = &mut random(seed, VIDEOS + u64::from(plan.number));
        let objects = looks
            .into_iter()
            .map(|look| Object {
                rest: (rng.random_range(-52.0..52.0), rng.random_range(-36.0..36.0)),
                shift: rng.random_range(0.0..1.0),
                ..look
            })
            .collect();
        Self {
            backdrop,
            objects,
            movement: Movement::draw(plan.motion, FRAMES as f32 / FRAME_RATE as f32, rng),
            light: Light {
                swing: rng.random_range(0.0..0.1),
                hertz: rng.random_range(0.1..0.7),
                phase: rng.random_range(0.0..std::f32::consts::TAU),
                slope: (rng.random_range(-0.15..0.15), rng.random_range(-0.15..0.15)),
            },
            noise: rng.random_range(1.0..6.0),
            noise_seed: rng.random(),
            encoder: EncoderSettings::draw(rng),
        }
    }
}

impl Object {
    fn draw(rng: &mut ChaCha8Rng, reach: (f32, f32), sizes: std::ops::Range<f32>) -> Self {
        Self {
            shape: Shape::ALL.choose(rng).copied().unwrap_or(Shape::Disc),
            size: rng.random_range(sizes),
            rest: (
                rng.random_range(-reach.0..reach.0),
                rng.random_range(-reach.1..reach.1),
            ),
            angle: rng.random_range(0.0..std::f32::consts::TAU),
            shift: rng.random_range(0.0..1.0),
            colours: [muted_colour(rng), muted_colour(rng)],
            stripes: rng.random_range(1.0..4.0),
        }
    }

    /// The colour on the object, at a place in units of its size.
    pub fn pattern(&self, x: f32, _y: f32) -> [f32; 3] {
        self.colours[usize::from((x * self.stripes).rem_euclid(2.0) < 1.0)]
    }

    fn colour_at(&self, x: f32, y: f32) -> Option<[f32; 3]> {
        let (dx, dy) = ((x - self.rest.0) / self.size, (y - self.rest.1) / self.size);
        if dx.abs().max(dy.abs()) > 1.3 {
            return None;
        }
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
        (self.shape.inside(u, v) > 0.0).then(|| self.pattern(u, v))
    }
}
