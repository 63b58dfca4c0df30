use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::CheckpointError;
use crate::model::ModelConfig;

/// The version of everything in a snapshot's folder. Rises when an older comove could not read it, or would read it wrongly.
pub(super) const FORMAT_VERSION: u32 = 3;

/// The oldest version that is read: what it lacks has a meaning.
const OLDEST_VERSION: u64 = 1;

pub(super) const MANIFEST_FILE: &str = "manifest.json";
pub(super) const MODEL_FILE: &str = "model.safetensors";
/// The moving average of the V-Network, where training keeps one.
pub(super) const AVERAGE_FILE: &str = "average.safetensors";
pub(super) const OPTIMIZER_FILE: &str = "optimizer.safetensors";
pub(super) const STATE_FILE: &str = "state.json";
pub(super) const STATISTICS_FILE: &str = "statistics.safetensors";
pub(super) const REPLAY_FILE: &str = "replay.json";
pub(super) const SAMPLES_FILE: &str = "samples.json";

/// What stands for the seal while it is computed.
const NO_SEAL: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its content, in hexadecimal.
    pub sha256: String,
}

/// `manifest.json`: what a snapshot is, and what its files must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// SHA-256 of this file with zeros in place of these digits: a manifest that changed is as corrupt as a file that did.
    pub seal: String,
    /// Version of the format.
    pub format_version: u32,
    /// Version of the comove that wrote it.
    pub comove_version: String,
    /// Training steps behind the snapshot.
    pub step: u64,
    /// When it was written, seconds since the Unix epoch.
    pub created_unix: u64,
    /// Rises with every snapshot that a folder gets: says which is the newest, whatever the clock did.
    #[serde(default)]
    pub sequence: u64,
    /// The networks.
    pub model: ModelConfig,
    /// The configuration of the run, resolved, as TOML.
    pub config: String,
    /// The last report of training.
    pub metrics: serde_json::Value,
    /// What was learned from, stream by stream.
    pub provenance: serde_json::Value,
    /// The other files.
    pub files: Vec<FileEntry>,
    /// The index of replay's samples. The file itself is deleted when newer snapshots hold replay.
    #[serde(default)]
    pub samples: Option<FileEntry>,
    /// Streams that were forgotten after the snapshot had learned from them.
    #[serde(default)]
    pub forgotten: Vec<Forgotten>,
}

/// A stream whose samples were deleted. What the networks learned from it cannot be taken out of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The stream's name.
    pub stream: String,
    /// When, seconds since the Unix epoch.
    pub at_unix: u64,
    /// Samples of it that the run had taken by then.
    pub samples_taken: u64,
}

impl Manifest {
    /// The text of the file, sealed.
    pub(super) fn to_text(&self, path: &Path) -> Result<String, CheckpointError> {
        let unsealed = Self {
            seal: NO_SEAL.into(),
            ..self.clone()
        };
        let text = serde_json::to_string_pretty(&unsealed).map_err(|error| CheckpointError::Manifest {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        // The seal is the first field, so the first run of zeros is its place.
        Ok(text.replacen(NO_SEAL, &sha256(text.as_bytes()), 1))
    }

    /// Reads and checks the text of a manifest.
    pub(super) fn from_text(text: &[u8], path: &Path) -> Result<Self, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::Manifest {
            path: path.to_owned(),
            reason,
        };
        let text = std::str::from_utf8(text).map_err(|error| corrupt(error.to_string()))?;
        // The version first: a later format may have other fields.
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let version: Version = serde_json::from_str(text).map_err(|error| corrupt(error.to_string()))?;
        if !(OLDEST_VERSION..=u64::from(FORMAT_VERSION)).contains(&version.format_version) {
            return Err(CheckpointError::FormatVersion {
                path: path.to_owned(),
                expected: FORMAT_VERSION,
                found: version.format_version,
            });
        }
        let mut unread = serde_json::Deserializer::from_str(text);
        let manifest: Self =
            serde_path_to_error::deserialize(&mut unread).map_err(|error| corrupt(error.to_string()))?;
        let found = sha256(text.replacen(&manifest.seal, NO_SEAL, 1).as_bytes());
        if found != manifest.seal {
            return Err(corrupt(format!(
                "its seal is {}, its content gives {found}",
                manifest.seal
            )));
        }
        Ok(manifest)
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
