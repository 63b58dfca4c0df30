use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::IngestError;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// Words in a key that make its value a secret, in a query or, as some cameras have it, in the path
/// (`/user=admin_password=…_channel=1`).
const SECRET_KEYS: [&str; 8] = ["user", "pass", "pwd", "token", "secret", "key", "auth", "sig"];

/// A URI that may carry credentials. It never shows them: not in [`fmt::Display`], [`fmt::Debug`] or when serialised. Only
/// what GStreamer is fed with does.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedactedUri(Url);

/// Name and password of a URI, decoded. No [`fmt::Debug`] on purpose.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub user: String,
    pub password: String,
}

impl RedactedUri {
    /// Reads a URI; the error shows no credentials either.
    pub fn parse(text: &str) -> Result<Self, IngestError> {
        Url::parse(text)
            .map(Self)
            .map_err(|error| IngestError::InvalidUri {
                uri: redact_uris(text),
                message: error.to_string(),
            })
    }

    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The host, where there is one.
    pub fn host(&self) -> Option<&str> {
        self.0.host_str()
    }

    /// Path segments that hold no secret.
    pub(super) fn open_path(&self) -> Vec<String> {
        let segments = self.0.path_segments().into_iter().flatten();
        segments
            .filter(|segment| !segment.is_empty() && !has_secret_key(segment))
            .map(str::to_owned)
            .collect()
    }

    /// The whole URI, secrets and all. For the source element only, never for a message.
    pub(super) fn expose(&self) -> &Url {
        &self.0
    }

    /// The URI without name and password, which travel apart ([`Self::credentials`]).
    pub(super) fn without_credentials(&self) -> String {
        let mut uri = self.0.clone();
        // Fails only for URIs that cannot have credentials.
        let _ = uri.set_username("");
        let _ = uri.set_password(None);
        uri.to_string()
    }

    /// The same URI with a name and a password, in whatever characters. None where it has a name already, or can have none.
    pub(super) fn with_credentials(&self, user: &str, password: Option<&str>) -> Option<Self> {
        let remote = matches!(
            self.scheme(),
            "rtsp" | "rtsps" | "rtspt" | "rtspu" | "http" | "https"
        );
        if !remote || self.credentials().is_some() {
            return None;
        }
        let mut uri = self.0.clone();
        uri.set_username(user).ok()?;
        uri.set_password(password).ok()?;
        Some(Self(uri))
    }

    pub(super) fn credentials(&self) -> Option<Credentials> {
        let given = !self.0.username().is_empty() || self.0.password().is_some();
        given.then(|| Credentials {
            user: percent_decoded(self.0.username()),
            password: percent_decoded(self.0.password().unwrap_or_default()),
        })
    }

    /// Every text that must not appear in a message about this source.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        let mut add = |text: &str| {
            secrets.push(text.to_owned());
            secrets.push(percent_decoded(text));
        };
        if let Some(password) = self.0.password() {
            add(password);
        }
        add(self.0.username());
        for pair in self.0.query().into_iter().flat_map(|query| query.split('&')) {
            add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
        for segment in self.0.path().split('/').filter(|segment| has_secret_key(segment)) {
            add(segment);
        }
        if let Some(fragment) = self.0.fragment() {
            add(fragment);
        }
        // Short values, such as `?channel=1`, would turn messages into stars; URIs in messages are cleaned anyway.
        secrets.retain(|secret| secret.chars().count() >= 3);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }

    /// `text`, which GStreamer wrote about this source, without anything secret.
    pub fn clean(&self, text: &str) -> String {
        self.secrets().iter().fold(redact_uris(text), |text, secret| {
            text.replace(secret.as_str(), HIDDEN)
        })
    }
}

impl fmt::Display for RedactedUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.0.scheme())?;
        if !self.0.username().is_empty() || self.0.password().is_some() {
            write!(f, "{HIDDEN}@")?;
        }
        f.write_str(self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(&redact_path(self.0.path()))?;
        if let Some(query) = self.0.query() {
            write!(f, "?{}", redact_query(query))?;
        }
        match self.0.fragment() {
            Some(_) => write!(f, "#{HIDDEN}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RedactedUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedUri({self})")
    }
}

impl Serialize for RedactedUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RedactedUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn has_secret_key(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains('=') && SECRET_KEYS.iter().any(|key| text.contains(key))
}

