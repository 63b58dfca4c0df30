//! Replay's samples and snapshots of them, without a network that learns.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use comove::checkpoint::{NamedTensor, Retention, Snapshot, load_samples};
use comove::ingest::StreamName;
use comove::model::{NormKind, Preset};
use comove::replay::{EvictionKind, Replay, ReplayConfig, Sample, SampleId, StoredSamples, TimeRange};
use comove::window::{FrameSize, SampleSpec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub const SPEC: SampleSpec = SampleSpec {
    clip_frames: 2,
    clip_stride: 1,
    target_offset: 1,
    target_frames: 1,
    hard_negatives: 1,
    key_frame_margin: 0,
    frame_size: FrameSize {
        width: 30,
        height: 30,
    },
    motion_size: FrameSize { width: 5, height: 3 },
};

/// Every value of it follows from `number`.
pub fn sample(stream: &str, number: u64) -> Sample {
    let pixels = |count: usize, add: u64| (0..count).map(|i| (i as u64 * 7 + number + add) as u8).collect();
    let motion = |add: i16| (0..30).map(|i| i * 3 - number as i16 + add).collect();
    Sample {
        id: SampleId(0),
        stream: StreamName::new(stream).unwrap(),
        segment: number,
        spec: SPEC,
        source_width: 640,
        source_height: 480,
        key_frame: pixels(2700, 0),
        clip: pixels(5400, 9),
        target: motion(0),
        negatives: motion(40),
        pts: number.is_multiple_of(2).then_some(TimeRange {
            first_ns: number,
            last_ns: number + 5,
        }),
        arrival: TimeRange {
            first_ns: 1_000 + number,
            last_ns: 2_000 + number,
        },
        frame_rate: number.is_multiple_of(3).then_some(29.97),
    }
}

/// A replay that holds `capacity` samples.
pub fn replay(capacity: usize) -> Replay {
    let bytes = capacity * sample("a", 0).bytes();
    let config = ReplayConfig {
        capacity: bytesize::ByteSize(bytes as u64),
        eviction: EvictionKind::Fifo,
        min_samples: 1,
        tolerance: Some(1e12),
        ..ReplayConfig::default()
    };
    Replay::new(&config, 2, ChaCha8Rng::seed_from_u64(1)).unwrap()
}

pub fn fill(replay: &Replay, stream: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        replay.try_insert(sample(stream, number)).unwrap();
    }
}

pub fn snapshot(step: u64, replay: &Replay, loss: f64) -> Snapshot {
    let values = tch::Tensor::full([7], step as f64, (tch::Kind::Float, tch::Device::Cpu));
    let taken = |stream: &str| {
        let content = replay.export(false, || {});
        let of_stream = content
            .samples
            .iter()
            .filter(|sample| sample.stream().as_str() == stream);
        serde_json::json!({ "samples": of_stream.count() })
    };
    Snapshot {
        step,
        created_unix: 1_700_000_000 + step,
        model_config: Preset::Micro.model(NormKind::Batch),
        model: vec![NamedTensor::copy_of("weight", &values).unwrap()],
        average: Vec::new(),
        optimizer: vec![NamedTensor::copy_of("momentum", &values).unwrap()],
        statistics: Vec::new(),
        state: "{}".into(),
        config: String::new(),
        metrics: serde_json::json!({ "loss": loss }),
        provenance: serde_json::json!({"a": taken("a"), "b": taken("b")}),
        replay: Some(replay.export(false, || {})),
        save_samples: true,
        forgotten: Vec::new(),
    }
}

pub const KEEP: Retention = Retention {
    newest: 3,
    best: 0,
    with_replay: 1,
};

pub fn packs(root: &Path) -> Vec<(String, u64)> {
    let mut packs: Vec<_> = fs::read_dir(root.join("replay"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let bytes = entry.metadata().unwrap().len();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    packs.sort();
    packs
}

pub fn stored(root: &Path, step: u64) -> Vec<Arc<Sample>> {
    in_memory(load_samples(&root.join(format!("{step:08}"))).unwrap().unwrap())
}

pub fn in_memory(stored: StoredSamples) -> Vec<Arc<Sample>> {
    let samples = stored.samples.iter().map(|sample| sample.load().unwrap());
    samples.collect()
}

pub fn content(replay: &Replay) -> Vec<Arc<Sample>> {
    let samples = replay.export(false, || {}).samples;
    samples.iter().map(|sample| sample.load().unwrap()).collect()
}
