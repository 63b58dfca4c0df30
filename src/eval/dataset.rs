use std::path::{Path, PathBuf};

use serde::Serialize;

use super::EvalError;
use super::annotations::{Annotations, TABLE_NAME, read_annotations};
use super::groups::{GroupRule, groups_by};
use super::video_files::{class_folders, subfolders, videos_below};
use super::video_index::{NotFound, VideoIndex};

const TRAIN: &str = "train";
const TEST: &str = "test";
/// Folders that data sets keep beside `train` and `test` to choose settings by. Evaluation chooses nothing.
const VALIDATION: [&str; 2] = ["val", "validation"];

/// Which side of the comparison a video stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Searched in.
    Train,
    /// Asked about.
    Test,
    /// Both, one video (or fold) at a time: the data set has no split.
    Whole,
}

/// What a data set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetOptions {
    /// `--dataset`: the folder that the videos lie in.
    pub root: PathBuf,
    /// `--annotations`: files that say which video has which label; else `labels.csv` in the folder, else the folders' names.
    pub annotations: Option<PathBuf>,
    /// `--split`: which of the splits that UCF101 and HMDB51 come with.
    pub split: u32,
    /// `--label`: the column of labels, where there are several.
    pub label: Option<String>,
    /// `--group-pattern` and `--group-file`: which videos are cuts of one scene.
    pub groups: Option<GroupRule>,
}

impl DatasetOptions {
    /// A folder with nothing special about it.
    pub fn folder(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            annotations: None,
            split: 1,
            label: None,
            groups: None,
        }
    }
}

/// Where labels and split come from, where it is not the folders' names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnnotationFacts {
    /// The kind of files.
    pub format: &'static str,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The column of the labels, where there is a choice.
    pub label: Option<String>,
    /// Videos that they name for use.
    pub listed: usize,
    /// Lines of neither training nor test.
    pub left_out: usize,
    /// Video files under the folder that they don't name.
    pub unlisted: usize,
}

/// A listed video without a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingVideo {
    /// As the list has it.
    pub video: String,
    /// Its part.
    pub part: Part,
    /// Why there is none.
    pub reason: String,
}

/// A video file with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledVideo {
    /// Its file.
    pub path: PathBuf,
    /// Index into [`Dataset::classes`].
    pub class: usize,
    /// The part it belongs to.
    pub part: Part,
    /// Videos of one group are cuts of one scene.
    pub group: Option<String>,
}

/// A folder that evaluation leaves alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedFolder {
    /// Its name under the data set's folder.
    pub folder: String,
    /// Video files in it.
    pub videos: usize,
}

/// The video files of a folder of class folders, with `train` and `test` above them or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The folder.
    pub root: PathBuf,
    /// Class names: the names of the class folders, sorted.
    pub classes: Vec<String>,
    /// All videos: train before test, then by class, then by path.
    pub videos: Vec<LabelledVideo>,
    /// Folders beside `train` and `test`.
    pub unused: Vec<UnusedFolder>,
    /// Files that are in no class folder or have no video's name ending, sorted.
    pub other_files: Vec<PathBuf>,
    /// Listed videos without a file.
    pub missing: Vec<MissingVideo>,
    /// Where labels and split come from, where it is not the folders' names.
    pub annotations: Option<AnnotationFacts>,
}

