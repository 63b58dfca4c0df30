use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::outcome::{ChooserStats, Notice, Outcome};
use super::picture::{CodedType, PictureFacts, UseSoFar};
use super::planner::plan_window;
use super::run::{Ending, Run};
use super::select::Selection;
use super::{SampleSpec, WindowConfig, WindowConfigError};
use crate::ingest::{AccessUnit, DropReason, Fate, SkipReason, StreamName};

/// Whether anybody would take a sample now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Yes, or the source waits until yes.
    Now,
    /// No: a live stream's window is shed for this reason.
    Shed(DropReason),
}

/// Chooses the windows of one stream that become samples. Pure: no thread, no clock, randomness is an argument.
///
/// It holds whole GOPs, bounded in pictures and bytes, and looks at each window once, when its last picture's place in
/// display is final and its key frames have come: some 20 pictures later. Within a run
/// of pictures without a hole, windows keep their cadence; a random start varies them between runs (a file watched again
/// gives other windows). A run that ends without a window gives one at random if it can.
pub struct Chooser {
    stream: StreamName,
    spec: SampleSpec,
    config: WindowConfig,
    bytes_max: usize,
    state: State,
    segment: Option<Segment>,
    /// Frames of all runs before this one, so that still windows keep their cadence over short files.
    frames_before_run: u64,
    last_window: Option<u64>,
    stats: ChooserStats,
}

enum State {
    /// Pictures are skipped for this reason until decoding can start.
    AwaitingKeyFrame(SkipReason),
    Running(Box<Running>),
}

struct Running {
    run: Run,
    /// The next window to look at starts at this rank; set when the first usable rank is known.
    next_start: Option<u64>,
    windows: u64,
}

struct Segment {
    number: u64,
    /// The file or URI, for people.
    place: String,
    pictures: u64,
    runs: u64,
}

impl Chooser {
    /// A chooser for `stream`.
    pub fn new(
        stream: StreamName,
        spec: SampleSpec,
        config: WindowConfig,
    ) -> Result<Self, WindowConfigError> {
        config.check(&spec)?;
        Ok(Self {
            stream,
            spec,
            bytes_max: usize::try_from(config.buffer_bytes.as_u64()).unwrap_or(usize::MAX),
            config,
            state: State::AwaitingKeyFrame(SkipReason::BeforeKeyFrame),
            segment: None,
            frames_before_run: 0,
            last_window: None,
            stats: ChooserStats::default(),
        })
    }

    /// What it did so far, and what it holds.
    pub fn stats(&self) -> ChooserStats {
        let (held_pictures, held_bytes) = match &self.state {
            State::AwaitingKeyFrame(_) => (0, 0),
            State::Running(running) => (running.run.pictures(), running.run.bytes()),
        };
        ChooserStats {
            held_pictures,
            held_bytes,
            ..self.stats
        }
    }

    /// Between two segments, what another chooser needs to go on from here: the frames of all runs so far, and where the last
    /// window lay among them. `None` while it holds anything.
    pub(super) fn between_segments(&self) -> Option<(u64, Option<u64>)> {
        let holds_nothing = self.segment.is_none() && matches!(self.state, State::AwaitingKeyFrame(_));
        holds_nothing.then_some((self.frames_before_run, self.last_window))
    }

    /// Goes on from what [`Self::between_segments`] gave.
    pub(super) fn go_on_from(&mut self, frames_before: u64, last_window: Option<u64>) {
        self.frames_before_run = frames_before;
        self.last_window = last_window;
    }

    /// Takes the next picture in decoding order. A unit of another segment ends the last one, as
    /// broken: [`Self::end_segment`] was not called.
    pub fn push(
        &mut self,
        unit: Arc<AccessUnit>,
        facts: PictureFacts,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let number = unit.segment;
        self.enter_segment(&unit, demand, rng, &mut outcome);
        self.count(&facts);
        if let State::Running(running) = &mut self.state
            && running.run.push(&unit, &facts).is_err()
        {
            self.stats.out_of_order += 1;
            outcome.notices.push(Notice::OutOfOrder {
                stream: self.stream.clone(),
                segment: number,
                unit: unit.index,
                poc: facts.poc,
            });
            self.finish_run(
                Ending::Broken,
                SkipReason::BeforeKeyFrame,
                demand,
                rng,
                &mut outcome,
            );
        }
        match &mut self.state {
            State::AwaitingKeyFrame(reason) if !facts.random_access => {
                unit.receipt.settle(Fate::Skipped(*reason));
                return outcome;
            }
            State::AwaitingKeyFrame(_) => self.start_run(&unit, &facts),
            State::Running(_) => {}
        }
        self.look(demand, rng, &mut outcome);
        self.keep_within_bounds(demand, rng, &mut outcome);
        outcome
    }

