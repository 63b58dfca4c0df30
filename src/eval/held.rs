use std::path::{Path, PathBuf};

use super::EvalError;
use super::dataset::{Dataset, DatasetOptions, LabelledVideo, Part};
use super::knn::predict;
use super::read::{VideoClips, read_clips};
use super::report::SkippedVideo;
use super::score::{Comparison, Protocol, Split};
use super::similarity::UnitFeatures;
use super::source::{NetworkPart, network_feature};
use crate::decode::VideoReader;
use crate::model::Model;
use crate::window::SampleSpec;

/// Videos of a set that is held, at most: every one goes through the network each time.
const MOST_VIDEOS: usize = 500;
/// Memory of their clips, at most.
const MOST_BYTES: u64 = 256 << 20;

/// A small labelled folder whose clips may be held in memory: listed, found to be small enough, and readable in every class.
#[derive(Clone, Debug)]
pub struct HeldList {
    dataset: Dataset,
    spec: SampleSpec,
    clips: u32,
}

impl HeldList {
    /// Lists a data set (class folders, with `train` and `test` above them or not, or a `labels.csv`), as evaluation does. Opens one
    /// video of each class.
    ///
    /// # Errors
    /// What evaluation says of a bad data set; too many videos or too much memory; a class without a readable video.
    pub fn open(root: &Path, label: Option<&str>, spec: SampleSpec, clips: u32) -> Result<Self, EvalError> {
        let dataset = Dataset::open(&DatasetOptions {
            label: label.map(str::to_owned),
            ..DatasetOptions::folder(root)
        })?;
        let videos = dataset.videos.len();
        if videos > MOST_VIDEOS {
            return Err(EvalError::TooMany {
                root: root.to_owned(),
                videos,
                limit: MOST_VIDEOS,
            });
        }
        let frame = 3 * u64::from(spec.frame_size.width) * u64::from(spec.frame_size.height);
        let bytes = videos as u64 * u64::from(clips) * u64::from(spec.clip_frames) * frame;
        if bytes > MOST_BYTES {
            return Err(EvalError::TooLarge {
                root: root.to_owned(),
                videos,
                bytes,
                limit: MOST_BYTES,
            });
        }
        let list = Self { dataset, spec, clips };
        list.check_readable()?;
        Ok(list)
    }

    /// One video of each class, and of each part, gives a picture.
    fn check_readable(&self) -> Result<(), EvalError> {
        let key = |video: &LabelledVideo| (video.part, video.class);
        for videos in self.dataset.videos.chunk_by(|a, b| key(a) == key(b)) {
            let mut failures = videos.iter().map_while(|video| {
                let opened = VideoReader::open(&video.path, Some(self.spec.frame_size));
                opened.err().map(|error| SkippedVideo {
                    video: self.dataset.relative(&video.path),
                    reason: error.to_string(),
                })
            });
            let first = failures.next();
            let failed = usize::from(first.is_some()) + failures.count();
            if let (Some(first), true) = (first, failed == videos.len()) {
                return Err(EvalError::NoneDecoded {
                    part: format!("class {}", self.dataset.classes[videos[0].class]),
                    videos: failed,
                    first,
                });
            }
        }
        Ok(())
    }

    /// How many videos it lists.
    pub fn videos(&self) -> usize {
        self.dataset.videos.len()
    }

    /// Their classes.
    pub fn classes(&self) -> &[String] {
        &self.dataset.classes
    }

    /// Decodes every video once, on the calling thread, until `go_on` says no (`None` then). A video that cannot be decoded is named
    /// and left out.
    ///
    /// # Errors
    /// Too few are left.
    pub fn read(self, mut go_on: impl FnMut() -> bool) -> Result<Option<HeldVideos>, EvalError> {
        let Self { dataset, spec, clips } = self;
        let mut held = HeldVideos {
            class_count: dataset.classes.len(),
            videos: Vec::new(),
            unreadable: Vec::new(),
        };
        for LabelledVideo {
            path, class, part, ..
        } in &dataset.videos
        {
            if !go_on() {
                return Ok(None);
            }
            match read_clips(path, spec, clips) {
                Ok(seen) => held.videos.push(HeldVideo {
                    path: path.clone(),
                    class: *class,
                    part: *part,
                    clips: seen,
                }),
                Err(error) => held.unreadable.push((dataset.relative(path), error.to_string())),
            }
        }
        held.check()?;
        Ok(Some(held))
    }
}

