use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Retention;

/// Section `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// The folder that snapshots are written to; made where it is missing.
    pub dir: PathBuf,
    /// Time from one scheduled snapshot to the next.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Steps from one scheduled snapshot to the next, where that comes sooner than `every`.
    pub every_steps: Option<u64>,
    /// Newest snapshots kept.
    pub keep: usize,
    /// Beside them, snapshots of the lowest loss kept.
    pub keep_best: usize,
    /// Newest snapshots that replay's samples are kept of; 0: they are not written.
    pub keep_replay: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("checkpoints"),
            every: Duration::from_secs(600),
            every_steps: None,
            keep: 5,
            keep_best: 1,
            keep_replay: 1,
        }
    }
}

impl CheckpointConfig {
    /// Which snapshots stay.
    pub fn retention(&self) -> Retention {
        Retention {
            newest: self.keep,
            best: self.keep_best,
            with_replay: self.keep_replay,
        }
    }

    /// Says which value cannot be, with its dotted key and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        if self.keep == 0 {
            return Err("checkpoint.keep is 0; at least 1 is right".into());
        }
        if self.every_steps == Some(0) {
            return Err("checkpoint.every_steps is 0; at least 1 is right, or leave it out".into());
        }
        if self.every.is_zero() {
            return Err("checkpoint.every is 0; a time such as \"10m\" is right".into());
        }
        if self.dir.as_os_str().is_empty() {
            return Err("checkpoint.dir is empty; the path of a folder is right".into());
        }
        Ok(())
    }
}
