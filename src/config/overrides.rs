use std::path::PathBuf;

use super::ConfigError;
use super::document::Document;
use crate::ingest::StreamConfig;

/// What the command line says about the run; it goes before the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// URIs, files, folders or `synthetic:`. They take the place of the file's streams.
    pub sources: Vec<String>,
    /// `--preset NAME`.
    pub preset: Option<String>,
    /// `--device DEVICE`.
    pub device: Option<String>,
    /// `--max-steps N`.
    pub max_steps: Option<u64>,
    /// `--checkpoint-dir DIR`; relative to the working folder.
    pub checkpoint_dir: Option<PathBuf>,
    /// `--resume[=WHEN]`.
    pub resume: Option<String>,
    /// `--max-duration TIME`.
    pub max_duration: Option<String>,
    /// `--listen ADDRESS`.
    pub listen: Option<String>,
    /// `--log-format FORMAT`.
    pub log_format: Option<String>,
}

impl Overrides {
    pub(super) fn streams(&self) -> Result<Vec<StreamConfig>, ConfigError> {
        let stream = |source: &String| StreamConfig::from_argument(source);
        let streams: Result<_, _> = self.sources.iter().map(stream).collect();
        streams.map_err(|error| ConfigError::Invalid(vec![error.to_string()]))
    }

    pub(super) fn lay_over(&self, document: &mut Document) {
        if let Some(steps) = self.max_steps {
            // TOML's whole numbers end where i64 does; nobody trains for longer.
            let steps = i64::try_from(steps).unwrap_or(i64::MAX);
            document.set("--max-steps", "train", "max_steps", steps);
        }
        if let Some(dir) = &self.checkpoint_dir {
            // Absolute, as paths of the config mean what lies beside the file.
            let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
            let dir = dir.to_string_lossy().into_owned();
            document.set("--checkpoint-dir", "checkpoint", "dir", dir);
        }
        let texts = [
            ("--preset", "train", "preset", &self.preset),
            ("--device", "train", "device", &self.device),
            ("--resume", "run", "resume", &self.resume),
            ("--max-duration", "run", "max_duration", &self.max_duration),
            ("--listen", "server", "listen", &self.listen),
            ("--log-format", "log", "format", &self.log_format),
        ];
        for (option, section, key, value) in texts {
            if let Some(value) = value {
                document.set(option, section, key, value.as_str());
            }
        }
    }
}
