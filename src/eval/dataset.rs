use std::path::{Path, PathBuf};

use serde::Serialize;
use walkdir::WalkDir;

use super::EvalError;

/// Name endings, in lower case, of the files that are opened as videos. Files with other endings are counted and named, so
/// that a label file is not reported as a broken video and a picture is not taken for a video of one frame.
const VIDEO_ENDINGS: [&str; 35] = [
    "264", "265", "3g2", "3gp", "asf", "av1", "avc", "avi", "divx", "dv", "f4v", "flv", "h264", "h265",
    "hevc", "ivf", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "ogg",
    "ogv", "ts", "vob", "webm", "wmv", "xvid", "y4m",
];

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

/// A video file with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledVideo {
    /// Its file.
    pub path: PathBuf,
    /// Index into [`Dataset::classes`].
    pub class: usize,
    /// The part it belongs to.
    pub part: Part,
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
}

impl Dataset {
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
        let mut classes: Vec<String> = found.iter().map(|(_, class, _)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let mut videos: Vec<LabelledVideo> = found
            .into_iter()
            .map(|(part, class, path)| LabelledVideo {
                path,
                // Every class is in the list that was made of them.
                class: classes.partition_point(|name| *name < class),
                part,
            })
            .collect();
        videos.sort_by(|a, b| (a.part, a.class, &a.path).cmp(&(b.part, b.class, &b.path)));
        let dataset = Self {
            root: root.to_path_buf(),
            classes,
            videos,
            unused,
            other_files,
        };
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

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_video(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| VIDEO_ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Names of the folders directly in `folder`, sorted; files directly in it are noted as belonging to no class.
fn subfolders(folder: &Path, other_files: &mut Vec<PathBuf>) -> Result<Vec<String>, EvalError> {
    let mut names = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1).max_depth(1).follow_links(true) {
        let entry = entry.map_err(|source| EvalError::Unreadable {
            folder: folder.to_path_buf(),
            source,
        })?;
        if is_hidden(entry.file_name()) {
            continue;
        }
        if entry.file_type().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        } else {
            other_files.push(entry.into_path());
        }
    }
    names.sort();
    Ok(names)
}

/// Adds the videos of every class folder in `folder`.
fn class_folders(
    folder: &Path,
    part: Part,
    found: &mut Vec<(Part, String, PathBuf)>,
    other_files: &mut Vec<PathBuf>,
) -> Result<(), EvalError> {
    for class in subfolders(folder, other_files)? {
        for path in videos_below(&folder.join(&class), other_files)? {
            found.push((part, class.clone(), path));
        }
    }
    Ok(())
}

fn videos_below(folder: &Path, other_files: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, EvalError> {
    let mut videos = Vec::new();
    let walk = WalkDir::new(folder).min_depth(1).follow_links(true);
    for entry in walk
        .into_iter()
        .filter_entry(|entry| !is_hidden(entry.file_name()))
    {
        let entry = entry.map_err(|source| EvalError::Unreadable {
            folder: folder.to_path_buf(),
            source,
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry.into_path();
        if is_video(&path) {
            videos.push(path);
        } else {
            other_files.push(path);
        }
    }
    Ok(videos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        root
    }

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