impl Dataset {
    /// The files of its videos, in its order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.videos.iter().map(|video| video.path.as_path())
    }

    /// Finds the videos and their labels; opens no video.
    pub fn open(options: &DatasetOptions) -> Result<Self, EvalError> {
        let root = options.root.as_path();
        if !root.is_dir() {
            return Err(EvalError::NotAFolder(root.to_path_buf()));
        }
        let beside = root.join(TABLE_NAME);
        let mut dataset = match &options.annotations {
            Some(path) => Self::listed(
                root,
                read_annotations(path, options.split, options.label.as_deref())?,
            )?,
            None if beside.is_file() => Self::listed(
                root,
                read_annotations(&beside, options.split, options.label.as_deref())?,
            )?,
            None => match &options.label {
                Some(label) => return Err(EvalError::LabelWithoutTable(label.clone())),
                None => Self::scan(root)?,
            },
        };
        if let Some(rule) = &options.groups {
            let paths: Vec<&Path> = dataset.videos.iter().map(|video| video.path.as_path()).collect();
            let groups = groups_by(rule, root, &paths)?;
            for (video, group) in dataset.videos.iter_mut().zip(groups) {
                video.group = Some(group);
            }
        }
        Ok(dataset)
    }

    /// The videos that annotations name, as far as they are there.
    fn listed(root: &Path, annotations: Annotations) -> Result<Self, EvalError> {
        let mut other_files = Vec::new();
        let files = videos_below(root, &mut other_files)?;
        let index = VideoIndex::new(root, &files);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let mut used = std::collections::HashSet::new();
        let listed = annotations.entries.len();
        for entry in annotations.entries {
            let told = |reason: String| MissingVideo {
                video: entry.names[0].clone(),
                part: entry.part,
                reason,
            };
            match index.find(&entry.names, &entry.class) {
                Ok(path) if used.insert(path.to_owned()) => {
                    found.push((entry.part, entry.class, path.to_owned(), entry.group));
                }
                Ok(path) => missing.push(told(format!("its file, {}, is another's too", path.display()))),
                Err(NotFound::Missing) => missing.push(told("there is no such file".to_owned())),
                Err(NotFound::Ambiguous(files)) => missing.push(told(format!("{files} files have its name"))),
            }
        }
        let facts = AnnotationFacts {
            format: annotations.format,
            files: annotations.files,
            label: annotations.label,
            listed,
            left_out: annotations.left_out,
            unlisted: files.len() - used.len(),
        };
        if found.is_empty() {
            return Err(EvalError::NoneListed {
                root: root.to_owned(),
                listed,
                first: missing
                    .into_iter()
                    .next()
                    .map(|video| video.video)
                    .unwrap_or_default(),
            });
        }
        let dataset = Self {
            missing,
            annotations: Some(facts),
            // Lists and readme files are no surprise beside a list.
            ..Self::of(root, found, Vec::new(), Vec::new())
        };
        dataset.check()?;
        Ok(dataset)
    }

    /// Sorts what was found.
    fn of(
        root: &Path,
        found: Vec<(Part, String, PathBuf, Option<String>)>,
        unused: Vec<UnusedFolder>,
        other_files: Vec<PathBuf>,
    ) -> Self {
        let mut classes: Vec<String> = found.iter().map(|(_, class, ..)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let mut videos: Vec<LabelledVideo> = found
            .into_iter()
            .map(|(part, class, path, group)| LabelledVideo {
                path,
                // Every class is in the list that was made of them.
                class: classes.partition_point(|name| *name < class),
                part,
                group,
            })
            .collect();
        videos.sort_by(|a, b| (a.part, a.class, &a.path).cmp(&(b.part, b.class, &b.path)));
        Self {
            root: root.to_path_buf(),
            classes,
            videos,
            unused,
            other_files,
            missing: Vec::new(),
            annotations: None,
        }
    }

    /// Lists the videos under `root`; opens none. Hidden files and folders are not looked at; links are followed.
    pub fn scan(root: &Path) -> Result<Self, EvalError> {
        if !root.is_dir() {
            return Err(EvalError::NotAFolder(root.to_path_buf()));
        }
        let mut other_files = Vec::new();
        let folders = subfolders(root, &mut other_files)?;
        let has = |name: &str| folders.iter().any(|folder| folder == name);
        if has(TRAIN) != has(TEST) {
            let (present, absent) = if has(TRAIN) { (TRAIN, TEST) } else { (TEST, TRAIN) };
            return Err(EvalError::HalfASplit {
                root: root.to_path_buf(),
                present,
                absent,
            });
        }
        let mut found = Vec::new();
        let mut unused = Vec::new();
        if has(TRAIN) {
            for (part, name) in [(Part::Train, TRAIN), (Part::Test, TEST)] {
                class_folders(&root.join(name), part, &mut found, &mut other_files)?;
            }
            for folder in folders.iter().filter(|name| *name != TRAIN && *name != TEST) {
                let mut ignored = Vec::new();
                let videos = videos_below(&root.join(folder), &mut ignored)?.len();
                unused.push(UnusedFolder {
                    folder: folder.clone(),
                    videos,
                });
            }
        } else {
            if let Some(name) = folders.iter().find(|name| VALIDATION.contains(&name.as_str())) {
                return Err(EvalError::ValidationAlone {
                    root: root.to_path_buf(),
                    folder: name.clone(),
                });
            }
            class_folders(root, Part::Whole, &mut found, &mut other_files)?;
        }
        other_files.sort();
        other_files.dedup();
        let found = found
            .into_iter()
            .map(|(part, class, path)| (part, class, path, None))
            .collect();
        let dataset = Self::of(root, found, unused, other_files);
        dataset.check()?;
        Ok(dataset)
    }

    fn check(&self) -> Result<(), EvalError> {
        let parts: &[Part] = if self.is_split() {
            &[Part::Train, Part::Test]
        } else {
            &[Part::Whole]
        };
        for &part in parts {
            if !self.videos.iter().any(|video| video.part == part) {
                return Err(EvalError::NoVideos {
                    folder: match part {
                        Part::Train => self.root.join(TRAIN),
                        Part::Test => self.root.join(TEST),
                        Part::Whole => self.root.clone(),
                    },
                });
            }
        }
        if self.classes.len() < 2 {
            return Err(EvalError::OneClass {
                root: self.root.clone(),
                class: self.classes.concat(),
            });
        }
        Ok(())
    }

    /// Whether the data set has a `train` and a `test` part.
    pub fn is_split(&self) -> bool {
        self.videos.iter().any(|video| video.part != Part::Whole)
    }

    /// A file's path under the data set's folder, for reports.
    pub fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_tree::tree;
    use super::*;

    fn names(dataset: &Dataset) -> Vec<(Part, &str, String)> {
        dataset
            .videos
            .iter()
            .map(|video| {
                (
                    video.part,
                    dataset.classes[video.class].as_str(),
                    dataset.relative(&video.path),
                )
            })
            .collect()
    }

    #[test]
    fn class_folders_are_classes_however_deep_the_videos_lie() {
        let root = tree(&[
            "walk/b.avi",
            "run/deep/er/a.MKV",
            "run/notes.txt",
            "run/.hidden.mp4",
            "list.csv",
        ]);
        let dataset = Dataset::scan(root.path()).unwrap();
        assert_eq!(dataset.classes, ["run", "walk"]);
        assert_eq!(
            names(&dataset),
            [
                (Part::Whole, "run", "run/deep/er/a.MKV".into()),
                (Part::Whole, "walk", "walk/b.avi".into())
            ]
        );
        assert!(!dataset.is_split());
        let others: Vec<String> = dataset
            .other_files
            .iter()
            .map(|path| dataset.relative(path))
            .collect();
        assert_eq!(others, ["list.csv", "run/notes.txt"]);
    }

    #[test]
    fn train_and_test_are_parts_and_val_is_counted() {
        let root = tree(&[
            "train/run/1.mp4",
            "train/walk/2.mp4",
            "test/walk/3.mp4",
            "val/walk/4.mp4",
            "val/run/5.mp4",
        ]);
        let dataset = Dataset::scan(root.path()).unwrap();
        assert_eq!(
            names(&dataset),
            [
                (Part::Train, "run", "train/run/1.mp4".into()),
                (Part::Train, "walk", "train/walk/2.mp4".into()),
                (Part::Test, "walk", "test/walk/3.mp4".into())
            ]
        );
        assert_eq!(
            dataset.unused,
            [UnusedFolder {
                folder: "val".into(),
                videos: 2
            }]
        );
    }

    #[test]
    fn refuses_what_is_no_data_set_and_says_why() {
        let root = tree(&["train/run/1.mp4", "train/walk/2.mp4"]);
        assert!(matches!(
            Dataset::scan(root.path()),
            Err(EvalError::HalfASplit { absent: "test", .. })
        ));
        let root = tree(&["train/run/1.mp4", "train/walk/2.mp4", "test/run/readme.txt"]);
        let error = Dataset::scan(root.path()).unwrap_err();
        assert!(matches!(error, EvalError::NoVideos { folder } if folder.ends_with("test")));
        let root = tree(&["run/1.mp4"]);
        assert!(
            matches!(Dataset::scan(root.path()), Err(EvalError::OneClass { class, .. }) if class == "run")
        );
        let root = tree(&["1.mp4"]);
        assert!(matches!(
            Dataset::scan(root.path()),
            Err(EvalError::NoVideos { .. })
        ));
        let root = tree(&["val/run/1.mp4", "walk/2.mp4"]);
        assert!(matches!(
            Dataset::scan(root.path()),
            Err(EvalError::ValidationAlone { .. })
        ));
        let file = root.path().join("walk/2.mp4");
        assert!(matches!(Dataset::scan(&file), Err(EvalError::NotAFolder(path)) if path == file));
    }
}
