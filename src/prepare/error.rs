use std::path::{Path, PathBuf};

/// Why nothing was prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The data set is not a folder.
    #[error("{}: not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// No file in it is a video by its name.
    #[error("{}: no video file below it", .0.display())]
    NoVideos(PathBuf),
    /// The result would be looked through as a part of the data set.
    #[error("{}: lies within the data set; name a folder beside it", .0.display())]
    Within(PathBuf),
    /// Two files would become one.
    #[error("{} and {} would both become {}; rename one", .first.display(), .second.display(), .target.display())]
    Collision {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What both would become.
        target: PathBuf,
    },
    /// The folder holds videos of other settings.
    #[error("{}: was made with other settings ({difference}); name another folder", .folder.display())]
    OtherSettings {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        difference: String,
    },
    /// The folder's settings cannot be read.
    #[error("{}: {reason}", .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A number that cannot be.
    #[error("{option} is {value}; {allowed}")]
    Option {
        /// Its name on the command line.
        option: &'static str,
        /// What was given.
        value: u32,
        /// What would be right.
        allowed: &'static str,
    },
    /// A file or folder.
    #[error("{}: cannot {what}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came of it.
        source: std::io::Error,
    },
    /// A folder could not be listed.
    #[error("{}: {source}", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What failed.
        source: walkdir::Error,
    },
    /// GStreamer cannot be used.
    #[error("GStreamer: {0}; scripts/setup installs what is needed")]
    GStreamer(String),
}

impl PrepareError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}
