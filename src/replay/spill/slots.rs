use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::segment::Segment;

/// The number of a segment, and a slot in it.
pub(super) type Place = (u64, u32);

/// Which slots there are, and which of them somebody holds.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub segments: BTreeMap<u64, Arc<Segment>>,
    /// Nobody holds them. The lowest are taken first, so that the last files run empty.
    pub free: BTreeSet<Place>,
    /// Those of them that have a sample's bytes still.
    pub stale: BTreeSet<Place>,
    /// Held slots of each segment.
    pub held: BTreeMap<u64, u32>,
    /// Names of segments were made or deleted since the folder was synced.
    pub renamed: bool,
    pub closed: bool,
}

impl Slots {
    /// Adds a segment, all of it free.
    pub fn take_in(&mut self, number: u64, segment: Arc<Segment>) {
        self.free.extend((0..segment.slots).map(|slot| (number, slot)));
        self.segments.insert(number, segment);
    }

    /// False where it is held already, or not there.
    pub fn hold(&mut self, place: Place) -> bool {
        self.stale.remove(&place);
        let was_free = self.free.remove(&place);
        if was_free {
            *self.held.entry(place.0).or_default() += 1;
        }
        was_free
    }

    pub fn let_go(&mut self, place: Place, stale: bool) {
        if let Some(held) = self.held.get_mut(&place.0) {
            *held = held.saturating_sub(1);
        }
        self.free.insert(place);
        if stale {
            self.stale.insert(place);
        }
    }
}
