//! The files in grafana/ as tests read them.
#![allow(dead_code, reason = "each test reads its part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// grafana/.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana")
}

/// File name and content of every dashboard.
pub fn dashboards() -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder().join("dashboards")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).unwrap())
    };
    paths.iter().map(read).collect()
}

/// Every panel but the rows' headings.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row")
}

/// The queries of a panel.
pub fn targets(panel: &Value) -> &[Value] {
    panel["targets"].as_array().unwrap()
}

pub fn variables(dashboard: &Value) -> &[Value] {
    dashboard["templating"]["list"].as_array().unwrap()
}

pub fn annotations(dashboard: &Value) -> &[Value] {
    dashboard["annotations"]["list"].as_array().unwrap()
}

/// A variable's `label_values(selector, label)`; nothing for the data source.
pub fn label_values(variable: &Value) -> Option<(&str, &str)> {
    let query = variable["query"]["query"].as_str()?;
    let inner = query.strip_prefix("label_values(")?.strip_suffix(')')?;
    inner.rsplit_once(", ")
}

/// A rule of rules.yml, which keeps each key on a line of its own.
#[derive(Debug, Default)]
pub struct Rule {
    pub record: Option<String>,
    pub alert: Option<String>,
    pub expr: String,
    pub summary: String,
    pub description: String,
    pub runbook_url: String,
}

pub fn rules() -> Vec<Rule> {
    let text = std::fs::read_to_string(folder().join("rules.yml")).unwrap();
    let mut rules: Vec<Rule> = Vec::new();
    for line in text.lines().map(str::trim) {
        let (key, value) = line.split_once(": ").unwrap_or((line, ""));
        let value = value.trim_matches('"').to_owned();
        match key {
            "- record" => rules.push(Rule {
                record: Some(value),
                ..Rule::default()
            }),
            "- alert" => rules.push(Rule {
                alert: Some(value),
                ..Rule::default()
            }),
            "expr" => rules.last_mut().unwrap().expr = value,
            "summary" => rules.last_mut().unwrap().summary = value,
            "description" => rules.last_mut().unwrap().description = value,
            "runbook_url" => rules.last_mut().unwrap().runbook_url = value,
            _ => {}
        }
    }
    assert!(rules.len() > 8, "{rules:?}");
    rules
}
