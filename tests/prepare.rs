//! `comove prepare`: any codec in, one encoding out.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::num::NonZeroUsize;
use std::path::Path;

use comove::inspect::{InspectOptions, inspect};
use comove::prepare::{PrepareError, PrepareOptions, PrepareSettings, SETTINGS_FILE, prepare};

mod media;

fn video(folder: &Path, name: &str, caps: &str, encoder: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    media::render(
        &format!(
            "videotestsrc num-buffers=40 pattern=ball ! video/x-raw,format=I420,{caps} ! {encoder} ! filesink name=out"
        ),
        &path,
    );
}

fn options(dataset: &Path, out: &Path) -> PrepareOptions {
    PrepareOptions {
        dataset: dataset.to_owned(),
        out: out.to_owned(),
        settings: PrepareSettings {
            width: 160,
            height: 120,
            gop: 10,
            frame_rate: 20,
            ..PrepareSettings::default()
        },
        threads: NonZeroUsize::new(2).unwrap(),
    }
}

/// Three codecs, sizes and rates, a label file, and what is no video.
fn dataset(folder: &Path) {
    video(
        folder,
        "run/a.avi",
        "width=320,height=240,framerate=30/1",
        "avenc_mpeg4 ! avimux",
    );
    video(
        folder,
        "walk/b.mkv",
        "width=200,height=300,framerate=15/1",
        "jpegenc ! matroskamux",
    );
    video(
        folder,
        "walk/c.mp4",
        "width=176,height=144,framerate=25/1",
        "x264enc key-int-max=50 ! h264parse ! mp4mux",
    );
    std::fs::write(folder.join("labels.csv"), "video,class\nrun/a.avi,run\n").unwrap();
}

#[test]
fn every_video_gets_the_same_encoding_and_keeps_its_place() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("in"), root.path().join("out"));
    dataset(&from);
    let prepared = prepare(&options(&from, &to)).unwrap();
    assert_eq!(
        (prepared.encoded, prepared.copied, prepared.failed.len()),
        (3, 1, 0)
    );
    for (name, seconds) in [
        ("run/a.mp4", 40.0 / 30.0),
        ("walk/b.mp4", 40.0 / 15.0),
        ("walk/c.mp4", 40.0 / 25.0),
    ] {
        let report = inspect(&InspectOptions {
            video: to.join(name),
            overlay: None,
        })
        .unwrap();
        assert_eq!((report.stream.width, report.stream.height), (160, 120), "{name}");
        assert_eq!(report.stream.frame_rate, Some([20, 1]), "{name}");
        assert_eq!(report.gops.max_frames, 10, "{name}");
        let expected = (20.0 * seconds) as u64;
        assert!(
            report.pictures.frames.abs_diff(expected) <= 1,
            "{name}: {}",
            report.pictures.frames
        );
    }
    assert!(to.join("labels.csv").is_file() && to.join(SETTINGS_FILE).is_file());
}

#[test]
fn a_broken_off_run_goes_on_and_a_failure_does_not_stop_the_others() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("in"), root.path().join("out"));
    dataset(&from);
    std::fs::write(from.join("run/broken.avi"), b"no video at all").unwrap();
    let first = prepare(&options(&from, &to)).unwrap();
    assert_eq!((first.encoded, first.kept), (3, 0));
    assert_eq!(first.failed.len(), 1);
    assert!(first.failed[0].video.ends_with("run/broken.avi"));
    let bytes = std::fs::read(to.join("walk/b.mp4")).unwrap();
    std::fs::remove_file(to.join("walk/b.mp4")).unwrap();
    // What a killed run leaves behind.
    std::fs::write(to.join("walk/.b.mp4.part"), b"half").unwrap();
    let second = prepare(&options(&from, &to)).unwrap();
    assert_eq!((second.encoded, second.kept, second.failed.len()), (1, 2, 1));
    assert_eq!(
        std::fs::read(to.join("walk/b.mp4")).unwrap(),
        bytes,
        "the same bytes again"
    );
    let mut other = options(&from, &to);
    other.settings.gop = 25;
    assert!(matches!(prepare(&other), Err(PrepareError::OtherSettings { .. })));
    let within = options(&from, &from.join("out"));
    assert!(matches!(prepare(&within), Err(PrepareError::Within(_))));
}
