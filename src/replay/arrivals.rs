use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::ingest::{FirstNumbers, StreamName};
use crate::window::ResumePoint;

/// One window of a stream that can be read again: the number-th, counted from 1, in the order in which they were chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The stream.
    pub stream: StreamName,
    /// Which of its windows.
    pub number: u64,
}

/// How far a stream has come: what a checkpoint keeps of it, and where its scout begins.
///
/// A window is settled when its sample was taken, not kept by the policy, or could not be made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamCursor {
    /// What the choice of windows depends on beside the video: with other settings the numbers mean other windows.
    pub settings: String,
    /// The latest point with no unsettled window before it; none: the source's beginning.
    pub point: Option<ResumePoint>,
    /// Windows 1 to this one are settled.
    pub settled: u64,
    /// Settled windows beyond: decoders finish in any order.
    pub settled_beyond: BTreeSet<u64>,
    /// The source is over and all its windows are settled.
    pub over: bool,
    /// Number of the first segment from the source's beginning on.
    pub first_segment: u64,
    /// The first segment number that no sample has.
    pub next_segment: u64,
}

impl StreamCursor {
    /// Whether this window's sample was taken already, or given up.
    pub fn is_settled(&self, number: u64) -> bool {
        number <= self.settled || self.settled_beyond.contains(&number)
    }

    /// What the first segment and unit are called that come now.
    pub fn first_numbers(&self) -> FirstNumbers {
        let beginning = FirstNumbers {
            segment: self.first_segment,
            unit: 0,
        };
        self.point.as_ref().map_or(beginning, |point| FirstNumbers {
            segment: point.segment,
            unit: point.unit,
        })
    }

    /// The source will be read from its beginning; its segments get numbers of their own.
    fn rewind(&mut self) {
        *self = Self {
            first_segment: self.next_segment,
            next_segment: self.next_segment,
            ..Self::default()
        };
    }
}

/// Where every stream is, and the order in which their samples come in.
#[derive(Default)]
pub(super) struct Arrivals {
    streams: BTreeMap<StreamName, Arriving>,
    /// With a fixed order: the streams that may still give something, and whose turn it is.
    rotation: Option<Rotation>,
}

#[derive(Default)]
struct Arriving {
    cursor: StreamCursor,
    /// Points after the cursor's, for which windows before them are to be settled first.
    points: VecDeque<ResumePoint>,
    /// The source is over after so many windows.
    windows: Option<u64>,
    /// Nothing further comes of it in this run, over or not.
    gone: bool,
    /// Samples that wait for their turn; `None` for a window that gave none.
    parked: BTreeMap<u64, Option<Sample>>,
}

struct Rotation {
    order: Vec<StreamName>,
    turn: usize,
    /// Windows of one stream that may wait for their turn, or be decoded meanwhile.
    room: u64,
}

/// What is next in a fixed order.
pub(super) enum Next {
    /// This sample.
    Sample(Box<Sample>),
    /// A window that gave none was passed over.
    Nothing,
    /// The stream whose turn it is has not said yet.
    NotYet,
    /// No stream will give any more.
    Over,
}

impl Arriving {
    fn settle(&mut self, number: u64) {
        let cursor = &mut self.cursor;
        if number > cursor.settled {
            cursor.settled_beyond.insert(number);
        }
        while cursor.settled_beyond.remove(&(cursor.settled + 1)) {
            cursor.settled += 1;
        }
        self.advance();
    }

    /// Takes the latest point that all settled windows allow.
    fn advance(&mut self) {
        while self
            .points
            .front()
            .is_some_and(|point| point.windows <= self.cursor.settled)
        {
            self.cursor.point = self.points.pop_front();
        }
        self.cursor.over = self.windows == Some(self.cursor.settled);
    }
}

impl Arrivals {
    fn of(&mut self, stream: &StreamName) -> &mut Arriving {
        self.streams.entry(stream.clone()).or_default()
    }

    /// From now on samples come in stream by stream in this order, one each, whatever was decoded first.
    pub fn fix_order(&mut self, order: Vec<StreamName>, room: u64) {
        self.rotation = Some(Rotation { order, turn: 0, room });
    }

    pub fn has_fixed_order(&self) -> bool {
        self.rotation.is_some()
    }

    /// Where a stream's scout begins: where the last one with these settings was, if its source can be read `again`; else at
    /// the source's beginning.
    pub fn begin(&mut self, stream: &StreamName, settings: &str, again: bool) -> StreamCursor {
        let arriving = self.of(stream);
        arriving.points.clear();
        arriving.windows = None;
        arriving.gone = false;
        if !again || settings != arriving.cursor.settings {
            arriving.cursor.rewind();
            arriving.parked.clear();
            settings.clone_into(&mut arriving.cursor.settings);
        }
        arriving.cursor.clone()
    }

