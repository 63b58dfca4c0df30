use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use gstreamer as gst;
use gstreamer_app::gst_base;

use super::IngestError;

/// File name extensions of the videos that a folder is searched for; in lower case.
pub const VIDEO_EXTENSIONS: [&str; 19] = [
    "mp4", "m4v", "mov", "3gp", "f4v", "mkv", "webm", "ts", "m2ts", "mts", "flv", "avi", "h264", "264",
    "avc", "jsv", "jvt", "26l", "h26l",
];

/// Extensions that mean raw H.264 where the content does not say otherwise.
const ANNEX_B_EXTENSIONS: [&str; 7] = ["h264", "264", "avc", "jsv", "jvt", "26l", "h26l"];

/// What a file's video is wrapped in. Each has a pipeline template of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4, MOV and kin.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    /// MPEG transport stream, with packets of 188 or 192 bytes.
    MpegTs,
    /// Flash video.
    Flv,
    /// AVI.
    Avi,
    /// None: raw H.264 with start codes.
    AnnexB,
}

impl Container {
    /// Name of the pipeline template, without `.launch`.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Matroska => "matroska",
            Self::MpegTs => "mpegts",
            Self::Flv => "flv",
            Self::Avi => "avi",
            Self::AnnexB => "annexb",
        }
    }

    /// Looks at a file: that it can be read, what it is, and, for MP4, that it has an index.
    pub fn of_file(path: &Path) -> Result<Self, IngestError> {
        let unreadable = |error: std::io::Error| IngestError::unreadable(path, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(IngestError::Unreadable {
                path: path.to_owned(),
                message: "is a folder, not a file".to_owned(),
            });
        }
        if metadata.is_file() && metadata.len() == 0 {
            return Err(IngestError::EmptyFile {
                path: path.to_owned(),
            });
        }
        let mut head = Vec::new();
        (&mut file)
            .take(64 << 10)
            .read_to_end(&mut head)
            .map_err(unreadable)?;
        let found = media_type(&head);
        let container = match found.as_deref() {
            Some("video/quicktime" | "audio/x-m4a" | "application/x-3gp" | "video/mj2") => Self::Mp4,
            Some(
                "video/x-matroska" | "video/webm" | "audio/x-matroska" | "audio/webm" | "video/x-matroska-3d",
            ) => Self::Matroska,
            Some("video/mpegts") => Self::MpegTs,
            Some("video/x-flv") => Self::Flv,
            Some("video/x-msvideo") => Self::Avi,
            Some("video/x-h264") => Self::AnnexB,
            Some(video @ ("video/x-h265" | "video/mpeg" | "video/x-vp8" | "video/x-vp9" | "video/x-ivf")) => {
                return Err(IngestError::WrongCodec {
                    place: path.display().to_string(),
                    codec: codec_name(video),
                });
            }
            _ if has_extension(path, &ANNEX_B_EXTENSIONS) => Self::AnnexB,
            found => {
                return Err(IngestError::NotVideo {
                    path: path.to_owned(),
                    found: found.map_or_else(|| "unknown content".to_owned(), |kind| format!("it is {kind}")),
                });
            }
        };
        if container == Self::Mp4 && !has_movie_box(&mut file).map_err(unreadable)? {
            return Err(IngestError::TruncatedMp4 {
                path: path.to_owned(),
            });
        }
        Ok(container)
    }
}

