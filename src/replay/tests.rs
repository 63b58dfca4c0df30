use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytesize::ByteSize;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ingest::StreamName;
use crate::window::{FrameSize, SampleSpec};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn sample(stream: &str, segment: u64, pixels: usize) -> Sample {
    let size = FrameSize { width: 1, height: 1 };
    Sample {
        id: SampleId(0),
        stream: StreamName::new(stream).unwrap(),
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
        key_frame: vec![0; pixels],
        clip: vec![0; pixels],
        target: vec![0; 2],
        negatives: vec![0; 2],
        pts: None,
        arrival: TimeRange {
            first_ns: segment,
            last_ns: segment,
        },
        frame_rate: None,
    }
}

pub(super) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Never holds anyone back.
pub(super) fn unlimited() -> ReplayConfig {
    ReplayConfig {
        min_samples: 1,
        tolerance: Some(1e12),
        ..ReplayConfig::default()
    }
}

/// A replay that never holds anyone back and draws all alike, for `capacity` samples of `sample("a", _, 10)`.
fn roomy(capacity: usize, batch: usize) -> Replay {
    let config = ReplayConfig {
        capacity: ByteSize((capacity * sample("a", 0, 10).bytes()) as u64),
        fresh_share: 0.0,
        ..unlimited()
    };
    Replay::new(&config, batch, rng(1)).unwrap()
}

fn limited(samples_per_insert: f64, min_samples: usize, batch: usize) -> Replay {
    let config = ReplayConfig {
        samples_per_insert,
        min_samples,
        ..ReplayConfig::default()
    };
    Replay::new(&config, batch, rng(1)).unwrap()
}

proptest! {
    /// Against a plain queue: the bound holds after every insert, what goes is what came first, and ids count inserts.
    #[test]
    fn stays_within_its_bytes_and_forgets_the_oldest_first(
        capacity in 2_000usize..20_000,
        sizes in prop::collection::vec(0usize..3_000, 1..200),
    ) {
        let config = ReplayConfig {
            capacity: ByteSize(capacity as u64),
            tolerance: Some(1e12),
            ..ReplayConfig::default()
        };
        let replay = Replay::new(&config, 1, rng(1)).unwrap();
        let mut queue: VecDeque<(u64, usize)> = VecDeque::new();
        let mut next_id = 1;
        for (number, pixels) in sizes.into_iter().enumerate() {
            let offered = sample("a", number as u64, pixels);
            let bytes = offered.bytes();
            if bytes > capacity {
                prop_assert_eq!(
                    replay.insert_blocking(offered),
                    Err(InsertRefused::LargerThanReplay { bytes, capacity_bytes: capacity })
                );
                continue;
            }
            prop_assert_eq!(replay.try_insert(offered), Ok(SampleId(next_id)));
            queue.push_back((number as u64, bytes));
            next_id += 1;
            while queue.iter().map(|(_, bytes)| bytes).sum::<usize>() > capacity {
                queue.pop_front();
            }
            let now = replay.snapshot();
            prop_assert!(now.bytes <= capacity);
            prop_assert_eq!(now.samples, queue.len());
            prop_assert_eq!(now.segments, queue.len());
            prop_assert_eq!(now.bytes, queue.iter().map(|(_, bytes)| bytes).sum::<usize>());
            prop_assert_eq!(now.oldest_arrival_unix_ns, queue.front().map(|(number, _)| *number));
            prop_assert_eq!(now.newest_arrival_unix_ns, queue.back().map(|(number, _)| *number));
            prop_assert_eq!(now.inserted, now.evicted + now.samples as u64);
        }
    }

    /// Whatever the mix of segments: a whole batch, and no sample twice.
    #[test]
    fn a_batch_never_holds_a_sample_twice(
        members in prop::collection::vec(1usize..40, 1..30),
        batch in 1usize..40,
        fresh_share in 0.0f64..1.0,
        seed in any::<u64>(),
    ) {
        let stored: usize = members.iter().sum();
        prop_assume!(stored >= batch);
        let config = ReplayConfig { fresh_share, ..unlimited() };
        let replay = Replay::new(&config, batch, rng(seed)).unwrap();
        for (segment, count) in members.iter().enumerate() {
            for _ in 0..*count {
                replay.try_insert(sample("a", segment as u64, 10)).unwrap();
            }
        }
        for _ in 0..4 {
            let drawn = replay.sample_batch(batch, Duration::ZERO).unwrap();
            prop_assert_eq!(drawn.len(), batch);
            prop_assert_eq!(drawn.iter().map(|s| s.id).collect::<HashSet<_>>().len(), batch);
        }
    }

    /// Segments of one size, and enough of them: one sample of a segment a batch.
    #[test]
    fn a_batch_takes_one_sample_of_a_segment(
        size in 1u64..20,
        segments in 8u64..60,
        fresh_share in 0.0f64..1.0,
        seed in any::<u64>(),
    ) {
        let batch = (segments as usize / 2).min(16);
        let config = ReplayConfig { fresh_share, ..unlimited() };
        let replay = Replay::new(&config, batch, rng(seed)).unwrap();
        for number in 0..segments * size {
            replay.try_insert(sample("a", number / size, 10)).unwrap();
        }
        for _ in 0..6 {
            let drawn = replay.sample_batch(batch, Duration::ZERO).unwrap();
            let used: HashSet<_> = drawn.iter().map(|sample| sample.segment).collect();
            prop_assert_eq!(used.len(), batch);
        }
        prop_assert_eq!(replay.snapshot().batches_repeating_segments, 0);
    }
}

