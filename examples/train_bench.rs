//! Times training steps on a CPU in float32, for `scripts/bench-train` to compare with PyTorch:
//! `train_bench PRESET BATCH STEPS THREADS`. Views are random and given, so that a step is what PyTorch does too: networks, losses,
//! gradients, clipping, optimiser; and what only comove does: its figures, features and moving average.
//!
//! Prints a line of JSON: seconds of each step after the first, and resident memory before and at its peak.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use comove::model::{NormKind, Preset, Views};
use comove::train::{DeviceChoice, Learner, PrecisionChoice, TrainConfig};
use tch::{Device, Kind, Tensor};

/// A line of `/proc/self/status` in bytes.
fn memory(line: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let kilobytes: u64 = found
        .and_then(|text| text.split_whitespace().next())
        .context("no such line in /proc/self/status")?
        .parse()?;
    Ok(kilobytes * 1024)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [preset, batch, steps, threads] = arguments.as_slice() else {
        bail!("usage: train_bench PRESET BATCH STEPS THREADS");
    };
    let preset = Preset::ALL
        .into_iter()
        .find(|known| known.name() == preset)
        .context("PRESET is paper, small or micro")?;
    let (batch, steps): (u32, usize) = (batch.parse()?, steps.parse()?);
    tch::set_num_threads(threads.parse()?);
    tch::manual_seed(1);
    let config = TrainConfig {
        preset,
        device: DeviceChoice::Cpu,
        precision: PrecisionChoice::Float32,
        batch_size: Some(batch),
        ..TrainConfig::default()
    };
    let mut learner = Learner::new(&config, Device::Cpu)?;
    let model = preset.model(NormKind::Batch);
    let batch = i64::from(batch);
    let (frames, maps) = (
        i64::from(model.sample.clip_frames),
        i64::from(model.sample.target_frames),
    );
    let windows = i64::from(1 + model.sample.hard_negatives);
    let (side, motion_side) = (i64::from(model.crop), i64::from(model.motion_crop));
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let views = Views {
        clips: random(&[batch, 3, frames, side, side]),
        key_frames: random(&[batch, 3, side, side]),
        motion: random(&[batch, windows, 2, maps, motion_side, motion_side]),
        known: random(&[batch, windows, maps, motion_side, motion_side]).ones_like(),
    };
    let scenes = Tensor::arange(batch, (Kind::Int64, Device::Cpu));
    let before = memory("VmRSS:")?;
    let mut seconds = Vec::with_capacity(steps);
    for _ in 0..=steps {
        let began = Instant::now();
        learner.learn_views(&views, &scenes)?;
        drop(learner.take_outcomes());
        seconds.push(began.elapsed().as_secs_f64());
    }
    let peak = memory("VmHWM:")?;
    let measured = serde_json::json!({"seconds": seconds[1..], "before_bytes": before, "peak_bytes": peak});
    println!("{measured}");
    Ok(())
}
