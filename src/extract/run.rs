use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::ExtractError;
use super::plan::Plan;
use super::video::{output_of, write_video};

/// How motion is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Every vector on the 4x4 grid, with references.
    #[default]
    Grid,
    /// The rows of the Python package motion-vector-extractor.
    MvExtractor,
}

/// What happens to an output that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// The video fails, before anything is read.
    #[default]
    Fail,
    /// The video is left out.
    Skip,
    /// It is written anew.
    Replace,
}

/// What `comove extract` is asked for; a field an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractOptions {
    /// The video files.
    pub videos: Vec<PathBuf>,
    /// `--out`.
    pub folder: PathBuf,
    /// `--format`.
    pub layout: Layout,
    /// `--existing`.
    pub existing: Existing,
    /// Videos worked on at a time; at least one.
    pub jobs: usize,
}

/// What became of a video.
#[derive(Debug)]
pub struct VideoReport {
    /// The file.
    pub video: PathBuf,
    /// Its outputs with their bytes, or why there are none. Empty where it was left out.
    pub outputs: Result<Vec<(PathBuf, u64)>, ExtractError>,
    /// Frames written.
    pub frames: u64,
    /// Access units with errors; their frames are there as far as they could be decoded.
    pub damaged: u64,
    /// The first of these errors.
    pub first_error: Option<String>,
}

/// What became of all of them, in the order of the options.
#[derive(Debug)]
pub struct ExtractReport {
    /// A video each.
    pub videos: Vec<VideoReport>,
}

/// Extracts the motion of videos, several at a time.
///
/// # Errors
/// Only what is wrong before the first video is opened: no video, two of one name, an output that is there, a folder that
/// cannot be made. What goes wrong with a video is in its report.
pub fn extract(options: &ExtractOptions) -> Result<ExtractReport, ExtractError> {
    check(options)?;
    std::fs::create_dir_all(&options.folder).map_err(ExtractError::write(&options.folder))?;
    let bars = MultiProgress::new();
    let all = bars.add(ProgressBar::new(options.videos.len() as u64));
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} videos, {elapsed}, {eta} left") {
        all.set_style(style);
    }
    all.tick();
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, VideoReport>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, options.videos.len()) {
            scope.spawn(|| {
                while let Some(video) = options.videos.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = one(video, options, &bars);
                    all.inc(1);
                    let place = options
                        .videos
                        .iter()
                        .position(|other| other == video)
                        .unwrap_or(0);
                    // A thread that panicked has told so; its reports are still good.
                    let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    done.insert(place, report);
                }
            });
        }
    });
    all.finish_and_clear();
    let done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(ExtractReport {
        videos: done.into_values().collect(),
    })
}

fn check(options: &ExtractOptions) -> Result<(), ExtractError> {
    if options.videos.is_empty() {
        return Err(ExtractError::NoVideo);
    }
    let mut outputs: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for video in &options.videos {
        let output = output_of(&options.folder, video, 0);
        if let Some(first) = outputs.insert(output.clone(), video) {
            return Err(ExtractError::SameOutput {
                first: first.to_owned(),
                second: video.clone(),
                output,
            });
        }
        if options.existing == Existing::Fail && output.exists() {
            return Err(ExtractError::Exists(output));
        }
    }
    Ok(())
}

fn one(video: &Path, options: &ExtractOptions, bars: &MultiProgress) -> VideoReport {
    let mut report = VideoReport {
        video: video.to_owned(),
        outputs: Ok(Vec::new()),
        frames: 0,
        damaged: 0,
        first_error: None,
    };
    if options.existing == Existing::Skip && output_of(&options.folder, video, 0).exists() {
        return report;
    }
    if video.is_dir() {
        report.outputs = Err(ExtractError::Folder(video.to_owned()));
        return report;
    }
    let bar = bars.add(ProgressBar::new_spinner());
    let name = video
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {pos} access units read") {
        bar.set_style(style);
    }
    bar.set_message(name);
    let work = || {
        let plan = Plan::of(video, &|| bar.inc(1))?;
        bar.set_length(bar.position());
        bar.set_position(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}: {pos}/{len} access units, {per_sec}")
        {
            bar.set_style(style);
        }
        let outputs = write_video(video, &options.folder, options.layout, &plan, &|| bar.inc(1))?;
        Ok((plan, outputs))
    };
    match work() {
        Ok((plan, outputs)) => {
            report.frames = plan.parts.iter().map(|part| part.ranks.len() as u64).sum();
            report.damaged = plan.errors;
            report.first_error = plan.first_error;
            report.outputs = Ok(outputs);
        }
        Err(error) => report.outputs = Err(error),
    }
    bar.finish_and_clear();
    report
}
