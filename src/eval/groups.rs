use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::EvalError;
use super::annotations::read_text;
use super::csv::records;

/// How it is known which videos are cuts of one scene: they are never on both sides of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRule {
    /// A pattern of file names such as `v_*_g{}_c*`: what `{}` stands for is the group.
    Pattern(NamePattern),
    /// A CSV file with the columns `video` and `group`.
    Table(PathBuf),
}

/// A pattern of names: `*` is anything, the one `{}` is anything too, and is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    before: Vec<String>,
    after: Vec<String>,
}

/// The text is not such a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has `{{}}` once, for the group, and `*` for what does not matter, as in v_*_g{{}}_c*")]
pub struct BadPattern;

impl std::str::FromStr for NamePattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let (before, after) = text.split_once("{}").ok_or(BadPattern)?;
        if after.contains("{}") {
            return Err(BadPattern);
        }
        let parts = |text: &str| text.split('*').map(str::to_owned).collect();
        Ok(Self {
            before: parts(before),
            after: parts(after),
        })
    }
}

impl NamePattern {
    /// What `{}` stands for in `name`: the shortest piece with which all of the name fits.
    pub fn group<'a>(&self, name: &'a str) -> Option<&'a str> {
        let places = || name.char_indices().map(|(place, _)| place).chain([name.len()]);
        for start in places() {
            if !fits(&self.before, &name[..start]) {
                continue;
            }
            for end in places().filter(|&end| end > start) {
                if fits(&self.after, &name[end..]) {
                    return Some(&name[start..end]);
                }
            }
        }
        None
    }
}

/// Whether `text` is the parts in their order with anything between them.
fn fits(parts: &[String], text: &str) -> bool {
    match parts {
        [] => text.is_empty(),
        [only] => text == only,
        [first, middle @ .., last] => {
            let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| {
                (rest.len() >= last.len())
                    .then(|| rest.strip_suffix(last.as_str()))
                    .flatten()
            }) else {
                return false;
            };
            for part in middle {
                let Some(place) = rest.find(part.as_str()) else {
                    return false;
                };
                rest = &rest[place + part.len()..];
            }
            true
        }
    }
}

/// The group of each video by a rule; every video must have one.
pub fn groups_by(rule: &GroupRule, root: &Path, videos: &[&Path]) -> Result<Vec<String>, EvalError> {
    match rule {
        GroupRule::Pattern(pattern) => videos
            .iter()
            .map(|video| {
                let stem = video.file_stem().unwrap_or_default().to_string_lossy();
                let group = pattern.group(&stem).map(str::to_owned);
                group.ok_or_else(|| EvalError::NoGroup {
                    video: (*video).to_owned(),
                    rule: "--group-pattern".to_owned(),
                })
            })
            .collect(),
        GroupRule::Table(path) => {
            let table = read_text(path)?;
            let mut rows = records(&table)
                .map_err(|line| {
                    EvalError::annotation(path, Some(line), "a quoted field does not end".to_owned())
                })?
                .into_iter();
            let header = rows.next().map(|row| row.fields).unwrap_or_default();
            let column = |name: &str| {
                header.iter().position(|column| column == name).ok_or_else(|| {
                    EvalError::annotation(path, Some(1), format!("there is no column `{name}`"))
                })
            };
            let (video, group) = (column("video")?, column("group")?);
            let groups: HashMap<String, String> = rows
                .filter(|row| row.fields.len() > video.max(group))
                .map(|row| (row.fields[video].clone(), row.fields[group].clone()))
                .collect();
            let found = |path_of_video: &&Path| {
                let relative = path_of_video
                    .strip_prefix(root)
                    .unwrap_or(path_of_video)
                    .to_string_lossy();
                let name = path_of_video.file_name().unwrap_or_default().to_string_lossy();
                let group = groups
                    .get(relative.as_ref())
                    .or_else(|| groups.get(name.as_ref()));
                group.cloned().ok_or_else(|| EvalError::NoGroup {
                    video: (*path_of_video).to_owned(),
                    rule: path.display().to_string(),
                })
            };
            videos.iter().map(found).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_what_stands_in_the_braces() {
        let group = |pattern: &str, name: &'static str| pattern.parse::<NamePattern>().unwrap().group(name);
        assert_eq!(group("v_*_g{}_c*", "v_Archery_g07_c02"), Some("07"));
        assert_eq!(group("{}_*", "scene1_cut_2"), Some("scene1"));
        assert_eq!(group("{}", "whole"), Some("whole"));
        assert_eq!(group("*-{}", "a-b-c"), Some("b-c"));
        assert_eq!(group("v_{}_c*", "x_1_c2"), None);
        assert_eq!("no group".parse::<NamePattern>(), Err(BadPattern));
        assert_eq!("{}{}".parse::<NamePattern>(), Err(BadPattern));
    }

    #[test]
    fn a_video_without_a_group_is_named() {
        let rule = GroupRule::Pattern("a{}".parse().unwrap());
        let videos = [Path::new("/d/a1.mp4"), Path::new("/d/b1.mp4")];
        let error = groups_by(&rule, Path::new("/d"), &videos)
            .unwrap_err()
            .to_string();
        assert!(error.contains("/d/b1.mp4"), "{error}");
    }
}
