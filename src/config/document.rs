use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::ConfigError;
use super::explain::explain;

/// A config before its types are known: what the file says, with the command line laid over it.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    path: Option<PathBuf>,
    pub(super) table: Table,
    /// Dotted keys that the command line set, and by which option.
    options: BTreeMap<String, &'static str>,
}

impl Document {
    pub(super) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<Table>().map_err(|error| {
            // Not the error's own Display: it quotes the line, which may hold a password.
            let offset = error.span().map_or(0, |span| span.start);
            let before = text.get(..offset).unwrap_or_default();
            ConfigError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.chars().rev().take_while(|&c| c != '\n').count() + 1,
                message: error.message().to_owned(),
            }
        })?;
        Ok(Self {
            path: Some(path.to_owned()),
            table,
            options: BTreeMap::new(),
        })
    }

    /// The folder that relative paths start from.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.as_deref()?.parent()
    }

    /// Sets `section.key` because `option` says so.
    pub(super) fn set(&mut self, option: &'static str, section: &str, key: &str, value: impl Into<Value>) {
        let entry = self
            .table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        // A section that is not a table is left as it is: reading it gives the error.
        if let Value::Table(table) = entry {
            table.insert(key.to_owned(), value.into());
            self.options.insert(format!("{section}.{key}"), option);
        }
    }

    /// Where the value at a dotted key comes from, for errors.
    pub(super) fn origin(&self, key: &str) -> String {
        match (self.options.get(key), &self.path) {
            (Some(option), _) => (*option).to_owned(),
            (None, Some(path)) => format!("config {}", path.display()),
            (None, None) => "config".to_owned(),
        }
    }

    /// Puts the values of environment variables where strings say `${NAME}`, so that no secret need stand in the file.
    pub(super) fn expand_variables(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        let origin = self.origin("");
        let mut table = Value::Table(std::mem::take(&mut self.table));
        let expanded = expand(&mut table, "", &variable);
        if let Value::Table(table) = table {
            self.table = table;
        }
        expanded.map_err(|(key, name)| ConfigError::Value {
            origin,
            key,
            value: format!("\"${{{name}}}\""),
            allowed: format!("the environment variable {name} is not set"),
        })
    }

    /// Gives the document its type.
    pub(super) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(Value::Table(self.table.clone()))
            .map_err(|error| explain(self, &error))
    }
}

/// # Errors
/// The dotted key of the string, and the variable that is not set.
fn expand(
    value: &mut Value,
    key: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<(), (String, String)> {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            let mut whole = String::new();
            while let Some((before, after)) = rest.split_once("${") {
                let Some((name, after)) = after.split_once('}') else {
                    break;
                };
                whole.push_str(before);
                whole.push_str(&variable(name).ok_or_else(|| (key.to_owned(), name.to_owned()))?);
                rest = after;
            }
            whole.push_str(rest);
            *text = whole;
        }
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                expand(item, &format!("{key}[{i}]"), variable)?;
            }
        }
        Value::Table(table) => {
            for (name, item) in table {
                let below = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                expand(item, &below, variable)?;
            }
        }
        _ => {}
    }
    Ok(())
}