    /// Whether a source, read with these settings, has given all that it has.
    pub fn is_over(&self, stream: &StreamName, settings: &str) -> bool {
        let is_over = |arriving: &Arriving| arriving.cursor.over && arriving.cursor.settings == settings;
        self.streams.get(stream).is_some_and(is_over)
    }

    /// A scout has come to a point between two files.
    pub fn point(&mut self, stream: &StreamName, point: ResumePoint) {
        let arriving = self.of(stream);
        // Files without a window give points of the same number: the latest spares reading them again.
        if arriving
            .points
            .back()
            .is_some_and(|last| last.windows == point.windows)
        {
            arriving.points.pop_back();
        }
        arriving.points.push_back(point);
        arriving.advance();
    }

    /// A source is over; so many windows were chosen in it.
    pub fn source_over(&mut self, stream: &StreamName, windows: u64) {
        let arriving = self.of(stream);
        arriving.windows = Some(windows);
        arriving.advance();
    }

    /// A stream's scout has ended, and all its windows were answered.
    pub fn gone(&mut self, stream: &StreamName) {
        self.of(stream).gone = true;
    }

    /// Whether, with a fixed order, one more window of the stream may be decoded.
    pub fn has_room(&mut self, ticket: &Ticket) -> bool {
        let room = self.rotation.as_ref().map_or(u64::MAX, |rotation| rotation.room);
        let settled = self.of(&ticket.stream).cursor.settled;
        ticket.number <= settled.saturating_add(room)
    }

    /// A sample, or none, waits for its turn.
    pub fn park(&mut self, ticket: &Ticket, sample: Option<Sample>) {
        let arriving = self.of(&ticket.stream);
        if ticket.number > arriving.cursor.settled {
            arriving.parked.insert(ticket.number, sample);
        }
    }

    /// Samples of the stream that wait for their turn become windows that gave none; returns how many.
    pub fn forget_parked(&mut self, stream: &StreamName) -> usize {
        let waiting = self.streams.get_mut(stream).into_iter();
        let samples = waiting.flat_map(|arriving| arriving.parked.values_mut());
        samples.filter_map(Option::take).count()
    }

    /// A window is done with.
    pub fn settle(&mut self, ticket: &Ticket) {
        self.of(&ticket.stream).settle(ticket.number);
    }

    /// A sample of this stream and segment was taken.
    pub fn took(&mut self, stream: &StreamName, segment: u64) {
        let next = &mut self.of(stream).cursor.next_segment;
        *next = (*next).max(segment + 1);
    }

    /// Takes what is next in a fixed order, and passes the turn on.
    pub fn next(&mut self) -> Next {
        let Some(rotation) = &mut self.rotation else {
            return Next::NotYet;
        };
        while let Some(stream) = rotation.order.get(rotation.turn) {
            let arriving = self.streams.entry(stream.clone()).or_default();
            let number = arriving.cursor.settled + 1;
            let has_failed = arriving.gone && !arriving.parked.contains_key(&number);
            if arriving.cursor.over || has_failed {
                rotation.order.remove(rotation.turn);
                rotation.turn %= rotation.order.len().max(1);
                continue;
            }
            let Some(parked) = arriving.parked.remove(&number) else {
                return Next::NotYet;
            };
            arriving.settle(number);
            rotation.turn = (rotation.turn + 1) % rotation.order.len();
            return match parked {
                Some(sample) => Next::Sample(Box::new(sample)),
                None => Next::Nothing,
            };
        }
        Next::Over
    }

    /// For a checkpoint: every stream's cursor, and whose turn it is.
    pub fn export(&self) -> (BTreeMap<String, StreamCursor>, Option<String>) {
        let cursors = self
            .streams
            .iter()
            .map(|(stream, arriving)| (stream.to_string(), arriving.cursor.clone()));
        let turn = self
            .rotation
            .as_ref()
            .and_then(|rotation| rotation.order.get(rotation.turn).map(StreamName::to_string));
        (cursors.collect(), turn)
    }

    /// Goes on from a checkpoint. After a run that had come to its end (`finished`), every source begins anew.
    pub fn import(&mut self, cursors: &BTreeMap<String, StreamCursor>, turn: Option<&str>, finished: bool) {
        for (stream, cursor) in cursors {
            let Some(stream) = StreamName::new(stream) else {
                continue;
            };
            let arriving = self.of(&stream);
            arriving.cursor = cursor.clone();
            if finished {
                arriving.cursor.rewind();
            }
        }
        if let (Some(rotation), Some(turn)) = (&mut self.rotation, turn)
            && let Some(place) = rotation.order.iter().position(|stream| stream.as_str() == turn)
        {
            rotation.turn = place;
        }
    }
}
