use std::{fmt, path::Path};

use serde::{Deserialize, Serialize, Serializer};

use super::{IngestError, RedactedUri, StreamConfig};

/// A text that is never shown: not in [`fmt::Debug`] and not when serialised.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl StreamConfig {
    /// Fetches what is secret from where the entry says: `uri_file`, `password_file`, `password`. Afterwards `uri` holds all of
    /// it. `label` names the stream in errors.
    ///
    /// # Errors
    /// A file that cannot be read, or keys that contradict each other; never with a secret in the text.
    pub fn fetch_secrets(&mut self, label: &str) -> Result<(), IngestError> {
        let invalid = |rule: String| IngestError::InvalidStream {
            stream: label.to_owned(),
            rule,
        };
        if let Some(path) = &self.uri_file {
            if self.uri.is_some() {
                return Err(invalid("`uri` and `uri_file`: give one of them".to_owned()));
            }
            let text = read("uri_file", path).map_err(invalid)?;
            let uri = RedactedUri::parse(&text)
                .map_err(|_| invalid(format!("`uri_file`: {} does not hold a URI", path.display())))?;
            (self.uri, self.uri_file) = (Some(uri), None);
        }
        if self.user.is_none() && self.password.is_none() && self.password_file.is_none() {
            return Ok(());
        }
        let (Some(uri), Some(user)) = (&self.uri, &self.user) else {
            return Err(invalid(
                "`user`, `password` and `password_file` belong to a `uri`, and a password to a `user`"
                    .to_owned(),
            ));
        };
        let password = match (&self.password, &self.password_file) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "`password` and `password_file`: give one of them".to_owned(),
                ));
            }
            (Some(Secret(password)), None) => Some(password.clone()),
            (None, Some(path)) => Some(read("password_file", path).map_err(invalid)?),
            (None, None) => None,
        };
        let uri = uri.with_credentials(user, password.as_deref()).ok_or_else(|| {
            invalid(
                "`user` belongs to an rtsp, rtsps, http or https URI without a name of its own".to_owned(),
            )
        })?;
        self.uri = Some(uri);
        (self.user, self.password, self.password_file) = (None, None, None);
        Ok(())
    }
}

fn read(key: &str, path: &Path) -> Result<String, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(format!("`{key}`: {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> StreamConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_uri_or_a_password_comes_out_of_a_file_and_special_characters_are_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "rtsp://bob:hunter2@h/x\n").unwrap();
        let mut whole = config(&format!("uri_file = {path:?}"));
        whole.fetch_secrets("door").unwrap();
        assert_eq!(
            whole.uri.as_ref().unwrap().expose().as_str(),
            "rtsp://bob:hunter2@h/x"
        );
        assert_eq!(whole.uri_file, None);

        std::fs::write(&path, "p@ss/w:rd\n").unwrap();
        let mut parts = config(&format!(
            "uri = 'rtsp://h/x'\nuser = 'bob'\npassword_file = {path:?}"
        ));
        parts.fetch_secrets("door").unwrap();
        let credentials = parts.uri.as_ref().unwrap().credentials().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.password.as_str()),
            ("bob", "p@ss/w:rd")
        );
        assert_eq!((parts.user, parts.password_file), (None, None));
    }

    #[test]
    fn what_contradicts_itself_is_refused_without_showing_the_secret() {
        for text in [
            "uri = 'rtsp://h/x'\npassword = 'hunter2'",
            "uri = 'rtsp://h/x'\nuser = 'bob'\npassword = 'hunter2'\npassword_file = '/p'",
            "uri = 'rtsp://al:hunter2@h/x'\nuser = 'bob'",
            "path = '/v.mp4'\nuser = 'bob'\npassword = 'hunter2'",
            "uri_file = '/nowhere/uri'",
            "uri = 'rtsp://h/x'\nuri_file = '/nowhere/uri'",
        ] {
            let mut config = config(text);
            let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
            let error = config.fetch_secrets("door").unwrap_err().to_string();
            assert!(error.starts_with("stream door: "), "{error}");
            assert!(!format!("{error}{shown}").contains("hunter2"), "{error}{shown}");
        }
    }
}
