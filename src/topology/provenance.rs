use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use crate::ingest::StreamName;
use crate::replay::{Sample, TimeRange};

/// What a checkpoint was learned from, stream by stream. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Provenance(Arc<Mutex<BTreeMap<String, StreamProvenance>>>);

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
}

impl Provenance {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StreamProvenance>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Goes on from what an earlier run learned from, as it stands in its checkpoint.
    pub fn continue_from(&self, earlier: BTreeMap<String, StreamProvenance>) {
        *self.lock() = earlier;
    }

    /// Says where a stream comes from.
    pub fn name_source(&self, stream: &StreamName, source: &str) {
        self.lock().entry(stream.to_string()).or_default().source = source.to_owned();
    }

    /// Books a sample that replay took.
    pub fn record(&self, sample: &Sample) {
        let mut streams = self.lock();
        let stream = streams.entry(sample.stream.to_string()).or_default();
        stream.samples += 1;
        widen(&mut stream.arrival_unix_ns, sample.arrival);
        if let Some(pts) = sample.pts {
            widen(&mut stream.pts_ns, pts);
        }
    }

    /// Samples taken from a stream so far.
    pub fn samples(&self, stream: &StreamName) -> u64 {
        self.lock()
            .get(stream.as_str())
            .map_or(0, |stream| stream.samples)
    }

    /// For the manifest.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&*self.lock()).unwrap_or_default()
    }
}

fn widen(range: &mut Option<(u64, u64)>, by: TimeRange) {
    let (first, last) = range.unwrap_or((by.first_ns, by.last_ns));
    *range = Some((first.min(by.first_ns), last.max(by.last_ns)));
}

#[cfg(test)]
mod tests {
    use super::*;

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
        provenance.name_source(&gate, "rtsp://***@camera/1");
        let earlier = serde_json::from_value(provenance.to_json()).unwrap();
        let later = Provenance::default();
        later.continue_from(earlier);
        assert_eq!(later.to_json(), provenance.to_json());
    }
}
