use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::display_order::{DisplayOrder, Displayed, OutOfOrder, PocStep};
use super::picture::{Picture, PictureFacts, UseSoFar};
use crate::ingest::{AccessUnit, DropReason, SkipReason};

/// How consecutive pictures come to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The video is over: every picture came.
    Whole,
    /// Pictures were lost, or may have been: some that precede the last ones in display may be missing.
    Broken,
    /// It was told to stop: the same, and nothing is wrong with the video.
    Stopped,
}

/// Consecutive pictures of one segment from a random access point on, without a hole: the part of it that is still held.
///
/// Pictures have two numbers: `index` in decoding order and, once final, `rank` in display order, both from 0 at the run's
/// first picture. The oldest held GOP goes first; `usable` ranks are those from the first held random access point on, as
/// pictures that are decoded after it but displayed before it (leading pictures of an open GOP) need what is gone.
#[derive(Default)]
pub(super) struct Run {
    pictures: VecDeque<Picture>,
    first_index: u64,
    order: DisplayOrder,
    poc_step: PocStep,
    /// Decoding index by rank, from `first_rank` on.
    by_rank: VecDeque<u64>,
    first_rank: u64,
    random_access: VecDeque<RandomAccess>,
    /// Pictures displayed before the run's first random access point: never usable.
    leading: u64,
    bytes: usize,
    finished: bool,
}

/// A picture that decoding can start at.
struct RandomAccess {
    index: u64,
    /// The units of the [`PREROLL_PICTURES`] reference pictures before it, unless it is an IDR picture.
    preroll: Vec<Vec<Arc<AccessUnit>>>,
}

/// A recovery point that is no IDR picture is preceded by so many reference pictures, whose own content comes out wrong:
/// `frame_num` jumps for a decoder that starts there. libavcodec fills the jump with frames of its own, and GStreamer 1.22
/// then has none left for the picture that was fed ("Couldn't get codec frame"). The first of the two may be lost to
/// that, the second closes the jump.
const PREROLL_PICTURES: usize = 2;

impl Run {
    /// Takes the next picture in decoding order. The first must be a random access point. After an error the run must end.
    pub fn push(&mut self, unit: &Arc<AccessUnit>, facts: &PictureFacts) -> Result<(), OutOfOrder> {
        let index = self.first_index + self.pictures.len() as u64;
        let mut displayed = Vec::new();
        let pushed = self
            .order
            .push(index, facts.poc, facts.starts_poc_period, &mut displayed);
        if let Err(error) = pushed {
            self.rank(displayed);
            return Err(error);
        }
        if facts.random_access {
            let mut preroll: Vec<Vec<_>> = Vec::new();
            if !facts.idr {
                let references = self
                    .pictures
                    .iter()
                    .rev()
                    .filter(|picture| picture.facts.reference);
                preroll.extend(
                    references
                        .take(PREROLL_PICTURES)
                        .map(|picture| picture.units().cloned().collect()),
                );
                preroll.reverse();
            }
            self.random_access.push_back(RandomAccess { index, preroll });
        }
        let picture = Picture {
            unit: unit.clone(),
            second_field: None,
            facts: facts.clone(),
            rank: None,
            use_so_far: UseSoFar::None,
        };
        self.bytes += picture.bytes();
        self.pictures.push_back(picture);
        self.rank(displayed);
        Ok(())
    }

    /// Adds the second field's unit to the last picture.
    pub fn push_second_field(&mut self, unit: Arc<AccessUnit>) {
        if let Some(picture) = self.pictures.back_mut() {
            self.bytes += unit.data.len();
            picture.second_field = Some(unit);
        }
    }

    /// No further picture comes: places in display are final, as far as none was lost.
    pub fn finish(&mut self, ending: Ending) {
        let mut displayed = Vec::new();
        match ending {
            Ending::Whole => self.order.flush(&mut displayed),
            Ending::Broken | Ending::Stopped => {
                let poc_per_frame = self.poc_per_frame();
                self.order.flush_before_gap(poc_per_frame, &mut displayed);
            }
        }
        self.rank(displayed);
        self.finished = true;
    }

