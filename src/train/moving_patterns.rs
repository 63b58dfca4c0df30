//! Samples to test training with: a square that moves over a striped ground. The ground tells which key frame belongs to a
//! clip, the square's way tells which motion follows. Nothing is the same in two samples, so what is learned is the task.

use std::{sync::Arc, time::Duration};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{BatchSource, NoData};
use crate::ingest::StreamName;
use crate::replay::{MOTION_UNITS_PER_PIXEL, Sample, SampleId, TimeRange};
use crate::window::SampleSpec;

const SOURCE_WIDTH: u32 = 320;
const SOURCE_HEIGHT: u32 = 240;

/// An endless supply of moving patterns.
pub(super) struct MovingPatterns {
    spec: SampleSpec,
    rng: ChaCha8Rng,
    made: u64,
    /// Batches left; then it ends.
    pub batches_left: u64,
}

#[derive(Clone, Copy)]
struct Square {
    /// Centre at time 0, source pixels.
    centre: [f64; 2],
    /// Source pixels per frame.
    velocity: [f64; 2],
    half: f64,
}

impl Square {
    fn covers(&self, x: f64, y: f64, frame: f64) -> bool {
        let at = |axis: usize| self.centre[axis] + self.velocity[axis] * frame;
        (x - at(0)).abs() <= self.half && (y - at(1)).abs() <= self.half
    }
}

struct Scene {
    ground: [f64; 3],
    stripes: [f64; 3],
    square: Square,
    colour: [f64; 3],
}

impl Scene {
    fn picture(&self, spec: &SampleSpec, frame: f64) -> Vec<u8> {
        let size = spec.frame_size;
        let mut pixels = Vec::new();
        for row in 0..size.height {
            for column in 0..size.width {
                let x = (f64::from(column) + 0.5) * f64::from(SOURCE_WIDTH) / f64::from(size.width);
                let y = (f64::from(row) + 0.5) * f64::from(SOURCE_HEIGHT) / f64::from(size.height);
                let [across, down, phase] = self.stripes;
                let wave = 40.0 * (across * x + down * y + phase).sin();
                let colour = if self.square.covers(x, y, frame) {
                    self.colour
                } else {
                    self.ground.map(|channel| channel + wave)
                };
                pixels.extend(colour.map(|channel| channel.clamp(0.0, 255.0) as u8));
            }
        }
        pixels
    }
}

fn motion(spec: &SampleSpec, square: &Square, first_frame: f64) -> Vec<i16> {
    let size = spec.motion_size;
    let mut maps = Vec::new();
    for map in 0..spec.target_frames {
        for axis in 0..2 {
            let units = (square.velocity[axis] * f64::from(MOTION_UNITS_PER_PIXEL)) as i16;
            for row in 0..size.height {
                for column in 0..size.width {
                    let x = (f64::from(column) + 0.5) * f64::from(SOURCE_WIDTH) / f64::from(size.width);
                    let y = (f64::from(row) + 0.5) * f64::from(SOURCE_HEIGHT) / f64::from(size.height);
                    let covered = square.covers(x, y, first_frame + f64::from(map));
                    maps.push(if covered { units } else { 0 });
                }
            }
        }
    }
    maps
}

impl MovingPatterns {
    pub(super) fn new(spec: SampleSpec, seed: u64) -> Self {
        Self {
            spec,
            rng: ChaCha8Rng::seed_from_u64(seed),
            made: 0,
            batches_left: u64::MAX,
        }
    }

    pub(super) fn sample(&mut self) -> Sample {
        let spec = self.spec;
        let rng = &mut self.rng;
        let turn = rng.random_range(0.0..std::f64::consts::TAU);
        let speed = rng.random_range(3.0..6.0);
        let span = f64::from(spec.clip_span_frames());
        let velocity = [speed * turn.cos(), speed * turn.sin()];
        // In the middle of its way it is somewhere near the middle of the picture.
        let centre = [0, 1].map(|axis| {
            let middle = [f64::from(SOURCE_WIDTH), f64::from(SOURCE_HEIGHT)][axis] / 2.0;
            middle + rng.random_range(-30.0..30.0) - velocity[axis] * span / 2.0
        });
        let mut colour = || [0; 3].map(|_| rng.random_range(30.0..225.0));
        let (ground, square_colour) = (colour(), colour());
        let square = Square {
            centre,
            velocity,
            half: 36.0,
        };
        let scene = Scene {
            ground,
            stripes: [
                rng.random_range(-0.15..0.15),
                rng.random_range(-0.15..0.15),
                rng.random_range(0.0..6.3),
            ],
            square,
            colour: square_colour,
        };
        let clip = (0..spec.clip_frames).flat_map(|t| scene.picture(&spec, f64::from(t * spec.clip_stride)));
        let clip: Vec<u8> = clip.collect();
        let target_from = span - 1.0 + f64::from(spec.target_offset);
        let negatives = (1..=spec.hard_negatives).flat_map(|number| {
            // Elsewhere in the same video the square moves another way.
            let quarter = f64::from(number) * std::f64::consts::FRAC_PI_2;
            let other = Square {
                velocity: [speed * (turn + quarter).cos(), speed * (turn + quarter).sin()],
                ..square
            };
            motion(&spec, &other, span / 2.0)
        });
        let sample = Sample {
            id: SampleId(self.made),
            stream: StreamName::new("patterns").unwrap(),
            segment: self.made,
            spec,
            source_width: SOURCE_WIDTH,
            source_height: SOURCE_HEIGHT,
            key_frame: scene.picture(&spec, 0.0),
            clip,
            target: motion(&spec, &square, target_from),
            negatives: negatives.collect(),
            pts: None,
            arrival: TimeRange {
                first_ns: 0,
                last_ns: 0,
            },
            frame_rate: None,
        };
        self.made += 1;
        sample
    }

    pub(super) fn batch(&mut self, size: usize) -> Vec<Arc<Sample>> {
        (0..size).map(|_| Arc::new(self.sample())).collect()
    }
}

impl BatchSource for MovingPatterns {
    fn next_batch(&mut self, batch_size: usize, _timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        if self.batches_left == 0 {
            return Err(NoData::Ended("all patterns were shown".into()));
        }
        self.batches_left -= 1;
        Ok(self.batch(batch_size))
    }
}
