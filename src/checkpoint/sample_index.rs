use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CheckpointError;
use crate::ingest::StreamName;
use crate::replay::{PolicyState, Sample, SampleId, TimeRange};
use crate::window::SampleSpec;

/// `samples.json` of a snapshot: what replay held, and where its pictures and motion are. Only the newest snapshots have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleIndex {
    /// What the policies know beside the samples' order.
    pub policies: PolicyState,
    /// The shape of every sample; none where there is none.
    pub spec: Option<SampleSpec>,
    /// Oldest first.
    pub samples: Vec<IndexedSample>,
}

/// One stored sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexedSample {
    pub id: u64,
    pub stream: String,
    pub segment: u64,
    /// Columns and rows of the source.
    pub source: (u32, u32),
    /// First and last, nanoseconds.
    pub pts_ns: Option<(u64, u64)>,
    /// First and last, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: (u64, u64),
    pub frame_rate: Option<f32>,
    pub at: PackPlace,
}

/// Where a sample's pictures and motion are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackPlace {
    /// The pack's number.
    pub pack: u64,
    /// The first byte in the file.
    pub offset: u64,
    pub bytes: u64,
    /// Of these bytes, in hexadecimal.
    pub sha256: String,
}

/// The tensors of one sample in the order in which they lie in a pack: name, type, shape, bytes.
pub(super) struct SampleLayout {
    pub parts: [(&'static str, &'static str, Vec<usize>, usize); 4],
}

impl SampleLayout {
    pub fn of(spec: &SampleSpec) -> Self {
        let sides = |size: crate::window::FrameSize| [size.height as usize, size.width as usize];
        let ([height, width], [rows, columns]) = (sides(spec.frame_size), sides(spec.motion_size));
        let (frames, maps) = (spec.clip_frames as usize, spec.target_frames as usize);
        let part = |name, dtype, shape: Vec<usize>, value_bytes: usize| {
            let bytes = shape.iter().product::<usize>() * value_bytes;
            (name, dtype, shape, bytes)
        };
        // The wider type first: every value is then aligned.
        Self {
            parts: [
                part("target", "I16", vec![maps, 2, rows, columns], 2),
                part(
                    "negatives",
                    "I16",
                    vec![spec.hard_negatives as usize, maps, 2, rows, columns],
                    2,
                ),
                part("key_frame", "U8", vec![height, width, 3], 1),
                part("clip", "U8", vec![frames, height, width, 3], 1),
            ],
        }
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, _, _, bytes)| bytes).sum()
    }
}

/// A sample's pictures and motion as they lie in a pack, little-endian.
pub(super) fn record_of(sample: &Sample) -> Vec<u8> {
    let motion = sample.target.iter().chain(&sample.negatives);
    let mut record: Vec<u8> = motion.flat_map(|value| value.to_le_bytes()).collect();
    record.extend_from_slice(&sample.key_frame);
    record.extend_from_slice(&sample.clip);
    record
}

impl IndexedSample {
    pub fn new(sample: &Sample, at: PackPlace) -> Self {
        let pair = |range: TimeRange| (range.first_ns, range.last_ns);
        Self {
            id: sample.id.0,
            stream: sample.stream.to_string(),
            segment: sample.segment,
            source: (sample.source_width, sample.source_height),
            pts_ns: sample.pts.map(pair),
            arrival_unix_ns: pair(sample.arrival),
            frame_rate: sample.frame_rate,
            at,
        }
    }

    /// The sample, from its record.
    pub fn sample(&self, spec: SampleSpec, record: &[u8], index: &Path) -> Result<Sample, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::Manifest {
            path: index.to_owned(),
            reason: format!("sample {}: {reason}", self.id),
        };
        let layout = SampleLayout::of(&spec);
        if record.len() != layout.bytes() {
            return Err(corrupt(format!(
                "it has {} bytes, its shape {}",
                record.len(),
                layout.bytes()
            )));
        }
        let stream = StreamName::new(&self.stream)
            .ok_or_else(|| corrupt(format!("`{}` is no name of a stream", self.stream)))?;
        let range = |(first_ns, last_ns)| TimeRange { first_ns, last_ns };
        let [target, negatives, key_frame, _] = layout.parts.map(|(_, _, _, bytes)| bytes);
        let (target, rest) = record.split_at(target);
        let (negatives, rest) = rest.split_at(negatives);
        let (key_frame, clip) = rest.split_at(key_frame);
        let motion = |bytes: &[u8]| {
            let values = bytes.chunks_exact(2);
            values
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                .collect()
        };
        Ok(Sample {
            id: SampleId(self.id),
            stream,
            segment: self.segment,
            spec,
            source_width: self.source.0,
            source_height: self.source.1,
            key_frame: key_frame.to_vec(),
            clip: clip.to_vec(),
            target: motion(target),
            negatives: motion(negatives),
            pts: self.pts_ns.map(range),
            arrival: range(self.arrival_unix_ns),
            frame_rate: self.frame_rate,
        })
    }
}
