//! A TOML file and the command line → a [`Config`], checked before anything starts.
//!
//! Every stage owns its section's struct with its defaults; this module gathers them, finds out what a bad key was meant to
//! be, and keeps credentials out of whatever is printed or stored.

mod document;
mod error;
mod explain;
mod overrides;
mod redact;
mod run;
mod source;
mod stream_folder;

#[cfg(test)]
mod reference_test;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointConfig;
use crate::decode::DecodeConfig;
use crate::ingest::{IngestConfig, SourceKind, StreamConfig, StreamName, resolve_streams};
use crate::probe::ProbeConfig;
use crate::replay::ReplayConfig;
use crate::server::ServerConfig;
use crate::telemetry::LogConfig;
use crate::train::TrainConfig;
use crate::window::WindowConfig;
use document::Document;

pub use error::ConfigError;
pub use overrides::Overrides;
pub use run::{Resume, RunConfig};
pub use source::ConfigSource;
pub use stream_folder::{forget_stream, keep_stream, stream_file, stream_from_table};

/// Everything that can be configured, section by section.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[run]`.
    pub run: RunConfig,
    /// `[ingest]`.
    pub ingest: IngestConfig,
    /// `[[stream]]`, one each.
    pub stream: Vec<StreamConfig>,
    /// `[window]`.
    pub window: WindowConfig,
    /// `[decode]`.
    pub decode: DecodeConfig,
    /// `[replay]`.
    pub replay: ReplayConfig,
    /// `[train]`.
    pub train: TrainConfig,
    /// `[probe]`.
    pub probe: ProbeConfig,
    /// `[checkpoint]`.
    pub checkpoint: CheckpointConfig,
    /// `[server]`.
    pub server: ServerConfig,
    /// `[log]`.
    pub log: LogConfig,
}

impl Config {
    /// Reads the file at `path`, or takes the defaults where there is none, and lays the command line over it.
    ///
    /// Relative paths in the file mean what lies beside the file; on the command line, and without a file, they mean what
    /// lies in the working folder.
    ///
    /// # Errors
    /// The first key that is unknown or cannot be read, or everything that contradicts itself.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let document = match path {
            Some(path) => Document::read(path)?,
            None => Document::empty(),
        };
        Self::from_document(document, overrides)
    }

    fn from_document(mut document: Document, overrides: &Overrides) -> Result<Self, ConfigError> {
        document.expand_variables(|name| std::env::var(name).ok())?;
        overrides.lay_over(&mut document);
        let mut config: Self = document.deserialize()?;
        if let Some(folder) = document.folder() {
            config.resolve_paths(folder);
        }
        if !overrides.sources.is_empty() {
            config.stream = overrides.streams()?;
        } else if let Some(base) = document.folder() {
            let kept = stream_folder::read_streams(&config.ingest.stream_folder, base)?;
            config.stream.extend(kept);
        }
        for (number, stream) in config.stream.iter_mut().enumerate() {
            let label = stream.name.clone();
            let label = label.unwrap_or_else(|| format!("[[stream]] number {}", number + 1));
            let fetched = stream.fetch_secrets(&label);
            fetched.map_err(|error| ConfigError::Invalid(vec![error.to_string()]))?;
        }
        config.check()?;
        Ok(config)
    }

    /// Makes the paths that came from the file mean what lies in `folder`. Those of the command line are absolute already.
    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        resolve(&mut self.checkpoint.dir);
        self.probe.dir.iter_mut().for_each(resolve);
        let spill = self.replay.spill.as_mut();
        spill
            .and_then(|spill| spill.dir.as_mut())
            .into_iter()
            .for_each(resolve);
        self.ingest.pipelines.iter_mut().for_each(resolve);
        self.server.token_file.iter_mut().for_each(resolve);
        self.server.read_token_file.iter_mut().for_each(resolve);
        resolve(&mut self.ingest.stream_folder);
        for stream in &mut self.stream {
            stream_folder::resolve_paths(stream, folder);
        }
    }

    /// Every contradiction that no single key shows.
    fn check(&self) -> Result<(), ConfigError> {
        let mut problems = stream_folder::duplicates(&self.stream);
        let mut note = |found: Result<(), String>| problems.extend(found.err());
        note(words(resolve_streams(&self.stream)));
        note(words(self.train.validate()));
        note(words(self.window.check(&self.train.sample_spec())));
        note(words(self.replay.check(self.train.batch_size())));
        let spec = self.train.sample_spec();
        note(words(self.replay.check_capacity(self.train.batch_size(), &spec)));
        let streams = self.stream.iter().filter(|stream| stream.enabled).count();
        note(words(self.ingest.check_memory(streams, spec.needed_frames())));
        note(self.check_deterministic());
        note(self.probe.validate());
        note(self.checkpoint.validate());
        note(words(self.log.parse_filter()));
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::Invalid(problems)),
        }
    }

    /// What cannot be read again has no fixed order.
    fn check_deterministic(&self) -> Result<(), String> {
        let Ok(streams) = resolve_streams(&self.stream) else {
            // Told elsewhere.
            return Ok(());
        };
        let not_again = |(name, source): &(StreamName, SourceKind)| {
            (source.is_live() || source.is_remote()).then(|| name.to_string())
        };
        match streams.iter().find_map(not_again) {
            Some(stream) if self.run.deterministic => Err(format!(
                "run.deterministic is true and stream {stream} is live or remote, so that nothing gives its samples again; \
                 deterministic runs have files, folders and synthetic sources only"
            )),
            _ => Ok(()),
        }
    }

    /// The whole configuration in force as TOML, without credentials: for people, logs and checkpoints.
    ///
    /// # Errors
    /// When a value has no TOML form: a defect in comove.
    pub fn resolved_toml(&self) -> Result<String, toml::ser::Error> {
        let mut table = toml::Table::try_from(self)?;
        redact::redact_table(&mut table);
        table.iter_mut().for_each(|(_, value)| shorten_floats(value));
        toml::to_string(&table)
    }
}

fn words<T, E: std::fmt::Display>(found: Result<T, E>) -> Result<(), String> {
    found.map(drop).map_err(|error| error.to_string())
}

/// A 32-bit 0.02 becomes 0.019999999552965164 among 64-bit numbers: written as short as it reads back.
fn shorten_floats(value: &mut toml::Value) {
    match value {
        toml::Value::Float(float) if f64::from(*float as f32) == *float => {
            *float = (*float as f32).to_string().parse().unwrap_or(*float);
        }
        toml::Value::Array(items) => items.iter_mut().for_each(shorten_floats),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| shorten_floats(value)),
        _ => {}
    }
}

impl std::fmt::Debug for Config {
    /// The same as [`Config::resolved_toml`]: a derived Debug would print credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.resolved_toml().map_err(|_| std::fmt::Error)?)
    }
}
