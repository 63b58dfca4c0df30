//! Replay's samples that were on disk already when a checkpoint is written: named where they are, and kept there.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod snapshots;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use comove::checkpoint::{CheckpointFolder, load_for_resume, verify};
use comove::ingest::StreamName;
use comove::replay::{EvictionKind, InsertRefused, Replay, ReplayConfig, Sample, SpillConfig, SpillFolder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use snapshots::{KEEP, SPEC, content, packs, sample, snapshot, stored};

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