/// One camera: a single segment that lasts for hours.
#[test]
fn samples_of_one_long_segment_are_ten_seconds_apart_in_a_batch() {
    let replay = Replay::new(&unlimited(), 8, rng(1)).unwrap();
    for number in 0..1000u64 {
        let mut sample = sample("camera", 1, 10);
        let first_ns = number * 2_400_000_000;
        sample.pts = Some(TimeRange {
            first_ns,
            last_ns: first_ns,
        });
        replay.try_insert(sample).unwrap();
    }
    for _ in 0..50 {
        let drawn = replay.sample_batch(8, Duration::ZERO).unwrap();
        let stretches: HashSet<_> = drawn
            .iter()
            .map(|sample| sample.pts.unwrap().first_ns / 10_000_000_000)
            .collect();
        assert_eq!(stretches.len(), 8);
    }
    assert_eq!(replay.snapshot().batches_repeating_segments, 50);
}

/// A camera that has started anew a few times: the few samples of its short segments must not fill every batch.
#[test]
fn short_segments_beside_a_long_one_are_not_learned_by_heart() {
    let config = ReplayConfig {
        fresh_share: 0.0,
        ..unlimited()
    };
    let replay = Replay::new(&config, 8, rng(1)).unwrap();
    for number in 0..3000u64 {
        let mut sample = sample("camera", number.saturating_sub(2990), 10);
        sample.arrival.first_ns = number * 10_000_000_000;
        replay.try_insert(sample).unwrap();
    }
    let mut short = 0;
    for _ in 0..500 {
        let drawn = replay.sample_batch(8, Duration::ZERO).unwrap();
        short += drawn.iter().filter(|sample| sample.segment > 0).count();
    }
    // 9 of 3000 samples, sixteen times as likely at most by the draws that look for other segments.
    assert!(short < 500 * 8 / 10, "{short} of 4000 draws fell on nine samples");
}

#[test]
fn a_part_of_each_batch_was_never_drawn_the_oldest_first() {
    let config = ReplayConfig {
        fresh_share: 0.3,
        ..unlimited()
    };
    let replay = Replay::new(&config, 10, rng(1)).unwrap();
    for number in 0..1000 {
        replay.try_insert(sample("a", number, 10)).unwrap();
    }
    let mut seen = HashSet::new();
    for turn in 0..20 {
        let drawn = replay.sample_batch(10, Duration::ZERO).unwrap();
        let mut unseen = (0..1000u64).filter(|number| !seen.contains(number));
        let oldest: HashSet<_> = unseen.by_ref().take(3).collect();
        let ids: HashSet<_> = drawn.iter().map(|sample| sample.segment).collect();
        assert!(oldest.is_subset(&ids), "turn {turn}: {oldest:?} in {ids:?}");
        seen.extend(ids);
    }
    assert_eq!(replay.snapshot().fresh, 1000 - seen.len());
}

