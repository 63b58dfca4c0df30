use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;

use super::{Entry, Eviction, SampleId, Victim};

/// First in, first out: the oldest sample makes room.
#[derive(Debug, Default)]
pub struct Fifo {
    // Ids rise with age, and any sample may be removed from outside.
    stored: BTreeSet<SampleId>,
}

impl Eviction for Fifo {
    fn inserted(&mut self, entry: &Entry<'_>) {
        self.stored.insert(entry.id);
    }

    fn removed(&mut self, id: SampleId) {
        self.stored.remove(&id);
    }

    fn victim(&mut self, _incoming: &Entry<'_>, _rng: &mut ChaCha8Rng) -> Victim {
        self.stored
            .first()
            .map_or(Victim::Incoming, |oldest| Victim::Stored(*oldest))
    }
}
