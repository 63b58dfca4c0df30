use std::sync::PoisonError;
use std::time::Duration;

use super::super::arrivals::Next;
use super::{Inner, InsertRefused, Replay};
use crate::ingest::StreamName;
use crate::replay::{Sample, StreamCursor, Ticket};
use crate::window::ResumePoint;

/// Windows of one stream that may wait for their turn, at least: one is decoded while another waits.
const LEAST_ROOM: usize = 2;

/// The door for streams that can be read again: each window has a [`Ticket`], so that a checkpoint knows which were settled.
impl Replay {
    /// From now on samples come in on the thread that draws, stream by stream in this order, one each, as many as the limiter
    /// allows before each draw. What is stored and drawn then depends on the streams' samples alone, not on threads and load.
    /// To be called before anything arrives.
    pub fn fix_order(&self, streams: Vec<StreamName>) {
        let mut inner = self.lock();
        let a_draw = (self.largest_batch as f64 / inner.limiter.samples_per_insert()).ceil() as usize;
        let room = (a_draw / streams.len().max(1) + 1).max(LEAST_ROOM);
        inner.arrivals.fix_order(streams, room as u64);
    }

    /// Tells `observer` of every sample that is taken, with its id. It must be quick and leave this replay alone, which waits.
    pub fn observe(&self, observer: impl Fn(&Sample) + Send + 'static) {
        self.lock().observer = Some(Box::new(observer));
    }

    /// Where a stream's scout begins: where the last one with these settings was, if its source can be read `again`; else at
    /// the source's beginning.
    pub fn begin_stream(&self, stream: &StreamName, settings: &str, again: bool) -> StreamCursor {
        self.lock().arrivals.begin(stream, settings, again)
    }

    /// Whether a source, read with these settings, has given all that it has.
    pub fn is_over(&self, stream: &StreamName, settings: &str) -> bool {
        self.lock().arrivals.is_over(stream, settings)
    }

    /// A scout has come to a point that another one can begin at.
    pub fn pass_point(&self, stream: &StreamName, point: ResumePoint) {
        self.lock().arrivals.point(stream, point);
    }

    /// A stream's source is over; so many windows were chosen in it.
    pub fn source_over(&self, stream: &StreamName, windows: u64) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.arrivals.source_over(stream, windows);
        }
        drop(inner);
        self.stored.notify_all();
    }

    /// A stream's scout has ended, and all its windows were answered: in a fixed order nobody waits for it any more.
    pub fn stream_gone(&self, stream: &StreamName) {
        self.lock().arrivals.gone(stream);
        self.stored.notify_all();
    }

    /// Waits until the window's sample is wanted; false when replay is closed, none when it is not wanted by `patience`.
    pub fn wait_for_turn(&self, ticket: &Ticket, patience: Duration) -> Option<bool> {
        let too_soon = |inner: &mut Inner| !inner.closed && !inner.may_arrive(ticket);
        let waited = self.drawn.wait_timeout_while(self.lock(), patience, too_soon);
        let (inner, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        match waited.timed_out() {
            true => None,
            false => Some(!inner.closed),
        }
    }

    /// Takes the window's sample, waiting while training is behind. In a fixed order it is put aside, and taken when its turn
    /// comes.
    pub fn arrive(&self, ticket: &Ticket, sample: Sample) -> Result<(), InsertRefused> {
        let mut inner = self.lock();
        if inner.arrivals.has_fixed_order() {
            if inner.closed {
                return Err(InsertRefused::Closed);
            }
            inner.arrivals.park(ticket, Some(sample));
            drop(inner);
            self.stored.notify_all();
            return Ok(());
        }
        let began = std::time::Instant::now();
        while !inner.closed && !inner.may_take() {
            inner = self.drawn.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.insert_wait += began.elapsed();
        let (result, evicted) = inner.take(sample);
        // A sample that came too late is made again by whoever goes on from the checkpoint.
        if result != Err(InsertRefused::Closed) {
            inner.arrivals.settle(ticket);
        }
        drop(inner);
        self.stored.notify_all();
        drop(evicted);
        result.map(drop)
    }

    /// The window gives no sample.
    pub fn give_up(&self, ticket: &Ticket) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        match inner.arrivals.has_fixed_order() {
            true => inner.arrivals.park(ticket, None),
            false => inner.arrivals.settle(ticket),
        }
        drop(inner);
        self.stored.notify_all();
    }

    /// In a fixed order: takes what has its turn, as much as the limiter allows.
    pub(super) fn take_in_turn(&self, inner: &mut Inner) {
        if !inner.arrivals.has_fixed_order() {
            return;
        }
        let mut taken = false;
        while !inner.closed && inner.limiter.may_insert() {
            inner.spill_in_turn();
            match inner.arrivals.next() {
                Next::Sample(sample) => {
                    // What became of it is in the figures; its access units were used either way.
                    let _ = inner.take(*sample);
                }
                Next::Nothing => {}
                Next::NotYet => break,
                Next::Over => {
                    inner.sources_ended = true;
                    break;
                }
            }
            taken = true;
        }
        if taken {
            self.drawn.notify_all();
        }
    }
}

impl Inner {
    fn may_arrive(&mut self, ticket: &Ticket) -> bool {
        match self.arrivals.has_fixed_order() {
            true => self.arrivals.has_room(ticket),
            false => self.may_take(),
        }
    }
}
