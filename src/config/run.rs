use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[run]`: how a run begins and ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Whether training goes on from the newest checkpoint.
    pub resume: Resume,
    /// Samples come in in a fixed order, stream by stream, so that the same config and videos give the same network, interrupted
    /// or not.
    pub deterministic: bool,
    /// The run ends in good order after this time. Left out: with its sources, or when told to.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Duration>,
    /// A training step, or a snapshot, that takes longer counts as hung.
    #[serde(with = "humantime_serde")]
    pub step_deadline: Duration,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            resume: Resume::default(),
            deterministic: false,
            max_duration: None,
            // The longest step of `paper` on a slow CPU.
            step_deadline: Duration::from_secs(600),
        }
    }
}

/// Whether training goes on from the newest checkpoint of `checkpoint.dir`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// No: it begins anew.
    #[default]
    Never,
    /// It does where there is one, else it begins anew: for services that restart.
    IfPresent,
    /// It does; that there is none is an error.
    Always,
}
