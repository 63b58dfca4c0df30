use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{StatusView, StreamView};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks a running comove, as `comove status` does. Blocks.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

/// Why a running comove gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there, or somebody who does not answer.
    #[error("no answer from {url}: {reason}; is comove running there (server.listen in its config)?")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// It wants a token, or another one.
    #[error("{url}: it needs its read token, which --token-file or COMOVE_READ_TOKEN gives")]
    Refused {
        /// What was asked.
        url: String,
    },
    /// The answer is no comove's, or another version's.
    #[error("{url}: not the answer of a comove of this version: {reason}")]
    Strange {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Client {
    /// A client of the comove at `base`, such as `http://127.0.0.1:9464` or `127.0.0.1:9464`.
    pub fn new(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        let base = if base.contains("://") {
            base.to_owned()
        } else {
            format!("http://{base}")
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.into(),
            base,
            token: None,
        }
    }

    /// Shows this token, where there is one.
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// `GET /api/v1/status`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&self) -> Result<StatusView, ClientError> {
        self.get("/api/v1/status")
    }

    /// `GET /api/v1/streams`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn streams(&self) -> Result<Vec<StreamView>, ClientError> {
        self.get("/api/v1/streams")
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| match error {
            ureq::Error::StatusCode(401) => ClientError::Refused { url: url.clone() },
            error => ClientError::NoAnswer {
                url: url.clone(),
                reason: error.to_string(),
            },
        })?;
        response
            .body_mut()
            .read_json()
            .map_err(|error| ClientError::Strange {
                url,
                reason: error.to_string(),
            })
    }
}
