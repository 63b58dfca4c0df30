use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crossbeam_channel::{SendTimeoutError, Sender, TrySendError};
use gstreamer::{self as gst};

use super::{
    AccessUnit, ByteBudget, ByteCredit, CreditError, DropReason, Fate, FilePlace, Ledger, Receipt,
    SegmentEndReason, VideoFormat,
    parameter_sets::ParameterSets,
    pipeline::{self, UnitSink},
    segmenter::{Continuity, EndedSegment, Segmenter},
};

/// What comes out of a stream, in order.
#[derive(Debug)]
pub enum IngestItem {
    /// The next access unit.
    Unit(AccessUnit),
    /// No further unit of this segment will come. Also said of a segment whose only unit was dropped on the way.
    SegmentEnd {
        /// The segment.
        segment: u64,
        /// Why it is over.
        reason: SegmentEndReason,
    },
    /// Nothing further will come; the last item.
    Ended {
        /// The source itself came to its end: it was not stopped, and did not fail.
        over: bool,
    },
}

/// Nanoseconds since the Unix epoch, by the clock on the wall.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a source does when comove does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overload {
    /// Waits: files.
    Block,
    /// Sheds whole GOPs: live sources. A P picture after a gap lies.
    Shed,
}

/// A waiting source looks this often whether it was told to stop.
const POLL: Duration = Duration::from_millis(50);

/// The door through which one stream's access units come in, one pipeline after another: books them in the ledger, takes
/// byte credit, numbers units and segments, and hands them on.
///
/// The only sender on its channel. Called on GStreamer's streaming thread, and on a teardown thread when that has ended.
pub(super) struct Intake {
    ledger: Ledger,
    budget: ByteBudget,
    items: Sender<IngestItem>,
    wall_clock: WallClock,
    overload: Overload,
    /// Held while a unit is on its way in.
    passage: Mutex<()>,
    state: Mutex<State>,
    waiting: AtomicBool,
    units: AtomicU64,
    shed_units: AtomicU64,
    segments: AtomicU64,
}

struct State {
    segmenter: Segmenter,
    next_index: u64,
    shedding: bool,
    /// What the present pipeline has open.
    place: String,
    file: Option<FilePlace>,
    format: Option<(gst::Caps, Arc<VideoFormat>)>,
    time_segment: Option<(Option<u64>, Option<u64>)>,
    parameter_sets: ParameterSets,
    /// Ends that found no room yet; they go ahead of whatever comes next.
    pending: VecDeque<IngestItem>,
}

/// One pipeline's way through the intake; closed, it lets nothing in any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn close(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IntakeProgress {
    /// Access units that came, shed ones too.
    pub units: u64,
    /// Access units shed.
    pub shed_units: u64,
    /// Segments that have ended.
    pub segments: u64,
    /// A unit waits for memory or for room behind the door: silence is not the source's fault.
    pub waiting: bool,
}

/// What the first segment and the first unit of a stream are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstNumbers {
    /// The first segment.
    pub segment: u64,
    /// The first unit's index.
    pub unit: u64,
}

/// A unit that has come in but is not yet on its way.
struct Arrival {
    data: Bytes,
    key_unit: bool,
    /// It brought other parameter sets than those in force.
    new_sets: bool,
    receipt: Receipt,
    index: u64,
}

impl Intake {
    /// # Panics
    /// If `items` has room for fewer than two items: a segment's end and the unit behind it must fit.
    pub fn new(
        ledger: Ledger,
        budget: ByteBudget,
        items: Sender<IngestItem>,
        wall_clock: WallClock,
        overload: Overload,
        time_jump: Duration,
        first: FirstNumbers,
    ) -> Self {
        assert!(
            items.capacity().is_none_or(|room| room >= 2),
            "room for two items"
        );
        let mut segmenter = Segmenter::new(time_jump);
        segmenter.number_from(first.segment);
        Self {
            ledger,
            budget,
            items,
            wall_clock,
            overload,
            passage: Mutex::new(()),
            state: Mutex::new(State {
                segmenter,
                next_index: first.unit,
                shedding: false,
                place: String::new(),
                file: None,
                format: None,
                time_segment: None,
                parameter_sets: ParameterSets::default(),
                pending: VecDeque::new(),
            }),
            waiting: AtomicBool::new(false),
            units: AtomicU64::new(0),
            shed_units: AtomicU64::new(0),
            segments: AtomicU64::new(0),
        }
    }

