use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProbeView, TrainView};

/// A stream's entry, as in a file of the stream folder: exactly one of `uri` (or `uri_file`), `path`, `folder` and `synthetic`.
/// `config/default.toml` explains every key. In texts, `${NAME}` stands for an environment variable of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamEntryBody {
    /// 1 to 64 letters, digits, `-`, `_` and `.`; made from the source where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
    pub name: Option<String>,
    /// rtsp, rtsps, http, https or file URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// A file that holds the URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_file: Option<String>,
    /// Name for the URI's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password for it; never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A file that holds the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    /// A video file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A folder of video files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Moving patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<BTreeMap<String, SyntheticValue>>,
    /// Whether it starts now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// `once` or `endless`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// Shuffles a folder's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9223372036854775807_i64)]
    pub shuffle_seed: Option<u64>,
    /// `tcp` or `udp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Such as `200ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<String>,
    /// Such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<String>,
}

/// A value of `synthetic`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SyntheticValue {
    /// `live`.
    Switch(bool),
    /// Everything else.
    Number(u32),
}

/// Whether a change is written to the config's stream folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is, and holds after the next start.
    Yes,
    /// It holds until the program ends.
    No,
}

/// Why something was not changed. Nothing was, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such stream.
    #[error("there is no stream {0:?}")]
    NotFound(String),
    /// There is one already.
    #[error("there is a stream {0:?} already; PUT replaces it")]
    Exists(String),
    /// What was asked for cannot be: the key and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// It can be, but does not work here: a file that is no video.
    #[error("{0}")]
    Unusable(String),
    /// It cannot be kept, or this run has a fixed set of streams.
    #[error("{0}")]
    NotKept(String),
    /// The trainer has ended, or the run has not begun.
    #[error("{0}")]
    NotNow(String),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
}

/// The answer to `DELETE /api/v1/streams/{name}/samples`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenView {
    /// Samples that replay let go, in memory and on disk.
    pub samples: u64,
    /// Samples that were deleted from checkpoints.
    pub checkpoint_samples: u64,
    /// Steps of the checkpoints that had learned from the stream, and say so now.
    pub marked: Vec<u64>,
}

/// The answer to `POST /api/v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadView {
    /// Streams that came.
    pub added: Vec<String>,
    /// Streams whose entry changed: started anew.
    pub changed: Vec<String>,
    /// Streams that went.
    pub removed: Vec<String>,
    /// Changes that could not be made, and why.
    pub failed: Vec<String>,
    /// Keys whose new values take effect with the next start only.
    pub needs_restart: Vec<String>,
}

/// `GET /api/v1/train`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainStateView {
    /// `running`, `paused` or `ended`.
    pub state: String,
    /// Why training has ended.
    pub ended: Option<String>,
    /// The last report; null before the first.
    pub report: Option<TrainView>,
    /// What k-NN on the probe folder says; null where none is configured.
    #[serde(default)]
    pub probe: Option<ProbeView>,
}

/// `PATCH /api/v1/train`: what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainChange {
    /// The learning rate from the next step on; the schedule's factor goes on applying on top.
    #[schema(exclusive_minimum = 0.0)]
    pub learning_rate: Option<f64>,
    /// How often a sample is trained on, on average, from now on.
    #[schema(exclusive_minimum = 0.0)]
    pub samples_per_insert: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_keys_that_a_stream_has_in_the_config() {
        let error = toml::from_str::<crate::ingest::StreamConfig>("no_such_key = 1").unwrap_err();
        let config_keys = error
            .message()
            .split_once("expected one of")
            .unwrap()
            .1
            .to_owned();
        let error = serde_json::from_str::<StreamEntryBody>("{\"no_such_key\": 1}").unwrap_err();
        let text = error.to_string();
        let body_keys = text.split_once("expected one of").unwrap().1;
        let sorted = |keys: &str| {
            let mut keys: Vec<String> = keys.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            keys.sort();
            keys
        };
        assert_eq!(sorted(body_keys), sorted(&config_keys));
    }
}
