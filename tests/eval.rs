//! `comove eval` on real files: class folders in, figures out.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::num::NonZeroUsize;
use std::path::Path;

use comove::eval::{
    Baseline, DatasetOptions, EvalError, EvalOptions, EvalTask, FeatureSource, FinetuneSettings, Folds,
    GroupRule, NetworkPart, Protocol, Weights, evaluate, evaluate_labels,
};
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
        source: network(NetworkPart::V),
        dataset: DatasetOptions::folder(dataset),
        clips: 3,
        device: tch::Device::Cpu,
        decode_threads: EvalOptions::DECODE_THREADS,
        embeddings: None,
        page: None,
    }
}

fn network(part: NetworkPart) -> FeatureSource {
    FeatureSource::Network {
        weights: Weights::Random {
            preset: Preset::Micro,
            seed: 3,
        },
        part,
    }
}

fn baseline(baseline: Baseline) -> FeatureSource {
    FeatureSource::Baseline {
        baseline,
        preset: Preset::Micro,
        seed: 1,
    }
}

const FOLDS: Folds = Folds { count: 3, seed: 0 };

const KNN: EvalTask = EvalTask::Knn {
    neighbours: 1,
    folds: FOLDS,
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
    let figures = report.knn.unwrap().classification;
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

/// Two classes in H.264, four videos each: a still pattern, and a ball that goes about.
fn moving_and_still(folder: &Path) {
    for nth in 0..4u32 {
        for (class, pattern) in [("still", "smpte"), ("moving", "ball")] {
            let path = folder.join(format!("{class}/{nth}.mp4"));
            video(pattern, 30 + nth, 0.05 * nth as f32, X264, &path);
        }
    }
}

#[test]
fn motion_is_read_from_the_bitstream_and_from_h264_alone() {
    let folder = tempfile::tempdir().unwrap();
    moving_and_still(folder.path());
    video("ball", 30, 0.0, XVID, &folder.path().join("moving/xvid.avi"));
    for source in [baseline(Baseline::MotionHistogram), network(NetworkPart::M)] {
        let mut options = options(folder.path(), EvalTask::Retrieval);
        options.source = source;
        let report = evaluate(&options).unwrap();
        assert_eq!(report.retrieval.unwrap().recall_at[0].recall, 1.0);
        assert_eq!(report.dataset.skipped.len(), 1);
        assert_eq!(report.dataset.skipped[0].video, "moving/xvid.avi");
    }
}

#[test]
fn every_source_of_features_runs_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    moving_and_still(folder.path());
    let mut options = options(folder.path(), KNN);
    for wanted in Baseline::ALL {
        options.source = baseline(wanted);
        let report = evaluate(&options).unwrap();
        assert_eq!(report.weights.baseline, Some(wanted));
        assert_eq!(report.knn.unwrap().classification.queries, 8);
        assert!(report.settings.feature_channels >= 2);
    }
    options.source = network(NetworkPart::I);
    let report = evaluate(&options).unwrap();
    assert_eq!(report.weights.network, Some(NetworkPart::I));
    assert_eq!(report.knn.unwrap().classification.accuracy, 1.0);
}

#[test]
fn labels_splits_and_groups_come_from_a_table_and_what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    moving_and_still(folder.path());
    let mut table = String::from("video,split,scene,kind,number\n");
    for class in ["still", "moving"] {
        for nth in 0..4 {
            let split = if nth < 2 { "train" } else { "test" };
            table += &format!(
                "{class}/{nth}.avi,{split},{class}{},{class},{}\n",
                nth / 2,
                nth % 2
            );
        }
    }
    table += "still/9.mp4,test,x,still,0\n";
    std::fs::write(folder.path().join("labels.csv"), table).unwrap();
    let mut options = options(folder.path(), EvalTask::Retrieval);
    assert!(matches!(evaluate(&options), Err(EvalError::Label { .. })));
    options.dataset.label = Some("kind".into());
    options.embeddings = Some(folder.path().join("out.npz"));
    options.page = Some(folder.path().join("out.html"));
    let report = evaluate(&options).unwrap();
    assert_eq!(
        (report.dataset.videos_used.train, report.dataset.videos_used.test),
        (4, 4)
    );
    assert_eq!(report.dataset.missing[0].video, "still/9.mp4");
    assert_eq!(
        report.dataset.annotations.as_ref().unwrap().label.as_deref(),
        Some("kind")
    );
    assert_eq!(report.retrieval.unwrap().recall_at[0].recall, 1.0);
    let page = std::fs::read_to_string(folder.path().join("out.html")).unwrap();
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 4 * (1 + 4));
    assert!(page.contains("still/9.mp4") && !page.contains("could not be made"));
    let mut archive = npyz::npz::NpzArchive::open(folder.path().join("out.npz")).unwrap();
    let features = archive.by_name("features").unwrap().unwrap();
    assert_eq!(features.shape(), [8, report.settings.feature_channels as u64]);

    // One pass over the videos judges by several labels as each by itself; a file of features has one.
    let both = ["kind".to_owned(), "number".to_owned()];
    assert!(matches!(
        evaluate_labels(&options, &both),
        Err(EvalError::OneLabel)
    ));
    (options.embeddings, options.page) = (None, None);
    let reports = evaluate_labels(&options, &both).unwrap();
    for (report, label) in reports.iter().zip(&both) {
        options.dataset.label = Some(label.clone());
        let alone = evaluate(&options).unwrap();
        let json = |report| serde_json::to_string(report).unwrap();
        assert_eq!(json(report), json(&alone), "{label}");
    }
    assert_eq!(reports.len(), 2);
}

#[test]
fn folds_keep_the_cuts_of_a_scene_together() {
    let folder = tempfile::tempdir().unwrap();
    moving_and_still(folder.path());
    let mut options = options(folder.path(), KNN);
    options.dataset.groups = Some(GroupRule::Pattern("{}".parse().unwrap()));
    let report = evaluate(&options).unwrap();
    assert_eq!(report.dataset.groups, Some(4));
    assert_eq!(report.knn.unwrap().classification.queries, 8);
    options.task = EvalTask::Knn {
        neighbours: 1,
        folds: Folds { count: 5, seed: 0 },
    };
    assert!(matches!(
        evaluate(&options),
        Err(EvalError::TooFewGroups { groups: 4, folds: 5 })
    ));
}

#[test]
fn a_probe_and_fine_tuning_tell_the_classes_apart() {
    let folder = tempfile::tempdir().unwrap();
    moving_and_still(folder.path());
    let mut options = options(folder.path(), EvalTask::Probe(Folds { count: 2, seed: 1 }));
    let figures = evaluate(&options).unwrap().probe.unwrap();
    assert_eq!(
        (figures.classification.accuracy, figures.penalties.len()),
        (1.0, 2)
    );
    let settings = FinetuneSettings {
        epochs: 20,
        batch_size: 4,
        ..FinetuneSettings::default()
    };
    options.task = EvalTask::Finetune(settings, Folds { count: 2, seed: 1 });
    let figures = evaluate(&options).unwrap().finetune.unwrap();
    assert_eq!((figures.classification.queries, figures.epochs.len()), (8, 20));
    assert!(figures.epochs[19].loss < figures.epochs[0].loss);
    assert!(
        figures.classification.accuracy >= 0.75,
        "{}",
        figures.classification.accuracy
    );
    options.source = baseline(Baseline::Pixels);
    assert!(matches!(evaluate(&options), Err(EvalError::NeedsNetwork(_))));
}