#[test]
fn every_sample_is_equally_likely() {
    let replay = roomy(50, 1);
    // 70 inserted, 20 evicted again: the index must survive removals.
    for number in 0..70 {
        replay.try_insert(sample("a", number, 10)).unwrap();
    }
    let draws = 50_000;
    let mut counts = [0f64; 70];
    for _ in 0..draws {
        counts[replay.sample_batch(1, Duration::ZERO).unwrap()[0].segment as usize] += 1.0;
    }
    assert!(counts[..20].iter().all(|count| *count == 0.0));
    let expected = f64::from(draws) / 50.0;
    let chi_square: f64 = counts[20..]
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum();
    // 49 degrees of freedom: 99.9 % of uniform generators stay below 85.4, and the seed is fixed.
    assert!(chi_square < 85.4, "chi-square {chi_square}");
}

#[test]
fn one_seed_gives_the_same_batches_again() {
    let batches = |seed: u64| -> Vec<u64> {
        let config = ReplayConfig {
            min_samples: 1,
            tolerance: Some(1e12),
            ..ReplayConfig::default()
        };
        let replay = Replay::new(&config, 8, rng(seed)).unwrap();
        for number in 0..100 {
            replay.try_insert(sample("a", number / 7, 10)).unwrap();
        }
        (0..20)
            .flat_map(|_| replay.sample_batch(8, Duration::ZERO).unwrap())
            .map(|sample| sample.id.0)
            .collect()
    };
    assert_eq!(batches(3), batches(3));
    assert_ne!(batches(3), batches(4));
}

#[test]
fn an_exported_state_continues_the_same_random_sequence() {
    let fill = |replay: &Replay| {
        for number in 0..40 {
            replay.try_insert(sample("a", number, 10)).unwrap();
        }
    };
    let draw = |replay: &Replay| -> Vec<u64> {
        let draw = |_| replay.sample_batch(4, Duration::ZERO).unwrap();
        (0..10).flat_map(draw).map(|sample| sample.segment).collect()
    };
    let first = roomy(100, 4);
    fill(&first);
    draw(&first);
    let saved = serde_json::to_string(&first.export(false, || {}).state).unwrap();
    let resumed = roomy(100, 4);
    resumed.import(serde_json::from_str(&saved).unwrap(), None);
    fill(&resumed);
    assert_eq!(draw(&first), draw(&resumed));
    assert_eq!(resumed.snapshot().inserted, 80);
    assert_eq!(resumed.snapshot().sampled, 80);
}

#[test]
fn live_streams_are_refused_and_files_wait_while_training_is_behind() {
    let replay = Arc::new(limited(1.0, 2, 2));
    let mut stored = 0;
    while replay.wants_samples() {
        replay.try_insert(sample("a", stored, 10)).unwrap();
        stored += 1;
        assert!(stored < 100, "the limiter never held an insert back");
    }
    assert_eq!(replay.snapshot().limiter, LimiterState::TrainerBehind);
    assert_eq!(
        replay.try_insert(sample("a", 99, 10)),
        Err(InsertRefused::TrainerBehind)
    );
    let file = thread::spawn({
        let replay = replay.clone();
        move || replay.insert_blocking(sample("file", 0, 10))
    });
    let scout = thread::spawn({
        let replay = replay.clone();
        move || replay.wait_until_wanted()
    });
    thread::sleep(Duration::from_millis(30));
    assert!(!file.is_finished() && !scout.is_finished());
    assert_eq!(replay.snapshot().inserted, stored);
    replay.sample_batch(2, Duration::ZERO).unwrap();
    assert!(file.join().unwrap().is_ok());
    replay.close();
    scout.join().unwrap();
    assert!(!replay.wait_until_wanted());
    let now = replay.snapshot();
    assert_eq!((now.inserted, now.refused), (stored + 1, 1));
    assert!(
        now.insert_wait >= Duration::from_millis(20),
        "{:?}",
        now.insert_wait
    );
}

