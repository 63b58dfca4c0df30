use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::run::Run;
use super::{CodedType, MotionMap, SampleSpec};

/// Less known motion than this share of a target's cells teaches nothing, however much time has passed: all-intra video,
/// or a target that falls on an I picture and little else.
const MIN_KNOWN_SHARE: f32 = 0.25;

/// The window whose clip starts at rank `start` of a run, before anything random is decided.
pub(super) struct Selection<'a> {
    pub run: &'a Run,
    pub spec: &'a SampleSpec,
    pub start: u64,
}

impl Selection<'_> {
    pub fn target_start(&self) -> u64 {
        self.start + u64::from(self.spec.target_start_frames())
    }

    fn clip_last(&self) -> u64 {
        self.start + u64::from(self.spec.clip_span_frames()) - 1
    }

    /// The last rank of the window.
    pub fn last(&self) -> u64 {
        self.start + u64::from(self.spec.span_frames()) - 1
    }

    pub fn clip_ranks(&self) -> impl Iterator<Item = u64> + use<> {
        let (start, stride) = (self.start, u64::from(self.spec.clip_stride));
        (0..u64::from(self.spec.clip_frames)).map(move |frame| start + frame * stride)
    }

    /// Whether its pictures and enough hard negatives are there, and all that could be its key frame has come.
    pub fn is_complete(&self) -> bool {
        let usable = self.run.usable();
        let awaited = match self.run.is_finished() {
            true => self.last(),
            false => self
                .last()
                .max(self.clip_last() + u64::from(self.spec.key_frame_margin)),
        };
        self.start >= usable.start
            && awaited < usable.end
            && self
                .possible_negatives()
                .take(self.spec.hard_negatives as usize)
                .count()
                == self.spec.hard_negatives as usize
    }

    /// Share of the target's cells that move.
    pub fn moving_share(&self) -> f32 {
        self.share(self.target_start(), MotionMap::moving_cells)
    }

    /// Whether the target has motion to learn from, be it zero.
    pub fn has_motion(&self) -> bool {
        self.known_share(self.target_start()) >= MIN_KNOWN_SHARE
    }

    fn known_share(&self, start: u64) -> f32 {
        self.share(start, MotionMap::known_cells)
    }

    fn share(&self, start: u64, cells: impl Fn(&MotionMap) -> u32) -> f32 {
        let window = start..start + u64::from(self.spec.target_frames);
        let counted: u32 = window
            .filter_map(|rank| self.run.at_rank(rank))
            .map(|picture| cells(&picture.facts.motion))
            .sum();
        counted as f32 / (self.spec.motion_size.area() as f32 * self.spec.target_frames as f32)
    }

    /// The maps from rank `start` on.
    pub fn maps(&self, start: u64) -> Option<Vec<MotionMap>> {
        (start..start + u64::from(self.spec.target_frames))
            .map(|rank| Some(self.run.at_rank(rank)?.facts.motion.clone()))
            .collect()
    }

    /// Uniform among the I pictures that belong to the clip, else the nearest one (the earlier of two).
    pub fn key_frame(&self, rng: &mut ChaCha8Rng) -> Option<u64> {
        let clip_last = self.clip_last();
        let distance = |rank: u64| {
            self.start
                .saturating_sub(rank)
                .max(rank.saturating_sub(clip_last))
        };
        let key_frames: Vec<u64> = self
            .run
            .usable()
            .filter(|rank| {
                self.run
                    .at_rank(*rank)
                    .is_some_and(|picture| picture.facts.coded_type == CodedType::I)
            })
            .collect();
        let near: Vec<u64> = key_frames
            .iter()
            .copied()
            .filter(|rank| distance(*rank) <= u64::from(self.spec.key_frame_margin))
            .collect();
        if near.is_empty() {
            return key_frames.into_iter().min_by_key(|rank| distance(*rank));
        }
        Some(near[rng.random_range(0..near.len())])
    }

    /// Starts of all windows of motion that do not overlap the target.
    fn possible_negatives(&self) -> impl Iterator<Item = u64> {
        let frames = u64::from(self.spec.target_frames);
        let target = self.target_start();
        let usable = self.run.usable();
        (usable.start..(usable.end + 1).saturating_sub(frames))
            .filter(move |start| start + frames <= target || *start >= target + frames)
    }

    /// Different starts at random: rather apart from each other than overlapping, rather overlapping than without motion.
    pub fn negative_starts(&self, rng: &mut ChaCha8Rng) -> Option<Vec<u64>> {
        let wanted = self.spec.hard_negatives as usize;
        let frames = u64::from(self.spec.target_frames);
        let mut starts: Vec<u64> = self.possible_negatives().collect();
        starts.shuffle(rng);
        let (known, unknown): (Vec<u64>, Vec<u64>) = starts
            .into_iter()
            .partition(|start| self.known_share(*start) >= MIN_KNOWN_SHARE);
        let mut chosen: Vec<u64> = Vec::with_capacity(wanted);
        for start in &known {
            if chosen.len() < wanted && chosen.iter().all(|other| other.abs_diff(*start) >= frames) {
                chosen.push(*start);
            }
        }
        for start in known.iter().chain(&unknown) {
            if chosen.len() < wanted && !chosen.contains(start) {
                chosen.push(*start);
            }
        }
        (chosen.len() == wanted).then_some(chosen)
    }
}
