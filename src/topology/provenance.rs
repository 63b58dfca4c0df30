use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::entry::StreamEntry;
use crate::ingest::{Fate, StreamName};
use crate::replay::{Sample, TimeRange};

/// What a checkpoint was learned from, stream by stream. Clones share.
#[derive(Clone, Default)]
pub struct Provenance(Arc<Mutex<Learned>>);

#[derive(Default)]
struct Learned {
    streams: BTreeMap<String, StreamProvenance>,
    /// What the streams of this run count themselves.
    followed: BTreeMap<String, Arc<StreamEntry>>,
}

/// What was learned from one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamProvenance {
    /// Where it came from, without credentials.
    pub source: String,
    /// Samples that replay took from it.
    pub samples: u64,
    /// Presentation times of their pictures in the source's time base, all segments together.
    pub pts_ns: Option<(u64, u64)>,
    /// Arrival of their pictures, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: Option<(u64, u64)>,
    /// Access units that came.
    #[serde(default)]
    pub access_units: u64,
    /// Access units lost, by reason.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Times that its source was opened again after a failure.
    #[serde(default)]
    pub reconnects: u64,
}

impl StreamProvenance {
    fn add_losses_of(&mut self, entry: &StreamEntry) {
        let account = entry.ledger.snapshot();
        self.access_units += account.received;
        for fate in Fate::ALL {
            if let (Fate::Dropped(_), units @ 1..) = (fate, account.settled(fate)) {
                *self.dropped.entry(fate.label().to_owned()).or_default() += units;
            }
        }
        self.reconnects += entry.reconnects();
    }
}

impl Provenance {
    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Goes on from what an earlier run learned from, as it stands in its checkpoint.
    pub fn continue_from(&self, earlier: BTreeMap<String, StreamProvenance>) {
        self.lock().streams = earlier;
    }

    /// Says where a stream comes from, and who counts what it loses.
    pub(super) fn follow(&self, entry: &Arc<StreamEntry>, source: &str) {
        let mut learned = self.lock();
        let stream = learned.streams.entry(entry.name.to_string()).or_default();
        source.clone_into(&mut stream.source);
        // A stream that was removed and has come again counts anew.
        if let Some(former) = learned.followed.insert(entry.name.to_string(), entry.clone())
            && !Arc::ptr_eq(&former, entry)
            && let Some(stream) = learned.streams.get_mut(entry.name.as_str())
        {
            stream.add_losses_of(&former);
        }
    }

    /// Books a sample that replay took.
    pub fn record(&self, sample: &Sample) {
        let mut learned = self.lock();
        let stream = learned.streams.entry(sample.stream.to_string()).or_default();
        stream.samples += 1;
        widen(&mut stream.arrival_unix_ns, sample.arrival);
        if let Some(pts) = sample.pts {
            widen(&mut stream.pts_ns, pts);
        }
    }

    /// Samples taken from a stream so far.
    pub fn samples(&self, stream: &StreamName) -> u64 {
        self.lock()
            .streams
            .get(stream.as_str())
            .map_or(0, |stream| stream.samples)
    }

    /// For the manifest.
    pub fn to_json(&self) -> serde_json::Value {
        let learned = self.lock();
        let mut streams = learned.streams.clone();
        for (name, entry) in &learned.followed {
            streams.entry(name.clone()).or_default().add_losses_of(entry);
        }
        serde_json::to_value(streams).unwrap_or_default()
    }
}

fn widen(range: &mut Option<(u64, u64)>, by: TimeRange) {
    let (first, last) = range.unwrap_or((by.first_ns, by.last_ns));
    *range = Some((first.min(by.first_ns), last.max(by.last_ns)));
}

#[cfg(test)]
mod tests {
    use super::super::entry::About;
    use super::*;
    use crate::ingest::{DropReason, StreamOrigin};

    #[test]
    fn ranges_grow_to_hold_every_sample() {
        let mut range = None;
        for (first_ns, last_ns) in [(50, 60), (10, 20), (55, 90)] {
            widen(&mut range, TimeRange { first_ns, last_ns });
        }
        assert_eq!(range, Some((10, 90)));
    }

    #[test]
    fn what_a_checkpoint_says_is_read_back_and_gone_on_from() {
        let provenance = Provenance::default();
        let gate = StreamName::new("gate").unwrap();
        let entry = |name: &StreamName| {
            let about = About {
                source: "rtsp://***@camera/1".to_owned(),
                origin: StreamOrigin::Config,
                enabled: true,
            };
            Arc::new(StreamEntry::new(name.clone(), about))
        };
        let first = entry(&gate);
        for _ in 0..2 {
            let lost = Fate::Dropped(DropReason::CorruptBitstream);
            first.ledger.receive(5).settle(lost);
        }
        provenance.follow(&first, "rtsp://***@camera/1");
        let earlier = serde_json::from_value(provenance.to_json()).unwrap();
        let later = Provenance::default();
        later.continue_from(earlier);
        assert_eq!(later.to_json(), provenance.to_json());
        // Losses add up over runs.
        let again = entry(&gate);
        again
            .ledger
            .receive(5)
            .settle(Fate::Dropped(DropReason::NoCredit));
        later.follow(&again, "rtsp://***@camera/1");
        let told = later.to_json();
        assert_eq!(told["gate"]["source"], "rtsp://***@camera/1");
        assert_eq!(told["gate"]["access_units"], 3);
        assert_eq!(
            told["gate"]["dropped"],
            serde_json::json!({"corrupt_bitstream": 2, "no_credit": 1})
        );
    }
}
