use std::{collections::HashSet, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::{IngestError, RedactedUri, Secret, SourceKind, StreamName, SyntheticConfig, exact_size};

/// The `[ingest]` section: what all streams share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// Compressed video that may be in memory at once, all streams together.
    #[serde(serialize_with = "exact_size")]
    pub memory: ByteSize,
    /// A folder whose `*.toml` files hold a stream each, named by the file. What the API is told to keep goes there.
    pub stream_folder: PathBuf,
    /// A folder whose `*.launch` files are used in place of the built-in pipelines of the same name.
    pub pipelines: Option<PathBuf>,
    /// A source that has given nothing so long after its start has failed.
    #[serde(with = "humantime_serde")]
    pub open_timeout: Duration,
    /// A live or remote source that has been silent so long has stalled. A stream may set its own.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// A pipeline that cannot be stopped in this time is left behind and counted.
    #[serde(with = "humantime_serde")]
    pub teardown_deadline: Duration,
    /// Time stamps that jump so far, either way, end a segment.
    #[serde(with = "humantime_serde")]
    pub time_jump: Duration,
    /// Wait before the first restart of a failed source; doubled with every further failure.
    #[serde(with = "humantime_serde")]
    pub backoff_first: Duration,
    /// The longest wait before a restart.
    #[serde(with = "humantime_serde")]
    pub backoff_longest: Duration,
    /// Attempts to open streams of one host again come at least so far apart.
    #[serde(with = "humantime_serde")]
    pub host_spacing: Duration,
}

/// A compressed picture of a low bit rate: 1 Mbit/s at 30 pictures a second.
const SMALL_PICTURE_BYTES: u64 = 4096;

impl IngestConfig {
    /// Checks that each of `streams` can hold the compressed pictures of one sample, twice: windows get half of the memory.
    ///
    /// # Errors
    /// A memory so small that no stream could ever give a sample.
    pub fn check_memory(&self, streams: usize, pictures: u32) -> Result<(), IngestError> {
        let least = 2 * SMALL_PICTURE_BYTES * u64::from(pictures) * streams.max(1) as u64;
        if self.memory.as_u64() >= least {
            return Ok(());
        }
        Err(IngestError::MemoryBelowSample {
            memory: self.memory,
            streams: streams.max(1),
            pictures,
            least: ByteSize(least),
        })
    }
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            memory: ByteSize::mib(256),
            stream_folder: "streams.d".into(),
            pipelines: None,
            open_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(10),
            teardown_deadline: Duration::from_secs(5),
            time_jump: Duration::from_secs(2),
            backoff_first: Duration::from_secs(1),
            backoff_longest: Duration::from_secs(60),
            host_spacing: Duration::from_millis(500),
        }
    }
}

/// What becomes of a file or folder at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// The stream ends.
    #[default]
    Once,
    /// It begins anew; a folder is read again, with the files that have come since.
    Endless,
}

/// How RTSP carries the video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Inside the RTSP connection: through any firewall, nothing lost.
    #[default]
    Tcp,
    /// Datagrams: less delay, losses.
    Udp,
}

/// One `[[stream]]`: exactly one of `uri` (or `uri_file`), `path`, `folder` and `synthetic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// Name in logs, metrics and the API; made from the source where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// rtsp, rtsps, http, https or file URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<RedactedUri>,
    /// A file that holds the URI: one with a secret in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_file: Option<PathBuf>,
    /// The name that the URI's host wants, in whatever characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file that holds the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A video file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A folder of video files, with its subfolders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Moving patterns, encoded on the spot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<SyntheticConfig>,
    /// Whether the stream starts with the program.
    pub enabled: bool,
    /// Once or endlessly, for files, folders and HTTP.
    pub repeat: Repeat,
    /// Shuffles a folder's files by this seed, anew in each pass; without, they are sorted by path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_seed: Option<u64>,
    /// How RTSP carries the video.
    pub transport: Transport,
    /// RTSP: packets are held back so long to put them in order.
    #[serde(with = "humantime_serde")]
    pub latency: Duration,
    /// This stream's own `stall_timeout`: cameras with few frames need more.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<Duration>,
    /// Where this entry stands.
    #[serde(skip)]
    pub origin: StreamOrigin,
}

/// Where a stream's entry stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StreamOrigin {
    /// In the config file.
    #[default]
    Config,
    /// In a file of its own in `ingest.stream_folder`.
    File(PathBuf),
    /// On the command line.
    CommandLine,
    /// Nowhere: the API added it, or changed it, and was not told to keep that.
    Api,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            name: None,
            uri: None,
            uri_file: None,
            user: None,
            password: None,
            password_file: None,
            path: None,
            folder: None,
            synthetic: None,
            enabled: true,
            repeat: Repeat::Once,
            shuffle_seed: None,
            transport: Transport::Tcp,
            latency: Duration::from_millis(200),
            stall_timeout: None,
            origin: StreamOrigin::default(),
        }
    }
}

