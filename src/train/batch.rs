use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::TrainError;
use crate::model::ModelConfig;
use crate::replay::Sample;

/// Samples as tensors in the types that they are stored in, on the training device.
#[derive(Debug)]
pub struct Batch {
    /// `[B, T, H, W, 3]`, u8.
    pub clips: Tensor,
    /// `[B, H, W, 3]`, u8.
    pub key_frames: Tensor,
    /// `[B, 1 + N, F, 2, h, w]`, i16: the target first.
    pub motion: Tensor,
    /// Width and height of each sample's source, in luma samples.
    pub source_sizes: Vec<(u32, u32)>,
    /// `[B]`, i64: equal numbers mean the same scene: samples of one segment that are close in time.
    pub scenes: Tensor,
}

impl Batch {
    /// Checks and gathers samples.
    ///
    /// # Errors
    /// Fewer than two samples, or one that is not of the networks' shape.
    pub fn gather(samples: &[Arc<Sample>], config: &ModelConfig, device: Device) -> Result<Self, TrainError> {
        if samples.len() < 2 {
            return Err(TrainError::BatchTooSmall { found: samples.len() });
        }
        for sample in samples {
            check(sample, config)?;
        }
        let spec = config.sample;
        let batch = samples.len() as i64;
        let (height, width) = (
            i64::from(spec.frame_size.height),
            i64::from(spec.frame_size.width),
        );
        let (rows, columns) = (
            i64::from(spec.motion_size.height),
            i64::from(spec.motion_size.width),
        );
        let frames = i64::from(spec.clip_frames);
        let (windows, maps) = (i64::from(1 + spec.hard_negatives), i64::from(spec.target_frames));
        let joined = |part: fn(&Sample) -> &[u8]| -> Vec<u8> {
            samples.iter().flat_map(|sample| part(sample)).copied().collect()
        };
        let motion: Vec<i16> = samples
            .iter()
            .flat_map(|sample| sample.target.iter().chain(&sample.negatives))
            .copied()
            .collect();
        let to_device = |tensor: Tensor, shape: &[i64]| tensor.f_view(shape)?.f_to_device(device);
        Ok(Self {
            clips: to_device(
                Tensor::f_from_slice(&joined(|sample| &sample.clip))?,
                &[batch, frames, height, width, 3],
            )?,
            key_frames: to_device(
                Tensor::f_from_slice(&joined(|sample| &sample.key_frame))?,
                &[batch, height, width, 3],
            )?,
            motion: to_device(
                Tensor::f_from_slice(&motion)?,
                &[batch, windows, maps, 2, rows, columns],
            )?,
            source_sizes: samples
                .iter()
                .map(|s| (s.source_width, s.source_height))
                .collect(),
            scenes: Tensor::f_from_slice(&scene_numbers(samples))?
                .f_to_kind(Kind::Int64)?
                .f_to_device(device)?,
        })
    }
}

/// Samples of one segment whose clips begin closer than this, in the source's time, show the same scene.
///
/// A camera's segment lasts for days: were all of it one scene, a run of one camera would have no negatives at all.
const SAME_SCENE_NS: u64 = 10_000_000_000;

/// A number for each scene of the batch: samples of one are no negatives of each other. Samples of one stream and segment are
/// of one scene if their times are close, or are joined by others in between; without times, all of a segment are.
fn scene_numbers(samples: &[Arc<Sample>]) -> Vec<i64> {
    let mut order: Vec<_> = (0..samples.len()).collect();
    let place = |index: usize| {
        let sample = &samples[index];
        let begins_ns = sample.pts.map_or(0, |pts| pts.first_ns);
        (&sample.stream, sample.segment, begins_ns)
    };
    order.sort_by_key(|&index| place(index));
    let mut numbers = vec![0; samples.len()];
    let mut number = 0;
    for pair in order.windows(2) {
        let ((stream, segment, begins_ns), (next_stream, next_segment, next_ns)) =
            (place(pair[0]), place(pair[1]));
        let same = (stream, segment) == (next_stream, next_segment) && next_ns - begins_ns < SAME_SCENE_NS;
        number += i64::from(!same);
        numbers[pair[1]] = number;
    }
    numbers
}

