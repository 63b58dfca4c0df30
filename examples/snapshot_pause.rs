//! How long a snapshot holds training up: `cargo run --release --example snapshot_pause -- GIB FOLDER`.
//!
//! Trains the micro preset on a replay of that many GiB, writes a snapshot of all of it, trains on with a few new samples, writes
//! another one, and prints the steps' times before, during and after.

#[path = "random_sample/mod.rs"]
mod random_sample;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use comove::checkpoint::{CheckpointConfig, Written};
use comove::ingest::StreamName;
use comove::replay::{EvictionKind, Replay, ReplayConfig, ReplayContent, ReplayState, Sample, StoredSamples};
use comove::train::{
    BatchSource, DeviceChoice, EndReason, NoData, SampleOutcome, TrainConfig, TrainEvent, TrainerParts, spawn,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use random_sample::sample;

/// Steps before each snapshot.
const STEPS: u64 = 40;

/// Replay, with a note of when each batch was asked for.
struct Timed {
    replay: Arc<Replay>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl BatchSource for Timed {
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        if let Ok(mut asked) = self.asked.lock() {
            asked.push(Instant::now());
        }
        self.replay
            .sample_batch(batch_size, timeout)
            .map_err(|none| NoData::Failed(none.to_string()))
    }

    fn learned(&mut self, outcomes: &[SampleOutcome]) -> Vec<bool> {
        let learned = |outcome: &SampleOutcome| self.replay.learned(outcome.id, &outcome.feature);
        outcomes.iter().map(learned).collect()
    }

    fn export(&mut self, finished: bool, beside: &mut dyn FnMut()) -> Option<ReplayContent> {
        Some(Replay::export(&self.replay, finished, beside))
    }

    fn restore(&mut self, state: ReplayState, samples: Option<StoredSamples>) -> Result<(), String> {
        Replay::import(&self.replay, state, samples);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "snapshot_pause GIB FOLDER";
    let gib: f64 = args.next().context(usage)?.parse().context(usage)?;
    let folder = PathBuf::from(args.next().context(usage)?);
    let capacity = (gib * f64::from(1 << 30)) as u64;
    let config = ReplayConfig {
        capacity: bytesize::ByteSize(capacity),
        eviction: EvictionKind::Fifo,
        min_samples: 1,
        tolerance: Some(1e12),
        ..ReplayConfig::default()
    };
    let train = TrainConfig {
        device: DeviceChoice::Auto,
        report_every: 1_000_000,
        max_steps: Some(3 * STEPS),
        ..TrainConfig::default()
    };
    let replay = Arc::new(Replay::new(
        &config,
        train.batch_size(),
        ChaCha8Rng::seed_from_u64(1),
    )?);
    let stream = StreamName::new("noise").context("a name")?;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut number = 0;
    while replay.snapshot().evicted == 0 {
        replay.try_insert(sample(&mut random, number, &stream))?;
        number += 1;
    }
    println!(
        "{number} samples, {:.1} GiB",
        replay.snapshot().bytes as f64 / f64::from(1 << 30)
    );

    let asked = Arc::new(Mutex::new(Vec::new()));
    let written: Arc<Mutex<Vec<(Instant, Written)>>> = Arc::default();
    let trainer = spawn(TrainerParts {
        config: train,
        checkpoint: Some(CheckpointConfig {
            dir: folder,
            every_steps: Some(STEPS),
            ..CheckpointConfig::default()
        }),
        resume: None,
        config_text: String::new(),
        on_resume: Box::new(drop),
        provenance: Box::new(|| serde_json::Value::Null),
        source: Box::new(Timed {
            replay: replay.clone(),
            asked: asked.clone(),
        }),
        weights: None,
        on_event: Box::new({
            let written = written.clone();
            move |event| {
                if let (TrainEvent::SnapshotWritten(one), Ok(mut written)) = (event, written.lock()) {
                    written.push((Instant::now(), one));
                }
            }
        }),
    })?;
    // A stream goes on meanwhile.
    while !trainer.is_finished() {
        replay.try_insert(sample(&mut random, number, &stream))?;
        number += 1;
        std::thread::sleep(Duration::from_millis(200));
    }
    let summary = trainer.join()?;
    anyhow::ensure!(summary.reason == EndReason::MaxSteps, "{:?}", summary.reason);

    let asked = asked.lock().map_err(|_| anyhow::anyhow!("no times"))?;
    let steps: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let median = |steps: &[Duration]| {
        let mut sorted = steps.to_vec();
        sorted.sort();
        sorted
            .get(sorted.len() / 2)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
    };
    let quiet = median(&steps[5.min(steps.len())..(STEPS as usize - 1).min(steps.len())]);
    println!("a step takes {:.3} s (median before the first snapshot)", quiet);
    let written = written.lock().map_err(|_| anyhow::anyhow!("no snapshots"))?;
    for (at, one) in written.iter() {
        let begin = *at - one.took;
        let during: Vec<Duration> = asked
            .windows(2)
            .filter(|pair| pair[1] >= begin && pair[0] <= *at)
            .map(|pair| pair[1] - pair[0])
            .collect();
        let longest = during.iter().max().copied().unwrap_or_default().as_secs_f64();
        println!(
            "snapshot of step {}: written in {:.1} s ({:.2} GiB of samples on disk); {} steps meanwhile, median {:.3} s, longest {:.3} s \
             ({:.1} steps)",
            one.step,
            one.took.as_secs_f64(),
            one.replay_bytes as f64 / f64::from(1 << 30),
            during.len(),
            median(&during),
            longest,
            longest / quiet
        );
    }
    Ok(())
}
