//! Video files → features: a few threads decode ahead while the calling thread runs the network.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::read::ReadError;
use super::source::Seen;

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
    read: impl Fn(&Path) -> Result<Seen, ReadError> + Sync,
    mut network: impl FnMut(usize, &Seen) -> Result<Vec<f32>, E>,
    progress: &ProgressBar,
) -> Result<Vec<VideoOutcome>, E> {
    let mut outcomes = vec![None; paths.len()];
    as_they_come(
        paths.len(),
        threads,
        |place| read(paths[place]),
        |place, seen| {
            let outcome = match seen {
                Ok(seen) => {
                    let (clips, missing_frames) = seen.clips();
                    VideoOutcome::Feature {
                        feature: network(place, &seen)?,
                        clips,
                        missing_frames,
                    }
                }
                Err(error) => VideoOutcome::Skipped {
                    reason: without_path(&error.to_string(), paths[place]),
                },
            };
            outcomes[place] = Some(outcome);
            progress.inc(1);
            Ok(())
        },
    )?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Makes `count` things on `threads` threads and takes them on the calling thread, in whatever order they are ready. At most
/// `threads` are being made and as many wait.
fn as_they_come<T: Send, E>(
    count: usize,
    threads: usize,
    make: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = crossbeam_channel::bounded(threads.max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next, make) = (sender.clone(), &next, &make);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    // The receiver is gone when the taker failed: nothing more is wanted.
                    if place >= count || sender.send((place, make(place))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        // Moved in, so that it is dropped before the scope waits for threads that are sending.
        let receiver = receiver;
        for (place, made) in &receiver {
            take(place, made)?;
        }
        Ok(())
    })
}

/// How far ahead of the next one to be taken things may be made, for each thread.
const AHEAD_PER_THREAD: usize = 8;
/// How long somebody waits for the one in front.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// As [`as_they_come`], but takes them in their order, so that what is done with them does not depend on the threads. Behind one
/// that takes long, so many for each thread wait.
pub fn in_order<T: Send, E>(
    count: usize,
    threads: usize,
    make: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let ahead = AHEAD_PER_THREAD * threads.max(1);
    // The next one to be taken.
    let (next, moved) = (Mutex::new(0_usize), Condvar::new());
    let advance = |to: usize| {
        *next.lock().unwrap_or_else(PoisonError::into_inner) = to;
        moved.notify_all();
    };
    let make_in_turn = |place: usize| {
        let far = |next: &mut usize| place >= next.saturating_add(ahead);
        let next = next.lock().unwrap_or_else(PoisonError::into_inner);
        // Only a bound on memory: nobody hangs on it should the one in front never come.
        drop(moved.wait_timeout_while(next, LONGEST_WAIT, far));
        make(place)
    };
    let mut early = BTreeMap::new();
    let mut wanted = 0;
    as_they_come(count, threads, make_in_turn, |place, made| {
        early.insert(place, made);
        while let Some(made) = early.remove(&wanted) {
            let taken = take(wanted, made);
            wanted += 1;
            // Nobody may wait for what will not be taken.
            advance(if taken.is_ok() { wanted } else { usize::MAX });
            taken?;
        }
        Ok(())
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
    if let Ok(style) = ProgressStyle::with_template("{prefix}{bar:40} {pos}/{len} videos, {eta} left") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::read::VideoClips;
    use crate::window::FrameSize;

    fn clips_of(path: &Path) -> Result<Seen, ReadError> {
        let name = path.to_string_lossy();
        let Ok(number) = name.parse::<u8>() else {
            return Err(ReadError::Empty);
        };
        // Later videos are read faster, so that they overtake earlier ones.
        std::thread::sleep(std::time::Duration::from_millis(u64::from(20 - number.min(20))));
        Ok(Seen::Clips(VideoClips {
            pixels: vec![number],
            clips: 1,
            missing_frames: 0,
            source_size: FrameSize { width: 1, height: 1 },
        }))
    }

    #[test]
    fn outcomes_stand_in_the_order_of_the_videos() {
        let names: Vec<String> = (0..12)
            .map(|n| if n == 5 { "x".into() } else { n.to_string() })
            .collect();
        let paths: Vec<&Path> = names.iter().map(Path::new).collect();
        let network = |_: usize, seen: &Seen| match seen {
            Seen::Clips(clips) => Ok::<_, ()>(vec![f32::from(clips.pixels[0])]),
            _ => Err(()),
        };
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
        let network = |_: usize, _: &Seen| Err::<Vec<f32>, _>("broken");
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

    #[test]
    fn what_is_made_out_of_order_is_taken_in_order() {
        let slow_first = |place: usize| {
            std::thread::sleep(std::time::Duration::from_millis(if place.is_multiple_of(3) {
                8
            } else {
                0
            }));
            place * 10
        };
        let mut taken = Vec::new();
        let take = |place: usize, made: usize| {
            taken.push((place, made));
            Ok::<_, ()>(())
        };
        in_order(20, 4, slow_first, take).unwrap();
        assert_eq!(
            taken,
            (0..20).map(|place| (place, place * 10)).collect::<Vec<_>>()
        );
        let refuse = |place: usize, _: usize| if place < 5 { Ok(()) } else { Err(place) };
        assert_eq!(in_order(20, 4, slow_first, refuse), Err(5));
    }
}
