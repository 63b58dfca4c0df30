use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{IngestError, RedactedUri, StreamName};

/// Where a stream's video comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// One video file.
    File(PathBuf),
    /// All video files of a folder and its subfolders, one after the other.
    Folder(PathBuf),
    /// A camera or server that speaks RTSP.
    Rtsp(RedactedUri),
    /// A file or an HLS stream behind HTTP.
    Http(RedactedUri),
    /// Moving patterns, encoded on the spot.
    Synthetic(SyntheticConfig),
}

/// A stream that needs no file: scenes of moving patterns, encoded to real H.264. The same values give the same pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Columns; even.
    pub width: u32,
    /// Rows; even.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: u32,
    /// Ends after so many frames; without, it never does.
    pub frames: Option<u64>,
    /// B frames between two references.
    pub b_frames: u32,
    /// Frames from one key frame to the next, at most.
    pub key_interval: u32,
    /// Frames of a scene; each scene is a segment of its own.
    pub scene_frames: u32,
    /// Chooses the scenes.
    pub seed: u64,
    /// Runs in real time and sheds when comove is too slow, as a camera does; else as fast as comove takes it.
    pub live: bool,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            width: 320,
            height: 240,
            frame_rate: 25,
            frames: None,
            b_frames: 2,
            key_interval: 25,
            scene_frames: 150,
            seed: 0,
            live: false,
        }
    }
}

impl SyntheticConfig {
    /// Reads what follows `synthetic:`, such as `width=640&height=480&b_frames=0&live=true`; empty means the defaults.
    fn parse(text: &str) -> Result<Self, String> {
        fn value<T: FromStr>(key: &str, text: &str) -> Result<T, String> {
            text.parse()
                .map_err(|_| format!("`{key}={text}`: not a value for {key}"))
        }
        let mut config = Self::default();
        let pairs = text.trim_start_matches(['/', '?']).split(['&', ',']);
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (key, text) = pair
                .split_once('=')
                .ok_or_else(|| format!("`{pair}`: write key=value"))?;
            match key {
                "width" => config.width = value(key, text)?,
                "height" => config.height = value(key, text)?,
                "frame_rate" => config.frame_rate = value(key, text)?,
                "frames" => config.frames = Some(value(key, text)?),
                "b_frames" => config.b_frames = value(key, text)?,
                "key_interval" => config.key_interval = value(key, text)?,
                "scene_frames" => config.scene_frames = value(key, text)?,
                "seed" => config.seed = value(key, text)?,
                "live" => config.live = value(key, text)?,
                _ => {
                    return Err(format!(
                        "`{key}` is not known; known are width, height, frame_rate, frames, b_frames, key_interval, \
                         scene_frames, seed and live"
                    ));
                }
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Says what would be right where a value is not.
    pub fn check(&self) -> Result<(), String> {
        let even = |side: u32| (16..=4096).contains(&side) && side.is_multiple_of(2);
        match self {
            c if !even(c.width) || !even(c.height) => {
                Err("width and height must be even and 16 to 4096".to_owned())
            }
            c if !(1..=240).contains(&c.frame_rate) => Err("frame_rate must be 1 to 240".to_owned()),
            c if c.b_frames > 4 => Err("b_frames must be 0 to 4".to_owned()),
            c if c.key_interval == 0 || c.scene_frames == 0 => {
                Err("key_interval and scene_frames must be at least 1".to_owned())
            }
            c if c.frames == Some(0) => Err("frames must be at least 1".to_owned()),
            _ => Ok(()),
        }
    }
}

impl SourceKind {
    /// Reads a command line argument: a URI, a file, a folder, or `synthetic:`.
    pub fn parse(argument: &str) -> Result<Self, IngestError> {
        if let Some(values) = argument.strip_prefix("synthetic:") {
            return SyntheticConfig::parse(values)
                .map(Self::Synthetic)
                .map_err(|rule| IngestError::InvalidStream {
                    stream: "synthetic".to_owned(),
                    rule,
                });
        }
        if argument.contains("://") {
            return Self::from_uri(RedactedUri::parse(argument)?);
        }
        Self::from_path(Path::new(argument))
    }

    /// A URI of a known scheme.
    pub fn from_uri(uri: RedactedUri) -> Result<Self, IngestError> {
        match uri.scheme() {
            "rtsp" | "rtsps" | "rtspt" | "rtspu" => Ok(Self::Rtsp(uri)),
            "http" | "https" => Ok(Self::Http(uri)),
            "file" => {
                let path = uri.expose().to_file_path();
                Self::from_path(&path.map_err(|()| IngestError::InvalidUri {
                    uri: uri.to_string(),
                    message: "a file URI has the form file:///PATH".to_owned(),
                })?)
            }
            _ => Err(IngestError::unknown_scheme(&uri)),
        }
    }

    /// A file or folder that exists.
    pub fn from_path(path: &Path) -> Result<Self, IngestError> {
        let metadata = std::fs::metadata(path).map_err(|error| IngestError::unreadable(path, &error))?;
        match metadata.is_dir() {
            true => Ok(Self::Folder(path.to_owned())),
            false => Ok(Self::File(path.to_owned())),
        }
    }

    /// Whether the source goes on whether or not comove keeps up: it must be shed from, watched for silence, and never ends.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Rtsp(_) => true,
            Self::Synthetic(synthetic) => synthetic.live,
            Self::File(_) | Self::Folder(_) | Self::Http(_) => false,
        }
    }

