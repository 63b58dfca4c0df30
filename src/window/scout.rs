use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use rand_chacha::ChaCha8Rng;

use super::facts::{FactsReader, ReadError, UnitContent};
use super::glimpse::GlimpseTaker;
use super::scout_state::ScoutWatch;
use super::{
    Assembler, Choice, Chooser, Demand, Ending, Notice, Outcome, Pace, PlanFailed, ResumePoint, SampleSpec,
    WindowAllowance, WindowConfig, WindowConfigError,
};
use crate::decode::{DecodeQueue, QueueFull};
use crate::h264::DecodeError;
use crate::ingest::{
    AccessUnit, DropReason, Fate, FilePlace, IngestItem, SegmentEndReason, SkipReason, StreamName, WallClock,
};
use crate::replay::{Place, Replay, StreamCursor, Ticket, Turn};

/// A scout that waits for replay looks this often whether it must hurry.
const HURRY_POLL: Duration = Duration::from_millis(100);

/// What a scout works with.
pub struct ScoutParts {
    /// The stream.
    pub stream: StreamName,
    /// Whether it may be made to wait.
    pub pace: Pace,
    /// The shape of samples.
    pub spec: SampleSpec,
    /// Which windows are worth one.
    pub config: WindowConfig,
    /// Where access units come from.
    pub items: Receiver<IngestItem>,
    /// Where windows are decoded.
    pub decoders: DecodeQueue,
    /// Where samples go.
    pub replay: Arc<Replay>,
    /// What its windows may hold.
    pub allowance: WindowAllowance,
    /// Decides what is random about windows.
    pub rng: ChaCha8Rng,
    /// For the log's patience.
    pub wall_clock: WallClock,
    /// How far an earlier scout came with the same source and settings; its default is the beginning.
    pub cursor: StreamCursor,
}

/// How a scout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoutEnd {
    /// The stream said that nothing further comes.
    Ended,
    /// The stream's end of the channel was dropped without a word.
    Abandoned,
    /// It panicked: a defect in comove. Its units are settled, its stream may get another scout.
    Panicked(String),
}

/// A running scout.
pub struct ScoutHandle {
    /// Set, it waits for nobody any more: what it still gets is let go.
    pub hurry: Arc<AtomicBool>,
    /// What it shows of itself.
    pub watch: ScoutWatch,
    /// Its thread. Joined, every window that it had decoded has become a sample or failed.
    pub thread: JoinHandle<ScoutEnd>,
}

/// Why a scout did not start.
#[derive(Debug, thiserror::Error)]
pub enum ScoutError {
    /// The configuration does not fit.
    #[error(transparent)]
    Config(#[from] WindowConfigError),
    /// The system gives no thread.
    #[error("no thread for the scout of stream {stream}")]
    Thread {
        /// The stream.
        stream: StreamName,
        /// Why.
        source: io::Error,
    },
}

/// Starts a stream's scout on a thread of its own.
pub fn spawn_scout(parts: ScoutParts) -> Result<ScoutHandle, ScoutError> {
    let mut chooser = Chooser::new(parts.stream.clone(), parts.spec, parts.config.clone())?;
    if let Some(point) = &parts.cursor.point {
        chooser.go_on_from(point.frames_before, point.last_window);
    }
    let watch = ScoutWatch::new(parts.stream.clone());
    let hurry = Arc::new(AtomicBool::new(false));
    let stream = parts.stream.clone();
    let thread = thread::Builder::new()
        .name(format!("scout-{stream}"))
        .spawn({
            let (watch, hurry) = (watch.clone(), hurry.clone());
            move || run(parts, chooser, watch, hurry)
        })
        .map_err(|source| ScoutError::Thread { stream, source })?;
    Ok(ScoutHandle { hurry, watch, thread })
}

fn run(parts: ScoutParts, chooser: Chooser, watch: ScoutWatch, hurry: Arc<AtomicBool>) -> ScoutEnd {
    let (in_flight, all_answered) = crossbeam_channel::bounded::<Infallible>(0);
    let (stream, replay) = (parts.stream.clone(), parts.replay.clone());
    let end = catch_unwind(AssertUnwindSafe(|| {
        Scout::new(parts, chooser, watch, hurry, in_flight).run()
    }))
    .unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        tracing::error!(%stream, message, "the scout panicked");
        ScoutEnd::Panicked(message)
    });
    // Every window in flight holds a sender; when the last is gone this ends with an error.
    let Err(crossbeam_channel::RecvError) = all_answered.recv();
    // One that failed is followed by another one.
    if end == ScoutEnd::Ended {
        replay.stream_gone(&stream);
    }
    end
}

