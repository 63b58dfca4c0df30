use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// The environment variable whose filter goes before the config's.
const FILTER_VARIABLE: &str = "COMOVE_LOG";

/// `[log]`: what is logged, and how it looks. Logs go to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// A level, or a filter such as `info,comove::ingest=debug`. The environment variable COMOVE_LOG goes before it.
    pub filter: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `human` on a terminal, else `plain`.
    Auto,
    /// Short and coloured.
    Human,
    /// One uncoloured line an event, with its module.
    Plain,
    /// One JSON object an event.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            filter: "info".to_owned(),
        }
    }
}

/// The log could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A filter that cannot be read.
    #[error(
        "{origin} = {filter:?}: {reason}; allowed are error, warn, info, debug, trace, off, or a list such as \
         info,comove::ingest=debug"
    )]
    Filter {
        /// Where it was given.
        origin: String,
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another logger is set up already: a defect in comove.
    #[error("the log is set up twice")]
    Twice,
}

impl LogConfig {
    /// Reads the filter.
    ///
    /// # Errors
    /// [`LogError::Filter`] when it is neither a level nor a list of directives.
    pub fn parse_filter(&self) -> Result<EnvFilter, LogError> {
        parse(&self.filter, "log.filter")
    }
}

fn parse(filter: &str, origin: &str) -> Result<EnvFilter, LogError> {
    let refuse = |reason: String| LogError::Filter {
        origin: origin.to_owned(),
        filter: filter.to_owned(),
        reason,
    };
    let is_level = |word: &str| ["error", "warn", "info", "debug", "trace", "off"].contains(&word);
    // EnvFilter takes a bare word for a target, so that a misspelt level would silently mute everything.
    for directive in filter.split(',').map(str::trim) {
        let looks_like_level = !directive.contains(['=', ':', '[']);
        if looks_like_level && !is_level(&directive.to_ascii_lowercase()) && directive != "comove" {
            return Err(refuse(format!("{directive:?} is not a level")));
        }
    }
    EnvFilter::try_new(filter).map_err(|error| refuse(error.to_string()))
}

/// Sends the process's events to standard error from now on.
///
/// # Errors
/// When the config's filter, or the one in COMOVE_LOG, cannot be read, or a logger is set up already.
pub fn start_log(config: &LogConfig) -> Result<(), LogError> {
    start_log_to(config, io::stderr)
}

/// As [`start_log`], through `writer`, which leads to standard error in the end. Each line comes in one call of its `write`.
///
/// # Errors
/// As [`start_log`].
pub fn start_log_to<W: io::Write + 'static>(
    config: &LogConfig,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Result<(), LogError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(filter) if !filter.is_empty() => parse(&filter, FILTER_VARIABLE)?,
        _ => config.parse_filter()?,
    };
    let on_terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // It would be told on standard error too, by a macro that panics: a log that nobody reads ends no run.
        .log_internal_errors(false);
    let format = match config.format {
        LogFormat::Auto if on_terminal => LogFormat::Human,
        LogFormat::Auto => LogFormat::Plain,
        other => other,
    };
    let started = match format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            // The actors' spans name a key twice, which strict readers of JSON refuse; events name their stream.
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Plain | LogFormat::Auto => lines.with_ansi(false).try_init(),
        LogFormat::Human => lines
            .compact()
            .with_target(false)
            .with_ansi(on_terminal)
            .try_init(),
    };
    started.map_err(|_| LogError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(filter: &str) -> Result<EnvFilter, LogError> {
        let config = LogConfig {
            filter: filter.to_owned(),
            ..LogConfig::default()
        };
        config.parse_filter()
    }

    #[test]
    fn levels_and_lists_are_filters() {
        for filter in ["info", "WARN", "off", "info,comove::ingest=debug", "comove=trace"] {
            reading(filter).unwrap();
        }
    }

    #[test]
    fn a_misspelt_level_is_refused_with_what_is_allowed() {
        for filter in ["inof", "info,verbose", "comove=loud", ""] {
            let message = reading(filter).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("log.filter = {filter:?}: ")),
                "{message}"
            );
            assert!(message.contains("allowed are error, warn, info"), "{message}");
        }
    }
}
