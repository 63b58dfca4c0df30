use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Overrides};

/// Where a [`Config`] came from, so that it can be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSource {
    /// The file; none: the defaults.
    pub path: Option<PathBuf>,
    /// The command line.
    pub overrides: Overrides,
}

impl ConfigSource {
    /// Reads it, again.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.path.as_deref(), &self.overrides)
    }

    /// The folder that relative paths start from: the file's, else the working folder.
    pub fn folder(&self) -> &Path {
        let folder = self.path.as_deref().and_then(Path::parent);
        folder.unwrap_or(Path::new(""))
    }

    /// Why a stream that the API adds cannot be kept, if so.
    pub fn keeps_no_streams(&self) -> Option<&'static str> {
        if self.path.is_none() {
            return Some("comove runs without a config file, so there is no stream folder to keep it in");
        }
        let named = !self.overrides.sources.is_empty();
        named.then_some("sources are named on the command line, which take the place of all kept streams")
    }
}
