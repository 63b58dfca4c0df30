//! `comove synth`: the same seed gives the same files, and they are what `comove run` and `comove eval` take.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

use comove::eval::{Baseline, DatasetOptions, EvalOptions, EvalTask, FeatureSource, Protocol, evaluate};
use comove::inspect::{InspectOptions, inspect};
use comove::model::Preset;
use comove::synth::{SynthError, SynthOptions, synthesise};

fn options(folder: &Path, seed: u64, threads: usize) -> SynthOptions {
    SynthOptions {
        folder: folder.to_owned(),
        contexts: 2,
        motions: 2,
        videos: 9,
        seed,
        threads: NonZeroUsize::new(threads).unwrap(),
    }
}

fn contents(folder: &Path) -> HashMap<String, Vec<u8>> {
    let mut found = HashMap::new();
    for entry in walk(folder) {
        let name = entry.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        found.insert(name, std::fs::read(&entry).unwrap());
    }
    found
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_seed_gives_the_same_bytes_whatever_the_threads_and_another_seed_others() {
    let root = tempfile::tempdir().unwrap();
    let make = |name: &str, seed, threads| {
        let folder = root.path().join(name);
        let made = synthesise(&options(&folder, seed, threads)).unwrap();
        assert_eq!(made.train + made.test, 9);
        contents(&folder)
    };
    let first = make("a", 1, 1);
    let again = make("b", 1, 3);
    assert_eq!(first.len(), 9 + 2);
    for (name, bytes) in &first {
        assert!(again[name] == *bytes, "{name} differs");
    }
    let other = make("c", 2, 2);
    assert!(
        first["labels.csv"] != other["labels.csv"] || first["train/000000.mp4"] != other["train/000000.mp4"]
    );
}

#[test]
fn the_videos_are_h264_with_motion_and_both_labels_can_be_evaluated() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("bench");
    let made = synthesise(&options(&folder, 5, 2)).unwrap();
    let video = walk(&folder.join("train")).into_iter().next().unwrap();
    let report = inspect(&InspectOptions { video, overlay: None }).unwrap();
    assert_eq!((report.pictures.frames, report.errors.count), (80, 0));
    assert!(report.pictures.p > 0);
    for label in ["context", "motion"] {
        let report = evaluate(&EvalOptions {
            task: EvalTask::Retrieval,
            source: FeatureSource::Baseline {
                baseline: Baseline::MotionHistogram,
                preset: Preset::Micro,
                seed: 1,
            },
            dataset: DatasetOptions {
                label: Some(label.into()),
                ..DatasetOptions::folder(&folder)
            },
            clips: 1,
            device: tch::Device::Cpu,
            decode_threads: EvalOptions::DECODE_THREADS,
            embeddings: None,
            page: None,
        })
        .unwrap();
        assert_eq!(report.dataset.classes.len(), 2);
        assert_eq!(report.dataset.videos_used.train, made.train);
        assert_eq!(report.retrieval.unwrap().protocol, Protocol::TrainTest);
        assert!(report.dataset.missing.is_empty() && report.dataset.skipped.is_empty());
    }
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("mine.txt"), b"mine").unwrap();
    let error = synthesise(&options(root.path(), 1, 1)).unwrap_err();
    assert!(matches!(error, SynthError::NotEmpty(_)), "{error}");
    assert_eq!(walk(root.path()).len(), 1);
}
