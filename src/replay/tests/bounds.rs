//! How much is stored.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

proptest! {
    /// Against a plain queue: the bound holds after every insert, what goes is what came first, and ids count inserts.
    #[test]
    fn stays_within_its_bytes_and_forgets_the_oldest_first(
        capacity in 2_000usize..20_000,
        sizes in prop::collection::vec(0usize..3_000, 1..200),
    ) {
        let config = ReplayConfig {
            capacity: ByteSize(capacity as u64),
            eviction: EvictionKind::Fifo,
            tolerance: Some(1e12),
            ..ReplayConfig::default()
        };
        let replay = Replay::new(&config, 1, rng(1)).unwrap();
        let mut queue: VecDeque<(u64, usize)> = VecDeque::new();
        let mut next_id = 1;
        for (number, pixels) in sizes.into_iter().enumerate() {
            let offered = Sample::small("a", number as u64, pixels);
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
}

#[test]
fn too_few_samples_for_a_batch_is_an_error_and_not_a_wait() {
    let replay = limited(1.0, 1, 4);
    replay.try_insert(Sample::small("a", 0, 10)).unwrap();
    replay.sources_ended();
    assert_eq!(
        replay.sample_batch(4, PATIENCE),
        Err(NoBatch::TooFewSamples { stored: 1, batch: 4 })
    );
    let small = roomy(3, 4);
    for number in 0..9 {
        small.try_insert(Sample::small("a", number, 10)).unwrap();
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