    /// Whether the source is on the network: it may fail and come back.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Rtsp(_) | Self::Http(_))
    }

    /// The machine that it comes from, where that is another one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Rtsp(uri) | Self::Http(uri) => uri.host(),
            Self::File(_) | Self::Folder(_) | Self::Synthetic(_) => None,
        }
    }

    /// A legal name made of the source, without credentials and not in `taken`.
    pub fn default_name(&self, taken: &HashSet<StreamName>) -> StreamName {
        let of_path = |path: &Path, name: Option<&std::ffi::OsStr>| match name {
            Some(name) => name.to_string_lossy().into_owned(),
            None => path.to_string_lossy().into_owned(),
        };
        let text = match self {
            Self::File(path) => of_path(path, path.file_stem()),
            Self::Folder(path) => {
                let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
                of_path(&whole, whole.file_name())
            }
            Self::Rtsp(uri) | Self::Http(uri) => {
                let mut parts = vec![uri.host().unwrap_or("stream").to_owned()];
                parts.extend(uri.open_path());
                parts.join("-")
            }
            Self::Synthetic(_) => "synthetic".to_owned(),
        };
        legal_name(&text, taken)
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Rtsp(uri) | Self::Http(uri) => write!(f, "{uri}"),
            Self::Synthetic(_) => f.write_str("synthetic"),
        }
    }
}

/// `text` with illegal characters turned to `-`, cut to length, numbered if taken.
fn legal_name(text: &str, taken: &HashSet<StreamName>) -> StreamName {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let mut name: String = text.chars().map(legal).collect();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    let name = name.trim_matches(['-', '.']);
    let name = if name.is_empty() { "stream" } else { name };
    let numbered = (1u32..).map(|number| match number {
        1 => String::new(),
        number => format!("-{number}"),
    });
    numbered
        .filter_map(|suffix| {
            let room = StreamName::MAX_LEN - suffix.len();
            StreamName::new(&format!("{}{suffix}", &name[..name.len().min(room)]))
        })
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| unreachable!("some number is free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_unique_and_without_credentials() {
        let mut taken = HashSet::new();
        let sources = [
            SourceKind::File("a folder/my video! \"1\".mp4".into()),
            SourceKind::File("other/my video! \"1\".mkv".into()),
            SourceKind::parse("rtsp://bob:secret@cam.local:554/live/main?token=x").unwrap(),
            SourceKind::File("...".into()),
            SourceKind::File(format!("{}.mp4", "é".repeat(80)).into()),
            SourceKind::File(format!("{}.mp4", "a".repeat(80)).into()),
            SourceKind::File(format!("{}.mp4", "a".repeat(81)).into()),
        ];
        let names: Vec<_> = sources
            .iter()
            .map(|source| {
                let name = source.default_name(&taken);
                taken.insert(name.clone());
                name.to_string()
            })
            .collect();
        let long = "a".repeat(64);
        let expected = [
            "my-video-1",
            "my-video-1-2",
            "cam.local-live-main",
            "stream",
            "stream-2",
            &long,
        ];
        assert_eq!(names[..6], expected);
        assert_eq!(names[6], format!("{}-2", "a".repeat(62)));
    }

    #[test]
    fn an_argument_is_a_uri_a_file_a_folder_or_synthetic() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.mp4");
        std::fs::write(&file, b"x").unwrap();
        let parse = |text: &str| SourceKind::parse(text);
        assert_eq!(parse(&file.to_string_lossy()), Ok(SourceKind::File(file.clone())));
        assert_eq!(
            parse(&format!("file://{}", file.display())),
            Ok(SourceKind::File(file))
        );
        assert!(matches!(
            parse(&folder.path().to_string_lossy()),
            Ok(SourceKind::Folder(_))
        ));
        assert!(matches!(parse("https://host/live.m3u8"), Ok(SourceKind::Http(_))));
        let Ok(SourceKind::Synthetic(synthetic)) = parse("synthetic:width=64,height=48&live=true") else {
            panic!("not synthetic")
        };
        assert_eq!(
            (synthetic.width, synthetic.height, synthetic.live),
            (64, 48, true)
        );
        for (wrong, told) in [
            ("no/such.mp4", "no such file"),
            ("gopher://h/x", "known are rtsp"),
            ("synthetic:widht=3", "`widht` is not known"),
            ("synthetic:width=15", "even"),
        ] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
