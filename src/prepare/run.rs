use std::collections::HashMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::transcode::{encoder_name, transcode};
use super::{PrepareError, PrepareSettings, SETTINGS_FILE};
use crate::eval::is_video;

/// What `comove prepare` is asked for; a field an option.
#[derive(Clone, Debug)]
pub struct PrepareOptions {
    /// The data set's folder.
    pub dataset: PathBuf,
    /// `--out`: the folder for the result.
    pub out: PathBuf,
    /// The one encoding.
    pub settings: PrepareSettings,
    /// `--threads`: videos encoded at a time.
    pub threads: NonZeroUsize,
}

/// What became of the videos.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Encoded now.
    pub encoded: usize,
    /// There already, from the same settings.
    pub kept: usize,
    /// Other files, such as labels, copied as they are.
    pub copied: usize,
    /// Videos without a result, by path.
    pub failed: Vec<Failed>,
}

/// A video that could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its path under the data set's folder.
    pub video: PathBuf,
    /// Why.
    pub reason: String,
}

/// The record in [`SETTINGS_FILE`].
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema: String,
    comove: String,
    encoder: String,
    settings: PrepareSettings,
}

const SCHEMA: &str = "comove.prepare.v1";

struct Job {
    from: PathBuf,
    to: PathBuf,
}

/// Prepares a data set: every video re-encoded to `.mp4` under its path, every other file copied. Hidden files are not looked at.
///
/// # Errors
/// Folders or settings that make no sense. Videos that fail are part of the result.
pub fn prepare(options: &PrepareOptions) -> Result<Prepared, PrepareError> {
    options.settings.check()?;
    let (dataset, out) = (options.dataset.as_path(), options.out.as_path());
    if !dataset.is_dir() {
        return Err(PrepareError::NotAFolder(dataset.to_owned()));
    }
    let encoder = encoder_name().map_err(PrepareError::GStreamer)?;
    fs::create_dir_all(out).map_err(PrepareError::io("create", out))?;
    let real = |path: &Path| fs::canonicalize(path).map_err(PrepareError::io("resolve", path));
    if real(out)?.starts_with(real(dataset)?) {
        return Err(PrepareError::Within(out.to_owned()));
    }
    let (jobs, others) = survey(dataset, out)?;
    settle_settings(out, options.settings, encoder)?;
    let mut prepared = Prepared::default();
    for file in others {
        copy_if_newer(&file.from, &file.to)?;
        prepared.copied += 1;
    }
    let (done, waiting): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| is_newer(&job.to, &job.from));
    prepared.kept = done.len();
    for job in &waiting {
        if let Some(folder) = job.to.parent() {
            fs::create_dir_all(folder).map_err(PrepareError::io("create", folder))?;
        }
    }
    let progress = ProgressBar::new((done.len() + waiting.len()) as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} videos, {eta} left") {
        progress.set_style(style);
    }
    progress.set_position(done.len() as u64);
    progress.reset_eta();
    let outcomes = encode_all(&waiting, options, &progress);
    progress.finish_and_clear();
    for (job, outcome) in waiting.iter().zip(outcomes) {
        match outcome {
            Ok(_) => prepared.encoded += 1,
            Err(reason) => prepared.failed.push(Failed {
                video: job.from.strip_prefix(dataset).unwrap_or(&job.from).to_owned(),
                reason,
            }),
        }
    }
    Ok(prepared)
}

