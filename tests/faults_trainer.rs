//! Training that diverges, and a trainer that panics.

#![allow(clippy::unwrap_used, reason = "test code")]

mod faulty;
mod program;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use comove::checkpoint::{CheckpointConfig, list, verify};
use comove::ingest::StreamName;
use comove::model::Preset;
use comove::replay::{Sample, SampleId, TimeRange};
use comove::train::{
    BatchSource, DeviceChoice, NoData, RateChange, TrainConfig, TrainError, TrainEvent, TrainerParts, spawn,
};
use crossbeam_channel::{Receiver, unbounded};
use faulty::row;
use program::{PATTERNS, Place, comove};

const PATIENCE: Duration = Duration::from_secs(240);

/// Noise, of another segment each.
fn sample(number: u64) -> Arc<Sample> {
    let spec = Preset::Micro.sample_spec();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pixels = 3 * spec.frame_size.area();
    let cells = 2 * spec.target_frames as usize * spec.motion_size.area();
    Arc::new(Sample {
        id: SampleId(number),
        stream: StreamName::new("noise").unwrap(),
        segment: number,
        spec,
        source_width: 320,
        source_height: 240,
        key_frame: (0..pixels).map(|_| next() as u8).collect(),
        clip: (0..pixels * spec.clip_frames as usize)
            .map(|_| next() as u8)
            .collect(),
        target: (0..cells).map(|_| (next() % 512) as i16).collect(),
        negatives: (0..cells * spec.hard_negatives as usize)
            .map(|_| (next() % 512) as i16)
            .collect(),
        pts: None,
        arrival: TimeRange {
            first_ns: 0,
            last_ns: 0,
        },
        frame_rate: None,
    })
}

/// Gives batches of noise; at the given one it panics.
struct Noise {
    batches: u64,
    panic_at: Option<u64>,
}

impl BatchSource for Noise {
    fn next_batch(&mut self, batch_size: usize, _: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        self.batches += 1;
        assert!(self.panic_at != Some(self.batches), "the source of batches broke");
        let first = self.batches * 100;
        Ok((first..first + batch_size as u64).map(sample).collect())
    }

    fn learned(&mut self, outcomes: &[comove::train::SampleOutcome]) -> Vec<bool> {
        vec![false; outcomes.len()]
    }
}

fn parts(folder: &Path, panic_at: Option<u64>) -> (TrainerParts, Receiver<TrainEvent>) {
    let (events, seen) = unbounded();
    let parts = TrainerParts {
        config: TrainConfig {
            device: DeviceChoice::Cpu,
            batch_size: Some(2),
            threads: Some(1),
            report_every: 1,
            warmup_steps: 1,
            nonfinite_patience: 2,
            ..TrainConfig::default()
        },
        checkpoint: Some(CheckpointConfig {
            dir: folder.to_owned(),
            every_steps: Some(2),
            ..CheckpointConfig::default()
        }),
        resume: None,
        config_text: String::new(),
        on_resume: Box::new(drop),
        provenance: Box::new(|| serde_json::Value::Null),
        source: Box::new(Noise { batches: 0, panic_at }),
        weights: None,
        on_event: Box::new(move |event| drop(events.send(event))),
    };
    (parts, seen)
}

fn wait_for<T>(seen: &Receiver<TrainEvent>, wanted: impl Fn(&TrainEvent) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&seen.recv_timeout(PATIENCE).unwrap()) {
            return found;
        }
    }
}

#[test]
fn training_that_diverges_goes_back_to_the_last_checkpoint_and_learns_on() {
    let folder = tempfile::tempdir().unwrap();
    let (parts, seen) = parts(folder.path(), None);
    let trainer = spawn(parts).unwrap();
    wait_for(&seen, |event| {
        matches!(event, TrainEvent::SnapshotWritten(_)).then_some(())
    });
    // Someone sets an absurd learning rate while training runs.
    trainer
        .set_learning_rate(RateChange::To(1e30))
        .recv()
        .unwrap()
        .unwrap();
    let began = Instant::now();
    let (from, to) = wait_for(&seen, |event| match event {
        TrainEvent::RolledBack {
            from_step, to_step, ..
        } => Some((*from_step, *to_step)),
        _ => None,
    });
    assert!(to < from);
    // The rate is the checkpoint's again. A snapshot may have been taken between the absurd rate and the first loss that was not
    // finite: then it is gone back once more.
    wait_for(&seen, |event| match event {
        TrainEvent::Report(report) if report.learning_rate < 1.0 => report.loss.is_finite().then_some(()),
        _ => None,
    });
    let recovery = began.elapsed();
    trainer.send(comove::train::Command::Stop);
    trainer.join().unwrap();
    verify(folder.path()).unwrap();
    row(
        "training diverges (learning rate set to 1e30)",
        Some(recovery),
        &format!("{} steps, of which 2 were skipped as not finite", from - to),
        "back to the last checkpoint and its learning rate; comove_train_rollbacks_total counts it",
    );
}

#[test]
fn a_run_that_diverges_again_and_again_ends_and_its_checkpoints_stand() {
    let place = Place::with_checkpoint();
    let config = fs::read_to_string(place.path("config.toml")).unwrap();
    let absurd = "learning_rate = 1e30\nnonfinite_patience = 2\nmax_rollbacks = 1\nwarmup_steps = 1";
    fs::write(
        place.path("config.toml"),
        config.replace("warmup_steps = 1", absurd),
    )
    .unwrap();
    let ended = comove(&place.run([PATTERNS, "--resume"]));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let back = ended.logged("training diverged and went back to a checkpoint");
    assert_eq!(
        (back.len(), back[0]["to_step"].as_u64()),
        (1, Some(2)),
        "{ended:?}"
    );
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.contains("steps were not finite") && last.contains("has gone back to a checkpoint 1 times"),
        "{last}"
    );
    let steps: Vec<_> = list(&place.checkpoints())
        .unwrap()
        .iter()
        .map(|one| one.step)
        .collect();
    assert_eq!(steps, [2]);
    verify(&place.checkpoints()).unwrap();
    row(
        "training diverges for good: the run ends with an error",
        None,
        "what was learned since the last checkpoint",
        "exit code 1 after train.max_rollbacks; the checkpoints verify",
    );
}

#[test]
fn a_trainer_that_panics_ends_the_run_and_what_it_had_learned_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (parts, _seen) = parts(folder.path(), Some(4));
    let told = spawn(parts).unwrap().join().unwrap_err();
    assert!(
        matches!(&told, TrainError::Panicked { step: 3, message } if message.contains("the source of batches broke")),
        "{told}"
    );
    let steps: Vec<_> = list(folder.path()).unwrap().iter().map(|one| one.step).collect();
    assert_eq!(
        steps,
        [2, 3],
        "the scheduled one, and the one of the last whole step"
    );
    verify(folder.path()).unwrap();
    row(
        "the trainer panics: the run ends with an error",
        None,
        "nothing: the last whole step was saved",
        "an error that names the step; the checkpoint of that step verifies",
    );
}
