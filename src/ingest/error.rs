use std::{path::PathBuf, time::Duration};

use super::RedactedUri;

/// Why video does not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The byte budget cannot hold what one sample is cut from.
    #[error(
        "ingest.memory = {memory}: {streams} streams, whose samples take {pictures} pictures each, need at least {least}"
    )]
    MemoryBelowSample {
        /// What it says.
        memory: bytesize::ByteSize,
        /// Enabled streams.
        streams: usize,
        /// Pictures that a sample spans.
        pictures: u32,
        /// The least that works, with small pictures.
        least: bytesize::ByteSize,
    },
    /// GStreamer itself does not work here.
    #[error("GStreamer cannot be used: {message}")]
    GStreamer {
        /// What it said.
        message: String,
    },
    /// An element is not installed.
    #[error("GStreamer has no element `{element}`; install {package}")]
    NoElement {
        /// The element's name.
        element: String,
        /// Where Debian and Ubuntu have it.
        package: &'static str,
    },
    /// Not a URI.
    #[error("{uri}: not a URI: {message}")]
    InvalidUri {
        /// The text, credentials left out.
        uri: String,
        /// What is wrong.
        message: String,
    },
    /// A URI of a kind that comove does not open.
    #[error("{uri}: scheme `{scheme}` is not known; known are rtsp, rtsps, http, https, file and synthetic")]
    UnknownScheme {
        /// The URI, credentials left out.
        uri: String,
        /// Its scheme.
        scheme: String,
    },
    /// A stream's entry in the config is not right.
    #[error("stream {stream}: {rule}")]
    InvalidStream {
        /// Name or number of the stream.
        stream: String,
        /// What would be right.
        rule: String,
    },
    /// A pipeline template is not right.
    #[error("pipeline template {}: {message}", path.display())]
    Template {
        /// The file, or the name of the built-in one.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file or folder cannot be read.
    #[error("{}: {message}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// A file of length 0.
    #[error("{}: the file is empty", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A folder without any video.
    #[error("{}: no video file in the folder or its subfolders (looked for {looked_for})", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// File name extensions.
        looked_for: String,
    },
    /// Not a video file, or a damaged one.
    #[error("{}: not a video file that comove knows ({found}); known are MP4/MOV, Matroska/WebM, MPEG-TS, FLV, AVI and raw H.264 (Annex B)", path.display())]
    NotVideo {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// An MP4 file whose index was never written.
    #[error("{}: the MP4 file is cut off: its index (`moov`) is missing, so no player can open it; repair it, for instance with untrunc and an intact recording of the same camera", path.display())]
    TruncatedMp4 {
        /// The file.
        path: PathBuf,
    },
    /// Video of another codec.
    #[error(
        "{place}: the video is {codec}, and comove learns from H.264 only; convert it: ffmpeg -i INPUT -map 0:v:0 -c:v libx264 OUTPUT.mp4"
    )]
    WrongCodec {
        /// File or URI, credentials left out.
        place: String,
        /// The codec's usual name.
        codec: String,
    },
    /// No video track at all.
    #[error("{place}: no video track (found: {found})")]
    NoVideo {
        /// File or URI, credentials left out.
        place: String,
        /// What else there is.
        found: String,
    },
    /// The bytes are not H.264, or hold no complete picture.
    #[error("{place}: no H.264 picture in it: {message}")]
    NotH264 {
        /// File or URI, credentials left out.
        place: String,
        /// What the parser said.
        message: String,
    },
    /// The pipeline reported an error.
    #[error("{place}: {message}")]
    Pipeline {
        /// File or URI, credentials left out.
        place: String,
        /// What GStreamer said, credentials left out.
        message: String,
    },
    /// Nothing came in time.
    #[error("{place}: nothing came for {waited:?}")]
    Silent {
        /// File or URI, credentials left out.
        place: String,
        /// How long.
        waited: Duration,
    },
    /// A live source said that it is over.
    #[error("{place}: the source ended its stream; a live source should not")]
    LiveEnded {
        /// URI, credentials left out.
        place: String,
    },
    /// No file of a whole pass through a folder could be read.
    #[error("{}: none of the {files} video files could be read; the last error: {last}", path.display())]
    NoReadableFile {
        /// The folder.
        path: PathBuf,
        /// Files tried.
        files: usize,
        /// Why the last one failed.
        last: String,
    },
}

impl IngestError {
    /// Starts GStreamer, once a process.
    pub(super) fn init_gstreamer() -> Result<(), Self> {
        gstreamer::init().map_err(|error| Self::GStreamer {
            message: error.to_string(),
        })
    }

    pub(super) fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            message: match error.kind() {
                std::io::ErrorKind::NotFound => "no such file or folder".to_owned(),
                _ => error.to_string(),
            },
        }
    }

    pub(super) fn unknown_scheme(uri: &RedactedUri) -> Self {
        Self::UnknownScheme {
            uri: uri.to_string(),
            scheme: uri.scheme().to_owned(),
        }
    }
}
