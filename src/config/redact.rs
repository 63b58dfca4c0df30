use toml::{Table, Value};

/// What stands in a credential's place.
const HIDDEN: &str = "***";

/// Whether a key's own value is a secret. Keys that say where a secret lies (`…_file`) are not.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let names = [
        "password",
        "passwd",
        "token",
        "secret",
        "credential",
        "api_key",
        "apikey",
    ];
    !key.ends_with("_file") && names.iter().any(|name| key.contains(name))
}

/// Text without the credentials of the URIs in it: user information, and query values whose name says that they are secret.
///
/// Works on any text, such as a foreign library's message: it neither parses nor rejects.
pub fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(scheme_end) = rest.find("://") {
        let (before, after) = rest.split_at(scheme_end + 3);
        clean.push_str(before);
        let uri_end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`'))
            .unwrap_or(after.len());
        // A second URI in the path of the first, as proxies have it, is cleaned on its own.
        let uri_end = after[..uri_end].find("://").map_or(uri_end, |next| {
            let before_scheme = after[..next].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
            if before_scheme.ends_with('/') {
                before_scheme.len()
            } else {
                uri_end
            }
        });
        let (uri, tail) = after.split_at(uri_end);
        push_clean(uri, &mut clean);
        rest = tail;
    }
    clean.push_str(rest);
    clean
}

/// `uri` is what follows `://`.
fn push_clean(uri: &str, clean: &mut String) {
    let authority_end = uri.find(['/', '?', '#']).unwrap_or(uri.len());
    let authority = &uri[..authority_end];
    // A password with an unescaped slash or @ ends the authority early, and what is left of it may look sound. So wherever a
    // colon may begin a password, everything up to the last @ goes: hiding the host of `http://host:80/a@b` is the lesser evil.
    let searched = if authority.contains(':') { uri } else { authority };
    let credentials_end = searched.rfind('@');
    let rest = match credentials_end {
        Some(at) => {
            clean.push_str(HIDDEN);
            &uri[at..]
        }
        None => uri,
    };
    let Some((path, query)) = rest.split_once('?') else {
        clean.push_str(rest);
        return;
    };
    clean.push_str(path);
    for (i, pair) in query.split('&').enumerate() {
        clean.push(if i == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret_parameter(name) => {
                clean.push_str(name);
                clean.push('=');
                clean.push_str(HIDDEN);
            }
            _ => clean.push_str(pair),
        }
    }
}

fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    is_secret_key(&name) || ["auth", "key", "pass", "pwd", "sig", "signature"].contains(&&*name)
}

/// Takes the credentials out of every value.
pub(super) fn redact_table(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match value {
            Value::String(text) if is_secret_key(key) => *text = HIDDEN.to_owned(),
            value => redact_value(value),
        }
    }
}

fn redact_value(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact(text),
        Value::Array(items) => items.iter_mut().for_each(redact_value),
        Value::Table(table) => redact_table(table),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_of_uris_are_hidden_and_the_rest_stays() {
        for (text, clean) in [
            ("rtsp://user:pass@10.0.0.2:554/a", "rtsp://***@10.0.0.2:554/a"),
            ("rtsp://user@host/a@b", "rtsp://***@host/a@b"),
            ("rtsp://u:p@ss@host/", "rtsp://***@host/"),
            ("rtsp://u:pa/ss@host/", "rtsp://***@host/"),
            ("rtsp://u:12/3@host:80/", "rtsp://***@host:80/"),
            ("rtsp://host:554/cam", "rtsp://host:554/cam"),
            (
                "cannot open \"http://u:p@h/x\": refused",
                "cannot open \"http://***@h/x\": refused",
            ),
            (
                "http://h/x.m3u8?a=1&token=abc&password=x",
                "http://h/x.m3u8?a=1&token=***&password=***",
            ),
            ("http://p/http://u:w@h/", "http://p/http://***@h/"),
            ("http://host/a@2x.png", "http://host/a@2x.png"),
            ("/plain/file@2.mp4", "/plain/file@2.mp4"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn a_secret_keys_value_is_hidden_and_a_secret_files_path_is_not() {
        let mut table: Table = "password = 'x'\ntoken_file = '/run/token'\n[[a]]\nuri = 'rtsp://u:p@h/'"
            .parse()
            .unwrap();
        redact_table(&mut table);
        let text = table.to_string();
        assert!(text.contains("password = \"***\""), "{text}");
        assert!(
            text.contains("/run/token") && text.contains("rtsp://***@h/"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn no_password_survives(
            before in "[a-z :/]{0,12}",
            // Without two slashes in a row: `user:x/y://z@host` reads as two URIs.
            password in "[A-Z!$&*:@?#]{1,6}(/[A-Z!$&*:@?#]{1,5}){0,2}",
            path in "[a-z/=&]{0,16}",
        ) {
            let text = format!("{before} rtsp://user:{password}@host/{path} after");
            prop_assert_eq!(redact(&text), format!("{before} rtsp://***@host/{path} after"));
        }
    }
}