impl StreamConfig {
    /// The stream of a command line argument: URI, file, folder or `synthetic:`.
    pub fn from_argument(argument: &str) -> Result<Self, IngestError> {
        let mut config = Self {
            origin: StreamOrigin::CommandLine,
            ..Self::default()
        };
        match SourceKind::parse(argument)? {
            SourceKind::File(path) => config.path = Some(path),
            SourceKind::Folder(path) => config.folder = Some(path),
            SourceKind::Rtsp(uri) | SourceKind::Http(uri) => config.uri = Some(uri),
            SourceKind::Synthetic(synthetic) => config.synthetic = Some(synthetic),
        }
        Ok(config)
    }

    /// Where the video comes from. `label` names the stream in errors: its name, or its place in the config.
    pub fn source(&self, label: &str) -> Result<SourceKind, IngestError> {
        let invalid = |rule: &str| {
            Err(IngestError::InvalidStream {
                stream: label.to_owned(),
                rule: rule.to_owned(),
            })
        };
        match (&self.uri, &self.path, &self.folder, &self.synthetic) {
            (Some(uri), None, None, None) => SourceKind::from_uri(uri.clone()),
            // Of a stream that does not run nothing need be there.
            (None, Some(path), None, None) if !self.enabled => Ok(SourceKind::File(path.clone())),
            (None, None, Some(folder), None) if !self.enabled => Ok(SourceKind::Folder(folder.clone())),
            (None, Some(path), None, None) => match SourceKind::from_path(path)? {
                SourceKind::Folder(_) => invalid("`path` names a folder; write `folder`"),
                file => Ok(file),
            },
            (None, None, Some(folder), None) => match SourceKind::from_path(folder)? {
                SourceKind::File(_) => invalid("`folder` names a file; write `path`"),
                folder => Ok(folder),
            },
            (None, None, None, Some(synthetic)) => match synthetic.check() {
                Ok(()) => Ok(SourceKind::Synthetic(synthetic.clone())),
                Err(rule) => invalid(&format!("`synthetic`: {rule}")),
            },
            _ => invalid("exactly one of `uri`, `path`, `folder` and `synthetic` must be given"),
        }
    }
}

/// Source and name of every stream, in order; names that are not given are made. Errors name the stream.
pub fn resolve_streams(streams: &[StreamConfig]) -> Result<Vec<(StreamName, SourceKind)>, IngestError> {
    let mut taken = HashSet::new();
    for (number, stream) in streams.iter().enumerate() {
        let Some(text) = &stream.name else { continue };
        let invalid = |rule: String| IngestError::InvalidStream {
            stream: format!("[[stream]] number {}", number + 1),
            rule,
        };
        let name = StreamName::new(text).ok_or_else(|| {
            invalid(format!(
                "the name must be 1 to {} ASCII letters, digits, `-`, `_` and `.`, not beginning with `.`; it is {text:?}",
                StreamName::MAX_LEN
            ))
        })?;
        if !taken.insert(name) {
            return Err(invalid(format!(
                "the name {text:?} is already given to another stream"
            )));
        }
    }
    let resolve = |(number, stream): (usize, &StreamConfig)| {
        let label = stream.name.clone();
        let source = stream.source(&label.unwrap_or_else(|| format!("[[stream]] number {}", number + 1)))?;
        let name = stream.name.as_deref().and_then(StreamName::new);
        let name = name.unwrap_or_else(|| source.default_name(&taken));
        taken.insert(name.clone());
        Ok((name, source))
    };
    streams.iter().enumerate().map(resolve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> StreamConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_stream_has_exactly_one_source() {
        let rule = |text: &str| read(text).source("door").unwrap_err().to_string();
        assert!(rule("enabled = true").contains("stream door: exactly one of"));
        assert!(rule("uri = 'rtsp://h/x'\nsynthetic = {}").contains("exactly one of"));
        assert!(rule("path = '/'").contains("write `folder`"));
        assert!(rule("synthetic = { width = 3 }").contains("even"));
        assert!(read("synthetic = { seed = 4 }").source("door").is_ok());
        assert!(toml::from_str::<StreamConfig>("ur = 'rtsp://h'").is_err());
    }

    #[test]
    fn names_given_stay_and_made_ones_keep_clear_of_them() {
        let streams = [
            read("synthetic = {}"),
            read("name = 'synthetic'\nsynthetic = {}"),
            read("uri = 'rtsp://a:b@h/x'"),
        ];
        let names: Vec<_> = resolve_streams(&streams)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(names, ["synthetic-2", "synthetic", "h-x"]);
        let twice = [
            read("name = 'a'\nsynthetic = {}"),
            read("name = 'a'\nsynthetic = {}"),
        ];
        assert!(
            resolve_streams(&twice)
                .unwrap_err()
                .to_string()
                .contains("number 2: the name \"a\" is already given")
        );
    }

    #[test]
    fn a_config_written_out_shows_no_password() {
        let text = toml::to_string(&read("uri = 'rtsp://bob:hunter2@h/x'")).unwrap();
        assert!(text.contains("***@h/x") && !text.contains("hunter2"), "{text}");
    }
}
