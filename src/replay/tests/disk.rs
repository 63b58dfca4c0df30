//! Room on disk beside memory.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ingest::StreamName;

/// Slots are one page here: a sample is a few bytes.
const SLOT: u64 = 4096;

/// A sample of 14 bytes on disk, all of which follow from `number`.
fn numbered(stream: &str, number: u64) -> Sample {
    let mut sample = Sample::small(stream, number, 3);
    let bytes = number.to_le_bytes();
    sample.key_frame = bytes[..3].to_vec();
    sample.clip = vec![bytes[0] ^ 0x5a; 3];
    sample.target = vec![number as i16, !number as i16];
    sample.negatives = vec![-(number as i16), 7];
    sample
}

/// Room for `in_memory` samples, and for `on_disk` in files of three, an eighth of them spare.
fn config(in_memory: usize, on_disk: u64, eviction: EvictionKind) -> ReplayConfig {
    ReplayConfig {
        capacity: ByteSize((in_memory * numbered("a", 0).bytes()) as u64),
        eviction,
        spill: Some(SpillConfig {
            dir: None,
            capacity: ByteSize(on_disk * SLOT),
            segment_size: ByteSize(3 * SLOT),
        }),
        ..unlimited()
    }
}

fn open(root: &Path, config: &ReplayConfig) -> Replay {
    let spill = config.spill.as_ref().unwrap();
    let folder = SpillFolder::open(root, spill, &numbered("a", 0).spec).unwrap();
    Replay::with_spill(config, 4, rng(1), folder).unwrap()
}

/// Takes the sample, writing others to disk meanwhile as the thread beside would.
fn insert(replay: &Replay, sample: Sample) -> Result<SampleId, InsertRefused> {
    loop {
        match replay.try_insert(sample.clone()) {
            Err(InsertRefused::SpillBehind) => assert!(replay.spill_one(), "nothing to write, and no room"),
            other => return other,
        }
    }
}

fn on_disk(replay: &Replay) -> Vec<Arc<SpilledSample>> {
    let samples = replay.export(false, || {}).samples;
    let spilled = samples.into_iter().filter_map(|stored| match stored {
        StoredSample::Disk(spilled) => Some(spilled),
        StoredSample::Memory(_) => None,
    });
    spilled.collect()
}

fn segment(root: &Path, number: u64) -> PathBuf {
    root.join(format!("{number:08}-{SLOT}.spill"))
}

fn file_bytes(root: &Path) -> u64 {
    let files = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    files.map(|entry| entry.metadata().unwrap().len()).sum()
}

/// Turns one bit of a stored sample's bytes around.
fn damage(root: &Path, at: SlotPlace, bit: u64) {
    let path = segment(root, at.segment);
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let offset = u64::from(at.slot) * SLOT + bit / 8 % 14;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, offset).unwrap();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u8),
    Spill,
    Draw(usize),
    Look(usize),
    Damage(usize, u64),
    Hold,
    LetGo,
    Forget(u8),
    Delete,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0u8..3).prop_map(Step::Insert),
        3 => Just(Step::Spill),
        4 => (1usize..5).prop_map(Step::Draw),
        2 => any::<usize>().prop_map(Step::Look),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(which, bit)| Step::Damage(which, bit)),
        1 => Just(Step::Hold),
        1 => Just(Step::LetGo),
        1 => (0u8..3).prop_map(Step::Forget),
        1 => Just(Step::Delete),
    ];
    prop::collection::vec(step, 1..250)
}