    /// Whether [`Self::finish`] was called.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    fn rank(&mut self, displayed: Vec<Displayed>) {
        for Displayed {
            decoding_index,
            poc_difference,
        } in displayed
        {
            if let Some(difference) = poc_difference {
                self.poc_step.observe(difference);
            }
            let rank = self.first_rank + self.by_rank.len() as u64;
            self.by_rank.push_back(decoding_index);
            // A leading picture of a GOP whose predecessor is gone may be gone itself.
            if let Some(picture) = self.picture_mut(decoding_index) {
                picture.rank = Some(rank);
            }
            if decoding_index == 0 {
                self.leading = rank;
            }
        }
    }

    fn picture_mut(&mut self, index: u64) -> Option<&mut Picture> {
        let place = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.pictures.get_mut(place)
    }

    pub fn at_index(&self, index: u64) -> Option<&Picture> {
        let place = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.pictures.get(place)
    }

    pub fn index_of(&self, rank: u64) -> Option<u64> {
        let place = usize::try_from(rank.checked_sub(self.first_rank)?).ok()?;
        self.by_rank.get(place).copied()
    }

    pub fn at_rank(&self, rank: u64) -> Option<&Picture> {
        self.at_index(self.index_of(rank)?)
    }

    /// The place in display of a picture that may still wait for pictures between it and the last final one: right in
    /// relation to every picture held, which is all that a decoder needs.
    pub fn rank_for_decoder(&self, index: u64) -> Option<u64> {
        self.at_index(index)?.rank.or_else(|| {
            let place = self.order.waiting().position(|waiting| waiting == index)?;
            Some(self.usable().end + place as u64)
        })
    }

    /// Ranks of the pictures that windows may be made of.
    pub fn usable(&self) -> Range<u64> {
        let end = self.first_rank + self.by_rank.len() as u64;
        let key_rank = self
            .random_access
            .front()
            .and_then(|start| self.at_index(start.index)?.rank);
        key_rank.unwrap_or(end)..end
    }

    pub fn poc_per_frame(&self) -> i32 {
        self.poc_step.poc_per_frame()
    }

    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The latest random access point from which the pictures of `indices` come out right.
    pub fn start_for(&self, indices: &[u64]) -> Option<u64> {
        let first_index = *indices.iter().min()?;
        let first_rank = indices
            .iter()
            .map(|index| self.at_index(*index)?.rank)
            .try_fold(u64::MAX, |least, rank| Some(least.min(rank?)))?;
        let serves = |start: &&RandomAccess| {
            let Some(picture) = self.at_index(start.index) else {
                return false;
            };
            let in_time = start.index <= first_index && picture.rank.is_some_and(|rank| rank <= first_rank);
            in_time && (picture.facts.idr || !start.preroll.is_empty())
        };
        self.random_access
            .iter()
            .rev()
            .find(serves)
            .map(|start| start.index)
    }

    /// The units to feed before the random access point `start`, picture by picture.
    pub fn preroll(&self, start: u64) -> &[Vec<Arc<AccessUnit>>] {
        self.random_access
            .iter()
            .find(|point| point.index == start)
            .map_or(&[], |point| &point.preroll)
    }

    /// Marks pictures, for the time when they are let go.
    pub fn mark(&mut self, index: u64, use_so_far: UseSoFar) {
        if let Some(picture) = self.picture_mut(index)
            && (picture.use_so_far != UseSoFar::Planned)
        {
            picture.use_so_far = use_so_far;
        }
    }

    /// Whether a second GOP is held, so that the first can go.
    pub fn can_forget_a_gop(&self) -> bool {
        self.random_access
            .get(1)
            .and_then(|start| self.at_index(start.index))
            .is_some_and(|picture| picture.rank.is_some())
    }

    /// Whether a second GOP has begun.
    pub fn holds_a_second_gop(&self) -> bool {
        self.random_access.len() > 1
    }

    /// Frames from the run's first key frame on, those that have gone counted.
    pub fn frames_from_first_key_frame(&self) -> u64 {
        self.usable().end - self.leading
    }

    /// Lets the oldest GOP go.
    pub fn forget_a_gop(&mut self) {
        if !self.can_forget_a_gop() {
            return;
        }
        self.random_access.pop_front();
        let Some(next) = self.random_access.front().map(|start| start.index) else {
            return;
        };
        while self.first_index < next {
            let Some(picture) = self.pictures.pop_front() else {
                break;
            };
            self.first_index += 1;
            self.release(picture, SkipReason::NotChosen);
        }
        let first_rank = self.usable().start;
        while self.first_rank < first_rank && self.by_rank.pop_front().is_some() {
            self.first_rank += 1;
        }
    }

    /// Lets everything go. `too_short`: no window fitted into the whole run.
    pub fn dissolve(mut self, too_short: bool) {
        let otherwise = if too_short {
            SkipReason::SegmentTooShort
        } else {
            SkipReason::NotChosen
        };
        while let Some(picture) = self.pictures.pop_front() {
            self.release(picture, otherwise);
        }
    }

    /// Lets everything go because the program stops.
    pub fn abandon(mut self) {
        while let Some(mut picture) = self.pictures.pop_front() {
            if picture.use_so_far == UseSoFar::None {
                picture.use_so_far = UseSoFar::Shed(DropReason::Stopping);
            }
            self.release(picture, SkipReason::NotChosen);
        }
    }

    fn release(&mut self, picture: Picture, otherwise: SkipReason) {
        self.bytes -= picture.bytes();
        let leading = picture.rank.is_some_and(|rank| rank < self.leading);
        picture.release(if leading {
            SkipReason::BeforeKeyFrame
        } else {
            otherwise
        });
    }
}
