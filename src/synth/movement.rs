use std::f32::consts::{PI, TAU};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A kind of movement, of the objects or of the camera. Direction, speed, phase and place are each video's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Motion {
    /// Objects go straight to one side and come in again on the other.
    Slide,
    /// The camera goes straight to one side.
    Pan,
    /// Objects jump up and fall, again and again.
    Bounce,
    /// The camera goes nearer or farther.
    Zoom,
    /// Objects go in circles.
    Orbit,
    /// The camera turns about its axis.
    Roll,
    /// Objects grow and shrink.
    Pulse,
    /// The camera shakes.
    Shake,
    /// Objects turn in their place.
    Spin,
    /// The camera goes straight up or down.
    Tilt,
    /// Objects swing like pendulums.
    Swing,
    /// Objects go apart and come together.
    Scatter,
}

/// Where the camera is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// What it looks at, in pixels from the middle of the scene.
    pub x: f32,
    /// The same, downwards.
    pub y: f32,
    /// Magnification.
    pub zoom: f32,
    /// Its turn about its axis, radians.
    pub angle: f32,
}

/// Where an object is, relative to its place of rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Pixels to the right.
    pub x: f32,
    /// Pixels downwards.
    pub y: f32,
    /// Size, 1 at rest.
    pub scale: f32,
    /// Turn, radians.
    pub angle: f32,
}

impl Motion {
    /// All of them, in the order in which `--motions` takes them.
    pub const ALL: [Self; 12] = [
        Self::Slide,
        Self::Pan,
        Self::Bounce,
        Self::Zoom,
        Self::Orbit,
        Self::Roll,
        Self::Pulse,
        Self::Shake,
        Self::Spin,
        Self::Tilt,
        Self::Swing,
        Self::Scatter,
    ];

    /// As labels have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slide => "slide",
            Self::Pan => "pan",
            Self::Bounce => "bounce",
            Self::Zoom => "zoom",
            Self::Orbit => "orbit",
            Self::Roll => "roll",
            Self::Pulse => "pulse",
            Self::Shake => "shake",
            Self::Spin => "spin",
            Self::Tilt => "tilt",
            Self::Swing => "swing",
            Self::Scatter => "scatter",
        }
    }
}

/// One video's movement: the kind, with what was drawn for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Movement {
    motion: Motion,
    /// +1 or −1: to which side, in which sense.
    direction: f32,
    /// How strong, 0..1 of the kind's range.
    strength: f32,
    /// Where in its course it begins, 0..1.
    phase: f32,
    /// Seconds from the first picture to the last.
    seconds: f32,
}

/// Half of the width on which sliding objects come in again: the picture and the largest object.
const WRAP_HALF: f32 = 108.0;

impl Movement {
    /// Draws direction, speed and phase.
    pub fn draw(motion: Motion, seconds: f32, rng: &mut ChaCha8Rng) -> Self {
        Self {
            motion,
            direction: if rng.random() { 1.0 } else { -1.0 },
            strength: rng.random_range(0.0..1.0),
            phase: rng.random_range(0.0..1.0),
            seconds,
        }
    }

    fn within(&self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.strength
    }

    /// The camera at a time in seconds. It stands still unless the motion is its own.
    pub fn camera(&self, time: f32) -> Camera {
        let mut camera = Camera {
            x: 0.0,
            y: 0.0,
            zoom: 1.0,
            angle: 0.0,
        };
        // Straight courses pass the middle at half time, so that they keep within the scene.
        let from_half = time - self.seconds / 2.0;
        match self.motion {
            Motion::Pan => camera.x = self.direction * self.within(22.0, 45.0) * from_half,
            Motion::Tilt => camera.y = self.direction * self.within(18.0, 34.0) * from_half,
            Motion::Zoom => camera.zoom = (self.direction * self.within(0.16, 0.32) * from_half).exp(),
            Motion::Roll => camera.angle = self.direction * self.within(0.22, 0.5) * from_half,
            Motion::Shake => {
                let swing = |hertz: f32, shift: f32| (TAU * (hertz * time + self.phase + shift)).sin();
                let reach = self.within(2.5, 5.0);
                camera.x = reach * (0.6 * swing(2.3, 0.0) + 0.4 * swing(4.1, 0.3));
                camera.y = reach * (0.6 * swing(2.9, 0.6) + 0.4 * swing(3.7, 0.1));
            }
            _ => {}
        }
        camera
    }

    /// An object at a time in seconds. `rest` is its place of rest, `shift` (0..1) keeps objects out of step.
    pub fn pose(&self, time: f32, rest: (f32, f32), shift: f32) -> Pose {
        let mut pose = Pose {
            x: 0.0,
            y: 0.0,
            scale: 1.0,
            angle: 0.0,
        };
        let turn = TAU * (self.phase + shift);
        match self.motion {
            Motion::Slide => {
                let gone = rest.0 + self.direction * self.within(26.0, 58.0) * time;
                pose.x = (gone + WRAP_HALF).rem_euclid(2.0 * WRAP_HALF) - WRAP_HALF - rest.0;
            }
            Motion::Bounce => {
                let course = time / self.within(1.3, 0.8) + self.phase + shift;
                let part = course - course.floor();
                pose.y = 16.0 - self.within(34.0, 56.0) * 4.0 * part * (1.0 - part);
            }
            Motion::Orbit => {
                let angle = turn + self.direction * TAU * time / self.within(2.6, 1.5);
                let radius = self.within(18.0, 30.0);
                (pose.x, pose.y) = (radius * angle.cos(), radius * angle.sin());
            }
            Motion::Pulse => {
                let angle = turn + TAU * time / self.within(2.0, 1.2);
                pose.scale = (self.within(0.35, 0.55) * angle.sin()).exp();
            }
            Motion::Spin => pose.angle = turn + self.direction * self.within(1.6, 3.6) * time,
            Motion::Swing => {
                let angle = 0.9 * (turn + TAU * time / self.within(2.2, 1.4)).sin();
                let length = self.within(38.0, 52.0);
                (pose.x, pose.y) = (length * angle.sin(), length * (angle.cos() - 0.7));
                pose.angle = -angle;
            }
            Motion::Scatter => {
                let away = 0.5 - 0.5 * (TAU * time / self.within(2.4, 1.6) + TAU * self.phase).cos();
                let angle = TAU * shift + PI * self.phase;
                let reach = self.within(30.0, 50.0) * away;
                (pose.x, pose.y) = (
                    reach * angle.cos() - rest.0 * (1.0 - away),
                    reach * angle.sin() - rest.1 * (1.0 - away),
                );
            }
            Motion::Pan | Motion::Zoom | Motion::Roll | Motion::Shake | Motion::Tilt => {}
        }
        pose
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_kind_moves_either_the_camera_or_the_objects_and_never_both() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for motion in Motion::ALL {
            for _ in 0..20 {
                let movement = Movement::draw(motion, 3.2, &mut rng);
                let times = || (1..16).map(|n| 0.2 * n as f32);
                let still = Movement::draw(motion, 3.2, &mut rng).camera(1.6);
                let camera = times().any(|t| movement.camera(t) != movement.camera(0.0));
                let rest = (20.0, -15.0);
                let object = times().any(|t| movement.pose(t, rest, 0.3) != movement.pose(0.0, rest, 0.3));
                assert!(camera != object, "{motion:?}");
                assert!(still.zoom > 0.5 && still.zoom < 2.0);
            }
        }
    }
}
