//! CSV files with a header: comove's own `labels.csv`, and Kinetics'.

use std::path::{Path, PathBuf};

use super::EvalError;
use super::annotations::{Annotations, Entry, read_text};
use super::csv::{Record, records};
use super::dataset::Part;

/// Columns of `labels.csv` that are no labels.
const VIDEO: &str = "video";
const SPLIT: &str = "split";
const GROUPS: [&str; 2] = ["scene", "group"];

/// A header and its records.
struct Table {
    path: PathBuf,
    header: Vec<String>,
    records: Vec<Record>,
}

impl Table {
    fn read(path: &Path) -> Result<Self, EvalError> {
        let text = read_text(path)?;
        let mut records = records(&text).map_err(|line| {
            EvalError::annotation(path, Some(line), "a quoted field does not end".to_owned())
        })?;
        if records.is_empty() {
            return Err(EvalError::annotation(path, None, "the file is empty".to_owned()));
        }
        let header = records.remove(0).fields;
        let table = Self {
            path: path.to_owned(),
            header,
            records,
        };
        for record in &table.records {
            if record.fields.len() != table.header.len() {
                let reason = format!(
                    "{} fields, but {} columns in the header",
                    record.fields.len(),
                    table.header.len()
                );
                return Err(EvalError::annotation(path, Some(record.line), reason));
            }
        }
        Ok(table)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name))
    }

    fn needed(&self, name: &str) -> Result<usize, EvalError> {
        self.column(name)
            .ok_or_else(|| EvalError::annotation(&self.path, Some(1), format!("there is no column `{name}`")))
    }
}

/// Reads one file of labels, or the files of Kinetics (one for each part, or one for all).
pub fn read_table(paths: &[PathBuf], label: Option<&str>) -> Result<Annotations, EvalError> {
    let tables = paths
        .iter()
        .map(|path| Table::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    match tables.as_slice() {
        [table] if table.column(VIDEO).is_some() => labels(table, label),
        tables => kinetics(tables),
    }
}

fn part_of(word: &str) -> Option<Part> {
    match word.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "test" | "testing" => Some(Part::Test),
        _ => None,
    }
}

/// Columns `video`, `split` (may be missing), `scene` or `group` (may be missing); every other one is a label.
fn labels(table: &Table, label: Option<&str>) -> Result<Annotations, EvalError> {
    let video = table.needed(VIDEO)?;
    let split = table.column(SPLIT);
    let group = GROUPS.iter().find_map(|name| table.column(name));
    let choices: Vec<&str> = (0..table.header.len())
        .filter(|&column| column != video && Some(column) != split && Some(column) != group)
        .map(|column| table.header[column].as_str())
        .collect();
    let chosen = match (label, choices.as_slice()) {
        (Some(label), _) if choices.iter().any(|name| name.eq_ignore_ascii_case(label)) => label,
        (None, [only]) => only,
        _ => {
            return Err(EvalError::Label {
                path: table.path.clone(),
                asked: label.map(str::to_owned),
                choices: choices.join(", "),
            });
        }
    };
    let class = table.needed(chosen)?;
    let (mut entries, mut left_out) = (Vec::new(), 0);
    for record in &table.records {
        let part = match split.map(|column| record.fields[column].as_str()) {
            None => Part::Whole,
            Some(word) => match part_of(word) {
                Some(part) => part,
                None => {
                    left_out += 1;
                    continue;
                }
            },
        };
        if record.fields[class].is_empty() {
            let reason = format!("the video has no {chosen}");
            return Err(EvalError::annotation(&table.path, Some(record.line), reason));
        }
        entries.push(Entry {
            names: vec![record.fields[video].clone()],
            class: record.fields[class].clone(),
            part,
            group: group.map(|column| record.fields[column].clone()),
        });
    }
    Ok(Annotations {
        format: "labels",
        files: vec![table.path.clone()],
        label: (choices.len() > 1).then(|| chosen.to_owned()),
        entries,
        left_out,
    })
}

