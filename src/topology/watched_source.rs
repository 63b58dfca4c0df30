use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::StoredSamples;
use crate::replay::{NoBatch, Replay, ReplayContent, ReplayState, Sample};
use crate::telemetry::Heartbeat;
use crate::train::{BatchSource, NoData, SampleOutcome};

/// Replay as the trainer's source of batches. Beats whenever the trainer asks: one that hangs inside a step stops asking.
pub(super) struct WatchedReplay {
    pub replay: Arc<Replay>,
    pub heartbeat: Heartbeat,
    /// Without its samples a run cannot go on.
    pub deterministic: bool,
}

impl BatchSource for WatchedReplay {
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        self.heartbeat.beat(Instant::now());
        self.replay
            .sample_batch(batch_size, timeout)
            .map_err(|none| match none {
                NoBatch::TimedOut { .. } => NoData::NotYet,
                NoBatch::Exhausted { .. } | NoBatch::TooFewSamples { .. } | NoBatch::Closed => {
                    NoData::Ended(none.to_string())
                }
                NoBatch::CapacityBelowBatch { .. } | NoBatch::WrongBatchSize { .. } => {
                    NoData::Failed(none.to_string())
                }
            })
    }

    fn learned(&mut self, outcomes: &[SampleOutcome]) -> Vec<bool> {
        outcomes
            .iter()
            .map(|outcome| self.replay.learned(outcome.id, &outcome.feature))
            .collect()
    }

    fn export(&mut self, finished: bool, beside: &mut dyn FnMut()) -> Option<ReplayContent> {
        Some(Replay::export(&self.replay, finished, beside))
    }

    fn restore(&mut self, state: ReplayState, samples: Option<StoredSamples>) -> Result<(), String> {
        if samples.is_none() {
            if self.deterministic {
                return Err(
                    "run.deterministic is true, and the checkpoint comes without the samples of replay: what would have been \
                     drawn from them is lost. Go on from the newest checkpoint of its folder, with checkpoint.keep_replay above \
                     0, or with run.deterministic = false"
                        .to_owned(),
                );
            }
            tracing::warn!("the checkpoint comes without the samples of replay, which is filled anew");
        }
        Replay::import(&self.replay, state, samples);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ingest::StreamName;
    use crate::replay::{ReplayConfig, SampleId, TimeRange};
    use crate::window::{FrameSize, SampleSpec};

    fn sample(segment: u64) -> Sample {
        let size = FrameSize { width: 1, height: 1 };
        Sample {
            id: SampleId(0),
            stream: StreamName::new("a").unwrap(),
            segment,
            spec: SampleSpec {
                clip_frames: 1,
                clip_stride: 1,
                target_offset: 1,
                target_frames: 1,
                hard_negatives: 1,
                key_frame_margin: 0,
                frame_size: size,
                motion_size: size,
            },
            source_width: 16,
            source_height: 16,
            key_frame: vec![0; 3],
            clip: vec![0; 3],
            target: vec![0; 2],
            negatives: vec![0; 2],
            pts: None,
            arrival: TimeRange {
                first_ns: 0,
                last_ns: 0,
            },
            frame_rate: None,
        }
    }

    fn source(samples: u64, ended: bool, capacity: ByteSize) -> WatchedReplay {
        let config = ReplayConfig {
            capacity,
            min_samples: 1,
            samples_per_insert: 1.0,
            tolerance: Some(100.0),
            final_samples_per_insert: Some(1.0),
            ..ReplayConfig::default()
        };
        let replay = Arc::new(Replay::new(&config, 4, ChaCha8Rng::seed_from_u64(1)).unwrap());
        for segment in 0..samples {
            replay.insert_blocking(sample(segment)).unwrap();
        }
        if ended {
            replay.sources_ended();
        }
        WatchedReplay {
            replay,
            heartbeat: Heartbeat::new("train", Duration::from_secs(1), Instant::now()),
            deterministic: false,
        }
    }

    #[test]
    fn says_whether_more_may_come() {
        let roomy = ByteSize::mib(1);
        let ask = |source: &mut WatchedReplay| source.next_batch(4, Duration::ZERO).map(|batch| batch.len());
        assert_eq!(ask(&mut source(6, false, roomy)), Ok(4));
        assert_eq!(ask(&mut source(2, false, roomy)), Err(NoData::NotYet));
        let mut ended = source(6, true, roomy);
        assert_eq!(ask(&mut ended), Ok(4));
        let told = ask(&mut ended);
        assert!(matches!(&told, Err(NoData::Ended(why)) if why.contains("6 samples were drawn 4 times")));
        // A source that has ended with less than a batch is a good end: the run says what it learned, if anything.
        let told = ask(&mut source(2, true, roomy));
        assert!(matches!(&told, Err(NoData::Ended(why)) if why.contains("a batch needs 4")));
        let two_samples = ByteSize(2 * sample(0).bytes() as u64);
        let told = ask(&mut source(6, false, two_samples));
        assert!(matches!(&told, Err(NoData::Failed(why)) if why.contains("holds 2 samples")));
    }

    #[test]
    fn a_samples_first_use_is_told_once_even_if_it_is_gone_by_then() {
        let two_samples = ByteSize(4 * sample(0).bytes() as u64);
        let mut source = source(4, false, two_samples);
        let drawn = source.next_batch(4, Duration::ZERO).unwrap();
        for segment in 10..14 {
            source.replay.insert_blocking(sample(segment)).unwrap();
        }
        let outcomes: Vec<_> = drawn
            .iter()
            .map(|sample| SampleOutcome {
                id: sample.id,
                context_loss: Some(1.0),
                motion_loss: None,
                feature: vec![1.0, 0.0],
            })
            .collect();
        assert_eq!(source.learned(&outcomes), [true; 4]);
        assert_eq!(source.learned(&outcomes), [false; 4]);
    }
}
