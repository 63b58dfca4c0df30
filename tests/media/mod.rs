//! Video for tests: encoded on the spot, or found in the folder of shared clips.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use comove::ingest::{AccessUnit, ByteBudget, Ledger, VideoFormat};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;

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

/// The access units of a file in decoding order, taken with a pipeline of the test's own.
pub fn access_units(path: &Path) -> Vec<Arc<AccessUnit>> {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(
        "filesrc name=in ! parsebin ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au \
         ! appsink name=units sync=false",
    )
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    pipeline.by_name("in").unwrap().set_property("location", path);
    let sink = pipeline
        .by_name("units")
        .unwrap()
        .downcast::<gst_app::AppSink>()
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let (budget, ledger) = (ByteBudget::new(usize::MAX >> 1), Ledger::new());
    let mut units = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let caps = sample.caps().unwrap();
        let buffer = sample.buffer().unwrap();
        let data = Bytes::copy_from_slice(&buffer.map_readable().unwrap());
        units.push(Arc::new(AccessUnit {
            segment: 0,
            index: units.len() as u64,
            pts_ns: buffer.pts().map(gst::ClockTime::nseconds),
            dts_ns: buffer.dts().map(gst::ClockTime::nseconds),
            arrival_unix_ns: 0,
            key_unit: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            format: Arc::new(VideoFormat {
                caps: caps.to_string(),
                place: "film.mp4".to_owned(),
                width: caps
                    .structure(0)
                    .unwrap()
                    .get::<i32>("width")
                    .unwrap()
                    .unsigned_abs(),
                height: caps
                    .structure(0)
                    .unwrap()
                    .get::<i32>("height")
                    .unwrap()
                    .unsigned_abs(),
                frame_rate: (0, 1),
                file: None,
            }),
            credit: budget.try_acquire(data.len()).unwrap(),
            receipt: ledger.receive(data.len()),
            data,
        }));
    }
    pipeline.set_state(gst::State::Null).unwrap();
    units
}

/// Whether no other picture refers to this unit: `nal_ref_idc` of its first slice is 0.
pub fn is_disposable(unit: &AccessUnit) -> bool {
    let slice = unit
        .data
        .windows(4)
        .find(|bytes| bytes[..3] == [0, 0, 1] && matches!(bytes[3] & 0x1f, 1 | 2 | 5))
        .unwrap();
    slice[3] >> 5 & 3 == 0
}

/// Whether GStreamer has an element.
pub fn has_element(name: &str) -> bool {
    gst::init().unwrap();
    gst::ElementFactory::find(name).is_some()
}

/// Three class folders with three short videos each.
pub fn class_folders(folder: &Path) {
    for pattern in ["smpte", "spokes", "pinwheel"] {
        std::fs::create_dir_all(folder.join(pattern)).unwrap();
        for hue in 0..3 {
            render(
                &format!(
                    "videotestsrc num-buffers=30 pattern={pattern} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! \
                     videobalance hue={} ! x264enc key-int-max=25 threads=1 ! h264parse ! mp4mux ! filesink name=out",
                    0.3 * f64::from(hue)
                ),
                &folder.join(pattern).join(format!("{hue}.mp4")),
            );
        }
    }
}
