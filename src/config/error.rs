use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration. No variant holds a credential.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A key that does not exist.
    UnknownKey {
        /// The file or command-line option.
        origin: String,
        /// The dotted key.
        key: String,
        /// The dotted key that was probably meant.
        meant: Option<String>,
        /// The keys that exist there.
        allowed: Vec<String>,
    },
    /// A value that its key does not take.
    Value {
        /// The file or command-line option.
        origin: String,
        /// The dotted key.
        key: String,
        /// The value, as TOML, without credentials; empty when it is missing.
        value: String,
        /// What is allowed, or what is wrong.
        allowed: String,
    },
    /// Values that contradict each other; each line names its key, the value and what is allowed.
    Invalid(Vec<String>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "config {}: {source}", path.display()),
            Self::Syntax {
                path,
                line,
                column,
                message,
            } => {
                write!(
                    f,
                    "config {}, line {line}, column {column}: {message}",
                    path.display()
                )
            }
            Self::UnknownKey {
                origin,
                key,
                meant,
                allowed,
            } => {
                write!(f, "{origin}: {key}: there is no such key")?;
                if let Some(meant) = meant {
                    write!(f, "; did you mean {meant}?")?;
                }
                match allowed.as_slice() {
                    [] => Ok(()),
                    allowed => write!(f, " Allowed here: {}", allowed.join(", ")),
                }
            }
            Self::Value {
                origin,
                key,
                value,
                allowed,
            } => match value.as_str() {
                "" => write!(f, "{origin}: {key}: {allowed}"),
                value => write!(f, "{origin}: {key} = {value}: {allowed}"),
            },
            Self::Invalid(problems) => f.write_str(&problems.join("\n")),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}