    pub fn progress(&self) -> IntakeProgress {
        IntakeProgress {
            units: self.units.load(Ordering::Relaxed),
            shed_units: self.shed_units.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// The format of the last unit.
    pub fn format(&self) -> Option<Arc<VideoFormat>> {
        self.lock().format.as_ref().map(|(_, format)| format.clone())
    }

    /// Waits until no unit is on its way in: soon after the gate was closed. Then ends can be said without one overtaking
    /// them.
    pub fn wait_until_clear(&self) {
        drop(self.passage.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the current segment, if it has units. Does not wait: see [`Self::flush`].
    pub fn end_segment(&self, reason: SegmentEndReason) {
        let mut state = self.lock();
        // The next pipeline starts afresh.
        state.format = None;
        state.time_segment = None;
        state.shedding = false;
        state.parameter_sets = ParameterSets::default();
        if let Some(ended) = state.segmenter.end(reason) {
            self.segments.fetch_add(1, Ordering::Relaxed);
            state.pending.push_back(segment_end(ended));
        }
        drop(state);
        self.flush();
    }

    /// Says that nothing will come any more, and whether the source is `over`. Does not wait: see [`Self::flush`].
    pub fn finish(&self, over: bool) {
        self.lock().pending.push_back(IngestItem::Ended { over });
        self.flush();
    }

    /// Sends what ends have found no room so far. To be called now and then, because a stream that gives nothing more has
    /// no other occasion. True when nothing is left to send.
    pub fn flush(&self) -> bool {
        let mut state = self.lock();
        while let Some(item) = state.pending.pop_front() {
            match self.items.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item)) => {
                    state.pending.push_front(item);
                    return false;
                }
                Err(TrySendError::Disconnected(_)) => state.pending.clear(),
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, gate: &Gate, sample: &gst::Sample) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let _passing = self.passage.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.is_closed() {
            return Err(gst::FlowError::Flushing);
        }
        let arrival = self
            .book(buffer, pipeline::is_key_unit(sample))
            .ok_or(gst::FlowError::Error)?;
        // A file source may wait here for long, so without the lock.
        let credit = match self.overload {
            Overload::Block => self
                .wait_for_credit(gate, &arrival)
                .ok_or(gst::FlowError::Flushing)?,
            Overload::Shed => match self.credit_or_shed(&arrival) {
                Some(credit) => credit,
                None => return Ok(gst::FlowSuccess::Ok),
            },
        };
        let mut state = self.lock();
        let (unit, ended) = self.complete(&mut state, arrival, credit, sample, buffer, caps);
        let mut items: VecDeque<_> = state.pending.drain(..).collect();
        items.extend(ended.map(segment_end));
        items.push_back(IngestItem::Unit(unit));
        // Room was made sure of for live sources: only a file source waits below, and nobody else sends meanwhile.
        drop(state);
        while let Some(item) = items.pop_front() {
            if let Err(item) = self.send(item, gate) {
                items.push_front(item);
                self.take_back(items);
                return Err(gst::FlowError::Flushing);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }

    /// The gate closed on the way: ends are kept for later, the unit is dropped.
    fn take_back(&self, items: VecDeque<IngestItem>) {
        let mut state = self.lock();
        for item in items.into_iter().rev() {
            match item {
                IngestItem::Unit(unit) => unit.receipt.settle(Fate::Dropped(DropReason::Stopping)),
                end => state.pending.push_front(end),
            }
        }
    }

    /// Copies a unit and enters it in the ledger. None where the buffer cannot be read.
    fn book(&self, buffer: &gst::BufferRef, key_unit: bool) -> Option<Arrival> {
        // Copied, because a mapped buffer can keep much more memory alive than the unit has bytes.
        let data = Bytes::copy_from_slice(&buffer.map_readable().ok()?);
        let mut state = self.lock();
        let data = state.parameter_sets.complete(data, key_unit);
        let new_sets = state.parameter_sets.take_replaced();
        let arrival = Arrival {
            key_unit,
            new_sets,
            receipt: self.ledger.receive(data.len()),
            index: state.next_index,
            data,
        };
        state.next_index += 1;
        self.units.fetch_add(1, Ordering::Relaxed);
        Some(arrival)
    }

    /// Files: credit, however long it takes. None when the source is told to stop; the unit is settled then.
    fn wait_for_credit(&self, gate: &Gate, arrival: &Arrival) -> Option<ByteCredit> {
        let bytes = arrival.data.len();
        if let Ok(credit) = self.budget.try_acquire(bytes) {
            return Some(credit);
        }
        self.waiting.store(true, Ordering::Relaxed);
        let credit = loop {
            match self.budget.acquire(bytes, POLL) {
                Ok(credit) => break Some(credit),
                Err(CreditError::Exhausted) if !gate.is_closed() => {}
                Err(CreditError::Exhausted | CreditError::Closed) => break None,
            }
        };
        self.waiting.store(false, Ordering::Relaxed);
        if credit.is_none() {
            arrival.receipt.settle(Fate::Dropped(DropReason::Stopping));
        }
        credit
    }

    /// Live: credit for this unit and room for it and a segment's end, or the GOP is shed from here to the next key unit.
    fn credit_or_shed(&self, arrival: &Arrival) -> Option<ByteCredit> {
        let mut state = self.lock();
        let resumes = !state.shedding || arrival.key_unit;
        let room = self
            .items
            .capacity()
            .is_none_or(|capacity| self.items.len() + state.pending.len() + 2 <= capacity);
        let credit = (resumes && room).then(|| self.budget.try_acquire(arrival.data.len()));
        match credit {
            Some(Ok(credit)) => {
                state.shedding = false;
                Some(credit)
            }
            Some(Err(CreditError::Closed)) => {
                arrival.receipt.settle(Fate::Dropped(DropReason::Stopping));
                None
            }
            Some(Err(CreditError::Exhausted)) | None => {
                state.shedding = true;
                state.segmenter.cut(SegmentEndReason::Shed);
                self.shed_units.fetch_add(1, Ordering::Relaxed);
                arrival.receipt.settle(Fate::Dropped(DropReason::NoCredit));
                None
            }
        }
    }

    /// Says what the next pipeline has open. Its first unit begins a segment, whatever its caps.
    pub fn enter(&self, place: &str, file: Option<FilePlace>) {
        let mut state = self.lock();
        if state.place != place || state.file != file {
            place.clone_into(&mut state.place);
            state.file = file;
            state.format = None;
        }
    }

    /// Gives the unit its place: format, segment, times.
    fn complete(
        &self,
        state: &mut State,
        arrival: Arrival,
        credit: ByteCredit,
        sample: &gst::Sample,
        buffer: &gst::BufferRef,
        caps: &gst::CapsRef,
    ) -> (AccessUnit, Option<EndedSegment>) {
        let known = state.format.as_ref().filter(|(known, _)| known.as_ref() == caps);
        let (new_format, format) = match known {
            Some((_, format)) => (false, format.clone()),
            None => {
                let format = Arc::new(VideoFormat {
                    file: state.file.clone(),
                    ..video_format(caps, &state.place)
                });
                let changed = state.format.is_some();
                state.format = Some((caps.to_owned(), format.clone()));
                (changed, format)
            }
        };
        let time_segment = sample
            .segment()
            .and_then(|segment| segment.downcast_ref::<gst::ClockTime>())
            .map(|segment| {
                let ns = |time: Option<gst::ClockTime>| time.map(gst::ClockTime::nseconds);
                (ns(segment.start()), ns(segment.time()))
            });
        let new_time_segment = state.time_segment.is_some() && time_segment != state.time_segment;
        state.time_segment = time_segment;
        let pts_ns = buffer.pts().map(gst::ClockTime::nseconds);
        let dts_ns = buffer.dts().map(gst::ClockTime::nseconds);
        let ended = state.segmenter.next(Continuity {
            new_format: new_format || arrival.new_sets,
            discontinuity: new_time_segment || buffer.flags().contains(gst::BufferFlags::DISCONT),
            pts_ns,
            dts_ns,
        });
        if ended.is_some() {
            self.segments.fetch_add(1, Ordering::Relaxed);
        }
        let unit = AccessUnit {
            data: arrival.data,
            segment: state.segmenter.segment(),
            index: arrival.index,
            pts_ns,
            dts_ns,
            arrival_unix_ns: (self.wall_clock)(),
            key_unit: arrival.key_unit,
            format,
            credit,
            receipt: arrival.receipt,
        };
        (unit, ended)
    }

    /// Sends, waiting for room. The item comes back when the gate closes or nobody listens.
    #[expect(
        clippy::result_large_err,
        reason = "the item itself comes back, as from the channel"
    )]
    fn send(&self, item: IngestItem, gate: &Gate) -> Result<(), IngestItem> {
        let mut item = match self.items.try_send(item) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(item)) => return Err(item),
            Err(TrySendError::Full(item)) => item,
        };
        self.waiting.store(true, Ordering::Relaxed);
        let outcome = loop {
            if gate.is_closed() {
                break Err(item);
            }
            match self.items.send_timeout(item, POLL) {
                Ok(()) => break Ok(()),
                Err(SendTimeoutError::Disconnected(back)) => break Err(back),
                Err(SendTimeoutError::Timeout(back)) => item = back,
            }
        };
        self.waiting.store(false, Ordering::Relaxed);
        outcome
    }
}

