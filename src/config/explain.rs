use serde_path_to_error::{Path, Segment};
use toml::{Table, Value};

use super::ConfigError;
use super::document::Document;
use super::redact::{is_secret_key, redact_table};
use crate::ingest::redact_uris;

/// Says what a key was meant to be, or what its value may be, in place of serde's words.
pub(super) fn explain(
    document: &Document,
    error: &serde_path_to_error::Error<toml::de::Error>,
) -> ConfigError {
    let message = error.inner().message();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = rest.split('`').skip(1).step_by(2).map(str::to_owned);
        let unknown = names.next().unwrap_or_default();
        return unknown_key(document, error.path(), &unknown, names.collect());
    }
    let key = error.path().to_string();
    let key = if key == "." { "the file".to_owned() } else { key };
    let value = look_up(&document.table, error.path()).map_or_else(String::new, |value| print(&key, value));
    let allowed = match message.rsplit_once("expected ") {
        Some((_, expected)) => format!("allowed is {}", in_plain_words(expected)),
        None => redact_uris(message),
    };
    let allowed = match message.strip_prefix("missing field ") {
        Some(field) => format!("the key {} is missing", field.trim_matches('`')),
        None => allowed,
    };
    ConfigError::Value {
        origin: document.origin(&key),
        key,
        value,
        allowed,
    }
}

fn unknown_key(document: &Document, path: &Path, unknown: &str, allowed: Vec<String>) -> ConfigError {
    // serde names the table or the key in it, depending on how the table is read.
    let mut section = path.to_string();
    if section == "." {
        section.clear();
    }
    if let Some(parent) = section.strip_suffix(unknown) {
        section = parent.trim_end_matches('.').to_owned();
    }
    let within = |key: &str| {
        if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        }
    };
    let key = within(unknown);
    let meant = nearest(unknown, &allowed)
        .map(within)
        .or_else(|| elsewhere(unknown));
    ConfigError::UnknownKey {
        origin: document.origin(&key),
        key,
        meant,
        allowed,
    }
}

/// The allowed key that `unknown` most resembles, when it resembles one.
fn nearest<'a>(unknown: &str, allowed: &'a [String]) -> Option<&'a str> {
    let plain = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let ranked = allowed
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&plain(unknown), &plain(key)), key));
    let (distance, key) = ranked.min()?;
    (distance <= 1.max(unknown.len() / 3)).then_some(key)
}

/// The section that does have this key.
fn elsewhere(unknown: &str) -> Option<String> {
    let sections = Table::try_from(super::Config::default()).ok()?;
    sections.iter().find_map(|(section, keys)| match keys {
        Value::Table(keys) if keys.contains_key(unknown) => Some(format!("{section}.{unknown}")),
        _ => None,
    })
}

fn look_up<'a>(table: &'a Table, path: &Path) -> Option<&'a Value> {
    let mut segments = path.iter();
    let Segment::Map { key } = segments.next()? else {
        return None;
    };
    segments.try_fold(table.get(key)?, |value, segment| match segment {
        Segment::Map { key } => value.get(key),
        Segment::Seq { index } => value.get(index),
        _ => Some(value),
    })
}

/// A value on one line, without credentials.
fn print(key: &str, value: &Value) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    if is_secret_key(last) {
        return "\"***\"".to_owned();
    }
    match value {
        Value::Table(table) => {
            let mut table = table.clone();
            redact_table(&mut table);
            Value::Table(table).to_string()
        }
        other => redact_uris(&other.to_string()),
    }
}

/// Rust's names for types mean nothing in a config file.
fn in_plain_words(expected: &str) -> String {
    match expected {
        "f32" | "f64" => "a number".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number, 1 or more".to_owned()
        }
        "a duration" => "a time such as \"30s\", \"10m\" or \"1h 30m\"".to_owned(),
        "an integer or string" | "parsable string" | "integer overflow" => {
            "a size such as \"512 MiB\" or \"2 GiB\"".to_owned()
        }
        "a boolean" => "true or false".to_owned(),
        "a string" => "text in quotes".to_owned(),
        "a sequence" => "a list in square brackets".to_owned(),
        _ if expected.starts_with("struct ") => "a section (a table of keys)".to_owned(),
        // "one of `a`, `b`", "`a` or `b`"
        _ => expected.replace('`', "\""),
    }
}