    /// Takes the unit of the last picture's second field, where the fields of a frame come in two units.
    pub fn push_second_field(&mut self, unit: Arc<AccessUnit>) {
        match &mut self.state {
            State::AwaitingKeyFrame(reason) => unit.receipt.settle(Fate::Skipped(*reason)),
            State::Running(running) => running.run.push_second_field(unit),
        }
    }

    /// Takes note of a unit that is not looked into, because decoding has not begun yet.
    pub fn skip_before_key_frame(
        &mut self,
        unit: &AccessUnit,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.enter_segment(unit, demand, rng, &mut outcome);
        unit.receipt.settle(Fate::Skipped(SkipReason::BeforeKeyFrame));
        outcome
    }

    /// An access unit of the segment was lost: nothing spans the hole.
    pub fn interrupt(&mut self, demand: &mut dyn FnMut() -> Demand, rng: &mut ChaCha8Rng) -> Outcome {
        let mut outcome = Outcome::default();
        self.finish_run(
            Ending::Broken,
            SkipReason::BeforeKeyFrame,
            demand,
            rng,
            &mut outcome,
        );
        outcome
    }

    /// What may be held from now on: `window.buffer_bytes`, or less where `bytes` is less.
    pub fn hold_at_most(&mut self, bytes: usize) {
        let configured = usize::try_from(self.config.buffer_bytes.as_u64()).unwrap_or(usize::MAX);
        self.bytes_max = configured.min(bytes);
    }

    /// The segment is over.
    pub fn end_segment(
        &mut self,
        ending: Ending,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.finish_segment(ending, demand, rng, &mut outcome);
        outcome
    }

    /// Counts a picture of the unit's segment, which ends any other.
    fn enter_segment(
        &mut self,
        unit: &AccessUnit,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
        outcome: &mut Outcome,
    ) {
        let number = unit.segment;
        let is_other = |segment: &Segment| segment.number != number;
        if self.segment.as_ref().is_some_and(is_other) {
            self.finish_segment(Ending::Broken, demand, rng, outcome);
        }
        let segment = self.segment.get_or_insert_with(|| Segment {
            number,
            place: unit.format.place.clone(),
            pictures: 0,
            runs: 0,
        });
        segment.pictures += 1;
    }

    fn count(&mut self, facts: &PictureFacts) {
        *match facts.coded_type {
            CodedType::I => &mut self.stats.i_pictures,
            CodedType::P => &mut self.stats.p_pictures,
            CodedType::B => &mut self.stats.b_pictures,
        } += 1;
    }

    fn start_run(&mut self, unit: &Arc<AccessUnit>, facts: &PictureFacts) {
        let mut run = Run::default();
        // An empty run has no place taken.
        if run.push(unit, facts).is_ok() {
            if let Some(segment) = &mut self.segment {
                segment.runs += 1;
            }
            self.state = State::Running(Box::new(Running {
                run,
                next_start: None,
                windows: 0,
            }));
        }
    }

    fn finish_segment(
        &mut self,
        ending: Ending,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
        outcome: &mut Outcome,
    ) {
        let frames = self.finish_run(ending, SkipReason::BeforeKeyFrame, demand, rng, outcome);
        let Some(segment) = self.segment.take() else {
            return;
        };
        // Of a video that was cut by stopping it cannot be said that it is short.
        if ending == Ending::Stopped {
            return;
        }
        let (stream, needed) = (self.stream.clone(), u64::from(self.spec.needed_frames()));
        if segment.runs == 0 {
            outcome.notices.push(Notice::NoKeyFrame {
                stream,
                segment: segment.number,
                place: segment.place,
                pictures: segment.pictures,
            });
        } else if let Some(frames) = frames.filter(|frames| segment.runs == 1 && *frames < needed) {
            self.stats.short_videos += 1;
            outcome.notices.push(Notice::ShortVideo {
                stream,
                segment: segment.number,
                place: segment.place,
                frames,
                lacking: needed - frames,
            });
        }
    }

    /// Ends the run, if there is one, and tells its frames.
    fn finish_run(
        &mut self,
        ending: Ending,
        then: SkipReason,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
        outcome: &mut Outcome,
    ) -> Option<u64> {
        if let State::Running(running) = &mut self.state {
            running.run.finish(ending);
            self.look(demand, rng, outcome);
            self.give_a_short_run_its_window(demand, rng, outcome);
        }
        let State::Running(running) = std::mem::replace(&mut self.state, State::AwaitingKeyFrame(then))
        else {
            return None;
        };
        let usable = running.run.usable();
        let frames = running.run.frames_from_first_key_frame();
        self.frames_before_run += usable.end;
        running
            .run
            .dissolve(frames < u64::from(self.spec.needed_frames()));
        Some(frames)
    }

