use std::path::{Path, PathBuf};

/// Why there is no data set.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A number that cannot be.
    #[error("{option} is {value}; {allowed}")]
    Option {
        /// Its name on the command line.
        option: &'static str,
        /// What was given.
        value: u64,
        /// What would be right.
        allowed: String,
    },
    /// The folder is in use.
    #[error("{}: the folder is not empty; name a new one", .0.display())]
    NotEmpty(PathBuf),
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
    /// The encoder.
    #[error("{}: encoding failed: {message}", .path.display())]
    Encode {
        /// The video.
        path: PathBuf,
        /// What GStreamer says.
        message: String,
    },
    /// GStreamer cannot be used.
    #[error("GStreamer: {0}; scripts/setup installs what is needed")]
    GStreamer(String),
}

impl SynthError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}