/// One pipeline's end of the intake.
pub(super) struct GatedIntake {
    pub intake: Arc<Intake>,
    pub gate: Gate,
}

impl UnitSink for GatedIntake {
    fn take(&mut self, sample: &gst::Sample) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.intake.take(&self.gate, sample)
    }

    fn end(&mut self) {
        if !self.gate.is_closed() {
            self.intake.end_segment(SegmentEndReason::EndOfSource);
        }
    }
}

fn segment_end(ended: EndedSegment) -> IngestItem {
    IngestItem::SegmentEnd {
        segment: ended.segment,
        reason: ended.reason,
    }
}

/// Reads a parsed stream's caps.
pub(super) fn video_format(caps: &gst::CapsRef, place: &str) -> VideoFormat {
    let structure = caps.structure(0);
    let side = |field: &str| {
        let pixels = structure.and_then(|structure| structure.get::<i32>(field).ok());
        pixels
            .and_then(|pixels| u32::try_from(pixels).ok())
            .unwrap_or_default()
    };
    let rate = structure.and_then(|structure| structure.get::<gst::Fraction>("framerate").ok());
    let part = |part: i32| u32::try_from(part).ok();
    VideoFormat {
        caps: caps.to_string(),
        place: place.to_owned(),
        width: side("width"),
        height: side("height"),
        frame_rate: rate
            .and_then(|rate| part(rate.numer()).zip(part(rate.denom())))
            .unwrap_or((0, 1)),
        file: None,
    }
}