/// Videos, and other files.
fn survey(dataset: &Path, out: &Path) -> Result<(Vec<Job>, Vec<Job>), PrepareError> {
    let (mut videos, mut others) = (Vec::new(), Vec::new());
    let mut targets: HashMap<PathBuf, PathBuf> = HashMap::new();
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let walk = WalkDir::new(dataset).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(visible) {
        let entry = entry.map_err(|source| PrepareError::Unreadable {
            folder: dataset.to_owned(),
            source,
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let from = entry.into_path();
        let under = from.strip_prefix(dataset).unwrap_or(&from);
        if !is_video(&from) {
            let to = out.join(under);
            others.push(Job { from, to });
            continue;
        }
        let to = out.join(under.with_extension("mp4"));
        if let Some(first) = targets.insert(to.clone(), from.clone()) {
            return Err(PrepareError::Collision {
                first,
                second: from,
                target: to,
            });
        }
        videos.push(Job { from, to });
    }
    if videos.is_empty() {
        return Err(PrepareError::NoVideos(dataset.to_owned()));
    }
    Ok((videos, others))
}

/// Compares the settings with those that the folder was made with, or records them.
fn settle_settings(out: &Path, settings: PrepareSettings, encoder: String) -> Result<(), PrepareError> {
    let path = out.join(SETTINGS_FILE);
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(PrepareError::io("read", &path))?;
        let record: Record = serde_json::from_str(&text).map_err(|error| PrepareError::Settings {
            path: path.clone(),
            reason: format!("not a record of comove prepare: {error}"),
        })?;
        return match settings.difference(&record.settings) {
            None => Ok(()),
            Some(difference) => Err(PrepareError::OtherSettings {
                folder: out.to_owned(),
                difference,
            }),
        };
    }
    let record = Record {
        schema: SCHEMA.to_owned(),
        comove: env!("CARGO_PKG_VERSION").to_owned(),
        encoder,
        settings,
    };
    let text = serde_json::to_string_pretty(&record).map_err(|error| PrepareError::Settings {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    fs::write(&path, text + "\n").map_err(PrepareError::io("write", &path))
}

/// Whether `made` is there and was written after `from` was last changed.
fn is_newer(made: &Path, from: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    matches!((changed(made), changed(from)), (Some(made), Some(from)) if made >= from)
}

fn copy_if_newer(from: &Path, to: &Path) -> Result<(), PrepareError> {
    if is_newer(to, from) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(PrepareError::io("create", folder))?;
    }
    fs::copy(from, to)
        .map(drop)
        .map_err(PrepareError::io("copy", from))
}

/// Outcomes in the order of the jobs.
fn encode_all(jobs: &[Job], options: &PrepareOptions, progress: &ProgressBar) -> Vec<Result<u64, String>> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new((0..jobs.len()).map(|_| None).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..options.threads.get() {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(place) else { break };
                    let outcome = transcode(&job.from, &job.to, &options.settings);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes[place] = Some(outcome);
                    }
                    progress.inc(1);
                }
            });
        }
    });
    let outcomes = outcomes
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let lost = || Err("its thread broke off".to_owned());
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(lost))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tree;

    #[test]
    fn layout_is_kept_and_videos_become_mp4() {
        let root = tree(&[
            "run/a.avi",
            "run/deep/b.MKV",
            "list.txt",
            ".hidden.mp4",
            ".git/c.mp4",
        ]);
        let (videos, others) = survey(root.path(), Path::new("/out")).unwrap();
        let targets = |jobs: &[Job]| jobs.iter().map(|job| job.to.clone()).collect::<Vec<_>>();
        assert_eq!(
            targets(&videos),
            [
                PathBuf::from("/out/run/a.mp4"),
                PathBuf::from("/out/run/deep/b.mp4")
            ]
        );
        assert_eq!(targets(&others), [PathBuf::from("/out/list.txt")]);
    }

    #[test]
    fn two_files_that_would_become_one_are_refused() {
        let root = tree(&["run/a.avi", "run/a.mkv"]);
        let error = survey(root.path(), Path::new("/out")).err().unwrap();
        assert!(matches!(error, PrepareError::Collision { .. }), "{error}");
    }

    #[test]
    fn a_folder_of_other_settings_is_refused_with_the_difference() {
        let out = tempfile::tempdir().unwrap();
        let settings = PrepareSettings::default();
        settle_settings(out.path(), settings, "x264enc".into()).unwrap();
        settle_settings(out.path(), settings, "x264enc".into()).unwrap();
        let other = PrepareSettings { gop: 25, ..settings };
        let error = settle_settings(out.path(), other, "x264enc".into())
            .unwrap_err()
            .to_string();
        assert!(error.contains("gop 12 there, 25 here"), "{error}");
    }
}
