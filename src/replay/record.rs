use super::{Sample, SampleHead};
use crate::window::{FrameSize, SampleSpec};

/// The tensors of one sample in the order in which a record on disk has them: name, type, shape, bytes.
pub(crate) struct SampleLayout {
    pub parts: [(&'static str, &'static str, Vec<usize>, usize); 4],
}

/// A record that is not of its sample's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has {found} bytes, its shape {expected}")]
pub struct WrongRecordSize {
    /// What the shape takes.
    pub expected: usize,
    /// What there is.
    pub found: usize,
}

impl SampleLayout {
    pub fn of(spec: &SampleSpec) -> Self {
        let sides = |size: FrameSize| [size.height as usize, size.width as usize];
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

/// A sample's pictures and motion as they lie on disk, little-endian.
pub(crate) fn record_of(sample: &Sample) -> Vec<u8> {
    let motion_values = sample.target.len() + sample.negatives.len();
    let mut record = Vec::with_capacity(2 * motion_values + sample.key_frame.len() + sample.clip.len());
    for values in [&sample.target, &sample.negatives] {
        record.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    record.extend_from_slice(&sample.key_frame);
    record.extend_from_slice(&sample.clip);
    record
}

/// The sample of a record.
pub(crate) fn sample_of(head: &SampleHead, record: &[u8]) -> Result<Sample, WrongRecordSize> {
    let layout = SampleLayout::of(&head.spec);
    if record.len() != layout.bytes() {
        return Err(WrongRecordSize {
            expected: layout.bytes(),
            found: record.len(),
        });
    }
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
        id: head.id,
        stream: head.stream.clone(),
        segment: head.segment,
        spec: head.spec,
        source_width: head.source_width,
        source_height: head.source_height,
        key_frame: key_frame.to_vec(),
        clip: clip.to_vec(),
        target: motion(target),
        negatives: motion(negatives),
        pts: head.pts,
        arrival: head.arrival,
        frame_rate: head.frame_rate,
    })
}