fn redact_path(path: &str) -> String {
    let redact = |segment| if has_secret_key(segment) { HIDDEN } else { segment };
    path.split('/').map(redact).collect::<Vec<_>>().join("/")
}

/// Keys stay, values go: which of them are secret cannot be told.
fn redact_query(query: &str) -> String {
    let redact = |pair: &str| match pair.split_once('=') {
        Some((key, _)) => format!("{key}={HIDDEN}"),
        None => HIDDEN.to_owned(),
    };
    query.split('&').map(redact).collect::<Vec<_>>().join("&")
}

/// Cleans every `scheme://…` in a text, such as a foreign library's message.
pub fn redact_uris(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, uri) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = uri
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | ')' | '('))
            .unwrap_or(uri.len());
        let (uri, after) = uri.split_at(end);
        clean.push_str(&redact_one(uri));
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Everything behind `scheme://`.
fn redact_one(uri: &str) -> String {
    let authority_end = uri.find(['/', '?', '#']).unwrap_or(uri.len());
    // A password may itself hold `/`, `?`, `#` or `@` when it was not encoded, and what is left of it may look sound. So
    // wherever a colon may begin one, the last `@` ends it: hiding the host of `http://host:80/a@b` is the lesser evil.
    let searched = match uri[..authority_end].contains(':') {
        true => uri,
        false => &uri[..authority_end],
    };
    let (user, place) = match searched.rfind('@') {
        Some(at) => (format!("{HIDDEN}@"), &uri[at + 1..]),
        None => (String::new(), uri),
    };
    match place.split_once('?') {
        Some((path, query)) => format!("{user}{}?{}", redact_path(path), redact_query(query)),
        None => format!("{user}{}", redact_path(place)),
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn never_shows_name_password_or_query_values() {
        let uri = RedactedUri::parse("rtsp://admin:s3cr%40t@cam.local:8554/live/main?token=abcdef&channel=1")
            .unwrap();
        let shown = "rtsp://***@cam.local:8554/live/main?token=***&channel=***";
        assert_eq!(uri.to_string(), shown);
        assert_eq!(format!("{uri:?}"), format!("RedactedUri({shown})"));
        assert_eq!(serde_json::to_string(&uri).unwrap(), format!("{shown:?}"));
        let credentials = uri.credentials().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.password.as_str()),
            ("admin", "s3cr@t")
        );
        assert!(!uri.without_credentials().contains("admin"));
    }

    #[test]
    fn cleans_what_gstreamer_says_about_the_source() {
        let uri = RedactedUri::parse("rtsp://admin:s3cr%40t@cam/a?token=abcdef").unwrap();
        for text in [
            "could not open rtsp://admin:s3cr%40t@cam/a?token=abcdef (no route)",
            "login s3cr@t for admin failed: abcdef",
            "see http://other:pa/ss@host/x?y=zzz now",
        ] {
            let clean = uri.clean(text);
            for secret in ["s3cr", "admin", "abcdef", "pa/ss", "other", "zzz"] {
                assert!(!clean.contains(secret), "{clean}");
            }
        }
        assert_eq!(uri.clean("rtsp://x:y@h/p is dead"), "rtsp://***@h/p is dead");
    }

    #[test]
    fn hides_credentials_that_cameras_put_into_the_path() {
        let uri =
            RedactedUri::parse("rtsp://10.0.0.7/user=admin_password=hunter2_channel=1_stream=0.sdp").unwrap();
        assert_eq!(uri.to_string(), "rtsp://10.0.0.7/***");
        assert!(uri.open_path().is_empty());
        assert!(
            !uri.clean("GET /user=admin_password=hunter2_channel=1_stream=0.sdp")
                .contains("hunter2")
        );
    }

    #[test]
    fn errors_about_unreadable_uris_show_no_password_either() {
        let error = RedactedUri::parse("rtsp://bob:hunter2@[::1/x")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("***@") && !error.contains("hunter2") && !error.contains("bob"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_password_survives_however_it_was_written(
            before in "[a-z :/]{0,12}",
            // Without two slashes in a row: `user:x/y://z@host` reads as two URIs.
            password in "[A-Z!$&*:@?#]{1,6}(/[A-Z!$&*:@?#]{1,5}){0,2}",
            path in "[a-z/&]{0,16}",
        ) {
            let text = format!("{before} rtsp://user:{password}@host/{path} after");
            prop_assert_eq!(redact_uris(&text), format!("{before} rtsp://***@host/{path} after"));
        }
    }
}
