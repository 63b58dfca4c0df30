//! What stays and what is drawn, policy by policy.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytesize::ByteSize;
use proptest::prelude::*;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ingest::StreamName;

fn config(eviction: EvictionKind, samples: usize) -> ReplayConfig {
    ReplayConfig {
        capacity: ByteSize((samples * Sample::small("a", 0, 10).bytes()) as u64),
        eviction,
        fresh_share: 0.0,
        ..unlimited()
    }
}

fn stored(replay: &Replay, up_to: u64) -> Vec<u64> {
    (1..=up_to)
        .filter(|id| replay.get(SampleId(*id)).is_some())
        .collect()
}

const ALL: [EvictionKind; 4] = [
    EvictionKind::Fifo,
    EvictionKind::Reservoir,
    EvictionKind::TwoTier,
    EvictionKind::MinimumRedundancy,
];

/// After n samples each is there with probability k/n: over many runs, every tenth of the stream holds an equal share.
#[test]
fn a_reservoir_keeps_every_part_of_the_stream_alike() {
    let (capacity, offered, runs) = (20, 200u64, 400u64);
    let mut held = [0f64; 10];
    for seed in 0..runs {
        let replay = Replay::new(&config(EvictionKind::Reservoir, capacity), 1, rng(seed)).unwrap();
        for number in 0..offered {
            let _ = replay.try_insert(Sample::small("a", number, 10));
        }
        let ids = stored(&replay, offered);
        assert_eq!(ids.len(), capacity);
        for id in ids {
            held[(id as usize - 1) / 20] += 1.0;
        }
    }
    let expected = (runs as usize * capacity) as f64 / 10.0;
    // Drawn without replacement: the variance is that of counts times (1 - k/n).
    let chi_square: f64 = held
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum::<f64>()
        / 0.9;
    // 9 degrees of freedom: 99.9 % of uniform ones stay below 27.9, and the seeds are fixed.
    assert!(chi_square < 27.9, "chi-square {chi_square}: {held:?}");
}

#[test]
fn two_tiers_keep_the_newest_and_some_of_every_time() {
    let (capacity, offered, runs) = (40, 400u64, 300u64);
    let mut held = [0f64; 10];
    for seed in 0..runs {
        let replay = Replay::new(&config(EvictionKind::TwoTier, capacity), 1, rng(seed)).unwrap();
        for number in 0..offered {
            replay.try_insert(Sample::small("a", number, 10)).unwrap();
        }
        let ids = stored(&replay, offered);
        assert_eq!(ids.len(), capacity);
        // A quarter of the capacity is the short term.
        let newest: Vec<_> = (offered - 9..=offered).collect();
        assert!(ids.ends_with(&newest), "{ids:?}");
        for id in &ids[..30] {
            held[(*id as usize - 1) * 10 / 390] += 1.0;
        }
    }
    let expected = (runs * 30) as f64 / 10.0;
    let chi_square: f64 = held
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum::<f64>()
        / (1.0 - 30.0 / 390.0);
    assert!(chi_square < 27.9, "chi-square {chi_square}: {held:?}");
}

#[test]
fn minimum_redundancy_lets_the_older_of_the_two_most_alike_go() {
    let replay = Replay::new(&config(EvictionKind::MinimumRedundancy, 4), 4, rng(1)).unwrap();
    let ids: Vec<_> = (0..4)
        .map(|n| replay.try_insert(Sample::small("a", n, 10)).unwrap())
        .collect();
    assert_eq!(
        replay.try_insert(Sample::small("a", 9, 10)),
        Err(InsertRefused::NotKept),
        "nothing was trained on"
    );
    for (id, angle) in ids.iter().zip([0.0f32, 1.0, 1.1, 2.0]) {
        replay.feature(*id, &[angle.cos(), angle.sin()]);
    }
    replay.feature(SampleId(77), &[1.0, 1.0]);
    let fifth = replay.try_insert(Sample::small("a", 5, 10)).unwrap();
    assert_eq!(stored(&replay, 9), [ids[0].0, ids[2].0, ids[3].0, fifth.0]);
    assert_eq!(replay.snapshot().not_kept, 1);
    // The fifth was never trained on: it stays, though it resembles nobody yet.
    replay.try_insert(Sample::small("a", 6, 10)).unwrap();
    assert!(replay.get(fifth).is_some());
}

