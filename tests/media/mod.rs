//! Video for tests: encoded on the spot, or found in the folder of shared clips.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use gstreamer::{self as gst, prelude::*};

/// The folder of shared clips: `COMOVE_SHARED`, else `../shared` beside the repository. Without it tests on real files are
/// left out, except under `CI=true`, where they fail.
pub fn shared() -> Option<PathBuf> {
    let folder = match std::env::var_os("COMOVE_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    if folder.join("video").is_dir() {
        return Some(folder);
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "{}: no shared clips there; set COMOVE_SHARED",
        folder.display()
    );
    eprintln!(
        "left out: no shared clips in {}; set COMOVE_SHARED",
        folder.display()
    );
    None
}

/// Runs a pipeline that ends by itself and writes to `path` through its element named `out`.
pub fn render(launch: &str, path: &Path) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(launch)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    pipeline.by_name("out").unwrap().set_property("location", path);
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let end = bus
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(120),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .expect("the pipeline ends");
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
}

/// An H.264 encode with B frames of a moving ball: `frames` pictures of 320x240 at 25 a second, a key frame every 25.
pub fn h264(frames: u32, tail: &str, path: &Path) {
    render(
        &format!(
            "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
             ! x264enc bframes=2 key-int-max=25 threads=1 ! h264parse ! {tail} ! filesink name=out"
        ),
        path,
    );
}
