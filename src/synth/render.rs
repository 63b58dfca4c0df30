use super::movement::Camera;
use super::noise::lattice;
use super::scene::{FRAME, FRAME_RATE, Object, Scene};

/// One picture of a scene, packed RGB `[height, width, 3]`. The same for the same scene and number.
pub fn render(scene: &Scene, frame: u32) -> Vec<u8> {
    let time = frame as f32 / FRAME_RATE as f32;
    let camera = scene.movement.camera(time);
    let mut canvas = Canvas::looking(scene, camera);
    for object in &scene.objects {
        canvas.add(object, scene, camera, time);
    }
    canvas.developed(scene, frame, time)
}

const WIDTH: usize = FRAME.width as usize;
const HEIGHT: usize = FRAME.height as usize;

struct Canvas {
    pixels: Vec<[f32; 3]>,
}

/// Centre of a pixel, measured from the middle of the picture.
fn place(column: usize, row: usize) -> (f32, f32) {
    (
        column as f32 + 0.5 - WIDTH as f32 / 2.0,
        row as f32 + 0.5 - HEIGHT as f32 / 2.0,
    )
}

impl Canvas {
    /// The backdrop as the camera sees it.
    fn looking(scene: &Scene, camera: Camera) -> Self {
        let (sin, cos) = camera.angle.sin_cos();
        let mut pixels = Vec::with_capacity(WIDTH * HEIGHT);
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let (x, y) = place(column, row);
                let (x, y) = (x / camera.zoom, y / camera.zoom);
                let seen = scene
                    .backdrop
                    .at(camera.x + x * cos - y * sin, camera.y + x * sin + y * cos);
                pixels.push(seen);
            }
        }
        Self { pixels }
    }

    fn add(&mut self, object: &Object, scene: &Scene, camera: Camera, time: f32) {
        let pose = scene.movement.pose(time, object.rest, object.shift);
        let (sin, cos) = camera.angle.sin_cos();
        let (dx, dy) = (
            object.rest.0 + pose.x - camera.x,
            object.rest.1 + pose.y - camera.y,
        );
        let middle = (
            (dx * cos + dy * sin) * camera.zoom,
            (dy * cos - dx * sin) * camera.zoom,
        );
        let size = object.size * pose.scale * camera.zoom;
        let (sin, cos) = (object.angle + pose.angle - camera.angle).sin_cos();
        let reach = 1.35 * size;
        let span = |centre: f32, pixels: usize| {
            let half = pixels as f32 / 2.0;
            let first = (centre - reach + half).clamp(0.0, pixels as f32) as usize;
            let last = (centre + reach + half + 1.0).clamp(0.0, pixels as f32) as usize;
            first..last
        };
        for row in span(middle.1, HEIGHT) {
            for column in span(middle.0, WIDTH) {
                let (x, y) = place(column, row);
                let (x, y) = ((x - middle.0) / size, (y - middle.1) / size);
                let (u, v) = (x * cos + y * sin, y * cos - x * sin);
                // The edge is one pixel wide.
                let cover = (object.shape.inside(u, v) * size + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let colour = object.pattern(u, v);
                    let pixel = &mut self.pixels[row * WIDTH + column];
                    *pixel = std::array::from_fn(|c| pixel[c] + (colour[c] - pixel[c]) * cover);
                }
            }
        }
    }

    /// Lit, with noise, rounded.
    fn developed(self, scene: &Scene, frame: u32, time: f32) -> Vec<u8> {
        let light = scene.light;
        let gain = 1.0 + light.swing * (std::f32::consts::TAU * light.hertz * time + light.phase).sin();
        let seed = scene.noise_seed.wrapping_add(frame.wrapping_mul(0x9e37_79b9));
        let mut bytes = Vec::with_capacity(3 * WIDTH * HEIGHT);
        for (index, pixel) in self.pixels.into_iter().enumerate() {
            let (column, row) = (index % WIDTH, index / WIDTH);
            let (x, y) = place(column, row);
            let slope =
                1.0 + light.slope.0 * x / (WIDTH as f32 / 2.0) + light.slope.1 * y / (HEIGHT as f32 / 2.0);
            let noise = scene.noise * (2.0 * lattice(column as i32, row as i32, seed) - 1.0);
            bytes.extend(pixel.map(|value| (value * gain * slope + noise).round().clamp(0.0, 255.0) as u8));
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{SynthPart, VideoPlan};
    use super::super::{Context, Motion};
    use super::*;

    fn scene(seed: u64, motion: Motion) -> Scene {
        let plan = VideoPlan {
            number: 4,
            scene: 2,
            context: Context::Bricks,
            motion,
            part: SynthPart::Train,
        };
        Scene::draw(seed, &plan)
    }

    #[test]
    fn pictures_follow_from_the_seed_and_change_with_time() {
        let picture = |seed, frame| render(&scene(seed, Motion::Pan), frame);
        assert_eq!(picture(1, 10), picture(1, 10));
        assert_ne!(picture(1, 10), picture(1, 11));
        assert_ne!(picture(1, 10), picture(2, 10));
        assert_eq!(picture(1, 0).len(), WIDTH * HEIGHT * 3);
    }

    #[test]
    fn a_still_camera_leaves_most_of_the_picture_as_it_is() {
        let unlike = |motion| {
            let mut scene = scene(1, motion);
            scene.noise = 0.0;
            scene.light.swing = 0.0;
            let (a, b) = (render(&scene, 10), render(&scene, 14));
            let differing = a.iter().zip(&b).filter(|(a, b)| a.abs_diff(**b) > 8).count();
            differing as f64 / a.len() as f64
        };
        assert!(unlike(Motion::Spin) < 0.3, "{}", unlike(Motion::Spin));
        assert!(unlike(Motion::Pan) > 0.1, "{}", unlike(Motion::Pan));
        assert!(unlike(Motion::Slide) > 0.0);
    }
}
