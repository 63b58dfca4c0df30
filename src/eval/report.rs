use std::fmt;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::dataset::UnusedFolder;
use super::score::{KnnFigures, Protocol, RecallAtK, RetrievalFigures};

/// Version of the JSON that [`EvalReport`] becomes: rises when a key changes its meaning or goes away.
pub const EVAL_SCHEMA: &str = "comove.eval.v1";

/// How many files the text names before it says "and N more"; the JSON names all.
const NAMED_FILES: usize = 8;

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
}

/// Where the weights come from.
#[derive(Clone, Debug, Serialize)]
pub struct WeightsReport {
    /// `checkpoint`, or `random` for untrained weights.
    pub source: &'static str,
    /// The snapshot's folder; null for random weights.
    pub checkpoint: Option<PathBuf>,
    /// Training steps behind the weights; 0 for random ones.
    pub step: u64,
    /// Preset of the networks.
    pub preset: String,
    /// Seed that untrained weights were drawn with; null for a checkpoint.
    pub seed: Option<u64>,
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

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = &self.weights;
        match &weights.checkpoint {
            Some(folder) => writeln!(
                f,
                "Weights: {} (step {}, preset {})",
                folder.display(),
                weights.step,
                weights.preset
            )?,
            None => writeln!(
                f,
                "Weights: random, untrained (preset {}, seed {})",
                weights.preset,
                weights.seed.unwrap_or_default()
            )?,
        }
        let used = self.dataset.videos_used;
        write!(f, "Videos: {}, ", self.dataset.root.display())?;
        match used.whole {
            0 => write!(f, "{} train and {} test", used.train, used.test)?,
            whole => write!(f, "{whole}")?,
        }
        writeln!(
            f,
            " in {} classes, {} clips",
            self.dataset.classes.len(),
            self.dataset.clips
        )?;
        if let Some(figures) = &self.retrieval {
            writeln!(f, "{}", retrieval_table(figures, &self.dataset.classes))?;
        }
        if let Some(figures) = &self.knn {
            writeln!(f, "{}", knn_table(figures, &self.dataset.classes))?;
            write_knn_notes(f, figures)?;
        }
        self.dataset.fmt_notes(f, self.settings.clips_per_video)
    }
}

impl DatasetReport {
    /// A line for everything that was left out or bent.
    fn fmt_notes(&self, f: &mut fmt::Formatter<'_>, clips_per_video: u32) -> fmt::Result {
        let skipped = self.skipped.iter().map(|v| format!("{} ({})", v.video, v.reason));
        write_note(f, "could not be decoded and are left out", skipped)?;
        let short = self
            .short
            .iter()
            .map(|v| format!("{} (lacks {} frames)", v.video, v.missing_frames));
        write_note(
            f,
            "are shorter than a clip; their last picture is repeated",
            short,
        )?;
        if self.fewer_clips > 0 {
            writeln!(
                f,
                "{} videos are too short for {clips_per_video} different clips and give fewer",
                self.fewer_clips
            )?;
        }
        let unseen = self.classes_without_train.iter().cloned();
        write_note(f, "(classes) have no train video and can never be found", unseen)?;
        for unused in &self.unused {
            writeln!(f, "{}/ is not used: {} videos", unused.folder, unused.videos)?;
        }
        let others = self.other_files.iter().cloned();
        write_note(
            f,
            "(files) are in no class folder or no videos by their names",
            others,
        )
    }
}

fn write_note(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    names: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let count = names.len();
    if count == 0 {
        return Ok(());
    }
    let named: Vec<String> = names.take(NAMED_FILES).collect();
    write!(f, "{count} {what}: {}", named.join(", "))?;
    match count - named.len() {
        0 => writeln!(f),
        more => writeln!(f, ", and {more} more (all in --json)"),
    }
}

fn percent(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}

/// An empty table whose first column is text and whose other columns are numbers.
fn table(header: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn retrieval_table(figures: &RetrievalFigures, classes: &[String]) -> Table {
    let mut header = vec![
        match figures.protocol {
            Protocol::TrainTest => "retrieval, test in train (%)".to_string(),
            Protocol::LeaveOneOut | Protocol::Folds => "retrieval, leave one out (%)".to_string(),
        },
        "queries".to_string(),
        "gallery".to_string(),
    ];
    header.extend(figures.recall_at.iter().map(|at| format!("R@{}", at.k)));
    let mut table = table(&header);
    let mut row = |name: &str, counts: [usize; 2], cells: &[RecallAtK], pick: fn(&RecallAtK) -> f64| {
        let mut row = vec![name.to_string()];
        row.extend(counts.map(|count| count.to_string()));
        row.extend(cells.iter().map(|at| percent(pick(at))));
        table.add_row(row);
    };
    let counts = [figures.queries, figures.gallery];
    row("all", counts, &figures.recall_at, |at| at.recall);
    row("by chance", counts, &figures.recall_at, |at| at.chance);
    for class in &figures.per_class {
        let counts = [class.queries, class.gallery];
        row(&classes[class.class], counts, &class.recall_at, |at| at.recall);
    }
    table
}

fn knn_table(figures: &KnnFigures, classes: &[String]) -> Table {
    let title = match figures.protocol {
        Protocol::TrainTest => "nearest neighbours, test by train (%)".to_string(),
        Protocol::Folds | Protocol::LeaveOneOut => {
            format!("nearest neighbours, {} folds (%)", figures.fold_accuracy.len())
        }
    };
    let mut table = table(&[title, "videos".into(), "accuracy".into()]);
    let videos = figures.queries.to_string();
    table.add_row(["all", &videos, &percent(figures.accuracy)]);
    table.add_row(["by chance", &videos, &percent(figures.chance)]);
    for class in &figures.per_class {
        table.add_row([
            &classes[class.class],
            &class.queries.to_string(),
            &percent(class.accuracy),
        ]);
    }
    table
}

fn write_knn_notes(f: &mut fmt::Formatter<'_>, figures: &KnnFigures) -> fmt::Result {
    let (low, high) = figures.accuracy_interval_95;
    writeln!(
        f,
        "{} neighbours vote; accuracy's 95 % interval {} to {}; mean over classes {}",
        figures.neighbours,
        percent(low),
        percent(high),
        percent(figures.balanced_accuracy)
    )?;
    if !figures.fold_accuracy.is_empty() {
        let folds: Vec<String> = figures.fold_accuracy.iter().map(|&part| percent(part)).collect();
        writeln!(f, "fold by fold: {}", folds.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::score::{Comparison, knn, retrieval};
    use crate::eval::similarity::UnitFeatures;

    fn report() -> EvalReport {
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
            ["dataset", "knn", "retrieval", "schema", "settings", "weights"]
        );
        assert_eq!(
            keys("/weights"),
            ["checkpoint", "preset", "seed", "source", "step"]
        );
        assert_eq!(
            keys("/dataset"),
            [
                "classes",
                "classes_without_train",
                "clips",
                "fewer_clips",
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
