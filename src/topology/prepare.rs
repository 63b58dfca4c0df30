use std::time::Duration;

use super::RunError;
use crate::config::Config;
use crate::ingest::{Probe, SourceKind, StreamConfig, StreamName, Templates, probe, resolve_streams};

/// How long a file may take to give its first access unit before it counts as unreadable.
const PROBE_PATIENCE: Duration = Duration::from_secs(20);

/// Streams and pipelines, found to be in order.
pub struct Prepared {
    /// In the config's order.
    pub sources: Vec<CheckedSource>,
    /// The pipelines in force.
    pub templates: Templates,
}

/// One stream's source.
#[derive(Debug)]
pub struct CheckedSource {
    /// The stream's name, given or made.
    pub name: StreamName,
    /// Where its video comes from.
    pub source: SourceKind,
    /// Its entry in the config.
    pub config: StreamConfig,
    /// What the first access unit shows; none for network sources, which may be away for now, and for disabled streams.
    pub probe: Option<Probe>,
}

/// Resolves the config's streams and opens every file and folder once.
///
/// # Errors
/// The first source that cannot be read, by its stream's name, and what would be right.
pub fn prepare(config: &Config) -> Result<Prepared, RunError> {
    let templates = Templates::new(config.ingest.pipelines.as_deref())?;
    let streams = resolve_streams(&config.stream)?;
    let sources = streams
        .into_iter()
        .zip(&config.stream)
        .map(|((name, source), config)| check_source(name, source, config, &templates))
        .collect::<Result<_, RunError>>()?;
    Ok(Prepared { sources, templates })
}

/// Opens a file or folder once, unless its stream is disabled.
///
/// # Errors
/// [`RunError::Source`].
pub(super) fn check_source(
    name: StreamName,
    source: SourceKind,
    config: &StreamConfig,
    templates: &Templates,
) -> Result<CheckedSource, RunError> {
    let probe = match source.is_remote() || !config.enabled {
        true => None,
        false => match probe(&source, templates, PROBE_PATIENCE) {
            Ok(probe) => Some(probe),
            Err(source) => return Err(RunError::Source { stream: name, source }),
        },
    };
    Ok(CheckedSource {
        name,
        source,
        config: config.clone(),
        probe,
    })
}
