use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::arrivals::Next;
use super::{Inner, InsertRefused, Place, Replay, Turn};
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
        let mut inner = self.lock();
        inner.arrivals.gone(stream);
        inner.shares.gone(stream);
        drop(inner);
        self.stored.notify_all();
    }

    /// Waits up to `patience` until the window's sample is wanted.
    pub fn wait_for_turn(self: &Arc<Self>, ticket: &Ticket, patience: Duration) -> Turn {
        let began = Instant::now();
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return Turn::Closed;
            }
            if inner.arrivals.has_fixed_order() {
                if inner.arrivals.has_room(ticket) {
                    return Turn::Now(Place::in_order());
                }
            } else if inner.has_place_for(&ticket.stream) {
                inner.insert_wait += began.elapsed();
                return Turn::Now(self.place(inner, &ticket.stream));
            }
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                inner.insert_wait += began.elapsed();
                return Turn::NotYet;
            }
            inner = match self.drawn.wait_timeout(inner, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Takes the window's sample. In a fixed order it is put aside, and taken when its turn comes.
    pub fn arrive(&self, ticket: &Ticket, place: Place, sample: Sample) -> Result<(), InsertRefused> {
        let mut inner = self.lock();
        place.fill(&mut inner);
        if inner.arrivals.has_fixed_order() {
            if inner.closed {
                return Err(InsertRefused::Closed);
            }
            inner.arrivals.park(ticket, Some(sample));
            drop(inner);
            self.stored.notify_all();
            return Ok(());
        }
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