proptest! {
    /// Whatever the order of everything that can happen: memory and files stay within their bounds, every sample is accounted for,
    /// and what comes back is what was put in.
    #[test]
    fn any_order_of_events_keeps_the_bounds_and_gives_back_the_same_bytes(
        steps in steps(),
        in_memory in 4usize..8,
        files in 1u64..5,
        kind in 0usize..4,
    ) {
        let kinds = [EvictionKind::Fifo, EvictionKind::Reservoir, EvictionKind::TwoTier, EvictionKind::MinimumRedundancy];
        let root = tempfile::tempdir().unwrap();
        let config = config(in_memory, 3 * files, kinds[kind]);
        let replay = open(root.path(), &config);
        let names = ["a", "b", "c"];
        let mut expected: BTreeMap<SampleId, Sample> = BTreeMap::new();
        let mut damaged: HashSet<SampleId> = HashSet::new();
        let mut held: Vec<Arc<SpilledSample>> = Vec::new();
        let mut forgotten = 0;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(stream) => {
                    let mut sample = numbered(names[stream as usize], number as u64);
                    match insert(&replay, sample.clone()) {
                        Ok(id) => {
                            sample.id = id;
                            expected.insert(id, sample);
                        }
                        Err(refused) => prop_assert_eq!(refused, InsertRefused::NotKept),
                    }
                }
                Step::Spill => drop(replay.spill_one()),
                Step::Draw(size) => {
                    if let Ok(batch) = replay.sample_batch(size, Duration::ZERO) {
                        prop_assert_eq!(batch.len(), size);
                        for sample in &batch {
                            prop_assert!(!damaged.contains(&sample.id));
                            prop_assert_eq!(&**sample, &expected[&sample.id]);
                            replay.learned(sample.id, &[sample.segment as f32, 1.0]);
                        }
                    }
                }
                Step::Look(which) => {
                    let ids: Vec<_> = expected.keys().copied().collect();
                    if let Some(id) = ids.get(which % ids.len().max(1))
                        && let Some(sample) = replay.get(*id)
                    {
                        prop_assert!(!damaged.contains(id));
                        prop_assert_eq!(&*sample, &expected[id]);
                    }
                }
                Step::Damage(which, bit) => {
                    let spilled = on_disk(&replay);
                    // Turned twice, it would be sound again.
                    if let Some(one) = spilled.get(which % spilled.len().max(1))
                        && damaged.insert(one.head().id)
                    {
                        damage(root.path(), one.at(), bit);
                    }
                }
                Step::Hold => held = on_disk(&replay),
                Step::LetGo => held.clear(),
                Step::Forget(stream) => {
                    let name = StreamName::new(names[stream as usize]).unwrap();
                    forgotten += replay.forget(&name).unwrap();
                    prop_assert!(!replay.by_stream().contains_key(&name));
                }
                Step::Delete => replay.spill_folder().unwrap().delete_empty().unwrap(),
            }
            let now = replay.snapshot();
            let spill = now.spill.unwrap();
            prop_assert!(now.bytes <= now.capacity_bytes);
            prop_assert!(spill.bytes <= spill.capacity_bytes);
            prop_assert_eq!(file_bytes(root.path()), spill.bytes);
            let gone = now.evicted + spill.lost.iter().sum::<u64>() + forgotten;
            prop_assert_eq!(now.inserted, gone + now.samples as u64);
            for spilled in held.iter().filter(|one| !damaged.contains(&one.head().id)) {
                prop_assert_eq!(&spilled.read().unwrap(), &expected[&spilled.head().id]);
            }
        }
        prop_assert!(replay.snapshot().spill.unwrap().lost[0] <= damaged.len() as u64);
    }

    /// The policies see one store: it draws what one draws that has as much memory.
    #[test]
    fn a_store_with_a_disk_draws_what_one_of_as_much_memory_draws(
        kind in 0usize..4,
        inserts in prop::collection::vec(1usize..4, 1..60),
    ) {
        let kinds = [EvictionKind::Fifo, EvictionKind::Reservoir, EvictionKind::TwoTier, EvictionKind::MinimumRedundancy];
        let root = tempfile::tempdir().unwrap();
        // Memory for 8, of which 2 are headroom; 12 slots, of which 1 is spare.
        let with_disk = open(root.path(), &config(8, 12, kinds[kind]));
        let memory = ReplayConfig { spill: None, ..config(6 + 11, 12, kinds[kind]) };
        let in_memory = Replay::new(&memory, 4, rng(1)).unwrap();
        let mut number = 0;
        for count in inserts {
            for _ in 0..count {
                number += 1;
                let put = |replay: &Replay| insert(replay, numbered("a", number));
                prop_assert_eq!(put(&with_disk), put(&in_memory));
            }
            let draw = |replay: &Replay| {
                let batch = replay.sample_batch(4, Duration::ZERO).unwrap_or_default();
                for sample in &batch {
                    replay.learned(sample.id, &[sample.segment as f32, 1.0]);
                }
                batch
            };
            prop_assert_eq!(draw(&with_disk), draw(&in_memory));
        }
    }
}

#[test]
fn a_thread_beside_writes_what_memory_does_not_hold_and_files_wait_for_it() {
    let root = tempfile::tempdir().unwrap();
    let replay = Arc::new(open(root.path(), &config(8, 30, EvictionKind::Fifo)));
    let writer = thread::spawn({
        let replay = replay.clone();
        move || replay.keep_spilling()
    });
    for number in 0..500 {
        replay.insert_blocking(numbered("a", number)).unwrap();
        if number > 4 {
            replay.sample_batch(1, Duration::ZERO).unwrap();
        }
    }
    let now = replay.snapshot();
    let spill = now.spill.unwrap();
    assert!(now.samples > 30 && spill.samples >= now.samples - 8, "{now:?}");
    assert_eq!((spill.lost, spill.stopped), ([0; 5], false));
    assert!(spill.reads_by_seconds.iter().sum::<u64>() > 100, "{now:?}");
    replay.close();
    writer.join().unwrap();
}

