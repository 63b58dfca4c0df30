use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use axum::http::{HeaderMap, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{READ_TOKEN_VARIABLE, ServerConfig, ServerError, TOKEN_VARIABLE};

/// The shortest token: 16 characters, so that it cannot be tried out.
const TOKEN_MIN_LEN: usize = 16;

/// The bearer token, as its hash: neither printed nor compared byte by byte.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ApiToken([u8; 32]);

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(***)")
    }
}

impl ApiToken {
    /// Reads the token from the config's file, or else from `variable`, the value of COMOVE_TOKEN. `None`: there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or the token is shorter than 16 characters or has blanks in it.
    pub(super) fn find(config: &ServerConfig, variable: Option<&str>) -> Result<Option<Self>, ServerError> {
        match (&config.token_file, variable) {
            (Some(path), _) => Self::read(path, "server.token_file").map(Some),
            (None, Some(token)) => {
                Self::new(token, &format!("environment variable {TOKEN_VARIABLE}")).map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    /// The token of `config` in this process's environment.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(super) fn find_here(config: &ServerConfig) -> Result<Option<Self>, ServerError> {
        Self::find(config, std::env::var(TOKEN_VARIABLE).ok().as_deref())
    }

    fn read(path: &Path, key: &str) -> Result<Self, ServerError> {
        let origin = format!("{key} = {:?}", path.display().to_string());
        let text = std::fs::read_to_string(path).map_err(|error| ServerError::Token {
            origin: origin.clone(),
            reason: error.to_string(),
        })?;
        Self::new(text.trim(), &origin)
    }

    fn new(token: &str, origin: &str) -> Result<Self, ServerError> {
        let legal = token.len() >= TOKEN_MIN_LEN && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !legal {
            return Err(ServerError::Token {
                origin: origin.to_owned(),
                reason: format!(
                    "the token must be {TOKEN_MIN_LEN} or more printable ASCII characters without blanks"
                ),
            });
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    fn matches(&self, shown: &str) -> bool {
        // Hashes are of one length, and compared in constant time: a guesser learns nothing.
        let shown: [u8; 32] = Sha256::digest(shown).into();
        shown.ct_eq(&self.0).into()
    }
}

/// The tokens in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    /// What changing needs.
    pub change: Option<ApiToken>,
    /// What reading needs, where it needs one.
    pub read: Option<ApiToken>,
}

impl Tokens {
    /// Those of `config` and of this process's environment.
    ///
    /// # Errors
    /// As [`ApiToken::find`].
    pub(super) fn find_here(config: &ServerConfig) -> Result<Self, ServerError> {
        let variable = std::env::var(READ_TOKEN_VARIABLE).ok();
        Ok(Self {
            change: ApiToken::find_here(config)?,
            read: match (&config.read_token_file, variable) {
                (Some(path), _) => Some(ApiToken::read(path, "server.read_token_file")?),
                (None, Some(token)) => {
                    let origin = format!("environment variable {READ_TOKEN_VARIABLE}");
                    Some(ApiToken::new(&token, &origin)?)
                }
                (None, None) => None,
            },
        })
    }
}

/// The bearer token that a request shows.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The password that a request shows, as browsers do (RFC 7617): for reading only.
fn password(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (_user, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

/// Decides whether a request may read.
///
/// # Errors
/// The status and what would be right.
pub(super) fn may_read(tokens: &Tokens, headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
    let Some(read) = &tokens.read else {
        return Ok(());
    };
    let right = |shown: &str| {
        let change = tokens.change.as_ref();
        read.matches(shown) || change.is_some_and(|token| token.matches(shown))
    };
    match shown(headers).map(str::to_owned).or_else(|| password(headers)) {
        Some(token) if right(&token) => Ok(()),
        Some(_) => Err((StatusCode::UNAUTHORIZED, WRONG.to_owned())),
        None => Err((StatusCode::UNAUTHORIZED, MISSING.to_owned())),
    }
}

const WRONG: &str = "the bearer token is not the right one";
const MISSING: &str = "this call needs the header `Authorization: Bearer TOKEN`";

/// Reads the token as [`Server::bind`](super::Server::bind) will, and says in words who may change something.
///
/// # Errors
/// When there is a token and it cannot be used.
pub fn check_token(config: &ServerConfig) -> Result<&'static str, ServerError> {
    Ok(match (Tokens::find_here(config)?.change, &config.token_file) {
        (Some(_), Some(_)) => "the token of server.token_file",
        (Some(_), None) => "the token of COMOVE_TOKEN",
        (None, _) => "to come from this machine",
    })
}

/// Decides whether a request may change something.
///
/// With a token configured it must be shown, wherever the request comes from. Without one, the request must come from
/// loopback and from this machine's user: a browser page (which sends `Origin`) and a client behind a proxy (which adds
/// `Forwarded` or `X-Forwarded-For`) also arrive from loopback and are refused.
///
/// # Errors
/// The status and what would be right.
pub(super) fn may_change(
    token: Option<&ApiToken>,
    peer: SocketAddr,
    headers: &HeaderMap,
) -> Result<(), (StatusCode, String)> {
    if let Some(token) = token {
        return match shown(headers) {
            Some(shown) if token.matches(shown) => Ok(()),
            Some(_) => Err((StatusCode::UNAUTHORIZED, WRONG.to_owned())),
            None => Err((StatusCode::UNAUTHORIZED, MISSING.to_owned())),
        };
    }
    let refuse = |from: &str| {
        let message = format!(
            "without a token, changes are allowed from this machine only, and this request comes from {from}; set \
             server.token_file or {TOKEN_VARIABLE}"
        );
        Err((StatusCode::FORBIDDEN, message))
    };
    if !peer.ip().to_canonical().is_loopback() {
        return refuse("another machine");
    }
    if headers.contains_key("forwarded") || headers.contains_key("x-forwarded-for") {
        return refuse("behind a proxy");
    }
    if headers.contains_key(header::ORIGIN) {
        return refuse("a web page");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "127.0.0.1:5000";
    const REMOTE: &str = "192.0.2.7:5000";
    const TOKEN: &str = "correct-horse-battery";

    fn decide(token: Option<&str>, peer: &str, headers: &[(&'static str, &str)]) -> Option<StatusCode> {
        let token = token.map(|token| ApiToken::new(token, "test").unwrap());
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        may_change(token.as_ref(), peer.parse().unwrap(), &headers)
            .err()
            .map(|(status, _)| status)
    }

    #[test]
    fn without_a_token_only_this_machines_user_may_change() {
        assert_eq!(decide(None, LOCAL, &[]), None);
        assert_eq!(decide(None, "[::1]:5000", &[]), None);
        assert_eq!(decide(None, "[::ffff:127.0.0.1]:5000", &[]), None);
        assert_eq!(decide(None, REMOTE, &[]), Some(StatusCode::FORBIDDEN));
        for header in [
            ("origin", "http://evil.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("forwarded", "for=x"),
        ] {
            assert_eq!(decide(None, LOCAL, &[header]), Some(StatusCode::FORBIDDEN));
        }
    }

    #[test]
    fn with_a_token_everyone_must_show_it() {
        let right = [("authorization", &*format!("Bearer {TOKEN}"))];
        let wrong = [("authorization", "Bearer correct-horse-batterz")];
        let basic = [("authorization", &*format!("Basic {TOKEN}"))];
        for peer in [LOCAL, REMOTE] {
            assert_eq!(decide(Some(TOKEN), peer, &right), None);
            assert_eq!(decide(Some(TOKEN), peer, &wrong), Some(StatusCode::UNAUTHORIZED));
            assert_eq!(decide(Some(TOKEN), peer, &basic), Some(StatusCode::UNAUTHORIZED));
            assert_eq!(decide(Some(TOKEN), peer, &[]), Some(StatusCode::UNAUTHORIZED));
        }
    }

    #[test]
    fn reading_needs_one_of_the_tokens_where_a_read_token_is_set() {
        let token = |text: &str| Some(ApiToken::new(text, "test").unwrap());
        let tokens = Tokens {
            change: token(TOKEN),
            read: token("only-for-looking-at"),
        };
        let decide = |tokens: &Tokens, shown: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(shown) = shown {
                headers.insert(header::AUTHORIZATION, format!("Bearer {shown}").parse().unwrap());
            }
            may_read(tokens, &headers).is_ok()
        };
        assert!(decide(&tokens, Some("only-for-looking-at")) && decide(&tokens, Some(TOKEN)));
        assert!(!decide(&tokens, Some("only-for-looking-aT")) && !decide(&tokens, None));
        let open = Tokens { read: None, ..tokens };
        assert!(decide(&open, None));
    }

    #[test]
    fn a_token_comes_from_the_file_before_the_environment_and_is_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
        let with_file = ServerConfig {
            token_file: Some(path),
            ..ServerConfig::default()
        };
        let token = ApiToken::find(&with_file, Some("another-token-altogether"))
            .unwrap()
            .unwrap();
        assert!(token.matches(TOKEN));
        assert_eq!(format!("{token:?}"), "ApiToken(***)");
        let none = ServerConfig::default();
        assert!(
            ApiToken::find(&none, Some(TOKEN))
                .unwrap()
                .unwrap()
                .matches(TOKEN)
        );
        assert_eq!(ApiToken::find(&none, None).unwrap(), None);
    }

    #[test]
    fn a_bad_token_is_refused_without_printing_it() {
        let missing = ServerConfig {
            token_file: Some("/nowhere/token".into()),
            ..ServerConfig::default()
        };
        let message = ApiToken::find(&missing, None).unwrap_err().to_string();
        assert!(
            message.contains("server.token_file = \"/nowhere/token\""),
            "{message}"
        );
        for weak in ["hunter2", "has blanks in its middle"] {
            let message = ApiToken::find(&ServerConfig::default(), Some(weak))
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("COMOVE_TOKEN") && message.contains("16"),
                "{message}"
            );
            assert!(!message.contains(weak), "{message}");
        }
    }

    #[test]
    fn a_browser_shows_the_read_token_as_password_and_may_read_but_not_change() {
        let token = ApiToken::new(TOKEN, "test").unwrap();
        let tokens = Tokens {
            change: Some(token.clone()),
            read: Some(token),
        };
        let basic = |encoded: &str| -> HeaderMap {
            let value = format!("Basic {encoded}").parse().unwrap();
            [(header::AUTHORIZATION, value)].into_iter().collect()
        };
        // me:correct-horse-battery, and me:correct-horse-batterx.
        let right = basic("bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5");
        assert!(may_read(&tokens, &right).is_ok());
        for wrong in ["bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ4", "", "====", "bWU", "!"] {
            let (status, _) = may_read(&tokens, &basic(wrong)).unwrap_err();
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        let peer = LOCAL.parse().unwrap();
        assert!(may_change(tokens.change.as_ref(), peer, &right).is_err());
    }
}