    /// Looks at every window whose last picture has its place in display.
    fn look(&mut self, demand: &mut dyn FnMut() -> Demand, rng: &mut ChaCha8Rng, outcome: &mut Outcome) {
        let cadence = u64::from(self.config.cadence(&self.spec));
        let still_cadence = u64::from(self.config.still_cadence(&self.spec));
        while let State::Running(running) = &mut self.state {
            let usable = running.run.usable();
            if usable.is_empty() {
                return;
            }
            let start = running
                .next_start
                .unwrap_or_else(|| usable.start + rng.random_range(0..cadence))
                .max(usable.start);
            running.next_start = Some(start);
            let selection = Selection {
                run: &running.run,
                spec: &self.spec,
                start,
            };
            if !selection.is_complete() {
                return;
            }
            let position = self.frames_before_run + start;
            let moving = selection.moving_share() >= self.config.min_moving_share;
            let rested = self
                .last_window
                .is_none_or(|last| position >= last + still_cadence);
            let next = if selection.has_motion() && (moving || rested) {
                self.take(start, moving, demand, rng, outcome)
            } else {
                false
            };
            if let State::Running(running) = &mut self.state {
                running.next_start = Some(start + if next { cadence } else { 1 });
            }
        }
    }

    /// A window anywhere, in a run so short that the random start left none.
    fn give_a_short_run_its_window(
        &mut self,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
        outcome: &mut Outcome,
    ) {
        let State::Running(running) = &self.state else {
            return;
        };
        if running.windows > 0 {
            return;
        }
        let selection = |start| Selection {
            run: &running.run,
            spec: &self.spec,
            start,
        };
        let starts: Vec<u64> = running
            .run
            .usable()
            .filter(|start| selection(*start).is_complete() && selection(*start).has_motion())
            .collect();
        if starts.is_empty() {
            return;
        }
        let start = starts[rng.random_range(0..starts.len())];
        let moving = selection(start).moving_share() >= self.config.min_moving_share;
        self.take(start, moving, demand, rng, outcome);
    }

    /// Makes the window at `start` a choice, or sheds it. False where it cannot be decoded.
    fn take(
        &mut self,
        start: u64,
        moving: bool,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
        outcome: &mut Outcome,
    ) -> bool {
        let State::Running(running) = &mut self.state else {
            return false;
        };
        let selection = Selection {
            run: &running.run,
            spec: &self.spec,
            start,
        };
        let Some((choice, indices)) = plan_window(&self.stream, &selection, rng) else {
            return false;
        };
        let use_so_far = match demand() {
            Demand::Now => UseSoFar::Planned,
            Demand::Shed(reason) => UseSoFar::Shed(reason),
        };
        for index in indices {
            running.run.mark(index, use_so_far);
        }
        running.windows += 1;
        if use_so_far == UseSoFar::Planned {
            self.stats.windows += 1;
            self.stats.still_windows += u64::from(!moving);
            outcome.choices.push(choice);
        } else {
            self.stats.shed_windows += 1;
        }
        self.last_window = Some(self.frames_before_run + start);
        true
    }

    fn keep_within_bounds(
        &mut self,
        demand: &mut dyn FnMut() -> Demand,
        rng: &mut ChaCha8Rng,
        outcome: &mut Outcome,
    ) {
        let bytes_max = self.bytes_max;
        while let State::Running(running) = &mut self.state {
            let run = &mut running.run;
            if run.pictures() <= self.config.buffer_pictures && run.bytes() <= bytes_max {
                return;
            }
            if run.can_forget_a_gop() {
                run.forget_a_gop();
                continue;
            }
            if run.holds_a_second_gop() {
                // It can go as soon as the second one's first picture has its place, a few pictures on.
                return;
            }
            let (pictures, bytes) = (run.pictures(), run.bytes());
            self.stats.long_gops += 1;
            outcome.notices.push(Notice::GopTooLong {
                stream: self.stream.clone(),
                segment: self.segment.as_ref().map_or(0, |segment| segment.number),
                pictures,
                bytes,
            });
            self.finish_run(Ending::Broken, SkipReason::NotChosen, demand, rng, outcome);
        }
    }
}

impl Drop for Chooser {
    /// Whoever drops a chooser in mid-stream is stopping.
    fn drop(&mut self) {
        if let State::Running(running) = &mut self.state {
            std::mem::take(&mut running.run).abandon();
        }
    }
}
