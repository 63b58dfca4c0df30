use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::RunError;
use crate::config::Config;
use crate::replay::{NoBatch, Replay, ReplayContent, ReplayState, Sample, SpillFolder, StoredSamples};
use crate::telemetry::Heartbeat;
use crate::train::{BatchSource, NoData, SampleOutcome};
use crate::window::SampleSpec;

/// In the checkpoint folder, where `replay.spill.dir` is left out.
const SPILL_DIR: &str = "spill";

/// Replay as the trainer's source of batches. Beats whenever the trainer asks: one that hangs inside a step stops asking.
pub(super) struct WatchedReplay {
    pub replay: Arc<Replay>,
    pub heartbeat: Heartbeat,
    /// Without its samples a run cannot go on.
    pub deterministic: bool,
}

/// The replay that the config wants, with room on disk where it says so.
pub(super) fn open_replay(config: &Config, spec: &SampleSpec) -> Result<Replay, RunError> {
    let (batch, rng) = (
        config.train.batch_size(),
        ChaCha8Rng::seed_from_u64(config.train.seed),
    );
    let Some(spill) = &config.replay.spill else {
        return Ok(Replay::new(&config.replay, batch, rng)?);
    };
    let default_dir = || config.checkpoint.dir.join(SPILL_DIR);
    let dir = spill.dir.clone().unwrap_or_else(default_dir);
    let folder = SpillFolder::open(&dir, spill, spec)?;
    Ok(Replay::with_spill(&config.replay, batch, rng, folder)?)
}

/// Writes samples to disk as memory fills, until replay is closed.
pub(super) fn start_spilling(replay: &Arc<Replay>) -> Result<(), RunError> {
    let replay = replay.clone();
    let spawned = thread::Builder::new()
        .name("spill".into())
        .spawn(move || replay.keep_spilling());
    spawned.map(drop).map_err(|source| RunError::System {
        what: "no thread to write samples of replay to disk",
        source,
    })
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

    fn spill_folder(&self) -> Option<Arc<SpillFolder>> {
        Replay::spill_folder(&self.replay)
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
        let missing = samples.as_ref().map_or(0, |samples| samples.missing);
        if self.deterministic && missing > 0 {
            return Err(format!(
                "run.deterministic is true, and {missing} samples that the checkpoint names are not in replay.spill.dir any more: \
                 what would have been drawn from them is lost. Put them back, or go on with run.deterministic = false"
            ));
        }
        Replay::import(&self.replay, state, samples);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;
    use crate::replay::{EvictionKind, ReplayConfig};

    fn sample(segment: u64) -> Sample {
        Sample::small("a", segment, 3)
    }

    fn source(samples: u64, ended: bool, capacity: ByteSize) -> WatchedReplay {
        let config = ReplayConfig {
            capacity,
            eviction: EvictionKind::Fifo,
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
        assert!(
            matches!(&told, Err(NoData::Ended(why)) if why.contains("6 samples, of which 6 are stored, were drawn 4 times"))
        );
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