struct Scout {
    parts: ScoutParts,
    chooser: Chooser,
    reader: FactsReader,
    assembler: Assembler,
    watch: ScoutWatch,
    hurry: Arc<AtomicBool>,
    in_flight: Sender<Infallible>,
    segment: Option<u64>,
    awaiting_key_unit: bool,
    glimpses: GlimpseTaker,
    /// The file of the last unit.
    file: Option<FilePlace>,
    /// Windows chosen, those of the scouts before it counted.
    windows: u64,
}

impl Scout {
    fn new(
        mut parts: ScoutParts,
        chooser: Chooser,
        watch: ScoutWatch,
        hurry: Arc<AtomicBool>,
        in_flight: Sender<Infallible>,
    ) -> Self {
        if let Some(point) = &parts.cursor.point {
            parts.rng = point.rng.clone();
        }
        Self {
            reader: FactsReader::new(parts.spec.motion_size),
            assembler: Assembler::new(parts.replay.clone()),
            chooser,
            watch,
            hurry,
            in_flight,
            segment: None,
            awaiting_key_unit: true,
            glimpses: GlimpseTaker::default(),
            file: None,
            windows: parts.cursor.point.as_ref().map_or(0, |point| point.windows),
            parts,
        }
    }

    fn run(mut self) -> ScoutEnd {
        loop {
            match self.parts.items.recv() {
                Ok(IngestItem::Unit(unit)) => self.unit(Arc::new(unit)),
                Ok(IngestItem::SegmentEnd { reason, .. }) => {
                    self.end_segment(match reason {
                        SegmentEndReason::EndOfSource => Ending::Whole,
                        SegmentEndReason::Stopped => Ending::Stopped,
                        _ => Ending::Broken,
                    });
                }
                Ok(IngestItem::Ended { over }) => {
                    self.end_segment(Ending::Broken);
                    if over {
                        self.parts.replay.source_over(&self.parts.stream, self.windows);
                    }
                    return ScoutEnd::Ended;
                }
                Err(crossbeam_channel::RecvError) => {
                    self.end_segment(Ending::Broken);
                    return ScoutEnd::Abandoned;
                }
            }
        }
    }

    fn unit(&mut self, unit: Arc<AccessUnit>) {
        if self.segment != Some(unit.segment) {
            self.segment = Some(unit.segment);
            self.awaiting_key_unit = true;
            self.reader.begin_segment();
            self.glimpses.interrupt();
            self.pass_point(&unit);
        }
        let now_unix_ns = (self.parts.wall_clock)();
        self.watch.update(|state| {
            state.units += 1;
            state.last_unit_unix_ns = Some(now_unix_ns);
        });
        // Without its references a picture cannot be read: the demuxer knows where to begin.
        if self.awaiting_key_unit && !unit.key_unit {
            let outcome =
                self.choose(|chooser, demand, rng| chooser.skip_before_key_frame(&unit, demand, rng));
            return self.follow(outcome);
        }
        self.awaiting_key_unit = false;
        self.chooser.hold_at_most(self.parts.allowance.share_bytes());
        let read = self.reader.read(&unit.data);
        if let Some(error) = &read.error {
            self.error(&unit, error);
            if error.loses_picture() {
                return;
            }
        }
        match read.content {
            UnitContent::NoPicture => unit.receipt.settle(Fate::Skipped(SkipReason::NotChosen)),
            UnitContent::SecondField => self.chooser.push_second_field(unit),
            UnitContent::Picture(facts) => {
                if facts.random_access {
                    let arrival = unit.arrival_unix_ns;
                    self.watch
                        .update(|state| state.last_key_frame_unix_ns = Some(arrival));
                }
                if let Some(glimpse) = self.glimpses.take(&unit, facts.random_access) {
                    self.watch.show(glimpse);
                }
                let outcome = self.choose(|chooser, demand, rng| chooser.push(unit, facts, demand, rng));
                self.follow(outcome);
            }
        }
    }

    /// Before the first unit of a file: nothing is held, so another scout could begin here.
    fn pass_point(&mut self, unit: &AccessUnit) {
        let file = &unit.format.file;
        if file.is_none() || *file == self.file {
            return;
        }
        if let Some((frames_before, last_window)) = self.chooser.between_segments() {
            let point = ResumePoint {
                file: file.clone(),
                segment: unit.segment,
                unit: unit.index,
                windows: self.windows,
                frames_before,
                last_window,
                rng: self.parts.rng.clone(),
            };
            self.parts.replay.pass_point(&self.parts.stream, point);
        }
        self.file.clone_from(file);
    }

