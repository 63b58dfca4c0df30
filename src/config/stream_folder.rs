use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use toml::Table;

use super::ConfigError;
use super::document::Document;
use crate::ingest::{StreamConfig, StreamName, StreamOrigin};

/// Relative paths of a stream's entry start at `folder`.
pub(super) fn resolve_paths(stream: &mut StreamConfig, folder: &Path) {
    let paths = [
        &mut stream.path,
        &mut stream.folder,
        &mut stream.uri_file,
        &mut stream.password_file,
    ];
    for path in paths.into_iter().flatten() {
        *path = folder.join(&*path);
    }
}

/// Reads every `NAME.toml` of the folder, sorted by name; a folder that is not there holds none. Relative paths start at
/// `base`, the config file's folder.
pub(super) fn read_streams(folder: &Path, base: &Path) -> Result<Vec<StreamConfig>, ConfigError> {
    let unreadable = |source| ConfigError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        // Editors and comove itself write beside and rename: what begins with a dot is under way.
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let mut stream = read_stream(Document::read(&path)?, base)?;
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            if stream.name.get_or_insert_with(|| stem.clone()) != &stem {
                return Err(ConfigError::Invalid(vec![format!(
                    "{}: name: the file's name is the stream's; write name = {stem:?}, or leave it out",
                    path.display()
                )]));
            }
            stream.origin = StreamOrigin::File(path);
            Ok(stream)
        })
        .collect()
}

fn read_stream(mut document: Document, base: &Path) -> Result<StreamConfig, ConfigError> {
    document.expand_variables(|name| std::env::var(name).ok())?;
    let mut stream: StreamConfig = document.deserialize()?;
    resolve_paths(&mut stream, base);
    Ok(stream)
}

/// Reads a stream's entry as it came over the API: with `${NAME}` and relative paths as in a file of the stream folder.
///
/// # Errors
/// The key that is wrong and what would be right; files with secrets that cannot be read.
pub fn stream_from_table(table: Table, base: &Path) -> Result<StreamConfig, ConfigError> {
    let mut document = Document::empty();
    document.table = table;
    let mut stream = read_stream(document, base)?;
    let label = stream.name.clone().unwrap_or_else(|| "without a name".to_owned());
    stream
        .fetch_secrets(&label)
        .map_err(|error| ConfigError::Invalid(vec![error.to_string()]))?;
    stream.origin = StreamOrigin::Api;
    Ok(stream)
}

/// Every name that two entries share, with where both stand.
pub(super) fn duplicates(streams: &[StreamConfig]) -> Vec<String> {
    let place = |stream: &StreamConfig| match &stream.origin {
        StreamOrigin::File(path) => path.display().to_string(),
        StreamOrigin::Config => "the config".to_owned(),
        StreamOrigin::CommandLine => "the command line".to_owned(),
        StreamOrigin::Api => "the API".to_owned(),
    };
    let mut known: HashMap<&str, &StreamConfig> = HashMap::new();
    let mut problems = Vec::new();
    for stream in streams {
        let Some(name) = stream.name.as_deref() else {
            continue;
        };
        if let Some(first) = known.insert(name, stream) {
            problems.push(format!(
                "stream {name}: {} and {} both have one of this name",
                place(first),
                place(stream)
            ));
        }
    }
    problems
}

/// Where a stream of this name is kept.
pub fn stream_file(folder: &Path, name: &StreamName) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

/// Writes a stream's entry beside its place and renames it, readable by its owner only: it may hold a password. A crash leaves
/// the old file or the new one.
///
/// # Errors
/// What the system said.
pub fn keep_stream(folder: &Path, name: &StreamName, entry: &Table) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let text = toml::to_string(entry).map_err(std::io::Error::other)?;
    std::fs::create_dir_all(folder)?;
    let path = stream_file(folder, name);
    let beside = folder.join(format!(".{name}.toml.new"));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(path)
}

/// Removes a stream's entry; one that is not there is removed already.
///
/// # Errors
/// What the system said.
pub fn forget_stream(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_under_the_name_of_its_file() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("streams.d");
        assert_eq!(read_streams(&folder, base.path()).unwrap(), []);
        let name = StreamName::new("gate").unwrap();
        let entry: Table = "path = 'a.mp4'\nenabled = false".parse().unwrap();
        let path = keep_stream(&folder, &name, &entry).unwrap();
        std::fs::write(folder.join(".half.toml.new"), "rubbish").unwrap();
        std::fs::write(folder.join("README"), "rubbish").unwrap();
        let read = read_streams(&folder, base.path()).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].name.as_deref(), Some("gate"));
        assert_eq!(read[0].path.as_deref(), Some(&*base.path().join("a.mp4")));
        assert_eq!(read[0].origin, StreamOrigin::File(path.clone()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        forget_stream(&path).unwrap();
        forget_stream(&path).unwrap();
        assert_eq!(read_streams(&folder, base.path()).unwrap(), []);
    }

    #[test]
    fn a_file_that_says_another_name_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gate.toml"), "name = 'yard'\nsynthetic = {}").unwrap();
        let message = read_streams(folder.path(), folder.path())
            .unwrap_err()
            .to_string();
        assert!(message.contains("gate.toml: name:"), "{message}");
    }

    #[test]
    fn a_name_given_twice_is_told_with_both_places() {
        let mut one: StreamConfig = toml::from_str("name = 'gate'\nsynthetic = {}").unwrap();
        let two = one.clone();
        one.origin = StreamOrigin::File("/etc/streams.d/gate.toml".into());
        assert_eq!(
            duplicates(&[two, one]),
            ["stream gate: the config and /etc/streams.d/gate.toml both have one of this name"]
        );
    }
}