#[test]
fn a_fair_sampler_draws_every_stream_alike() {
    let fair = ReplayConfig {
        sampling: SamplingKind::StreamFair,
        fresh_share: 0.0,
        ..unlimited()
    };
    let replay = Replay::new(&fair, 1, rng(3)).unwrap();
    for number in 0..100 {
        let stream = if number % 10 == 0 { "quiet" } else { "busy" };
        replay.try_insert(Sample::small(stream, number, 10)).unwrap();
    }
    let quiet = StreamName::new("quiet").unwrap();
    let draws = 4000;
    let of_quiet = (0..draws)
        .filter(|_| replay.sample_batch(1, Duration::ZERO).unwrap()[0].stream == quiet)
        .count();
    // 2000 expected, deviation 32.
    assert!((1870..2130).contains(&of_quiet), "{of_quiet}");
}

/// How alike the most alike pair is, all pairs searched; and the pair of `one`, if it is given.
fn most_alike(rows: &BTreeMap<SampleId, Vec<i16>>, one: Option<SampleId>) -> i32 {
    let dot =
        |a: &[i16], b: &[i16]| -> i32 { a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum() };
    rows.iter()
        .filter(|(id, _)| one.is_none_or(|one| one == **id))
        .flat_map(|(id, row)| {
            let others = rows.iter().filter(move |(other, _)| *other != id);
            others.map(move |(_, other)| dot(row, other))
        })
        .max()
        .unwrap()
}

fn entry(stream: &StreamName, id: u64) -> Entry<'_> {
    Entry {
        id: SampleId(id),
        stream,
        segment: 0,
        bytes: 1,
    }
}

