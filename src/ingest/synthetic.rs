use std::sync::atomic::{AtomicU64, Ordering};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{SyntheticConfig, template::Assembly};

/// One scene: a pattern of videotestsrc with something that moves, drawn at random from the seed and the scene's number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scene {
    pattern: &'static str,
    ball_motion: &'static str,
    /// Pixels that the picture scrolls to the left per frame.
    scroll: i32,
    foreground: u32,
    background: u32,
    /// Zone plates: curvature, and phase per frame.
    curvature: [i32; 2],
    phase: i32,
}

impl Scene {
    fn draw(seed: u64, number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut choose =
            |choices: &'static [&'static str]| choices.choose(&mut random).copied().unwrap_or_default();
        let pattern = choose(&[
            "ball",
            "ball",
            "ball",
            "smpte",
            "zone-plate",
            "chroma-zone-plate",
            "circular",
            "pinwheel",
            "spokes",
            "checkers-8",
            "colors",
        ]);
        let ball_motion = choose(&["wavy", "sweep", "hsweep"]);
        let speed = random.random_range(1..=6);
        let scroll = if random.random() { speed } else { -speed };
        let opaque = 0xff00_0000u32;
        Self {
            pattern,
            ball_motion,
            scroll,
            foreground: opaque | random.random_range(0x40_4040..0xff_ffff),
            background: opaque | random.random_range(0..0x60_6060),
            curvature: [random.random_range(2..40), random.random_range(2..40)],
            phase: random.random_range(2..8),
        }
    }

    fn apply(&self, source: &gst::Element) {
        source.set_property_from_str("pattern", self.pattern);
        source.set_property_from_str("motion", self.ball_motion);
        let scrolls = !matches!(self.pattern, "ball" | "zone-plate" | "chroma-zone-plate");
        source.set_property("horizontal-speed", if scrolls { self.scroll } else { 0 });
        source.set_property("foreground-color", self.foreground);
        source.set_property("background-color", self.background);
        source.set_property("kx2", self.curvature[0]);
        source.set_property("ky2", self.curvature[1]);
        source.set_property("kt", self.phase);
    }
}

/// Sets a synthetic pipeline up: size, rate, end, encoder, and the scenes.
pub(super) fn configure(assembly: &Assembly, config: &SyntheticConfig) {
    let source = &assembly.source;
    source.set_property("is-live", config.live);
    if let Some(frames) = config.frames {
        source.set_property("num-buffers", i32::try_from(frames).unwrap_or(i32::MAX));
    }
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    if let Some(shape) = assembly.pipeline.by_name("shape") {
        let caps = gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::I420)
            .width(side(config.width))
            .height(side(config.height))
            .framerate(gst::Fraction::new(side(config.frame_rate), 1))
            .build();
        shape.set_property("caps", caps);
    }
    if let Some(encoder) = assembly.pipeline.by_name("encoder") {
        let set = |property: &str, value: u32| {
            if encoder.find_property(property).is_some() {
                encoder.set_property(property, value);
            }
        };
        set("key-int-max", config.key_interval);
        set("gop-size", config.key_interval);
        set("bframes", config.b_frames);
    }
    play_scenes(source, config);
    mark_scenes(&assembly.units, config.scene_frames);
}

/// Changes the scene every `scene_frames` frames, on the source's own thread between two frames: frame-exact, whatever the
/// load. A key frame is forced at the cut.
fn play_scenes(source: &gst::Element, config: &SyntheticConfig) {
    Scene::draw(config.seed, 0).apply(source);
    let (seed, scene_frames) = (config.seed, u64::from(config.scene_frames));
    let weak = source.downgrade();
    let frames = AtomicU64::new(0);
    let Some(pad) = source.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let number = frames.fetch_add(1, Ordering::Relaxed);
        let (scene, frame) = (number / scene_frames, number % scene_frames);
        if scene > 0 && frame == 0 {
            let key_unit = gst_video::DownstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            pad.push_event(key_unit);
        }
        if frame + 1 == scene_frames
            && let Some(source) = weak.upgrade()
        {
            Scene::draw(seed, scene + 1).apply(&source);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Marks each scene's first access unit as a discontinuity, so that every scene is a segment of its own. An IDR picture is
/// at every cut, so a scene has as many units as frames, in decoding order too.
fn mark_scenes(units: &gst_app::AppSink, scene_frames: u32) {
    let scene_units = u64::from(scene_frames);
    let count = AtomicU64::new(0);
    let Some(pad) = units.static_pad("sink") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && number.is_multiple_of(scene_units)
        {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_follow_from_seed_and_number_alone() {
        let scenes = |seed| {
            (0..40)
                .map(|number| Scene::draw(seed, number))
                .collect::<Vec<_>>()
        };
        assert_eq!(scenes(3), scenes(3));
        assert_ne!(scenes(3), scenes(4));
        let patterns: std::collections::HashSet<_> = scenes(3).iter().map(|scene| scene.pattern).collect();
        assert!(patterns.len() > 5, "{patterns:?}");
    }
}
