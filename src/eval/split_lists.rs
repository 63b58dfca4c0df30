//! The split files that UCF101 and HMDB51 come with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::EvalError;
use super::annotations::{Annotations, Entry, read_text};
use super::dataset::Part;

/// `trainlist0N.txt` (`Class/video.avi 1`) and `testlist0N.txt` (`Class/video.avi`); `classInd.txt` (`1 Class`), where there is
/// one, must agree with the numbers. Videos of one `_gNN_` are cuts of one recording.
pub fn read_ucf101(train: &Path, test: &Path, index: Option<&Path>) -> Result<Annotations, EvalError> {
    let mut numbers = HashMap::new();
    if let Some(path) = index {
        for (line, text) in lines(&read_text(path)?) {
            let Some((number, class)) = text.split_once(char::is_whitespace) else {
                let reason = format!("`{text}` is not a number and a class");
                return Err(EvalError::annotation(path, Some(line), reason));
            };
            numbers.insert(class.trim().to_owned(), number.to_owned());
        }
    }
    let mut entries = Vec::new();
    for (path, part) in [(train, Part::Train), (test, Part::Test)] {
        for (line, text) in lines(&read_text(path)?) {
            let (video, number) = match text.rsplit_once(char::is_whitespace) {
                Some((video, number)) if number.parse::<u32>().is_ok() => (video.trim(), Some(number)),
                _ => (text, None),
            };
            let Some((class, file)) = video.rsplit_once('/') else {
                let reason = format!("`{video}` has no class folder before it, as in Class/video.avi");
                return Err(EvalError::annotation(path, Some(line), reason));
            };
            if let (Some(number), Some(expected)) = (number, numbers.get(class))
                && number != expected
            {
                let reason = format!("class {class} has number {number} here and {expected} in classInd.txt");
                return Err(EvalError::annotation(path, Some(line), reason));
            }
            if !numbers.is_empty() && !numbers.contains_key(class) {
                let reason = format!("class {class} is not in classInd.txt");
                return Err(EvalError::annotation(path, Some(line), reason));
            }
            entries.push(Entry {
                names: vec![video.to_owned()],
                class: class.rsplit('/').next().unwrap_or(class).to_owned(),
                part,
                group: recording(file),
            });
        }
    }
    Ok(Annotations {
        format: "UCF101 lists",
        files: [train, test]
            .into_iter()
            .chain(index)
            .map(Path::to_owned)
            .collect(),
        label: None,
        entries,
        left_out: 0,
    })
}

/// `v_Archery_g07_c02.avi` → `v_Archery_g07`.
fn recording(file: &str) -> Option<String> {
    let (before, after) = file.rsplit_once("_c")?;
    let digits = after.split('.').next()?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(digits)
        && before
            .rsplit_once("_g")
            .is_some_and(|(_, group)| is_number(group)))
    .then(|| before.to_owned())
}

/// `Class_test_splitN.txt` (`video.avi 0|1|2`): 1 is training, 2 test, 0 neither.
pub fn read_hmdb51(lists: &[PathBuf], split: u32) -> Result<Annotations, EvalError> {
    let suffix = format!("_test_split{split}.txt");
    let (mut entries, mut left_out) = (Vec::new(), 0);
    for path in lists {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let class = name.strip_suffix(&suffix).unwrap_or(&name).to_owned();
        for (line, text) in lines(&read_text(path)?) {
            let (video, part) = match text.rsplit_once(char::is_whitespace) {
                Some((video, "1")) => (video, Part::Train),
                Some((video, "2")) => (video, Part::Test),
                Some((_, "0")) => {
                    left_out += 1;
                    continue;
                }
                _ => {
                    let reason = format!("`{text}` is not a file name and 0, 1 or 2");
                    return Err(EvalError::annotation(path, Some(line), reason));
                }
            };
            let video = video.trim();
            entries.push(Entry {
                names: vec![format!("{class}/{video}"), video.to_owned()],
                class: class.clone(),
                part,
                group: None,
            });
        }
    }
    Ok(Annotations {
        format: "HMDB51 lists",
        files: lists.to_vec(),
        label: None,
        entries,
        left_out,
    })
}

/// Lines with content, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
}
