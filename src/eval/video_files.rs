//! Which files of a folder are videos.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::EvalError;
use super::dataset::Part;

/// Name endings, in lower case, of the files that are opened as videos. Files with other endings are counted and named, so
/// that a label file is not reported as a broken video and a picture is not taken for a video of one frame.
const VIDEO_ENDINGS: [&str; 35] = [
    "264", "265", "3g2", "3gp", "asf", "av1", "avc", "avi", "divx", "dv", "f4v", "flv", "h264", "h265",
    "hevc", "ivf", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "ogg",
    "ogv", "ts", "vob", "webm", "wmv", "xvid", "y4m",
];

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a file is a video by its name.
pub fn is_video(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| VIDEO_ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Names of the folders directly in `folder`, sorted; files directly in it are noted as belonging to no class.
pub fn subfolders(folder: &Path, other_files: &mut Vec<PathBuf>) -> Result<Vec<String>, EvalError> {
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
pub fn class_folders(
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

/// The videos below a folder, however deep; other files are noted.
pub fn videos_below(folder: &Path, other_files: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, EvalError> {
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