#[test]
fn training_waits_for_sources_and_says_so() {
    let replay = Arc::new(limited(1.0, 4, 4));
    assert_eq!(
        replay.snapshot().limiter,
        LimiterState::WarmingUp { stored: 0, needed: 4 }
    );
    let waited = Duration::from_millis(10);
    assert_eq!(replay.sample_batch(4, waited), Err(NoBatch::TimedOut { waited }));
    let trainer = thread::spawn({
        let replay = replay.clone();
        move || replay.sample_batch(4, PATIENCE)
    });
    for number in 0..4 {
        replay.try_insert(sample("a", number, 10)).unwrap();
    }
    assert_eq!(trainer.join().unwrap().unwrap().len(), 4);
    assert!(replay.snapshot().sample_wait >= waited);
}

#[test]
fn when_sources_have_ended_training_goes_on_to_its_limit_and_not_beyond() {
    let config = ReplayConfig {
        samples_per_insert: 1.0,
        min_samples: 1000,
        final_samples_per_insert: Some(5.0),
        ..ReplayConfig::default()
    };
    let replay = Replay::new(&config, 4, rng(1)).unwrap();
    for number in 0..8 {
        replay.try_insert(sample("a", number, 10)).unwrap();
    }
    let waited = Duration::ZERO;
    assert_eq!(replay.sample_batch(4, waited), Err(NoBatch::TimedOut { waited }));
    replay.sources_ended();
    for _ in 0..10 {
        replay.sample_batch(4, waited).unwrap();
    }
    let exhausted = replay.sample_batch(4, waited).unwrap_err();
    assert!(
        matches!(
            exhausted,
            NoBatch::Exhausted {
                inserted: 8,
                sampled: 40,
                limit: 5.0,
                batch: 4
            }
        ),
        "{exhausted}"
    );
    replay.sources_started();
    assert_eq!(replay.sample_batch(4, waited), Err(NoBatch::TimedOut { waited }));
}

#[test]
fn too_few_samples_for_a_batch_is_an_error_and_not_a_wait() {
    let replay = limited(1.0, 1, 4);
    replay.try_insert(sample("a", 0, 10)).unwrap();
    replay.sources_ended();
    assert_eq!(
        replay.sample_batch(4, PATIENCE),
        Err(NoBatch::TooFewSamples { stored: 1, batch: 4 })
    );
    let small = roomy(3, 4);
    for number in 0..9 {
        small.try_insert(sample("a", number, 10)).unwrap();
    }
    assert!(matches!(
        small.sample_batch(4, PATIENCE),
        Err(NoBatch::CapacityBelowBatch {
            stored: 3,
            batch: 4,
            ..
        })
    ));
    assert!(matches!(
        small.sample_batch(5, PATIENCE),
        Err(NoBatch::WrongBatchSize {
            batch: 5,
            largest_batch: 4
        })
    ));
}

#[test]
fn closing_wakes_everybody() {
    let starved = Arc::new(limited(1.0, 100, 8));
    let full = Arc::new(limited(1.0, 1, 1));
    let mut number = 0;
    while full.wants_samples() {
        full.try_insert(sample("a", number, 10)).unwrap();
        number += 1;
    }
    let trainers: Vec<_> = (0..4)
        .map(|_| starved.clone())
        .map(|replay| thread::spawn(move || replay.sample_batch(8, Duration::from_secs(3600))))
        .collect();
    let files: Vec<_> = (0..4)
        .map(|_| full.clone())
        .map(|replay| thread::spawn(move || replay.insert_blocking(sample("file", 0, 10))))
        .collect();
    thread::sleep(Duration::from_millis(20));
    starved.close();
    full.close();
    for trainer in trainers {
        assert_eq!(trainer.join().unwrap(), Err(NoBatch::Closed));
    }
    for file in files {
        assert_eq!(file.join().unwrap(), Err(InsertRefused::Closed));
    }
    assert_eq!(full.try_insert(sample("a", 0, 10)), Err(InsertRefused::Closed));
    assert!(!full.wants_samples());
    assert_eq!(full.snapshot().limiter, LimiterState::Closed);
}

