//! Video files → features: a few threads decode ahead while the calling thread runs the network.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::read::{ReadError, VideoClips};

/// What became of one video.
#[derive(Clone, Debug, PartialEq)]
pub enum VideoOutcome {
    /// It has a feature.
    Feature {
        /// Mean of its clips' features.
        feature: Vec<f32>,
        /// Clips that it gave.
        clips: usize,
        /// Pictures that each clip lacks, because the video is shorter.
        missing_frames: u64,
    },
    /// It could not be decoded.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Takes every video through `read` and `network` and gives their outcomes in the order of `paths`, whatever the number
/// of threads. At most `threads` videos are being read and as many wait for the network.
///
/// # Errors
/// The network's first error; a video that cannot be read is an outcome.
pub fn features_of<E>(
    paths: &[&Path],
    threads: usize,
    read: impl Fn(&Path) -> Result<VideoClips, ReadError> + Sync,
    mut network: impl FnMut(&VideoClips) -> Result<Vec<f32>, E>,
    progress: &ProgressBar,
) -> Result<Vec<VideoOutcome>, E> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = crossbeam_channel::bounded(threads.max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next, read) = (sender.clone(), &next, &read);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&path) = paths.get(place) else { break };
                    // The receiver is gone when the network failed: nothing more is wanted.
                    if sender.send((place, read(path))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        // Moved in, so that it is dropped before the scope waits for threads that are sending.
        let receiver = receiver;
        let mut outcomes = vec![None; paths.len()];
        for (place, clips) in &receiver {
            let outcome = match clips {
                Ok(clips) => VideoOutcome::Feature {
                    feature: network(&clips)?,
                    clips: clips.clips,
                    missing_frames: clips.missing_frames,
                },
                Err(error) => VideoOutcome::Skipped {
                    reason: without_path(&error.to_string(), paths[place]),
                },
            };
            outcomes[place] = Some(outcome);
            progress.inc(1);
        }
        Ok(outcomes.into_iter().flatten().collect())
    })
}

/// The message without the path that reports name beside it.
fn without_path(message: &str, path: &Path) -> String {
    let path = path.display().to_string();
    match message.strip_prefix(&path) {
        Some(rest) => rest.trim_start_matches([':', ',', ' ']).to_string(),
        None => message.to_string(),
    }
}

/// A progress bar over videos on standard error; hidden where that is no terminal.
pub fn video_progress(videos: usize) -> ProgressBar {
    let bar = ProgressBar::new(videos as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} videos, {eta} left") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::FrameSize;

    fn clips_of(path: &Path) -> Result<VideoClips, ReadError> {
        let name = path.to_string_lossy();
        let Ok(number) = name.parse::<u8>() else {
            return Err(ReadError::Empty);
        };
        // Later videos are read faster, so that they overtake earlier ones.
        std::thread::sleep(std::time::Duration::from_millis(u64::from(20 - number.min(20))));
        Ok(VideoClips {
            pixels: vec![number],
            clips: 1,
            missing_frames: 0,
            source_size: FrameSize { width: 1, height: 1 },
        })
    }

    #[test]
    fn outcomes_stand_in_the_order_of_the_videos() {
        let names: Vec<String> = (0..12)
            .map(|n| if n == 5 { "x".into() } else { n.to_string() })
            .collect();
        let paths: Vec<&Path> = names.iter().map(Path::new).collect();
        let network = |clips: &VideoClips| Ok::<_, ()>(vec![f32::from(clips.pixels[0])]);
        for threads in [1, 3] {
            let outcomes = features_of(&paths, threads, clips_of, network, &ProgressBar::hidden()).unwrap();
            assert_eq!(outcomes.len(), 12);
            for (number, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    VideoOutcome::Feature { feature, .. } => assert_eq!(feature, [number as f32]),
                    VideoOutcome::Skipped { reason } => {
                        assert_eq!((number, reason.as_str()), (5, "no picture in it"))
                    }
                }
            }
        }
    }

    #[test]
    fn a_failing_network_ends_the_readers() {
        let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let paths: Vec<&Path> = names.iter().map(Path::new).collect();
        let network = |_: &VideoClips| Err::<Vec<f32>, _>("broken");
        let result = features_of(&paths, 2, clips_of, network, &ProgressBar::hidden());
        assert_eq!(result, Err("broken"));
    }

    #[test]
    fn reasons_do_not_repeat_the_path() {
        let path = Path::new("/data/a.mp4");
        assert_eq!(
            without_path("/data/a.mp4: the file is empty", path),
            "the file is empty"
        );
        assert_eq!(
            without_path("/data/a.mp4, after frame 3: broken", path),
            "after frame 3: broken"
        );
        assert_eq!(without_path("no picture in it", path), "no picture in it");
    }
}