fn check(sample: &Sample, config: &ModelConfig) -> Result<(), TrainError> {
    let spec = config.sample;
    let wrong = |what, found: String, expected: String| TrainError::Sample {
        stream: sample.stream.clone(),
        what,
        found,
        expected,
    };
    if sample.spec != spec {
        return Err(wrong(
            "the shape",
            format!("{:?}", sample.spec),
            format!("{spec:?}"),
        ));
    }
    if sample.source_width == 0 || sample.source_height == 0 {
        let found = format!("{}×{}", sample.source_width, sample.source_height);
        return Err(wrong("a source of", found, "the size of its pictures".into()));
    }
    let picture = spec.frame_size.width as usize * spec.frame_size.height as usize * 3;
    let window =
        spec.motion_size.width as usize * spec.motion_size.height as usize * 2 * spec.target_frames as usize;
    for (what, found, expected) in [
        ("key-frame bytes", sample.key_frame.len(), picture),
        (
            "clip bytes",
            sample.clip.len(),
            picture * spec.clip_frames as usize,
        ),
        ("target values", sample.target.len(), window),
        (
            "negative values",
            sample.negatives.len(),
            window * spec.hard_negatives as usize,
        ),
    ] {
        if found != expected {
            return Err(wrong(what, found.to_string(), expected.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::moving_patterns::MovingPatterns;
    use super::*;
    use crate::ingest::StreamName;
    use crate::model::{NormKind, Preset};
    use crate::replay::TimeRange;

    fn gather(samples: Vec<Sample>) -> Result<Batch, TrainError> {
        let samples: Vec<_> = samples.into_iter().map(Arc::new).collect();
        Batch::gather(&samples, &Preset::Micro.model(NormKind::Batch), Device::Cpu)
    }

    fn samples(count: usize) -> Vec<Sample> {
        let mut patterns = MovingPatterns::new(Preset::Micro.sample_spec(), 1);
        (0..count).map(|_| patterns.sample()).collect()
    }

    #[test]
    fn values_keep_their_place() {
        let samples = samples(3);
        let (clip, negatives) = (samples[2].clip.clone(), samples[1].negatives.clone());
        let batch = gather(samples).unwrap();
        assert_eq!(batch.clips.size(), [3, 8, 72, 96, 3]);
        assert_eq!(batch.motion.size(), [3, 4, 4, 2, 36, 48]);
        let index = ((5 * 72 + 7) * 96 + 11) * 3 + 1;
        assert_eq!(batch.clips.int64_value(&[2, 5, 7, 11, 1]), i64::from(clip[index]));
        // Window 3 is the last hard negative.
        let index = (((2 * 4 + 3) * 2 + 1) * 36 + 20) * 48 + 30;
        assert_eq!(
            batch.motion.int64_value(&[1, 3, 3, 1, 20, 30]),
            i64::from(negatives[index])
        );
    }

    #[test]
    fn scenes_are_told_apart_by_stream_segment_and_time() {
        let seconds = |seconds: u64| {
            let first_ns = seconds * 1_000_000_000;
            Some(TimeRange {
                first_ns,
                last_ns: first_ns,
            })
        };
        let places = [
            ("a", 1, seconds(0)),
            ("b", 1, seconds(0)),
            ("a", 2, seconds(0)),
            ("a", 1, seconds(18)),
            ("a", 1, seconds(9)),
            ("a", 1, seconds(28)),
            ("c", 1, None),
            ("c", 1, None),
        ];
        let mut samples = samples(places.len());
        for (sample, (stream, segment, pts)) in samples.iter_mut().zip(places) {
            sample.stream = StreamName::new(stream).unwrap();
            sample.segment = segment;
            sample.pts = pts;
        }
        let scenes: Vec<i64> = gather(samples).unwrap().scenes.try_into().unwrap();
        // 0 s and 18 s are joined by 9 s; 28 s is on its own.
        assert_eq!(scenes, [0, 3, 2, 0, 0, 1, 4, 4]);
    }

    #[test]
    fn a_sample_that_does_not_fit_is_named_with_what_would() {
        let mut wrong = samples(2);
        wrong[1].clip.pop();
        let told = gather(wrong).unwrap_err().to_string();
        assert_eq!(
            told,
            "a sample of stream patterns has clip bytes 165887; 165888 is right"
        );
        let mut wrong = samples(2);
        wrong[0].spec = Preset::Paper.sample_spec();
        assert!(
            gather(wrong)
                .unwrap_err()
                .to_string()
                .contains("has the shape SampleSpec")
        );
        let told = gather(samples(1)).unwrap_err().to_string();
        assert!(told.contains("needs at least 2"), "{told}");
    }
}
