use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// The environment variable that holds the token when no file is named.
pub const TOKEN_VARIABLE: &str = "COMOVE_TOKEN";

/// The same for the token that reading needs.
pub const READ_TOKEN_VARIABLE: &str = "COMOVE_READ_TOKEN";

/// `[server]`: where metrics and the API are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one, which the log names.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// File with the bearer token that changing calls must show. Without it, the environment variable COMOVE_TOKEN is used
    /// if set; without both, changes are allowed from loopback only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// File with a bearer token that reading calls must show, if they do not show the other one. Without it, the environment
    /// variable COMOVE_READ_TOKEN is used if set; without both, reading is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_token_file: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9464).into(),
            token_file: None,
            read_token_file: None,
        }
    }
}

fn address<'de, D: Deserializer<'de>>(value: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(value)?;
    let allowed = "an address with a port, such as 127.0.0.1:9464, 0.0.0.0:9464 or [::1]:9464";
    text.parse()
        .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &allowed))
}