/// Labelled videos in memory, to judge networks by again and again.
#[derive(Debug)]
pub struct HeldVideos {
    class_count: usize,
    videos: Vec<HeldVideo>,
    unreadable: Vec<(String, String)>,
}

#[derive(Debug)]
struct HeldVideo {
    path: PathBuf,
    class: usize,
    part: Part,
    clips: VideoClips,
}

/// What k-NN by the features of now gets right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldFigures {
    /// How videos were set against each other: train and test, or each against all others.
    pub protocol: Protocol,
    /// Videos asked about.
    pub queries: usize,
    /// Part of them that were given their class.
    pub accuracy: f64,
    /// The same for always naming the class that most of the searched videos have.
    pub chance: f64,
}

impl HeldVideos {
    /// How many there are.
    pub fn videos(&self) -> usize {
        self.videos.len()
    }

    /// Name and reason of every video that could not be decoded.
    pub fn unreadable(&self) -> &[(String, String)] {
        &self.unreadable
    }

    /// Memory that their clips take.
    pub fn bytes(&self) -> u64 {
        let bytes = self.videos.iter().map(|video| video.clips.pixels.len() as u64);
        bytes.sum()
    }

    fn check(&self) -> Result<(), EvalError> {
        let split = self.split();
        let enough = split.as_ref().map_or(self.videos.len() >= 2, |split| {
            !split.train.is_empty() && !split.test.is_empty()
        });
        match enough {
            true => Ok(()),
            false => Err(EvalError::TooFew {
                videos: self.videos.len(),
                needed: 2,
                skipped: self.unreadable.len(),
            }),
        }
    }

    fn split(&self) -> Option<Split> {
        let of = |part: Part| {
            let places = self.videos.iter().enumerate();
            let places = places.filter(|(_, video)| video.part == part);
            places.map(|(place, _)| place).collect::<Vec<_>>()
        };
        let split = Split {
            train: of(Part::Train),
            test: of(Part::Test),
        };
        let is_split = self.videos.iter().any(|video| video.part != Part::Whole);
        is_split.then_some(split)
    }

    /// Takes every video through the V-Network, one at a time, and lets the `neighbours` nearest vote, until `go_on` says no
    /// (`None` then).
    ///
    /// # Errors
    /// A network that does not fit, or features that no distance can be taken to.
    pub fn judge(
        &self,
        model: &Model,
        neighbours: usize,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<HeldFigures>, EvalError> {
        let mut features = UnitFeatures::default();
        for video in &self.videos {
            if !go_on() {
                return Ok(None);
            }
            let feature = network_feature(model, NetworkPart::V, &video.clips)?;
            features.push(&feature).map_err(|source| EvalError::Feature {
                video: video.path.clone(),
                source,
            })?;
        }
        Ok(Some(self.vote(&features, neighbours)))
    }

    fn vote(&self, features: &UnitFeatures, neighbours: usize) -> HeldFigures {
        let classes: Vec<usize> = self.videos.iter().map(|video| video.class).collect();
        let comparison = Comparison {
            features,
            classes: &classes,
            class_count: self.class_count,
            groups: &[],
            split: self.split(),
        };
        let (protocol, queries) = comparison.queries();
        let right = queries.iter().filter(|&&query| {
            let gallery = comparison.gallery(query);
            predict(features, &classes, query, &gallery, neighbours) == Some(classes[query])
        });
        let right = right.count();
        // Of all videos where each is set against the others: without itself, a video of a set of even classes would never be of
        // the commonest one.
        let mut searched = vec![0_usize; self.class_count];
        for (video, &class) in self.videos.iter().zip(&classes) {
            searched[class] += usize::from(video.part != Part::Test);
        }
        let most = searched.iter().max();
        let commonest = searched.iter().position(|count| Some(count) == most);
        let by_chance = queries.iter().filter(|&&query| Some(classes[query]) == commonest);
        let share = |count: usize| count as f64 / queries.len().max(1) as f64;
        HeldFigures {
            protocol,
            queries: queries.len(),
            accuracy: share(right),
            chance: share(by_chance.count()),
        }
    }
}