/// Columns `label`, `youtube_id`, `time_start`, `time_end`, `split`. The labels of the test part were never given out with the
/// first releases: where no labelled test line is there, the validation part is the test.
fn kinetics(tables: &[Table]) -> Result<Annotations, EvalError> {
    let mut rows = Vec::new();
    for table in tables {
        let [label, id, start, end, split] =
            ["label", "youtube_id", "time_start", "time_end", "split"].map(|name| table.needed(name));
        let (label, id, start, end, split) = (label?, id?, start?, end?, split?);
        for record in &table.records {
            let seconds = |column: usize| {
                let value: f64 = record.fields[column].parse().map_err(|_| {
                    let reason = format!("`{}` is no time in seconds", record.fields[column]);
                    EvalError::annotation(&table.path, Some(record.line), reason)
                })?;
                Ok::<_, EvalError>(value as u64)
            };
            let name = &record.fields[id];
            let names = vec![
                format!("{name}_{:06}_{:06}", seconds(start)?, seconds(end)?),
                name.clone(),
            ];
            rows.push((
                names,
                record.fields[label].clone(),
                record.fields[split].to_ascii_lowercase(),
            ));
        }
    }
    let has_test = rows
        .iter()
        .any(|(_, label, split)| split == "test" && !label.is_empty());
    let (mut entries, mut left_out) = (Vec::new(), 0);
    for (names, class, split) in rows {
        let part = match split.as_str() {
            "train" => Some(Part::Train),
            "test" if has_test => Some(Part::Test),
            "val" | "validate" | "validation" if !has_test => Some(Part::Test),
            _ => None,
        };
        match part {
            Some(part) if !class.is_empty() => entries.push(Entry {
                // A recording may be cut into several clips.
                group: names.last().cloned(),
                names,
                class,
                part,
            }),
            _ => left_out += 1,
        }
    }
    Ok(Annotations {
        format: "Kinetics CSV",
        files: tables.iter().map(|table| table.path.clone()).collect(),
        label: None,
        entries,
        left_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_table_with_two_labels_wants_one_chosen() {
        let text = "video,split,scene,context,motion\ntrain/1.mp4,train,7,bricks,pan\ntest/2.mp4,test,8,dots,roll\n\
                    val/3.mp4,val,9,dots,pan\n";
        let (_folder, path) = written("labels.csv", text);
        let read = |label| read_table(std::slice::from_ref(&path), label);
        let error = read(None).unwrap_err().to_string();
        assert!(
            error.contains("--label") && error.contains("context, motion"),
            "{error}"
        );
        assert!(read(Some("colour")).unwrap_err().to_string().contains("colour"));
        let found = read(Some("motion")).unwrap();
        assert_eq!((found.entries.len(), found.left_out), (2, 1));
        assert_eq!(found.label.as_deref(), Some("motion"));
        assert_eq!(found.entries[1].class, "roll");
        assert_eq!(
            (found.entries[0].part, found.entries[0].group.as_deref()),
            (Part::Train, Some("7"))
        );
    }

    #[test]
    fn kinetics_names_its_clips_and_validates_where_the_test_has_no_labels() {
        let text = "label,youtube_id,time_start,time_end,split\n\"abseiling, indoors\",abc,7,17,train\nzumba,x-y,0,10,validate\n\
                    ,zzz,0,10,test\n";
        let (_folder, path) = written("k.csv", text);
        let found = read_table(&[path], None).unwrap();
        assert_eq!(found.entries[0].names, ["abc_000007_000017", "abc"]);
        assert_eq!(found.entries[0].class, "abseiling, indoors");
        assert_eq!((found.entries[1].part, found.left_out), (Part::Test, 1));
    }

    #[test]
    fn a_line_that_does_not_fit_is_named() {
        let (_folder, path) = written("labels.csv", "video,class\na.mp4,x\nb.mp4\n");
        let error = read_table(std::slice::from_ref(&path), None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains("1 fields, but 2 columns"),
            "{error}"
        );
    }
}