proptest! {
    /// Whatever the sizes and the features: the bytes stay within the bound after every insert, whatever the policy.
    #[test]
    fn no_policy_ever_exceeds_the_bytes(
        kind in prop::sample::select(&ALL[..]),
        capacity in 3_000usize..20_000,
        sizes in prop::collection::vec((0usize..3_000, any::<bool>()), 1..150),
        seed in any::<u64>(),
    ) {
        let config = ReplayConfig { capacity: ByteSize(capacity as u64), ..config(kind, 1) };
        let replay = Replay::new(&config, 1, rng(seed)).unwrap();
        let mut random = rng(seed);
        for (number, (pixels, trained)) in sizes.into_iter().enumerate() {
            let _ = replay.try_insert(Sample::small("a", number as u64, pixels));
            if trained && replay.snapshot().samples > 0 {
                for sample in replay.sample_batch(1, Duration::ZERO).unwrap() {
                    replay.learned(sample.id, &[random.random::<f32>() - 0.5, random.random::<f32>() - 0.5]);
                }
            }
            let now = replay.snapshot();
            prop_assert!(now.bytes <= capacity);
            let held: usize = (1..=number as u64 + 1)
                .filter_map(|id| replay.get(SampleId(id)))
                .map(|sample| sample.bytes())
                .sum();
            prop_assert_eq!(held, now.bytes);
            prop_assert_eq!(now.inserted, now.evicted + now.samples as u64);
        }
    }

    /// Each tier within its share, and together all that is stored.
    #[test]
    fn two_tiers_account_for_every_byte(
        capacity in 2_000usize..20_000,
        share in 0.05f64..0.95,
        sizes in prop::collection::vec(1usize..2_000, 1..150),
        seed in any::<u64>(),
    ) {
        let stream = StreamName::new("a").unwrap();
        let mut policy = TwoTier::new(capacity, share);
        let mut random = rng(seed);
        let mut stored: BTreeMap<SampleId, usize> = Default::default();
        for (number, bytes) in sizes.into_iter().enumerate() {
            let incoming = Entry { bytes, ..entry(&stream, number as u64 + 1) };
            let mut kept = bytes <= capacity;
            while kept && stored.values().sum::<usize>() + bytes > capacity {
                match policy.victim(&incoming, &mut random) {
                    Victim::Stored(id) => {
                        prop_assert!(stored.remove(&id).is_some());
                        policy.removed(id);
                    }
                    Victim::Incoming => kept = false,
                }
            }
            if kept {
                policy.inserted(&incoming);
                stored.insert(incoming.id, bytes);
            }
            let (short, long) = policy.bytes();
            prop_assert_eq!(short + long, stored.values().sum::<usize>());
            prop_assert!(long <= capacity - (capacity as f64 * share) as usize);
        }
    }

    /// As long as its searches suffice, it chooses as a search of all pairs does.
    #[test]
    fn minimum_redundancy_equals_a_search_of_all_pairs(
        steps in prop::collection::vec((0u64..30, prop::array::uniform3(-1f32..1.0)), 1..120),
        seed in any::<u64>(),
    ) {
        let stream = StreamName::new("a").unwrap();
        let mut policy = MinimumRedundancy::with_searches(100);
        let mut plain = BTreeMap::new();
        let mut random: ChaCha8Rng = rng(seed);
        for (id, feature) in steps {
            let length = feature.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length < 0.1 {
                continue;
            }
            let row: Vec<i16> = feature.iter().map(|v| (v / length * 32_767.0) as i16).collect();
            policy.feature(SampleId(id), &row);
            plain.insert(SampleId(id), row);
            if plain.len() > 8 {
                let Victim::Stored(chosen) = policy.victim(&entry(&stream, 99), &mut random) else {
                    panic!("it has features to choose by");
                };
                prop_assert_eq!(most_alike(&plain, Some(chosen)), most_alike(&plain, None));
                policy.removed(chosen);
                plain.remove(&chosen);
            }
        }
    }

    /// A policy that was saved and put back in the order of ids goes on as the one that was not.
    #[test]
    fn saved_policies_go_on_alike(
        eviction in prop::sample::select(&ALL[..]),
        fair in any::<bool>(),
        before in 30u64..80,
        seed in any::<u64>(),
    ) {
        let sampling = if fair { SamplingKind::StreamFair } else { SamplingKind::Uniform };
        let config = ReplayConfig { sampling, fresh_share: 0.25, ..config(eviction, 20) };
        let (capacity, names) = (config.capacity.as_u64() as usize, ["a", "b", "c"]);
        let make = || {
            let (eviction, sampling) = config.policies(capacity);
            table::Table::new(table::Bounds::new(capacity, None), config.fresh_share, eviction, sampling)
        };
        let mut random = rng(seed);
        let mut live = make();
        let step = |table: &mut table::Table, id: u64, random: &mut ChaCha8Rng| {
            let mut new = Sample::small(names[id as usize % 3], id / 2, 10);
            new.id = SampleId(id);
            table.insert(new, random);
            let drawn: Vec<_> = match table.len() {
                0..4 => Vec::new(),
                _ => {
                    let mut draft = table::Draft::default();
                    table.draw(&mut draft, 4, random);
                    draft.samples().iter().map(StoredSample::id).collect()
                }
            };
            for id in &drawn {
                let angle = random.random::<f32>() * 6.0;
                table.learned(*id, &[angle.cos(), angle.sin()]);
            }
            drawn
        };
        (1..before).for_each(|id| drop(step(&mut live, id, &mut random)));
        let state = serde_json::to_string(&live.export_policies()).unwrap();
        let mut again = make();
        let samples = live.all().cloned().collect();
        prop_assert_eq!(again.import(samples, serde_json::from_str(&state).unwrap()), 0);
        let mut random_again = random.clone();
        for id in before..before + 40 {
            let (one, other) = (step(&mut live, id, &mut random), step(&mut again, id, &mut random_again));
            prop_assert_eq!(one, other);
            let ids = |table: &table::Table| table.all().map(StoredSample::id).collect::<HashSet<_>>();
            prop_assert_eq!(ids(&live), ids(&again));
        }
    }
}
