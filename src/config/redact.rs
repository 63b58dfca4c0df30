use toml::{Table, Value};

use crate::ingest::redact_uris;

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
        Value::String(text) => *text = redact_uris(text),
        Value::Array(items) => items.iter_mut().for_each(redact_value),
        Value::Table(table) => redact_table(table),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
