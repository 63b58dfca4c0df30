//! `comove inspect` on real files: what it counts, what it draws, what it refuses.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::num::NonZeroU32;
use std::path::Path;

use comove::decode::VideoReader;
use comove::ingest::IngestError;
use comove::inspect::{InspectError, InspectOptions, InspectReport, OverlayOptions, inspect};

mod media;

const PIXELS_PER_FRAME: usize = 4;

/// Twenty frames of colour bars that scroll sideways, with B frames; a key frame every ten.
fn scrolling(path: &Path) {
    media::render(
        &format!(
            "videotestsrc num-buffers=20 pattern=spokes horizontal-speed={PIXELS_PER_FRAME} \
             ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
             ! x264enc bframes=2 b-adapt=false key-int-max=10 threads=1 option-string=scenecut=0 ! h264parse ! mp4mux \
             ! filesink name=out"
        ),
        path,
    );
}

fn inspected(path: &Path) -> InspectReport {
    inspect(&InspectOptions {
        video: path.to_owned(),
        overlay: None,
    })
    .unwrap()
}

/// Mean difference between a picture and the next one shifted by `shift` pixels to the left.
fn difference(frames: &[Vec<u8>], width: usize, shift: isize) -> f64 {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for pair in frames.windows(2) {
        for (row, next_row) in pair[0].chunks(3 * width).zip(pair[1].chunks(3 * width)) {
            for x in 16..width as isize - 16 {
                let (here, there) = (row[3 * x as usize], next_row[3 * (x + shift) as usize]);
                sum += u64::from(here.abs_diff(there));
                count += 1;
            }
        }
    }
    sum as f64 / count as f64
}

#[test]
fn directions_are_those_in_which_the_picture_moves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scrolling.mp4");
    scrolling(&path);
    let reader = VideoReader::open(&path, None).unwrap();
    let width = reader.native_size().width as usize;
    let frames: Vec<Vec<u8>> = reader.take(6).map(|frame| frame.unwrap().pixels).collect();
    let shift = PIXELS_PER_FRAME as isize;
    let to_the_right = difference(&frames, width, shift) < difference(&frames, width, -shift);
    let report = inspected(&path);
    let motion = report.motion.unwrap();
    let (with, against) = match to_the_right {
        true => (motion.directions.right, motion.directions.left),
        false => (motion.directions.left, motion.directions.right),
    };
    assert!(with > 0.7 && against < 0.1, "{:?}", motion.directions);
    let typical = motion.magnitude.p90;
    assert!(
        (typical - PIXELS_PER_FRAME as f64).abs() <= 0.5,
        "{typical} pixels per frame"
    );
}

#[test]
fn frames_groups_and_references_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scrolling.mp4");
    scrolling(&path);
    let report = inspected(&path);
    let pictures = report.pictures;
    assert_eq!(
        (pictures.frames, pictures.access_units, pictures.fields),
        (20, 20, 0)
    );
    assert_eq!(pictures.i + pictures.p + pictures.b, 20);
    assert!(pictures.b >= 8, "{pictures:?}");
    assert_eq!(
        (report.gops.count, report.gops.max_frames, report.gops.open),
        (2, 10, 0)
    );
    assert!(report.references.reorder_depth >= 1 && report.references.max_used >= 2);
    assert_eq!((report.stream.width, report.stream.height), (320, 240));
    assert_eq!(report.stream.frame_rate, Some([25, 1]));
    assert_eq!(
        (report.stream.scan, report.stream.entropy_coder),
        ("progressive", Some("CABAC"))
    );
    assert!((report.stream.duration_seconds.unwrap() - 0.8).abs() < 0.01);
    assert_eq!(report.errors.count, 0);
    let text = report.to_string();
    for expected in [
        "320x240, 25 frames/s, 0.80 s, progressive, CABAC",
        "Groups:   2 (2 closed",
        "Errors:   none",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn the_overlay_is_written_for_the_frames_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scrolling.mp4");
    scrolling(&path);
    let report = inspect(&InspectOptions {
        video: path,
        overlay: Some(OverlayOptions {
            folder: folder.path().join("made/for/it"),
            every: NonZeroU32::new(5),
            at_most: NonZeroU32::new(3),
        }),
    })
    .unwrap();
    let overlay = report.overlay.unwrap();
    let ranks: Vec<&str> = overlay.pictures.iter().map(|name| &name[..11]).collect();
    assert_eq!(ranks, ["frame000000", "frame000005", "frame000010"]);
    assert!(overlay.pictures[0].ends_with("_I.png"), "{:?}", overlay.pictures);
    assert_eq!(overlay.without_pixels, 0);
    for name in &overlay.pictures {
        let png = std::fs::read(overlay.folder.join(name)).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 1000);
    }
}

#[test]
fn damage_is_listed_with_its_access_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.h264");
    media::h264(30, "video/x-h264,stream-format=byte-stream", &path);
    let whole = inspected(&path);
    assert_eq!((whole.errors.count, whole.pictures.frames), (0, 30));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    for byte in &mut bytes[middle..middle + 40] {
        *byte ^= 0x5a;
    }
    std::fs::write(&path, bytes).unwrap();
    let damaged = inspected(&path);
    assert!(damaged.errors.count > 0);
    let first = &damaged.errors.first[0];
    assert!(first.access_unit > 0 && first.access_unit < 30 && !first.message.is_empty());
}

#[test]
fn what_is_no_h264_video_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| {
        inspect(&InspectOptions {
            video: path.to_owned(),
            overlay: None,
        })
        .unwrap_err()
    };
    assert!(matches!(refusal(folder.path()), InspectError::Folder(_)));
    assert!(matches!(
        refusal(&folder.path().join("missing.mp4")),
        InspectError::Ingest(IngestError::Unreadable { .. })
    ));
    let path = folder.path().join("other.mkv");
    media::render(
        "videotestsrc num-buffers=5 ! video/x-raw,width=64,height=64 ! jpegenc ! matroskamux ! filesink name=out",
        &path,
    );
    let error = refusal(&path);
    assert!(error.to_string().contains("H.264 only"), "{error}");
}
