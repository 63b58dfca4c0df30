use std::path::PathBuf;

use serde::Serialize;

use super::baseline::Baseline;
use super::dataset::{AnnotationFacts, UnusedFolder};
use super::finetune::FinetuneFigures;
use super::probe::ProbeFigures;
use super::score::{Classification, KnnFigures, RetrievalFigures};
use super::source::NetworkPart;

/// Version of the JSON that [`EvalReport`] becomes: rises when a key changes its meaning or goes away.
pub const EVAL_SCHEMA: &str = "comove.eval.v2";

/// The result of an evaluation. `--json` prints it with these names as keys.
#[derive(Clone, Debug, Serialize)]
pub struct EvalReport {
    /// Always [`EVAL_SCHEMA`].
    pub schema: &'static str,
    /// What the features come from.
    pub weights: WeightsReport,
    /// What can change the figures.
    pub settings: SettingsReport,
    /// What was evaluated, and what was not.
    pub dataset: DatasetReport,
    /// Figures of `eval retrieval`, else null.
    pub retrieval: Option<RetrievalFigures>,
    /// Figures of `eval knn`, else null.
    pub knn: Option<KnnFigures>,
    /// Figures of `eval probe`, else null.
    pub probe: Option<ProbeFigures>,
    /// Figures of `eval finetune`, else null.
    pub finetune: Option<FinetuneFigures>,
}

impl EvalReport {
    /// How many were given their class, for the tasks that classify.
    pub fn classification(&self) -> Option<&Classification> {
        let of_knn = self.knn.as_ref().map(|figures| &figures.classification);
        let of_probe = self.probe.as_ref().map(|figures| &figures.classification);
        of_knn
            .or(of_probe)
            .or(self.finetune.as_ref().map(|figures| &figures.classification))
    }
}

/// Where the weights come from.
#[derive(Clone, Debug, Serialize)]
pub struct WeightsReport {
    /// `checkpoint`, `random` for untrained weights, or `baseline` for none.
    pub source: &'static str,
    /// The snapshot's folder; null for random weights.
    pub checkpoint: Option<PathBuf>,
    /// Training steps behind the weights; 0 for random ones.
    pub step: u64,
    /// Preset of the networks.
    pub preset: String,
    /// Seed that untrained weights or random features were drawn with; else null.
    pub seed: Option<u64>,
    /// Which network; null for a baseline.
    pub network: Option<NetworkPart>,
    /// Which baseline; else null.
    pub baseline: Option<Baseline>,
}

/// What can change the figures.
#[derive(Clone, Debug, Serialize)]
pub struct SettingsReport {
    /// Clips wanted of a video; their features are averaged.
    pub clips_per_video: u32,
    /// Pictures in a clip.
    pub clip_frames: u32,
    /// Source pictures from one picture of a clip to the next.
    pub clip_stride: u32,
    /// Side of the centre crop that the network sees, in pixels.
    pub crop: u32,
    /// Channels of a feature.
    pub feature_channels: usize,
    /// Where the network ran.
    pub device: String,
    /// Seed of the folds; null where there are none.
    pub fold_seed: Option<u64>,
    /// Temperature of the neighbours' votes.
    pub vote_temperature: f32,
}

/// What was evaluated, and what was not. Paths are under `root`.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetReport {
    /// The data set's folder.
    pub root: PathBuf,
    /// Class names; elsewhere a class is an index into this list.
    pub classes: Vec<String>,
    /// Video files in class folders.
    pub videos_found: usize,
    /// Videos that the figures rest on.
    pub videos_used: VideosUsed,
    /// Clips that the features were made of.
    pub clips: usize,
    /// Groups of videos that are never set against each other; null where each video stands for itself.
    pub groups: Option<usize>,
    /// Where labels and split come from; null where it is the folders' names.
    pub annotations: Option<AnnotationFacts>,
    /// Listed videos that are not there.
    pub missing: Vec<SkippedVideo>,
    /// Videos that could not be decoded.
    pub skipped: Vec<SkippedVideo>,
    /// Videos shorter than one clip; their last picture stands still until its end.
    pub short: Vec<ShortVideo>,
    /// Videos with fewer different clips than wanted, because they are short.
    pub fewer_clips: usize,
    /// Classes that have test but no train videos; they can never be found.
    pub classes_without_train: Vec<String>,
    /// Folders beside `train` and `test`.
    pub unused: Vec<UnusedFolder>,
    /// Files in no class folder or without a video's name ending.
    pub other_files: Vec<String>,
}

/// Videos that the figures rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct VideosUsed {
    /// Train videos, where there is a split.
    pub train: usize,
    /// Test videos, where there is a split.
    pub test: usize,
    /// Videos where there is none.
    pub whole: usize,
}

/// A video that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedVideo {
    /// Its path.
    pub video: String,
    /// Why.
    pub reason: String,
}