#[test]
fn many_files_and_a_trainer_keep_the_ratio_without_a_deadlock() {
    let (batch, per_insert, files, each) = (5usize, 3.0, 8u64, 60u64);
    let replay = Arc::new(limited(per_insert, 10, batch));
    let inserters: Vec<_> = (0..files)
        .map(|file| {
            let replay = replay.clone();
            thread::spawn(move || {
                (0..each).for_each(|n| {
                    replay
                        .insert_blocking(sample("file", file * each + n, 10))
                        .unwrap();
                })
            })
        })
        .collect();
    let trainer = thread::spawn({
        let replay = replay.clone();
        move || {
            loop {
                match replay.sample_batch(batch, PATIENCE) {
                    Ok(drawn) => assert_eq!(drawn.len(), batch),
                    Err(end) => return end,
                }
            }
        }
    });
    inserters
        .into_iter()
        .for_each(|inserter| inserter.join().unwrap());
    replay.sources_ended();
    assert!(matches!(trainer.join().unwrap(), NoBatch::Exhausted { .. }));
    let now = replay.snapshot();
    assert_eq!(now.inserted, files * each);
    let owed = per_insert * now.inserted as f64 - now.sampled as f64;
    assert!((0.0..batch as f64).contains(&owed), "{owed} samples not drawn");
}

#[test]
fn the_ratio_can_be_changed_while_both_sides_wait() {
    let replay = Arc::new(limited(1.0, 2, 2));
    let mut stored = 0;
    while replay.wants_samples() {
        replay.try_insert(sample("a", stored, 10)).unwrap();
        stored += 1;
    }
    while replay.sample_batch(2, Duration::ZERO).is_ok() {}
    let trainer = thread::spawn({
        let replay = replay.clone();
        move || replay.sample_batch(2, PATIENCE).map(|batch| batch.len())
    });
    thread::sleep(Duration::from_millis(20));
    assert!(!trainer.is_finished());
    replay.set_samples_per_insert(4.0).unwrap();
    // A wider tolerance at once, and from now on four draws an insert.
    assert_eq!(trainer.join().unwrap(), Ok(2));
    assert_eq!(replay.snapshot().samples_per_insert_wanted, 4.0);
    let before = replay.snapshot().sampled;
    for _ in 0..10 {
        replay.insert_blocking(sample("a", stored, 10)).unwrap();
        stored += 1;
        while replay.sample_batch(2, Duration::ZERO).is_ok() {}
    }
    let drawn = replay.snapshot().sampled - before;
    assert!((38..=44).contains(&drawn), "{drawn} drawn for ten inserts");
    let told = replay.set_samples_per_insert(0.0).unwrap_err().to_string();
    assert!(told.contains("replay.samples_per_insert = 0"), "{told}");
}

#[test]
fn newest_counts_and_neighbours_are_told_by_stream_and_feature() {
    let replay = roomy(100, 4);
    let name = |text| StreamName::new(text).unwrap();
    let ids: Vec<_> = (0..6)
        .map(|n| {
            let stream = if n % 3 == 0 { "b" } else { "a" };
            replay.try_insert(sample(stream, n, 10)).unwrap()
        })
        .collect();
    assert_eq!(replay.newest(&name("a")).unwrap().id, ids[5]);
    assert_eq!(replay.newest(&name("b")).unwrap().id, ids[3]);
    assert_eq!(replay.newest(&name("c")), None);
    assert_eq!(
        replay.by_stream(),
        BTreeMap::from([(name("a"), 4), (name("b"), 2)])
    );
    assert_eq!(replay.neighbours(ids[0], 3), [], "nothing was trained on");
    for (id, angle) in ids.iter().zip([0.0f32, 0.1, 1.0, 0.3, 3.0]) {
        replay.feature(*id, &[angle.cos(), angle.sin()]);
    }
    let near = replay.neighbours(ids[0], 3);
    let found: Vec<_> = near.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, [ids[1], ids[3], ids[2]]);
    assert!((near[1].1 - 0.3f32.cos()).abs() < 1e-3);
}
