use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::SynthError;
use super::encode::{encode, encoder_name};
use super::labels::{LABELS_FILE, SETTINGS_FILE, labels_csv, settings_json, video_path};
use super::plan::{SynthPart, VideoPlan, plan};
use super::render::render;
use super::scene::{FRAMES, Scene};

/// What `comove synth` is asked for; a field an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthOptions {
    /// The folder, new or empty.
    pub folder: PathBuf,
    /// `--contexts`: kinds of surroundings.
    pub contexts: u32,
    /// `--motions`: kinds of movement.
    pub motions: u32,
    /// `--videos`: how many, train and test together.
    pub videos: u32,
    /// `--seed`: the same seed gives the same files.
    pub seed: u64,
    /// `--threads`: videos rendered at a time.
    pub threads: NonZeroUsize,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthSummary {
    /// Videos to learn from.
    pub train: usize,
    /// Videos to be asked about.
    pub test: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Makes the data set: `train/*.mp4`, `test/*.mp4`, [`LABELS_FILE`] and [`SETTINGS_FILE`].
///
/// # Errors
/// Numbers that cannot be, a folder that is not empty, a file that cannot be written, an encoder that fails.
pub fn synthesise(options: &SynthOptions) -> Result<SynthSummary, SynthError> {
    let videos = plan(options.contexts, options.motions, options.videos, options.seed)?;
    let encoder = encoder_name()?;
    let folder = &options.folder;
    fs::create_dir_all(folder).map_err(SynthError::io("create", folder))?;
    let mut entries = fs::read_dir(folder).map_err(SynthError::io("list", folder))?;
    if entries.next().is_some() {
        return Err(SynthError::NotEmpty(folder.clone()));
    }
    for part in [SynthPart::Train, SynthPart::Test] {
        let path = folder.join(part.name());
        fs::create_dir(&path).map_err(SynthError::io("create", &path))?;
    }
    let progress = ProgressBar::new(videos.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} videos, {eta} left") {
        progress.set_style(style);
    }
    let bytes = make_all(options, &videos, &progress)?;
    progress.finish_and_clear();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(SynthError::io("write", &path))
    };
    write(SETTINGS_FILE, settings_json(options, &videos, &encoder))?;
    // Last: a folder with labels is complete.
    write(LABELS_FILE, labels_csv(&videos))?;
    let of_part = |part| videos.iter().filter(|video| video.part == part).count();
    Ok(SynthSummary {
        train: of_part(SynthPart::Train),
        test: of_part(SynthPart::Test),
        bytes,
    })
}

/// All videos, `threads` at a time; the first failure stops the others.
fn make_all(options: &SynthOptions, videos: &[VideoPlan], progress: &ProgressBar) -> Result<u64, SynthError> {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Ok(0));
    std::thread::scope(|scope| {
        for _ in 0..options.threads.get() {
            scope.spawn(|| {
                while let Some(video) = videos.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let made = make(options.seed, video, &options.folder);
                    // Nothing panics while it is locked.
                    let Ok(mut outcome) = outcome.lock() else { return };
                    match (made, outcome.as_mut()) {
                        (Ok(bytes), Ok(sum)) => *sum += bytes,
                        (Err(error), Ok(_)) => {
                            *outcome = Err(error);
                            next.store(videos.len(), Ordering::Relaxed);
                        }
                        (_, Err(_)) => return,
                    }
                    progress.inc(1);
                }
            });
        }
    });
    outcome
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn make(seed: u64, video: &VideoPlan, folder: &Path) -> Result<u64, SynthError> {
    let path = folder.join(video_path(video));
    let scene = Scene::draw(seed, video);
    encode(
        &path,
        &scene.encoder,
        (0..FRAMES).map(|frame| render(&scene, frame)),
    )?;
    Ok(fs::metadata(&path)
        .map_err(SynthError::io("measure", &path))?
        .len())
}
