//! What a batch is made of.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ingest::StreamName;

proptest! {
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
                replay.try_insert(Sample::small("a", segment as u64, 10)).unwrap();
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
            replay.try_insert(Sample::small("a", number / size, 10)).unwrap();
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
        let mut sample = Sample::small("camera", 1, 10);
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
        let mut sample = Sample::small("camera", number.saturating_sub(2990), 10);
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
        replay.try_insert(Sample::small("a", number, 10)).unwrap();
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
        replay.try_insert(Sample::small("a", number, 10)).unwrap();
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
            replay.try_insert(Sample::small("a", number / 7, 10)).unwrap();
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
            replay.try_insert(Sample::small("a", number, 10)).unwrap();
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
fn newest_counts_and_neighbours_are_told_by_stream_and_feature() {
    let replay = roomy(100, 4);
    let name = |text| StreamName::new(text).unwrap();
    let ids: Vec<_> = (0..6)
        .map(|n| {
            let stream = if n % 3 == 0 { "b" } else { "a" };
            replay.try_insert(Sample::small(stream, n, 10)).unwrap()
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
