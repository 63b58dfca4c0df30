use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ingest::StreamName;

/// A stream that asked for a place will ask again within this time: longer than from one window of a live stream to its next.
const ASKS_AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// Samples that a stream may be behind the others and catch up: a camera that was away for a day does not take the next day's places.
const LARGEST_ARREAR: u64 = 32;

/// Who goes first where training is what limits inserts: streams that had fewer samples in than the others.
///
/// Files ask all the time, a live stream only when it has a window, so whoever asks first would mostly be a file. A stream that is
/// ahead of others therefore leaves a place to each of these.
#[derive(Debug, Default)]
pub(super) struct Shares {
    streams: BTreeMap<StreamName, Share>,
    most_taken: u64,
}

#[derive(Debug)]
struct Share {
    taken: u64,
    asked_at: Option<Instant>,
}

impl Shares {
    /// The stream asks for a place.
    pub fn asks(&mut self, stream: &StreamName, now: Instant) {
        self.share(stream).asked_at = Some(now);
    }

    /// The stream has a place.
    pub fn took(&mut self, stream: &StreamName) {
        let least = self.most_taken.saturating_sub(LARGEST_ARREAR);
        let share = self.share(stream);
        share.taken = share.taken.max(least) + 1;
        let taken = share.taken;
        self.most_taken = self.most_taken.max(taken);
    }

    /// The stream wants nothing any more.
    pub fn gone(&mut self, stream: &StreamName) {
        self.streams.remove(stream);
    }

    /// Streams that had fewer than this one, and will ask for more.
    pub fn behind(&self, stream: &StreamName, now: Instant) -> usize {
        let taken = self.streams.get(stream).map_or(0, |share| self.taken(share));
        let is_behind = |share: &&Share| {
            let asks = share
                .asked_at
                .is_some_and(|at| now.saturating_duration_since(at) < ASKS_AGAIN_WITHIN);
            asks && self.taken(share) < taken
        };
        self.streams.values().filter(is_behind).count()
    }

    fn taken(&self, share: &Share) -> u64 {
        share.taken.max(self.most_taken.saturating_sub(LARGEST_ARREAR))
    }

    /// A stream that is new is level with the one furthest behind.
    fn share(&mut self, stream: &StreamName) -> &mut Share {
        let least = self.streams.values().map(|share| self.taken(share)).min();
        self.streams.entry(stream.clone()).or_insert(Share {
            taken: least.unwrap_or(self.most_taken),
            asked_at: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(stream: &str) -> StreamName {
        StreamName::new(stream).unwrap()
    }

    #[test]
    fn who_is_ahead_leaves_a_place_to_each_that_asks_and_only_so_long() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let [file, door, yard] = ["file", "door", "yard"].map(name);
        for stream in [&file, &door, &yard] {
            shares.asks(stream, now);
        }
        assert_eq!(shares.behind(&file, now), 0, "level");
        shares.took(&file);
        assert_eq!(shares.behind(&file, now), 2);
        assert_eq!(shares.behind(&door, now), 0);
        shares.took(&door);
        assert_eq!(shares.behind(&door, now), 1, "the yard");
        assert_eq!(shares.behind(&file, now), 1, "the door is level");
        assert_eq!(shares.behind(&file, now + ASKS_AGAIN_WITHIN), 0);
        shares.gone(&yard);
        assert_eq!(shares.behind(&file, now), 0);
    }

    #[test]
    fn arrears_are_bounded_and_a_new_stream_has_none_of_its_own() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let [file, door, late] = ["file", "door", "late"].map(name);
        shares.asks(&door, now);
        for _ in 0..1000 {
            shares.took(&file);
        }
        let mut caught_up = 0;
        while shares.behind(&door, now) == 0 && caught_up < 1000 {
            shares.took(&door);
            shares.asks(&file, now);
            caught_up += 1;
        }
        assert_eq!(caught_up, LARGEST_ARREAR + 1);
        shares.asks(&late, now);
        assert_eq!(shares.behind(&file, now), 0, "late is level with the last");
    }
}