    /// Counts, settles and, where the picture is lost, ends what cannot go on without it.
    fn error(&mut self, unit: &AccessUnit, error: &ReadError) {
        if let ReadError::Bitstream(DecodeError::AwaitingRandomAccess { .. }) = error {
            // The loss itself was told; this is its consequence.
            unit.receipt.settle(Fate::Skipped(SkipReason::BeforeKeyFrame));
            return;
        }
        let text = format!("segment {}, access unit {}: {error}", unit.segment, unit.index);
        self.watch
            .complain(error.kind(), &text, (self.parts.wall_clock)());
        if error.loses_picture() {
            unit.receipt.settle(Fate::Dropped(match error {
                ReadError::Bitstream(DecodeError::Unsupported { .. }) => DropReason::UnsupportedBitstream,
                _ => DropReason::CorruptBitstream,
            }));
            let outcome = self.choose(Chooser::interrupt);
            self.follow(outcome);
        }
    }

    fn end_segment(&mut self, ending: Ending) {
        let outcome = self.choose(|chooser, demand, rng| chooser.end_segment(ending, demand, rng));
        self.follow(outcome);
    }

    fn choose(
        &mut self,
        act: impl FnOnce(&mut Chooser, &mut dyn FnMut() -> Demand, &mut ChaCha8Rng) -> Outcome,
    ) -> Outcome {
        let (replay, pace, stream) = (&self.parts.replay, self.parts.pace, &self.parts.stream);
        let mut demand = || match pace {
            // It waits until somebody does.
            Pace::File => Demand::Now,
            Pace::Live if replay.wants_from(stream) => Demand::Now,
            Pace::Live => Demand::Shed(DropReason::ReplayFull),
        };
        let outcome = act(&mut self.chooser, &mut demand, &mut self.parts.rng);
        let stats = self.chooser.stats();
        self.watch.update(|state| state.chooser = stats);
        outcome
    }

    fn follow(&mut self, outcome: Outcome) {
        for notice in outcome.notices {
            let now_unix_ns = (self.parts.wall_clock)();
            match &notice {
                // Each is named: a folder's short videos are told one by one.
                Notice::ShortVideo { .. } | Notice::NoKeyFrame { .. } => {
                    tracing::warn!(stream = %self.parts.stream, "{notice}");
                }
                Notice::GopTooLong { .. } => self.watch.complain("gop_too_long", &notice, now_unix_ns),
                Notice::OutOfOrder { .. } => self.watch.complain("out_of_order", &notice, now_unix_ns),
            }
        }
        for choice in outcome.choices {
            self.submit(choice);
        }
    }

    /// A place for the window's sample, or what becomes of its units without one. A file waits for it.
    fn place(&self, ticket: Option<&Ticket>) -> Result<Place, Fate> {
        let Some(ticket) = ticket else {
            let promised = self.parts.replay.promise(&self.parts.stream);
            return promised.map_err(|refused| PlanFailed::Replay(refused).fate());
        };
        loop {
            match self.parts.replay.wait_for_turn(ticket, HURRY_POLL) {
                Turn::Now(place) => return Ok(place),
                Turn::NotYet if !self.hurry.load(Ordering::Relaxed) => {}
                Turn::NotYet | Turn::Closed => return Err(Fate::Dropped(DropReason::Stopping)),
            }
        }
    }

    fn submit(&mut self, choice: Choice) {
        let Choice { plan, job } = choice;
        self.windows += 1;
        let ticket = match self.parts.pace {
            Pace::File => Some(Ticket {
                stream: self.parts.stream.clone(),
                number: self.windows,
            }),
            Pace::Live => None,
        };
        if self.parts.cursor.is_settled(self.windows) {
            return plan.settle(Fate::Skipped(SkipReason::LearnedBefore));
        }
        let place = match self.place(ticket.as_ref()) {
            Ok(place) => place,
            Err(fate) => return plan.settle(fate),
        };
        let plan = Arc::new(plan);
        let is_file = ticket.is_some();
        let reply = {
            let (plan, assembler, watch) = (plan.clone(), self.assembler.clone(), self.watch.clone());
            let (wall_clock, in_flight) = (self.parts.wall_clock.clone(), self.in_flight.clone());
            Box::new(move |decoded| {
                let taken = assembler.finish(&plan, ticket.as_ref(), place, decoded);
                watch.update(|state| {
                    state.in_flight -= 1;
                    *match taken {
                        Ok(_) => &mut state.samples,
                        Err(_) => &mut state.plans_failed,
                    } += 1;
                });
                match &taken {
                    Ok(_) | Err(PlanFailed::Replay(_)) => {}
                    Err(failed) => watch.complain("decode_failed", failed, wall_clock()),
                }
                drop(in_flight);
            })
        };
        self.watch.update(|state| state.in_flight += 1);
        if is_file {
            self.parts.decoders.submit(job, reply);
        } else if let Err(QueueFull { .. }) = self.parts.decoders.try_submit(job, reply) {
            plan.settle(Fate::Dropped(DropReason::DecodersBusy));
            self.watch.update(|state| {
                state.in_flight -= 1;
                state.decoders_busy += 1;
            });
        }
    }
}
