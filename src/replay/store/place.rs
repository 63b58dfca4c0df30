use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use super::{Inner, InsertRefused, Replay};
use crate::ingest::StreamName;
use crate::replay::Sample;

/// The right to bring one sample, given before the work of making it is done: neither is a decoder held up by a trainer that is
/// behind, nor is a sample decoded and then refused. Dropped, it goes back.
#[must_use]
pub struct Place {
    /// None in a fixed order, where the trainer's thread takes samples in.
    replay: Option<Arc<Replay>>,
}

/// What [`Replay::wait_for_turn`] says.
pub enum Turn {
    /// The sample is wanted.
    Now(Place),
    /// Not yet.
    NotYet,
    /// No sample is wanted any more.
    Closed,
}

impl Place {
    pub(in crate::replay) fn in_order() -> Self {
        Self { replay: None }
    }

    /// Its sample comes.
    pub(super) fn fill(mut self, inner: &mut Inner) {
        if self.replay.take().is_some() {
            inner.promised -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(replay) = self.replay.take() {
            replay.lock().promised -= 1;
            replay.drawn.notify_all();
        }
    }
}

/// The door for live streams.
impl Replay {
    /// Whether [`Self::promise`] would give this stream a place now. A live stream asks before it chooses a window.
    pub fn wants_from(&self, stream: &StreamName) -> bool {
        let mut inner = self.lock();
        !inner.closed && inner.has_place_for(stream)
    }

    /// A place for one sample of the stream, at once or not at all.
    pub fn promise(self: &Arc<Self>, stream: &StreamName) -> Result<Place, InsertRefused> {
        let mut inner = self.lock();
        let now = Instant::now();
        inner.shares.asks(stream, now);
        let left = inner.shares.behind(stream, now);
        inner.refuse(left)?;
        Ok(self.place(inner, stream))
    }

    /// Takes the sample of a place.
    pub fn insert_at(&self, place: Place, sample: Sample) -> Result<(), InsertRefused> {
        let mut inner = self.lock();
        place.fill(&mut inner);
        self.insert(inner, sample).map(drop)
    }

    pub(super) fn place(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, stream: &StreamName) -> Place {
        inner.promised += 1;
        inner.shares.took(stream);
        Place {
            replay: Some(self.clone()),
        }
    }
}

impl Inner {
    /// Whether one more sample of this stream may come, with a place left to each stream that should go before it.
    pub(super) fn has_place_for(&mut self, stream: &StreamName) -> bool {
        let now = Instant::now();
        self.shares.asks(stream, now);
        let left = self.shares.behind(stream, now);
        self.limiter.may_insert_beside(self.promised, left) && self.has_memory()
    }

    /// Counts and names what keeps a sample from coming in now; `left` places are for others.
    pub(super) fn refuse(&mut self, left: usize) -> Result<(), InsertRefused> {
        if self.closed {
            return Err(InsertRefused::Closed);
        }
        if !self.limiter.may_insert_beside(self.promised, left) {
            self.refused += 1;
            return Err(InsertRefused::TrainerBehind);
        }
        if !self.has_memory() {
            self.refused_by_spill += 1;
            return Err(InsertRefused::SpillBehind);
        }
        Ok(())
    }
}