/// Whether a folder's search takes this file.
pub(super) fn is_video_name(path: &Path) -> bool {
    has_extension(path, &VIDEO_EXTENSIONS)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// The media type that GStreamer reads from a file's first bytes.
fn media_type(head: &[u8]) -> Option<String> {
    let (caps, _) = gst_base::type_find_helper_for_data(None::<&gst::Object>, head).ok()?;
    caps.structure(0).map(|caps| caps.name().to_string())
}

/// Whether an MP4 file has a `moov` or `moof` box among its outermost boxes (ISO/IEC 14496-12, 4.2). A recorder that was
/// cut off leaves `ftyp` and `mdat` only.
fn has_movie_box(file: &mut (impl Read + Seek)) -> std::io::Result<bool> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0u64;
    while at.checked_add(8).is_some_and(|header_end| header_end <= end) {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0u8; 16];
        let header_bytes = if at + 16 <= end { 16 } else { 8 };
        file.read_exact(&mut header[..header_bytes])?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = header;
        if matches!(&kind, b"moov" | b"moof") {
            return Ok(true);
        }
        let size = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of the file.
            0 => return Ok(false),
            1 => u64::from_be_bytes([
                header[8], header[9], header[10], header[11], header[12], header[13], header[14], header[15],
            ]),
            size => u64::from(size),
        };
        match at.checked_add(size.max(8)) {
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// A codec's usual name for a media type of GStreamer.
pub(super) fn codec_name(media_type: &str) -> String {
    match media_type {
        "video/x-h264" => "H.264",
        "video/x-h265" => "H.265 (HEVC)",
        "video/x-h266" => "H.266 (VVC)",
        "video/x-vp8" => "VP8",
        "video/x-vp9" => "VP9",
        "video/x-av1" => "AV1",
        "video/mpeg, mpegversion=4" => "MPEG-4 Part 2 (DivX, Xvid)",
        "video/mpeg" => "MPEG-1 or MPEG-2 video",
        "video/x-divx" | "video/x-xvid" => "MPEG-4 Part 2 (DivX, Xvid)",
        "video/x-msmpeg" => "Microsoft MPEG-4",
        "image/jpeg" => "Motion JPEG",
        "video/x-theora" => "Theora",
        "video/x-flash-video" => "Sorenson Spark (FLV1)",
        "video/x-wmv" => "Windows Media Video",
        "video/x-prores" => "ProRes",
        "video/x-dv" => "DV",
        "video/x-raw" => "uncompressed video",
        "application/x-cenc" => "encrypted (DRM)",
        other => other,
    }
    .to_owned()
}

/// The codec of a track's caps; none for tracks that are not video.
pub(super) fn video_codec(caps: &gst::CapsRef) -> Option<String> {
    let structure = caps.structure(0)?;
    let name = structure.name().as_str();
    let video = name.starts_with("video/") || name.starts_with("image/") || name == "application/x-cenc";
    let part_2 = name == "video/mpeg" && structure.get::<i32>("mpegversion") == Ok(4);
    video.then(|| codec_name(if part_2 { "video/mpeg, mpegversion=4" } else { name }))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxes(parts: &[(&[u8; 4], u32, usize)]) -> Cursor<Vec<u8>> {
        let mut bytes = Vec::new();
        for (kind, size, body) in parts {
            bytes.extend(size.to_be_bytes());
            bytes.extend(*kind);
            bytes.resize(bytes.len() + body, 0);
        }
        Cursor::new(bytes)
    }

    #[test]
    fn finds_the_index_of_an_mp4_before_or_behind_the_media() {
        assert!(has_movie_box(&mut boxes(&[(b"ftyp", 16, 8), (b"moov", 8, 0), (b"mdat", 99, 4)])).unwrap());
        assert!(
            has_movie_box(&mut boxes(&[
                (b"ftyp", 16, 8),
                (b"mdat", 18, 10),
                (b"moov", 900, 0)
            ]))
            .unwrap()
        );
        assert!(!has_movie_box(&mut boxes(&[(b"ftyp", 16, 8), (b"mdat", 99, 20)])).unwrap());
        assert!(!has_movie_box(&mut boxes(&[(b"ftyp", 16, 8), (b"mdat", 0, 20)])).unwrap());
        let mut long = boxes(&[(b"mdat", 1, 0)]).into_inner();
        long.extend(20u64.to_be_bytes());
        long.extend([0; 4]);
        assert!(!has_movie_box(&mut Cursor::new(long.clone())).unwrap());
        long.extend(boxes(&[(b"moov", 8, 0)]).into_inner());
        assert!(has_movie_box(&mut Cursor::new(long)).unwrap());
    }
}
