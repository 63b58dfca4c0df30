//! Files that say which video has which label and is on which side of a split.

use std::fs;
use std::path::{Path, PathBuf};

use super::EvalError;
use super::dataset::Part;
use super::label_table::read_table;
use super::split_lists::{read_hmdb51, read_ucf101};

/// One line of an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Names that the video may have under the data set's folder, the likeliest first; with or without folders and ending.
    pub names: Vec<String>,
    /// Its label.
    pub class: String,
    /// Its side of the split.
    pub part: Part,
    /// Videos of one group are cuts of one scene.
    pub group: Option<String>,
}

/// What annotation files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// The kind of files.
    pub format: &'static str,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The column that the labels come from, where there is a choice.
    pub label: Option<String>,
    /// The videos that are used.
    pub entries: Vec<Entry>,
    /// Lines of neither training nor test, such as a validation part.
    pub left_out: usize,
}

/// The name of the file that is looked for in a data set's folder.
pub const TABLE_NAME: &str = "labels.csv";

/// Reads annotations: a CSV file, or a folder with split files of UCF101 or HMDB51 or the CSV files of Kinetics.
pub fn read_annotations(path: &Path, split: u32, label: Option<&str>) -> Result<Annotations, EvalError> {
    if !path.is_dir() {
        return read_table(&[path.to_owned()], label);
    }
    let mut files = Vec::new();
    let entries = fs::read_dir(path).map_err(|error| EvalError::annotation(path, None, error.to_string()))?;
    for entry in entries {
        files.push(
            entry
                .map_err(|error| EvalError::annotation(path, None, error.to_string()))?
                .path(),
        );
    }
    files.sort();
    let named = |wanted: &str| {
        files
            .iter()
            .find(|file| file.file_name().is_some_and(|name| name == wanted))
    };
    let ending = |wanted: &str| -> Vec<PathBuf> {
        let ends = |file: &&PathBuf| file.to_string_lossy().to_ascii_lowercase().ends_with(wanted);
        files.iter().filter(ends).cloned().collect()
    };
    let (train, test) = (
        format!("trainlist{split:02}.txt"),
        format!("testlist{split:02}.txt"),
    );
    if let (Some(train), Some(test)) = (named(&train), named(&test)) {
        return read_ucf101(train, test, named("classInd.txt").map(PathBuf::as_path));
    }
    let lists = ending(&format!("_test_split{split}.txt"));
    if !lists.is_empty() {
        return read_hmdb51(&lists, split);
    }
    if let Some(table) = named(TABLE_NAME) {
        return read_table(std::slice::from_ref(table), label);
    }
    let tables = ending(".csv");
    if !tables.is_empty() {
        return read_table(&tables, label);
    }
    Err(EvalError::annotation(
        path,
        None,
        format!(
            "neither {train} and {test} (UCF101), nor *_test_split{split}.txt (HMDB51), nor a CSV file with a header is in it"
        ),
    ))
}

pub(super) fn read_text(path: &Path) -> Result<String, EvalError> {
    fs::read_to_string(path).map_err(|error| EvalError::annotation(path, None, error.to_string()))
}
