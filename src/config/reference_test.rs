//! config/default.toml is the reference page of the config: these tests keep it true and whole.

use std::path::Path;

use toml::{Table, Value};

use super::*;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page with the examples that stand commented out (`# key = value`, `# [[table]]`) made active.
fn with_examples(page: &str) -> String {
    let page = page.replace("kind = \"constant\"", "kind = \"stable_decay\"");
    let is_example = |text: &str| {
        let key = text.split_once(" = ").map(|(key, _)| key);
        let is_key = |key: &str| {
            key.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        text.starts_with('[') && text.ends_with(']') || key.is_some_and(is_key)
    };
    let lines = page.lines().map(|line| match line.strip_prefix("# ") {
        Some(text) if is_example(text) => text,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The keys that exist below `path`, as the reader itself lists them when it meets one that does not. `table` is what the page
/// says there: its `kind`, where it has one, decides which keys there are.
fn known_keys(path: &[&str], table: &Table) -> Vec<String> {
    let mut probe = Table::from_iter([("no_such_key".to_owned(), Value::Integer(0))]);
    probe.extend(table.get("kind").map(|kind| ("kind".to_owned(), kind.clone())));
    for name in path.iter().rev() {
        let inner = Value::Table(probe);
        let inner = if *name == "stream" {
            Value::Array(vec![inner])
        } else {
            inner
        };
        probe = Table::from_iter([((*name).to_owned(), inner)]);
    }
    let mut document = Document::empty();
    document.table = probe;
    match document.deserialize::<Config>() {
        Err(ConfigError::UnknownKey { allowed, .. }) => allowed,
        other => panic!("{path:?}: {other:?}"),
    }
}

#[track_caller]
fn assert_complete(path: &[&str], table: &Table) {
    for key in known_keys(path, table) {
        let Some(value) = table.get(&key) else {
            panic!("config/default.toml does not explain {}.{key}", path.join("."));
        };
        let mut below = path.to_vec();
        below.push(&key);
        match value {
            Value::Table(inner) => assert_complete(&below, inner),
            Value::Array(items) => {
                if let Some(Value::Table(inner)) = items.first() {
                    assert_complete(&below, inner);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn the_reference_page_gives_the_defaults() {
    let document = Document::parse(Path::new("default.toml"), &read("default.toml")).unwrap();
    assert_eq!(document.deserialize::<Config>().unwrap(), Config::default());
}

#[test]
fn the_reference_page_explains_every_key() {
    let page = with_examples(&read("default.toml"));
    assert_complete(&[], &page.parse().unwrap());
}

#[test]
fn the_reference_pages_examples_are_legal() {
    let page = with_examples(&read("default.toml"));
    let mut document = Document::parse(Path::new("default.toml"), &page).unwrap();
    document.expand_variables(|_| Some("x".to_owned())).unwrap();
    document.deserialize::<Config>().unwrap();
}

/// Every config that comes with comove, read where its sources exist: those of the examples do not.
#[test]
fn the_configs_that_come_with_comove_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mut document = Document::read(&path).unwrap();
        document.expand_variables(|_| Some("x".to_owned())).unwrap();
        let config: Config = document.deserialize().unwrap_or_else(|error| panic!("{error}"));
        config.train.validate().unwrap();
        config.checkpoint.validate().unwrap();
        config.replay.check(config.train.batch_size()).unwrap();
        config.window.check(&config.train.preset.sample_spec()).unwrap();
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "cameras.toml",
            "compose.toml",
            "default.toml",
            "demo.toml",
            "files.toml"
        ]
    );
}