#[test]
fn a_damaged_and_an_unreadable_sample_are_let_go_and_the_batch_is_whole_without_them() {
    let root = tempfile::tempdir().unwrap();
    let replay = open(root.path(), &config(4, 30, EvictionKind::Fifo));
    for number in 0..20 {
        insert(&replay, numbered("a", number)).unwrap();
    }
    while replay.spill_one() {}
    let spilled = on_disk(&replay);
    damage(root.path(), spilled[0].at(), 3);
    // The last file is cut short: what lies behind cannot be read.
    let last = spilled.iter().map(|one| one.at().segment).max().unwrap();
    let cut = fs::File::options()
        .write(true)
        .open(segment(root.path(), last))
        .unwrap();
    cut.set_len(0).unwrap();
    let unreadable = spilled.iter().filter(|one| one.at().segment == last).count() as u64;
    for _ in 0..60 {
        let batch = replay.sample_batch(4, Duration::ZERO).unwrap();
        assert_eq!(batch.len(), 4);
    }
    let now = replay.snapshot();
    assert_eq!(now.spill.unwrap().lost, [1, unreadable, 0, 0, 0]);
    assert_eq!(now.samples as u64, 20 - 1 - unreadable);
}

#[test]
fn when_everything_on_disk_is_lost_training_waits_for_new_samples_instead_of_failing() {
    let root = tempfile::tempdir().unwrap();
    let replay = open(root.path(), &config(4, 30, EvictionKind::Fifo));
    for number in 0..20 {
        insert(&replay, numbered("a", number)).unwrap();
    }
    while replay.spill_one() {}
    for number in 1..=10 {
        let Ok(file) = fs::File::options().write(true).open(segment(root.path(), number)) else {
            break;
        };
        file.set_len(0).unwrap();
    }
    let left = replay.snapshot().samples - on_disk(&replay).len();
    assert!(left < 4);
    let refused = replay.sample_batch(4, Duration::ZERO).unwrap_err();
    assert!(matches!(refused, NoBatch::TimedOut { .. }), "{refused}");
    for number in 20..24 {
        insert(&replay, numbered("a", number)).unwrap();
    }
    assert_eq!(replay.sample_batch(4, Duration::ZERO).unwrap().len(), 4);
}

#[test]
fn a_disk_that_takes_nothing_costs_only_what_memory_has_no_room_for() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("spill");
    let replay = open(&folder, &config(8, 30, EvictionKind::TwoTier));
    fs::remove_dir_all(&folder).unwrap();
    for number in 0..50 {
        insert(&replay, numbered("a", number)).unwrap();
        if number > 4 {
            assert_eq!(replay.sample_batch(1, Duration::ZERO).unwrap().len(), 1);
        }
    }
    let now = replay.snapshot();
    let spill = now.spill.unwrap();
    assert!(spill.stopped);
    assert_eq!(spill.lost, [0, 0, 0, 50 - now.samples as u64, 0]);
    assert!((6..=8).contains(&now.samples), "{now:?}");
}

#[test]
fn what_a_forgotten_stream_left_on_disk_is_zeroed_even_where_it_had_been_evicted() {
    let root = tempfile::tempdir().unwrap();
    let replay = open(root.path(), &config(4, 9, EvictionKind::Fifo));
    for number in 0..40 {
        let stream = if number % 3 == 0 { "gone" } else { "stays" };
        let mut sample = numbered(stream, number);
        if stream == "gone" {
            sample.key_frame = vec![0xab; 3];
            sample.clip = vec![0xab; 3];
        }
        insert(&replay, sample).unwrap();
    }
    let traces = || {
        let files = (1..4).filter_map(|number| fs::read(segment(root.path(), number)).ok());
        let count = |bytes: Vec<u8>| bytes.windows(6).filter(|six| *six == [0xab; 6]).count();
        files.map(count).sum::<usize>()
    };
    assert!(traces() > 0);
    let name = StreamName::new("gone").unwrap();
    let held = on_disk(&replay);
    let before = replay.by_stream()[&name] as u64;
    assert_eq!(replay.forget(&name).unwrap(), before);
    assert!(traces() > 0, "a checkpoint may still name them");
    drop(held);
    assert_eq!(traces(), 0);
    assert!(
        replay
            .get(replay.newest(&StreamName::new("stays").unwrap()).unwrap().id)
            .is_some()
    );
}

#[test]
fn in_a_fixed_order_whoever_draws_writes_too() {
    let root = tempfile::tempdir().unwrap();
    let config = ReplayConfig {
        samples_per_insert: 1.0,
        tolerance: None,
        ..config(6, 30, EvictionKind::Fifo)
    };
    let replay = open(root.path(), &config);
    let name = StreamName::new("a").unwrap();
    replay.fix_order(vec![name.clone()]);
    for number in 1..=40 {
        let ticket = Ticket {
            stream: name.clone(),
            number,
        };
        replay
            .arrive(&ticket, Place::in_order(), numbered("a", number))
            .unwrap();
        let _ = replay.sample_batch(4, Duration::ZERO);
    }
    let now = replay.snapshot();
    assert!(now.samples > 20 && now.spill.unwrap().samples > 10, "{now:?}");
    assert_eq!(
        now.evicted + now.spill.unwrap().lost.iter().sum::<u64>(),
        now.inserted - now.samples as u64
    );
}
