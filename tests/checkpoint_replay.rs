//! Replay's samples on disk: written once, shared by snapshots, bounded, forgotten where asked for.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use comove::checkpoint::{
    CheckpointFolder, NamedTensor, Retention, Snapshot, list, load_for_resume, load_samples, pin, show,
    verify,
};
use comove::ingest::StreamName;
use comove::model::{NormKind, Preset};
use comove::replay::{
    EvictionKind, InsertRefused, Replay, ReplayConfig, Sample, SampleId, SpillConfig, SpillFolder,
    StoredSamples, TimeRange,
};
use comove::window::{FrameSize, SampleSpec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

const SPEC: SampleSpec = SampleSpec {
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
fn sample(stream: &str, number: u64) -> Sample {
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
fn replay(capacity: usize) -> Replay {
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

fn fill(replay: &Replay, stream: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        replay.try_insert(sample(stream, number)).unwrap();
    }
}

fn snapshot(step: u64, replay: &Replay, loss: f64) -> Snapshot {
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

const KEEP: Retention = Retention {
    newest: 3,
    best: 0,
    with_replay: 1,
};

fn packs(root: &Path) -> Vec<(String, u64)> {
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

fn stored(root: &Path, step: u64) -> Vec<Arc<Sample>> {
    in_memory(load_samples(&root.join(format!("{step:08}"))).unwrap().unwrap())
}

fn in_memory(stored: StoredSamples) -> Vec<Arc<Sample>> {
    let samples = stored.samples.iter().map(|sample| sample.load().unwrap());
    samples.collect()
}

fn content(replay: &Replay) -> Vec<Arc<Sample>> {
    let samples = replay.export(false, || {}).samples;
    samples.iter().map(|sample| sample.load().unwrap()).collect()
}

#[test]
fn samples_come_back_as_they_were_and_a_resumed_replay_draws_the_same() {
    let root = tempfile::tempdir().unwrap();
    let folder = CheckpointFolder::open(root.path()).unwrap();
    let first = replay(10);
    fill(&first, "a", 0..14);
    for _ in 0..5 {
        first.sample_batch(2, std::time::Duration::ZERO).unwrap();
    }
    folder.write(&snapshot(1, &first, 1.0)).unwrap();
    assert_eq!(stored(root.path(), 1), content(&first));
    verify(root.path()).unwrap();

    let from = load_for_resume(root.path()).unwrap();
    let resumed = replay(10);
    resumed.import(from.replay.unwrap(), load_samples(&from.path).unwrap());
    let go_on = |replay: &Replay| -> Vec<u64> {
        (14..40)
            .flat_map(|number| {
                fill(replay, "a", number..number + 1);
                replay.sample_batch(2, std::time::Duration::ZERO).unwrap()
            })
            .map(|sample| sample.id.0)
            .collect()
    };
    assert_eq!(go_on(&resumed), go_on(&first));
    assert_eq!(
        resumed.export(false, || {}).state,
        first.export(false, || {}).state
    );
}

#[test]
fn a_pack_is_a_safetensors_file_with_names_types_and_shapes() {
    let root = tempfile::tempdir().unwrap();
    let replay = replay(10);
    fill(&replay, "a", 0..2);
    let folder = CheckpointFolder::open(root.path()).unwrap();
    folder.write(&snapshot(1, &replay, 1.0)).unwrap();
    let bytes = fs::read(root.path().join("replay/00000001.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let told = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec())
    };
    let expected = sample("a", 1);
    let (dtype, shape, data) = told("2.clip");
    assert_eq!((dtype, shape), (safetensors::Dtype::U8, vec![2, 30, 30, 3]));
    assert_eq!(data, expected.clip);
    let (dtype, shape, data) = told("2.negatives");
    assert_eq!((dtype, shape), (safetensors::Dtype::I16, vec![1, 1, 2, 3, 5]));
    let little_endian: Vec<u8> = expected
        .negatives
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(data, little_endian);
    assert_eq!(told("1.key_frame").1, [30, 30, 3]);
    assert_eq!(told("1.target").1, [1, 2, 3, 5]);
    assert_eq!(file.names().len(), 8);
}

#[test]
fn a_snapshot_writes_only_new_samples_and_the_disk_holds_at_most_twice_of_what_memory_holds() {
    let root = tempfile::tempdir().unwrap();
    let folder = CheckpointFolder::open(root.path()).unwrap();
    let replay = replay(40);
    let mut written = 0;
    for step in 1..=30 {
        fill(&replay, "a", step * 7..step * 7 + 7);
        folder.write(&snapshot(step, &replay, 1.0)).unwrap();
        let newest = packs(root.path()).last().unwrap().1;
        written += newest;
        folder.prune(KEEP).unwrap();
        let on_disk: u64 = packs(root.path()).iter().map(|(_, bytes)| bytes).sum();
        let in_memory = replay.snapshot().bytes as u64;
        // Headers are not counted among a sample's bytes.
        assert!(
            on_disk < 2 * in_memory + in_memory / 4,
            "{on_disk} for {in_memory} at step {step}"
        );
    }
    let each = sample("a", 0).bytes() as u64;
    assert!(
        written < 3 * 30 * 7 * each,
        "{written} bytes for {} samples",
        30 * 7
    );
    assert_eq!(stored(root.path(), 30), content(&replay));
    // Only the newest has them; all are whole.
    let has_replay: Vec<_> = list(root.path())
        .unwrap()
        .iter()
        .map(|one| one.has_replay)
        .collect();
    assert_eq!(has_replay, [false, false, true]);
    for one in list(root.path()).unwrap() {
        verify(&one.path).unwrap();
    }
}

#[test]
fn a_run_that_goes_on_does_not_write_again_what_it_took_over() {
    let root = tempfile::tempdir().unwrap();
    let first = replay(40);
    fill(&first, "a", 0..20);
    CheckpointFolder::open(root.path())
        .unwrap()
        .write(&snapshot(1, &first, 1.0))
        .unwrap();
    let folder = CheckpointFolder::open(root.path()).unwrap();
    let taken = folder
        .take_samples(&root.path().join("00000001"))
        .unwrap()
        .unwrap();
    assert_eq!(taken.samples.len(), 20);
    fill(&first, "a", 20..22);
    folder.write(&snapshot(2, &first, 1.0)).unwrap();
    let packs = packs(root.path());
    assert_eq!(packs.len(), 2);
    assert!(packs[1].1 * 5 < packs[0].1, "{packs:?}");
}

#[test]
fn a_damaged_or_missing_pack_is_refused_by_name_and_leftovers_are_cleared_away() {
    let root = tempfile::tempdir().unwrap();
    let replay = replay(10);
    fill(&replay, "a", 0..4);
    let folder = CheckpointFolder::open(root.path()).unwrap();
    folder.write(&snapshot(1, &replay, 1.0)).unwrap();
    drop(folder);
    let pack = root.path().join("replay/00000001.safetensors");
    let good = fs::read(&pack).unwrap();
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(&pack, &bad).unwrap();
    let told = verify(root.path()).unwrap_err().to_string();
    assert!(
        told.contains("replay/00000001.safetensors is corrupt: its SHA-256"),
        "{told}"
    );
    fs::write(&pack, &good[..last]).unwrap();
    let told = verify(root.path()).unwrap_err().to_string();
    assert!(told.contains("00000001.safetensors is corrupt: it has"), "{told}");
    fs::remove_file(&pack).unwrap();
    assert!(
        verify(root.path())
            .unwrap_err()
            .to_string()
            .contains("00000001.safetensors")
    );
    fs::write(&pack, &good).unwrap();
    // A killed writer's: half a pack, and a whole one that no snapshot came to name.
    fs::write(root.path().join("replay/.00000002.safetensors.partial"), "half").unwrap();
    fs::write(root.path().join("replay/00000003.safetensors"), "orphan").unwrap();
    drop(CheckpointFolder::open(root.path()).unwrap());
    assert_eq!(packs(root.path()).len(), 1);
    verify(root.path()).unwrap();
}

#[test]
fn the_best_and_the_pinned_stay_beside_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let folder = CheckpointFolder::open(root.path()).unwrap();
    let replay = replay(10);
    fill(&replay, "a", 0..2);
    for (step, loss) in [(1, 3.0), (2, 0.5), (3, f64::NAN), (4, 2.0), (5, 2.5), (6, 2.6)] {
        folder.write(&snapshot(step, &replay, loss)).unwrap();
    }
    pin(&root.path().join("00000001"), true).unwrap();
    let retention = Retention {
        newest: 2,
        best: 2,
        with_replay: 1,
    };
    assert_eq!(folder.prune(retention).unwrap(), [3]);
    pin(&root.path().join("00000001"), false).unwrap();
    let retention = Retention { best: 1, ..retention };
    assert_eq!(folder.prune(retention).unwrap(), [1, 4]);
    let left: Vec<_> = list(root.path()).unwrap().iter().map(|one| one.step).collect();
    assert_eq!(left, [2, 5, 6]);
    // A pin stays with a step that a resumed run comes by again.
    pin(&root.path().join("00000005"), true).unwrap();
    folder.write(&snapshot(5, &replay, 1.0)).unwrap();
    assert!(list(root.path()).unwrap()[1].pinned);
}

#[test]
fn a_forgotten_stream_is_gone_from_the_disk_and_every_checkpoint_that_learned_from_it_says_so() {
    let root = tempfile::tempdir().unwrap();
    let folder = CheckpointFolder::open(root.path()).unwrap();
    let replay = replay(20);
    fill(&replay, "b", 100..103);
    folder.write(&snapshot(1, &replay, 1.0)).unwrap();
    fill(&replay, "a", 0..3);
    fill(&replay, "b", 103..105);
    folder.write(&snapshot(2, &replay, 1.0)).unwrap();
    pin(root.path(), true).unwrap();
    let forgot = folder.forget("a", 1_800_000_000).unwrap();
    assert_eq!((forgot.samples, forgot.marked.as_slice()), (3, [2].as_slice()));
    for one in list(root.path()).unwrap() {
        verify(&one.path).unwrap();
    }
    assert_eq!(show(&root.path().join("00000001")).unwrap().forgotten, []);
    let marked = show(root.path()).unwrap();
    assert_eq!(marked.step, 2, "`latest` is where it was");
    assert_eq!(
        (
            marked.forgotten[0].stream.as_str(),
            marked.forgotten[0].samples_taken
        ),
        ("a", 3)
    );
    assert!(list(root.path()).unwrap()[1].pinned);
    let left = stored(root.path(), 2);
    let expected: Vec<_> = (100..105).map(|number| sample("b", number)).collect();
    assert_eq!(left.len(), 5);
    for (left, expected) in left.iter().zip(&expected) {
        assert_eq!(left.clip, expected.clip);
        assert_eq!(left.target, expected.target);
    }
    let clip = sample("a", 1).clip;
    for (name, _) in packs(root.path()) {
        let bytes = fs::read(root.path().join("replay").join(name)).unwrap();
        assert!(!bytes.windows(clip.len()).any(|window| window == clip));
    }
    assert!(folder.forget("nobody", 0).unwrap().marked.is_empty());
}

/// A replay with room for 8 samples in memory and some 50 on disk.
fn with_disk(spill: &Path) -> Replay {
    let spill_config = SpillConfig {
        dir: None,
        capacity: bytesize::ByteSize(60 * 12_288),
        segment_size: bytesize::ByteSize(8 * 12_288),
    };
    let config = ReplayConfig {
        capacity: bytesize::ByteSize(8 * sample("a", 0).bytes() as u64),
        eviction: EvictionKind::Fifo,
        min_samples: 1,
        tolerance: Some(1e12),
        ..ReplayConfig::default()
    };
    let folder = SpillFolder::open(spill, &spill_config, &SPEC).unwrap();
    Replay::with_spill(&config, 2, ChaCha8Rng::seed_from_u64(1), folder).unwrap()
}

fn fill_to_disk(replay: &Replay, stream: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        while replay.try_insert(sample(stream, number)) == Err(InsertRefused::SpillBehind) {
            assert!(replay.spill_one());
        }
    }
}

fn spill_files(spill: &Path) -> usize {
    let names = fs::read_dir(spill)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_str().unwrap().ends_with(".spill"))
        .count()
}

#[test]
fn samples_on_disk_are_named_where_they_are_and_stay_until_no_snapshot_names_them() {
    let root = tempfile::tempdir().unwrap();
    let spill = root.path().join("spill");
    let replay = with_disk(&spill);
    let folder = CheckpointFolder::open(root.path()).unwrap();
    folder.hold_slots(replay.spill_folder().unwrap()).unwrap();
    fill_to_disk(&replay, "a", 0..40);
    folder.write(&snapshot(1, &replay, 1.0)).unwrap();
    let of_first = content(&replay);
    assert_eq!(of_first.len(), 40);
    // Only what is in memory is copied.
    let packed: u64 = packs(root.path()).iter().map(|(_, bytes)| bytes).sum();
    assert!(packed < 9 * sample("a", 0).bytes() as u64, "{packed}");
    verify(root.path()).unwrap();
    // More than the spare slots of it is to be evicted: what has no free slot then is let go and counted.
    fill_to_disk(&replay, "b", 100..300);
    let lost = replay.snapshot().spill.unwrap().lost;
    assert!(lost[4] > 0 && lost[..4] == [0; 4], "{lost:?}");
    assert!(replay.by_stream()[&StreamName::new("a").unwrap()] < 40);
    assert_eq!(stored(root.path(), 1), of_first);

    folder.write(&snapshot(2, &replay, 1.0)).unwrap();
    folder.prune(KEEP).unwrap();
    assert_eq!(stored(root.path(), 2), content(&replay));
    fill_to_disk(&replay, "b", 300..305);
    let later = replay.snapshot().spill.unwrap().lost;
    assert_eq!(later, lost, "what only the first snapshot named is free");
    assert!(spill_files(&spill) <= 7);
}

#[test]
fn a_killed_run_goes_on_with_its_samples_on_disk_and_draws_the_same() {
    let root = tempfile::tempdir().unwrap();
    let spill = root.path().join("spill");
    let begin = || {
        let replay = with_disk(&spill);
        let folder = CheckpointFolder::open(root.path()).unwrap();
        folder.hold_slots(replay.spill_folder().unwrap()).unwrap();
        (replay, folder)
    };
    let go_on = |replay: &Replay, numbers: std::ops::Range<u64>| -> Vec<Arc<Sample>> {
        let each = |number| {
            fill_to_disk(replay, "a", number..number + 1);
            replay.sample_batch(2, std::time::Duration::ZERO).unwrap()
        };
        numbers.flat_map(each).collect()
    };
    let (first, folder) = begin();
    fill_to_disk(&first, "a", 0..70);
    folder.write(&snapshot(1, &first, 1.0)).unwrap();
    let then = content(&first);
    // How far it came afterwards does not matter, what it wrote over least of all.
    let drawn = go_on(&first, 70..90);
    drop((first, folder));

    let (resumed, folder) = begin();
    let from = load_for_resume(root.path()).unwrap();
    let taken = folder.take_samples(&from.path).unwrap().unwrap();
    assert_eq!(taken.missing, 0);
    resumed.import(from.replay.unwrap(), Some(taken));
    assert_eq!(content(&resumed), then);
    assert_eq!(go_on(&resumed, 70..90), drawn);
    folder.write(&snapshot(2, &resumed, 1.0)).unwrap();
    assert_eq!(stored(root.path(), 2), content(&resumed));
    drop((resumed, folder));

    // A file is gone: its samples are missing, the others are there.
    let gone = fs::read_dir(&spill)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "spill"));
    fs::remove_file(gone.unwrap()).unwrap();
    assert!(
        verify(root.path())
            .unwrap_err()
            .to_string()
            .contains("no segment")
    );
    let (resumed, folder) = begin();
    let from = load_for_resume(root.path()).unwrap();
    let taken = folder.take_samples(&from.path).unwrap().unwrap();
    let missing = taken.missing;
    assert!((1..=8).contains(&missing), "{missing}");
    let left = taken.samples.len();
    resumed.import(from.replay.unwrap(), Some(taken));
    let now = resumed.snapshot();
    assert_eq!((now.samples, now.spill.unwrap().lost[2]), (left, missing));
    go_on(&resumed, 90..120);
}

#[test]
fn a_forgotten_stream_is_wiped_from_the_disk_while_a_run_goes_on_and_when_none_does() {
    let marked = [0xd7; 64];
    let private = |number: u64| {
        let mut sample = sample("a", number);
        sample.clip = [&marked[..], &sample.clip[64..]].concat();
        sample
    };
    let root = tempfile::tempdir().unwrap();
    let spill = root.path().join("spill");
    let traces = || {
        let files = fs::read_dir(&spill)
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap());
        let count = |bytes: Vec<u8>| bytes.windows(64).filter(|window| *window == marked).count();
        files.map(count).sum::<usize>()
    };
    for running in [true, false] {
        let replay = with_disk(&spill);
        let folder = CheckpointFolder::open(root.path()).unwrap();
        folder.hold_slots(replay.spill_folder().unwrap()).unwrap();
        for number in 0..40 {
            while replay.try_insert(private(number)) == Err(InsertRefused::SpillBehind) {
                assert!(replay.spill_one());
            }
            fill_to_disk(&replay, "b", 100 + number..101 + number);
        }
        folder.write(&snapshot(1, &replay, 1.0)).unwrap();
        assert!(traces() > 5);
        let folder = match running {
            true => {
                replay.forget(&StreamName::new("a").unwrap()).unwrap();
                folder
            }
            false => {
                drop((replay, folder));
                CheckpointFolder::open(root.path()).unwrap()
            }
        };
        let forgot = folder.forget("a", 1_800_000_000).unwrap();
        assert!(forgot.samples > 5 && forgot.marked == [1], "{forgot:?}");
        assert_eq!(traces(), 0, "running: {running}");
        let left = stored(root.path(), 1);
        assert!(!left.is_empty() && left.iter().all(|sample| sample.stream.as_str() == "b"));
        verify(root.path()).unwrap();
    }
}
