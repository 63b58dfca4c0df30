//! Replay's samples beside a checkpoint: written once, shared by snapshots, bounded, forgotten where asked for.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod snapshots;

use std::fs;

use comove::checkpoint::{
    CheckpointFolder, Retention, list, load_for_resume, load_samples, pin, show, verify,
};
use comove::replay::Replay;
use safetensors::SafeTensors;

use snapshots::{KEEP, content, fill, packs, replay, sample, snapshot, stored};

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
