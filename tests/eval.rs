//! `comove eval` on real files: class folders in, figures out.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::num::NonZeroUsize;
use std::path::Path;

use comove::eval::{EvalError, EvalOptions, EvalTask, Protocol, Weights, evaluate};
use comove::model::Preset;

mod media;

/// A video of one pattern in the given codec and container. `hue` makes videos of a pattern differ.
fn video(pattern: &str, frames: u32, hue: f32, encoder: &str, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    media::render(
        &format!(
            "videotestsrc num-buffers={frames} pattern={pattern} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
             ! videobalance hue={hue} ! {encoder} ! filesink name=out"
        ),
        path,
    );
}

const X264: &str = "x264enc bframes=2 key-int-max=25 threads=1 ! h264parse ! mp4mux";
const XVID: &str = "avenc_mpeg4 ! avimux";
const MJPEG: &str = "jpegenc ! matroskamux";

fn options(dataset: &Path, task: EvalTask) -> EvalOptions {
    EvalOptions {
        task,
        weights: Weights::Random {
            preset: Preset::Micro,
            seed: 3,
        },
        dataset: dataset.to_path_buf(),
        clips: 3,
        device: tch::Device::Cpu,
        decode_threads: EvalOptions::DECODE_THREADS,
    }
}

const KNN: EvalTask = EvalTask::Knn {
    neighbours: 1,
    folds: 3,
    seed: 0,
};

/// Two classes that any features tell apart, three videos each, in three codecs.
fn patterns(folder: &Path) {
    for (nth, (encoder, ending)) in [(X264, "mp4"), (XVID, "avi"), (MJPEG, "mkv")]
        .into_iter()
        .enumerate()
    {
        let hue = 0.05 * nth as f32;
        for pattern in ["smpte", "spokes"] {
            let path = folder.join(pattern).join(format!("{nth}.{ending}"));
            video(pattern, 30, hue, encoder, &path);
        }
    }
}

#[test]
fn classes_that_look_different_are_told_apart_whatever_the_codec() {
    let folder = tempfile::tempdir().unwrap();
    patterns(folder.path());
    let report = evaluate(&options(folder.path(), EvalTask::Retrieval)).unwrap();
    let figures = report.retrieval.unwrap();
    assert_eq!(figures.protocol, Protocol::LeaveOneOut);
    assert_eq!((figures.queries, figures.gallery), (6, 5));
    assert_eq!(figures.recall_at[0].recall, 1.0);
    assert!((figures.recall_at[0].chance - 0.4).abs() < 1e-12);
    assert_eq!(report.dataset.clips, 18);
    assert!(report.dataset.skipped.is_empty() && report.dataset.short.is_empty());
    let report = evaluate(&options(folder.path(), KNN)).unwrap();
    let figures = report.knn.unwrap();
    assert_eq!((figures.accuracy, figures.fold_accuracy.len()), (1.0, 3));
    assert_eq!(report.weights.source, "random");
}

#[test]
fn the_report_does_not_depend_on_the_decoding_threads() {
    let folder = tempfile::tempdir().unwrap();
    patterns(folder.path());
    let mut options = options(folder.path(), EvalTask::Retrieval);
    let json = |options: &EvalOptions| serde_json::to_string(&evaluate(options).unwrap()).unwrap();
    let first = json(&options);
    options.decode_threads = NonZeroUsize::new(4).unwrap();
    assert_eq!(json(&options), first);
}

#[test]
fn what_cannot_be_used_is_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    patterns(folder.path());
    video("smpte", 6, 0.1, X264, &folder.path().join("smpte/short.mp4"));
    std::fs::write(
        folder.path().join("spokes/broken.mp4"),
        b"this is no video at all",
    )
    .unwrap();
    std::fs::write(folder.path().join("spokes/labels.txt"), b"spokes").unwrap();
    let report = evaluate(&options(folder.path(), KNN)).unwrap();
    let dataset = &report.dataset;
    assert_eq!((dataset.videos_found, dataset.videos_used.whole), (8, 7));
    assert_eq!(dataset.skipped[0].video, "spokes/broken.mp4");
    assert!(
        !dataset.skipped[0].reason.contains("broken.mp4"),
        "{}",
        dataset.skipped[0].reason
    );
    // A clip of preset micro covers 15 frames.
    assert_eq!(
        (dataset.short[0].video.as_str(), dataset.short[0].missing_frames),
        ("smpte/short.mp4", 9)
    );
    assert_eq!(dataset.fewer_clips, 1);
    assert_eq!(dataset.other_files, ["spokes/labels.txt"]);
}

#[test]
fn train_videos_are_searched_for_test_videos() {
    let folder = tempfile::tempdir().unwrap();
    patterns(&folder.path().join("train"));
    video("smpte", 30, 0.2, X264, &folder.path().join("test/smpte/a.mp4"));
    video("spokes", 30, 0.2, XVID, &folder.path().join("test/spokes/b.avi"));
    video("snow", 30, 0.0, X264, &folder.path().join("test/snow/c.mp4"));
    video("smpte", 30, 0.3, X264, &folder.path().join("val/smpte/d.mp4"));
    let report = evaluate(&options(folder.path(), EvalTask::Retrieval)).unwrap();
    let figures = report.retrieval.unwrap();
    assert_eq!(figures.protocol, Protocol::TrainTest);
    assert_eq!((figures.queries, figures.gallery), (3, 6));
    assert!(
        (figures.recall_at[0].recall - 2.0 / 3.0).abs() < 1e-12,
        "snow is not to be found"
    );
    assert_eq!(report.dataset.classes_without_train, ["snow"]);
    assert_eq!(
        (
            report.dataset.unused[0].folder.as_str(),
            report.dataset.unused[0].videos
        ),
        ("val", 1)
    );
}

#[test]
fn a_data_set_without_a_decodable_video_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        std::fs::write(folder.path().join(class).join("1.mp4"), b"no video").unwrap();
    }
    let error = evaluate(&options(folder.path(), EvalTask::Retrieval)).unwrap_err();
    assert!(
        matches!(error, EvalError::NoneDecoded { videos: 2, .. }),
        "{error}"
    );
    let mut bad = options(folder.path(), KNN);
    bad.clips = 0;
    assert!(matches!(
        evaluate(&bad),
        Err(EvalError::Option {
            option: "--clips",
            ..
        })
    ));
}