/// A video shorter than one clip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShortVideo {
    /// Its path.
    pub video: String,
    /// Pictures that it lacks.
    pub missing_frames: u64,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::eval::score::{Comparison, knn, retrieval};
    use crate::eval::similarity::UnitFeatures;

    pub fn report() -> EvalReport {
        let mut features = UnitFeatures::default();
        for video in 0..12 {
            let angle = f32::from(video % 2 == 0) + 0.01 * video as f32;
            features.push(&[angle.cos(), angle.sin()]).unwrap();
        }
        let classes: Vec<usize> = (0..12).map(|video| video % 2).collect();
        let comparison = Comparison {
            features: &features,
            classes: &classes,
            class_count: 2,
            groups: &[],
            split: None,
        };
        EvalReport {
            schema: EVAL_SCHEMA,
            weights: WeightsReport {
                source: "checkpoint",
                checkpoint: Some("runs/00000900".into()),
                step: 900,
                preset: "micro".into(),
                seed: None,
                network: Some(NetworkPart::V),
                baseline: None,
            },
            settings: SettingsReport {
                clips_per_video: 10,
                clip_frames: 8,
                clip_stride: 2,
                crop: 64,
                feature_channels: 2,
                device: "cpu".into(),
                fold_seed: Some(0),
                vote_temperature: 0.07,
            },
            dataset: DatasetReport {
                root: "videos".into(),
                classes: vec!["run".into(), "walk".into()],
                videos_found: 23,
                videos_used: VideosUsed {
                    train: 0,
                    test: 0,
                    whole: 12,
                },
                clips: 120,
                groups: None,
                annotations: None,
                missing: vec![],
                skipped: (0..11)
                    .map(|n| SkippedVideo {
                        video: format!("run/{n}.mp4"),
                        reason: "no video in it".into(),
                    })
                    .collect(),
                short: vec![ShortVideo {
                    video: "walk/1.mp4".into(),
                    missing_frames: 3,
                }],
                fewer_clips: 2,
                classes_without_train: vec![],
                unused: vec![UnusedFolder {
                    folder: "val".into(),
                    videos: 4,
                }],
                other_files: vec![],
            },
            retrieval: Some(retrieval(&comparison)),
            knn: Some(knn(&comparison, 5, 3, 0)),
            probe: None,
            finetune: None,
        }
    }

    #[test]
    fn the_text_names_figures_and_what_was_left_out() {
        let text = report().to_string();
        for expected in [
            "runs/00000900 (step 900, preset micro)",
            "R@1 ",
            "R@50",
            "by chance",
            "│ walk",
            "100.0",
            "11 could not be decoded and are left out: run/0.mp4 (no video in it), ",
            "and 3 more (all in --json)",
            "walk/1.mp4 (lacks 3 frames)",
            "val/ is not used: 4 videos",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }

    /// The keys are an interface: scripts read them. A change here is a new [`EVAL_SCHEMA`].
    #[test]
    fn the_json_keys_stay_what_they_are() {
        let json = serde_json::to_value(report()).unwrap();
        let keys = |pointer: &str| -> Vec<String> {
            let object = json.pointer(pointer).and_then(|value| value.as_object()).unwrap();
            object.keys().cloned().collect()
        };
        assert_eq!(
            keys(""),
            [
                "dataset",
                "finetune",
                "knn",
                "probe",
                "retrieval",
                "schema",
                "settings",
                "weights"
            ]
        );
        assert_eq!(
            keys("/weights"),
            [
                "baseline",
                "checkpoint",
                "network",
                "preset",
                "seed",
                "source",
                "step"
            ]
        );
        assert_eq!(
            keys("/dataset"),
            [
                "annotations",
                "classes",
                "classes_without_train",
                "clips",
                "fewer_clips",
                "groups",
                "missing",
                "other_files",
                "root",
                "short",
                "skipped",
                "unused",
                "videos_found",
                "videos_used"
            ]
        );
        assert_eq!(
            keys("/settings"),
            [
                "clip_frames",
                "clip_stride",
                "clips_per_video",
                "crop",
                "device",
                "feature_channels",
                "fold_seed",
                "vote_temperature"
            ]
        );
        assert_eq!(
            keys("/retrieval"),
            ["gallery", "per_class", "protocol", "queries", "recall_at"]
        );
        assert_eq!(
            keys("/retrieval/per_class/0"),
            ["class", "gallery", "queries", "recall_at"]
        );
        assert_eq!(keys("/retrieval/recall_at/0"), ["chance", "k", "recall"]);
        assert_eq!(
            keys("/knn"),
            [
                "accuracy",
                "accuracy_interval_95",
                "balanced_accuracy",
                "chance",
                "confusion",
                "fold_accuracy",
                "neighbours",
                "per_class",
                "protocol",
                "queries"
            ]
        );
        assert_eq!(json["retrieval"]["protocol"], "leave_one_out");
    }
}
